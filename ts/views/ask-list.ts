/**
 * Who asks for control, with a yes and a no for each: a line under the bar, spoken when it comes, which takes no focus. Whoever has control is
 * asked; a moderator sees who asks somebody else, and may answer.
 */
import { element, setText } from "./element.ts";

export interface AskActions {
  give(connection: string): void;
  refuse(connection: string): void;
}

const LINES = 3;

export class AskList {
  readonly node: HTMLElement;
  #said = element("span", { class: "pw-hidden", role: "status" });
  #lines = element("ul", { "aria-label": "Requests for control" });
  #more = element("span", { class: "pw-muted" });
  #actions: AskActions;
  #shown = "";
  #holder: string | null = null;

  constructor(actions: AskActions) {
    this.#actions = actions;
    this.#lines.hidden = true;
    // The status is there before it speaks: a live region that comes together with its text is not read.
    this.node = element("div", { class: "pw-asks" }, this.#said, this.#lines, this.#more);
  }

  /** The first requests, one line each; the focus stays on the same person's button. `holder`: whom they ask, null for this person. */
  show(asking: { connection: string; name: string }[], holder: string | null = null): void {
    const shown = JSON.stringify([asking, holder]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#holder = holder;
    const root = this.node.getRootNode() as Document | ShadowRoot;
    const key = root.activeElement instanceof HTMLElement && this.node.contains(root.activeElement) ? root.activeElement.dataset.key : null;
    this.#lines.replaceChildren(...asking.slice(0, LINES).map((person) => this.#line(person)));
    this.#lines.hidden = asking.length === 0;
    const others = asking.length - LINES;
    setText(this.#more, others > 0 ? `${others} more ${others === 1 ? "asks" : "ask"}` : "");
    const newest = asking.at(-1);
    const answer = holder === null ? " Control Shift Escape leads to the answer." : "";
    setText(this.#said, newest ? `${newest.name} ${this.#asks()}.${answer}` : "");
    if (key) [...this.node.querySelectorAll("button")].find((button) => button.dataset.key === key)?.focus();
  }

  /** The first answer's button takes the focus; false when nobody asks this person. */
  focus(): boolean {
    const button = this.#holder === null ? this.#lines.querySelector("button") : null;
    button?.focus();
    return button !== null;
  }

  #asks(): string {
    return this.#holder === null ? "asks for control" : `asks ${this.#holder} for control`;
  }

  #line({ connection, name }: { connection: string; name: string }): HTMLElement {
    const button = (label: string, long: string, title: string, act: () => void) =>
      element("button", { type: "button", class: "pw-primary", "data-key": long, "aria-label": long, title, onclick: act }, label);
    return element(
      "li",
      {},
      element("span", { class: "pw-person" }, name),
      ` ${this.#asks()}`,
      button("Give control", `Give control to ${name}`, `Let ${name} type; their window decides the size`, () =>
        this.#actions.give(connection),
      ),
      button("Refuse", `Refuse ${name}`, "Control stays where it is; they are told", () => this.#actions.refuse(connection)),
    );
  }
}
