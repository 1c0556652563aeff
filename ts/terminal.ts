/** The bundle of a terminal: its widget, and the terminal that other widgets open inside themselves. */
import { type MountOptions, option, TraitWriter } from "./model.ts";
import { askRecording } from "./recording-source.ts";
import { openTerminal } from "./terminal-pane.ts";
import { download } from "./views/element.ts";
import { Still } from "./views/still.ts";

export { openTerminal };

export function mount({ model, el, signal, tickets }: MountOptions): void {
  const room = String(model.get("_room") ?? "");
  const traits = new TraitWriter(model, signal);
  const still = new Still(model);
  const { root } = openTerminal({
    model,
    el,
    signal,
    party: String(model.get("_party") ?? "terminal-server"),
    room,
    query: (model.get("_query") ?? {}) as Record<string, string>,
    view: {
      fontSize: option(model, "font_size", 13),
      rows: option(model, "rows", 24),
      scrollback: option(model, "scrollback", 10_000),
      screenReader: option(model, "screen_reader", false),
      pasteWithCtrlV: option(model, "paste_with_ctrl_v", true),
    },
    tickets,
    above: still.node,
    async recording() {
      const { recording, cast } = await askRecording(model, signal);
      download(`${room}-${recording.id}.cast`, "application/x-asciicast", cast);
    },
    changed(state, status) {
      if (status.connection !== "") still.end();
      traits.write("state", state);
      if (status.role) traits.write("role", status.role);
    },
    carried: (transport) => traits.write("transport", transport ?? ""),
  });
  still.cover(root);
}
