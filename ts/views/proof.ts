/** What a remedy did, as text: who ran what where, how it ended, and the row before and after. */
import type { Proof, Seen } from "../protocol.ts";
import { element } from "./element.ts";
import { clock, duration, statusMark } from "./status.ts";

export function proofText({ command, sandbox, actor, at, exit_code, duration_s, before, after }: Proof): HTMLElement {
  const exit = exit_code === null ? "exit code unknown" : `exit code ${exit_code}`;
  return element(
    "div",
    { class: "pw-proof" },
    element("div", { class: "pw-command" }, element("code", {}, command)),
    element("div", { class: "pw-muted pw-wrap" }, `${actor} in ${sandbox}, ${clock(at)}: ${exit} after ${duration(duration_s * 1000)}`),
    element("div", { class: "pw-wrap" }, ...seen(before, "new"), " → ", ...seen(after, "not looked at again")),
    after && element("div", { class: "pw-muted pw-wrap" }, after.summary),
  );
}

function seen(row: Seen | null, otherwise: string): (Node | string)[] {
  return [row ? statusMark(row.status) : otherwise];
}
