/** The results that a cell gave to a table: they come from the kernel once, and stay as they are. */
import { type MountOptions, TraitWriter } from "./model.ts";
import type { TableSource } from "./ops-link.ts";
import type { Changes } from "./rooms/changes.ts";
import { OpsRoom } from "./rooms/ops-room.ts";
import { GIVEN } from "./rooms/ops-store.ts";
import { CommChannel } from "./transport/channel.ts";
import { element, setText } from "./views/element.ts";

const ANSWER_MS = 15_000;

/** `about` is what is said of them beside the title. */
export function givenResults({ model, signal }: MountOptions, title: string, about: string, draw: (changes: Changes) => void): TableSource {
  const traits = new TraitWriter(model, signal);
  const channel = new CommChannel(model, signal);
  const room = new OpsRoom(
    () => false,
    (changes) => {
      draw(changes);
      traits.write("counts", room.store.counts());
      traits.write("state", "live");
    },
    signal,
  );
  const said = element("span", { class: "pw-answer", role: "status" });
  const again = element("button", { type: "button", hidden: true, title: "Ask the kernel for the results again" }, "Try again");
  const fetched = async () => {
    again.hidden = true;
    setText(said, "");
    try {
      const [, buffers] = await channel.request("results", {}, ANSWER_MS);
      const results = JSON.parse(await unpacked(buffers[0]!));
      room.text(JSON.stringify({ type: "snapshot", data: { epoch: GIVEN, seq: 0, part: 1, of: 1, results } }));
    } catch (error) {
      if (signal.aborted) return;
      setText(said, `${error instanceof Error ? error.message : error}: run the cell again if the kernel was started anew`);
      again.hidden = false;
    }
  };
  again.addEventListener("click", () => void fetched());
  const node = element(
    "div",
    { class: "pw-bar", role: "toolbar", "aria-label": title },
    element("span", { class: "pw-bar-title" }, title),
    element("span", { class: "pw-muted" }, about),
    again,
    said,
  );
  return { bar: { node }, room, traits, actions: null, attend() {}, connect: () => void fetched() };
}

async function unpacked(packed: DataView): Promise<string> {
  const bytes = new Uint8Array(packed.buffer as ArrayBuffer, packed.byteOffset, packed.byteLength);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return await new Response(stream).text();
}
