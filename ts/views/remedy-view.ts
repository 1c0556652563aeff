/** What a row's remedy is and how it goes, over the terminal that it runs in. Knows no network. */

import type { RemedyStage, RemedyState } from "../remedy.ts";
import type { Result } from "../result.ts";
import { element, setText } from "./element.ts";
import { statusMark } from "./status.ts";
import { byFinger } from "./touch.ts";

export interface RemedyViewActions {
  run(command: string): void;
  /** Looks at the row again, after the room was not told; or loads the terminal again. */
  again(): void;
  close(): void;
}

const SIGNS: Record<RemedyStage, string> = { ready: "", running: "◌", looking: "◌", late: "◌", proved: "✔", failed: "✖", untold: "✖" };
const MOST_LINES = 6;

export class RemedyView {
  readonly node: HTMLElement;
  /** Where the terminal goes. */
  readonly host = element("div", { class: "pw-remedy-terminal" });
  #actions: RemedyViewActions;
  #title = element("span", { class: "pw-strong pw-detail-title" });
  #row = element("span", { class: "pw-remedy-row" });
  #command = element("textarea", {
    class: "pw-mono",
    rows: 1,
    spellcheck: "false",
    autocapitalize: "off",
    autocomplete: "off",
    "aria-label": "Command",
    placeholder: "A command that mends this row",
  });
  #run = element("button", { type: "submit", class: "pw-primary pw-go" });
  #again = element("button", { type: "button", class: "pw-primary", hidden: true }, "Try again");
  #said = element("span", { class: "pw-said", role: "status" });
  #clock = element("span", { class: "pw-muted pw-number", "aria-hidden": "true" });
  #began = 0;
  #ticking: ReturnType<typeof setInterval> | undefined;
  #hindered = false;
  #sandbox = "";

  constructor(actions: RemedyViewActions, signal: AbortSignal) {
    this.#actions = actions;
    this.#again.addEventListener("click", () => actions.again());
    const form = element("form", { class: "pw-remedy-form" }, element("span", { class: "pw-mono", "aria-hidden": "true" }, "$"));
    form.append(this.#command, this.#run);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#run.disabled) actions.run(this.#command.value.trim());
    });
    this.#command.addEventListener("keydown", (event) => {
      // One more Enter runs it: a key that was meant for the button before must not.
      if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        if (!event.repeat) this.#run.focus();
      }
    });
    this.#run.addEventListener("keydown", (event) => event.repeat && event.preventDefault());
    this.#command.addEventListener("input", () => this.#refresh());
    this.node = element(
      "section",
      { class: "pw-remedy", hidden: true, tabindex: -1, "aria-label": "Remedy" },
      element(
        "div",
        { class: "pw-remedy-head" },
        this.#title,
        this.#row,
        element("span", { class: "pw-space" }),
        element("button", { type: "button", title: "Leave the terminal; it lives on (Escape)", onclick: () => actions.close() }, "Close"),
      ),
      form,
      element("div", { class: "pw-remedy-said" }, this.#said, this.#clock, this.#again),
      this.host,
    );
    this.node.addEventListener("keydown", (event) => this.#key(event), { capture: true });
    signal.addEventListener("abort", () => clearInterval(this.#ticking));
  }

  /**
   * Shows a row and its command; what somebody wrote into the field for another row is gone. Who may not run it can read and copy it.
   */
  show(row: Result, sandbox: string, mayRun: boolean): void {
    this.#command.readOnly = !mayRun;
    this.#sandbox = sandbox;
    this.node.hidden = false;
    this.node.setAttribute("aria-label", `Remedy of ${row.title || row.check_id} in the terminal of ${sandbox}`);
    setText(this.#title, row.title || row.check_id);
    this.#title.title = row.target ?? "";
    this.#command.value = row.remediation?.command ?? "";
    this.row(row);
    this.#refresh();
  }

  /** The row as it is now. */
  row(row: Result | undefined): void {
    const word = row ? statusMark(row.status) : "gone";
    const text = row ? row.status : "gone";
    if (this.#row.dataset.status === text) return;
    this.node.dataset.status = this.#row.dataset.status = text;
    this.#row.replaceChildren(word);
  }

  /** `obstacle` is why nothing can be run now, `caution` what to know before; `again`: what failed can be tried once more. */
  draw(state: RemedyState, obstacle: string, caution: string, again: boolean): void {
    const { stage, words, mended } = state;
    const busy = stage === "running" || stage === "looking";
    this.#hindered = busy || obstacle !== "";
    // What was said of the last run stands until the next; what hinders the next is said beside it.
    const next = obstacle || caution || (words ? "" : this.#promise());
    const sentence = [words, busy ? "" : next].filter(Boolean).join(" · ");
    const sign = words ? (stage === "proved" && !mended ? "✖" : SIGNS[stage]) : "";
    setText(this.#said, sentence);
    this.#said.dataset.icon = sign;
    this.#said.dataset.stage = stage === "proved" && !mended ? "unmended" : stage;
    this.#again.hidden = !again && stage !== "untold";
    setText(this.#again, stage === "untold" ? "Look at the row again" : "Try again");
    this.#tick(stage === "running");
    this.#refresh();
  }

  /** The command as it stands in the field. */
  get command(): string {
    return this.#command.value.trim();
  }

  /** On the command, where it can be changed. Under a finger a keyboard would come up with it, over the button that runs it. */
  focus(): void {
    if (this.#command.readOnly || byFinger()) {
      this.node.focus({ preventScroll: true });
      return;
    }
    this.#command.focus();
    const end = this.#command.value.length;
    this.#command.setSelectionRange(end, end);
  }

  hide(): void {
    this.node.hidden = true;
    this.#tick(false);
  }

  #refresh(): void {
    this.#command.rows = Math.min(MOST_LINES, Math.max(1, this.#command.value.split("\n").length));
    this.#run.disabled = this.#hindered || this.command === "";
    setText(this.#run, `Run in ${this.#sandbox}`);
    this.#run.title = "Run this command now";
  }

  /** What the button will do, before anything ran. */
  #promise(): string {
    return `Run types it into the shared shell of ${this.#sandbox}, where everyone sees it; then this row is checked again`;
  }

  /** For the eye alone: a screen reader would speak every second. */
  #tick(running: boolean): void {
    if (running === (this.#ticking !== undefined)) return;
    clearInterval(this.#ticking);
    this.#ticking = undefined;
    setText(this.#clock, "");
    if (!running) return;
    this.#began = performance.now();
    this.#ticking = setInterval(() => {
      const seconds = Math.round((performance.now() - this.#began) / 1000);
      setText(this.#clock, seconds < 3 ? "" : `${seconds} s · Ctrl+C in the terminal ends it`);
    }, 1000);
  }

  /** In the screen Escape is the shell's, and search and questions have an Escape of their own. */
  #key(event: KeyboardEvent): void {
    if (event.key !== "Escape" || event.ctrlKey || event.shiftKey) return;
    if (event.target instanceof Element && event.target.closest(".pw-screen, .pw-search")) return;
    event.preventDefault();
    event.stopPropagation();
    this.#actions.close();
  }
}
