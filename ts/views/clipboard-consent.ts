/** The question whether a program in the terminal may copy a text. The newest request counts; an unanswered one does nothing. */
import { element, setText } from "./element.ts";

const SHOWN = 200;
/** A text that came in place of another must have been seen for so long: a program may send it just as somebody agrees to the one before. */
const SEEN_MS = 500;

export class ClipboardConsent {
  readonly node: HTMLElement;
  #preview = element("code");
  #length = element("span", { class: "pw-muted" });
  #text = "";
  #changed = Number.NEGATIVE_INFINITY;
  #tell: (sentence: string) => void;

  constructor(tell: (sentence: string) => void) {
    this.#tell = tell;
    this.node = element(
      "div",
      { class: "pw-consent", role: "group", "aria-label": "A program asks to copy", hidden: true },
      "A program in this terminal asks to copy ",
      this.#preview,
      this.#length,
      element("button", { type: "button", onclick: () => void this.#agree() }, "Copy it"),
      element("button", { type: "button", onclick: () => this.#close() }, "Refuse"),
    );
  }

  /** Asks the person; takes no focus, since they may be typing. */
  ask(text: string): void {
    if (!this.node.hidden && text !== this.#text) this.#changed = performance.now();
    this.#text = text;
    // What is agreed to must be seen: control characters and line ends stand as such.
    setText(this.#preview, JSON.stringify(text.slice(0, SHOWN)));
    setText(this.#length, `${text.length} characters`);
    this.node.hidden = false;
  }

  async #agree(): Promise<void> {
    const text = this.#text;
    if (performance.now() - this.#changed < SEEN_MS) {
      this.#tell("The text has just changed: look at it, then copy it");
      return;
    }
    this.#close();
    try {
      await navigator.clipboard.writeText(text);
      this.#tell("");
    } catch {
      this.#tell("The browser did not allow copying");
    }
  }

  #close(): void {
    this.#text = "";
    this.#changed = Number.NEGATIVE_INFINITY;
    this.node.hidden = true;
  }
}
