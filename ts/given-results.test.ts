import { gzipSync } from "node:zlib";
import { beforeEach, describe, expect, it } from "vitest";
import type { CustomMessage } from "./model.ts";
import { mount } from "./table.ts";
import { FakeKernel, soon } from "./testing/kernel.ts";
import { RESULT } from "./testing/ops.ts";

const RESULTS = [RESULT, { ...RESULT, fingerprint: "00000000000000bb", check_id: "disk", title: "A disk", status: "ok" as const }];
/** A kernel that gives them. */
const gives = (kernel: FakeKernel) => (message: CustomMessage) => {
  if (message.op === "results") kernel.push(message, packed(RESULTS));
};
const packed = (results: unknown) => new Uint8Array(gzipSync(JSON.stringify(results)));

describe("a table of results that were given", () => {
  let el: HTMLElement;
  let kernel: FakeKernel;
  let ended: AbortController;
  beforeEach(() => {
    el = document.body.appendChild(document.createElement("div"));
    ended = new AbortController();
    kernel = new FakeKernel({ _options: { given: "manual, 2 checks: 1 ok, 1 crit, 0.26 s", title: "Last night" }, _endpoints: [] });
    return () => {
      ended.abort();
      el.remove();
    };
  });
  const show = () => mount({ model: kernel, el, signal: ended.signal, load: async () => ({}) });
  const rows = () => [...el.querySelectorAll(".pw-row")];

  it("asks the kernel for them, opens no socket, and shows them with what was said of them", async () => {
    kernel.answer = gives(kernel);
    show();
    await soon(() => expect(rows()).toHaveLength(2));
    expect(el.querySelector(".pw-bar")!.textContent).toContain("Last nightmanual, 2 checks: 1 ok, 1 crit, 0.26 s");
    expect(kernel.sent.map(({ message }) => message.op)).toEqual(["results"]);
    await soon(() => expect([kernel.get("state"), kernel.get("counts")]).toEqual(["live", expect.objectContaining({ ok: 1, crit: 1 })]));
  });

  it("selects and copies, and offers nothing that would need the room", async () => {
    kernel.answer = gives(kernel);
    kernel.set("selection", [RESULT.fingerprint]);
    show();
    await soon(() => expect(rows()).toHaveLength(2));
    const buttons = [...el.querySelectorAll<HTMLButtonElement>(".pw-actions button")].filter((button) => !button.closest("[hidden]"));
    expect(buttons.map(({ textContent }) => textContent)).toEqual(["Copy"]);
    expect([...el.querySelectorAll("button")].some(({ textContent }) => textContent === "Pause")).toBe(false);
    for (const key of ["a", "s", "r"]) el.querySelector(".pw-table")!.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    expect(el.querySelector<HTMLFormElement>("form.pw-form")!.hidden).toBe(true);
    expect(kernel.ops("results")).toHaveLength(1);
  });

  it("says what the kernel says, and asks again when somebody wants it", async () => {
    kernel.answer = (message) => kernel.push({ ...message, error: "this kernel does not know 'results'" });
    show();
    await soon(() => expect(el.textContent).toContain("does not know 'results': run the cell again if the kernel was started anew"));
    kernel.answer = gives(kernel);
    const again = [...el.querySelectorAll("button")].find(({ textContent }) => textContent === "Try again")!;
    again.click();
    await soon(() => expect(rows()).toHaveLength(2));
    expect(again.hidden).toBe(true);
    expect(el.textContent).not.toContain("does not know");
  });
});
