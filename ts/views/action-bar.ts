/** What can be done with the selected rows; a reason is asked for in place. Without actions they can be copied. */
import type { Reply } from "../protocol.ts";
import type { Result } from "../result.ts";
import { toTabs } from "./csv.ts";
import { element, setText, toClipboard } from "./element.ts";

export interface RowActions {
  ack(fingerprints: string[], reason: string | null, until: string | null): Promise<Reply>;
  silence(fingerprints: string[], reason: string, until: string | null): Promise<Reply>;
  /** Lifts the silences that these rows are under. */
  lift(fingerprints: string[]): Promise<Reply>;
  recheck(fingerprints: string[]): Promise<Reply>;
}

const SPANS: [string, number | null][] = [
  ["30 minutes", 30],
  ["1 hour", 60],
  ["4 hours", 240],
  ["1 day", 1440],
  ["1 week", 10_080],
];
const FOR_EVER: [string, null] = ["until it is ok", null];

export class ActionBar {
  readonly node: HTMLElement;
  #actions: RowActions | null;
  #selected: () => Result[];
  #words = element("span", { class: "pw-muted" });
  #buttons: HTMLElement;
  #ack: HTMLButtonElement;
  #silence: HTMLButtonElement;
  #form: HTMLFormElement;
  #reason = element("input", { type: "text", placeholder: "Reason", "aria-label": "Reason", required: true, maxlength: 200 });
  #span = element("select", { "aria-label": "How long" });
  #submit = element("button", { type: "submit", class: "pw-primary" });
  #answer = element("span", { class: "pw-answer", role: "status" });
  #what: "ack" | "silence" = "ack";
  /** What had the focus when the form was opened. */
  #from: HTMLElement | null = null;
  /** The rows that were selected when the answer was told: it says nothing of others. */
  #told = "";

  constructor(actions: RowActions | null, selected: () => Result[]) {
    this.#actions = actions;
    this.#selected = selected;
    const button = (label: string, title: string, action: () => void) =>
      element("button", { type: "button", title, onclick: action }, label);
    this.#ack = button("", "", () => this.ask("ack"));
    this.#silence = button("", "", () => this.ask("silence"));
    const recheck = button("Re-check", "Run these checks now (r)", () => void this.recheck());
    this.#buttons = element(
      "span",
      { class: "pw-buttons" },
      actions && element("span", { class: "pw-buttons pw-for-responders" }, this.#ack, this.#silence, recheck),
      button("Copy", "Copy these rows, for a spreadsheet or a message (c)", () => void this.copy()),
    );
    this.#form = element(
      "form",
      { class: "pw-form", hidden: true },
      this.#reason,
      this.#span,
      this.#submit,
      button("Cancel", "Escape", () => this.#close()),
    );
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#send();
    });
    this.#form.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#close();
    });
    this.node = element(
      "div",
      { class: "pw-actions", role: "toolbar", "aria-label": "Selected checks" },
      this.#words,
      this.#buttons,
      this.#form,
      this.#answer,
    );
    this.refresh();
  }

  /** Follows the selection. */
  refresh(): void {
    const rows = this.#selected();
    if (this.#names() !== this.#told) setText(this.#answer, "");
    const none = rows.length === 0;
    this.node.hidden = none && this.#answer.textContent === "";
    if (none) this.#close();
    this.#buttons.hidden = none || !this.#form.hidden;
    setText(this.#words, none ? "" : rows.length === 1 ? rows[0]!.title || rows[0]!.check_id : `${rows.length} selected`);
    const acked = under(rows, "ack");
    setText(this.#ack, acked ? "Withdraw ack" : "Ack…");
    this.#ack.title = acked ? "Nobody is on it any more (a)" : "Say that somebody is on it (a)";
    const silenced = under(rows, "silence");
    setText(this.#silence, silenced ? "Lift silence" : "Silence…");
    this.#silence.title = silenced
      ? "Its notifications go out again, those of every row under the same silence (s)"
      : "Stop its notifications for a time (s)";
  }

  /** Opens the form for a reason; withdraws an ack and lifts a silence at once. */
  ask(what: "ack" | "silence"): void {
    const [rows, actions] = [this.#selected(), this.#actions];
    if (rows.length === 0 || !actions) return;
    if (under(rows, what)) {
      const fingerprints = rows.map(({ fingerprint }) => fingerprint);
      void this.#tell(what === "ack" ? actions.ack(fingerprints, null, null) : actions.lift(fingerprints));
      return;
    }
    this.#what = what;
    const at = activeIn(this.node);
    if (this.#form.hidden) this.#from = at ?? (what === "ack" ? this.#ack : this.#silence);
    setText(this.#submit, what === "ack" ? "Ack" : "Silence");
    this.#span.replaceChildren(
      ...[...(what === "ack" ? [FOR_EVER] : []), ...SPANS].map(([label, minutes]) => element("option", { value: minutes ?? "" }, label)),
    );
    if (what === "silence") this.#span.value = "60";
    this.#form.hidden = false;
    this.#buttons.hidden = true;
    setText(this.#answer, "");
    this.#reason.focus();
  }

  /** Runs the selected checks now. */
  async recheck(): Promise<void> {
    const fingerprints = this.#selected().map(({ fingerprint }) => fingerprint);
    if (fingerprints.length > 0 && this.#actions) await this.#tell(this.#actions.recheck(fingerprints));
  }

  /** Puts the selected rows into the clipboard, parted by tabs. */
  async copy(): Promise<void> {
    const rows = this.#selected();
    if (rows.length === 0) return;
    const copied = await toClipboard(toTabs(rows));
    this.#say(
      copied ? `${rows.length} ${rows.length === 1 ? "row" : "rows"} copied` : "The browser did not allow copying: save them with CSV",
    );
  }

  /** Shows an answer, also to somebody who has selected nothing. */
  tell(reply: Reply): void {
    this.#say(reply.ok ? "" : (reply.error ?? "refused"));
  }

  #say(sentence: string): void {
    this.#told = this.#names();
    setText(this.#answer, sentence);
    this.refresh();
  }

  #names(): string {
    return this.#selected()
      .map(({ fingerprint }) => fingerprint)
      .join();
  }

  async #send(): Promise<void> {
    const fingerprints = this.#selected().map(({ fingerprint }) => fingerprint);
    const minutes = this.#span.value === "" ? null : Number(this.#span.value);
    const until = minutes === null ? null : new Date(Date.now() + minutes * 60_000).toISOString();
    const reason = this.#reason.value.trim();
    if (reason === "" || fingerprints.length === 0 || !this.#actions) return;
    this.#submit.disabled = true;
    const reply = await this.#tell(this.#actions[this.#what](fingerprints, reason, until));
    this.#submit.disabled = false;
    if (reply.ok) this.#close();
  }

  async #tell(answer: Promise<Reply>): Promise<Reply> {
    const reply = await answer;
    this.tell(reply);
    return reply;
  }

  #close(): void {
    if (this.#form.hidden) return;
    const at = activeIn(this.node);
    this.#form.hidden = true;
    this.#buttons.hidden = false;
    this.#reason.value = "";
    // Back to where it was asked for, unless somebody went elsewhere meanwhile.
    if (at === null || this.#form.contains(at)) this.#from?.focus();
  }
}

/** What has the focus in the page, or in the part of it with a tree of its own; null: nothing. */
function activeIn(node: HTMLElement): HTMLElement | null {
  const at = (node.getRootNode() as Document | ShadowRoot).activeElement;
  return at instanceof HTMLElement && at !== document.body ? at : null;
}

/** All of them are suppressed that way. */
function under(rows: readonly Result[], by: "ack" | "silence"): boolean {
  return rows.length > 0 && rows.every(({ suppression }) => suppression?.by === by);
}
