/** What a remedy did, as text: who ran what where, how it ended, and the row before and after. */
import type { Proof, Seen } from "../ops-protocol.ts";
import { element } from "./element.ts";
import { clock, duration, statusMark } from "./status.ts";

/** How a command ended. What took no time worth a word has none: its marks came at once. */
export function exitWords(code: number | null, seconds: number): string {
  return `${code === null ? "exit code unknown" : `exit ${code}`}${seconds < 0.1 ? "" : ` after ${duration(seconds * 1000)}`}`;
}

export function proofText({ command, sandbox, actor, at, exit_code, duration_s, before, after }: Proof): HTMLElement {
  return element(
    "div",
    { class: "pw-proof" },
    element("div", { class: "pw-command" }, element("code", {}, command)),
    element("div", { class: "pw-muted pw-wrap" }, `${actor} in ${sandbox}, ${clock(at)}: ${exitWords(exit_code, duration_s)}`),
    element("div", { class: "pw-wrap" }, ...seen(before, "new"), " → ", ...seen(after, "not looked at again")),
    before?.summary && element("div", { class: "pw-muted pw-wrap" }, `before: ${before.summary}`),
    after?.summary && element("div", { class: "pw-muted pw-wrap" }, `after: ${after.summary}`),
  );
}

function seen(row: Seen | null, otherwise: string): (Node | string)[] {
  return [row ? statusMark(row.status) : otherwise];
}
