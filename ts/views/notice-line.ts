/** The line below a terminal's bar: why something was not done, and that what is typed goes nowhere. */
import { element, setText } from "./element.ts";

/** How long it is said that keys were not taken. */
const UNHEARD_MS = 20_000;

export class NoticeLine {
  readonly node = element("div", { class: "pw-notice", role: "status" });
  #unheard = "";
  #forget: ReturnType<typeof setTimeout> | undefined;

  /** Shows a sentence; "" for none. */
  tell(sentence: string): void {
    setText(this.node, sentence);
  }

  /** What was typed or pasted went nowhere: nobody should believe that it waits. */
  unheard(why: string): void {
    this.#unheard = `What you type is not sent: ${why}`;
    this.tell(this.#unheard);
    clearTimeout(this.#forget);
    this.#forget = setTimeout(() => this.heard(), UNHEARD_MS);
  }

  /** Keys are taken again, or it was said for long enough. */
  heard(): void {
    if (this.#unheard !== "" && this.node.textContent === this.#unheard) this.tell("");
    this.#unheard = "";
  }

  stop(): void {
    clearTimeout(this.#forget);
  }
}
