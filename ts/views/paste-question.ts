/**
 * What is pasted: without control characters, and asked about first where each of its lines would run as it comes in. A program that takes
 * pasted text as such (bracketed paste, as bash, zsh and vim do) gets it at once.
 */
import { element, setText } from "./element.ts";

/** A host takes messages of 1 MiB, and a program that does not read has as much waiting for it. */
const PASTE_BYTES = 1_000_000;
const SHOWN_LINES = 3;
const SHOWN = 120;

/** Text without what could end a bracketed paste or press keys: tabs and line ends stay. */
export function cleaned(text: string): string {
  return text.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g, "");
}

/** Where what is pasted would go. */
export interface PasteTarget {
  canType(): boolean;
  /** Nothing that is typed goes out now. */
  unheard(): void;
  /** Told why a text was not pasted; "" when one is. */
  refused(sentence: string): void;
  /** True while the program takes pasted text as such. */
  bracketed(): boolean;
}

export class PasteQuestion {
  readonly node: HTMLElement;
  #preview = element("code");
  #size = element("span", { class: "pw-muted" });
  #yes: HTMLButtonElement;
  #text = "";
  #paste: (text: string) => void;
  #back: () => void;

  /** `paste` puts a text into the terminal, `back` gives it the focus. */
  constructor(paste: (text: string) => void, back: () => void) {
    this.#paste = paste;
    this.#back = back;
    this.#yes = element("button", { type: "button", class: "pw-primary", onclick: () => this.#answer(true) }, "Paste");
    const words = "Each line runs as it comes in: ";
    const about = element("span", { id: `pw-paste-${Math.random().toString(36).slice(2)}` }, words, this.#preview, " ", this.#size);
    this.node = element(
      "div",
      { class: "pw-paste", role: "alertdialog", "aria-label": "Paste several lines?", "aria-describedby": about.id, hidden: true },
      about,
      this.#yes,
      element("button", { type: "button", onclick: () => this.#answer(false) }, "Cancel"),
    );
    this.node.addEventListener("keydown", (event) => event.key === "Escape" && this.#answer(false));
  }

  /** Takes what is pasted into an element, before xterm's own listener in it. */
  listen(node: HTMLElement, target: PasteTarget, signal: AbortSignal): void {
    node.addEventListener(
      "paste",
      (event) => {
        event.preventDefault();
        event.stopPropagation();
        const text = event.clipboardData?.getData("text/plain") ?? "";
        const size = new TextEncoder().encode(text).length;
        if (text === "") return;
        if (!target.canType()) target.unheard();
        else if (size > PASTE_BYTES)
          target.refused(
            `Not pasted: the text has ${Math.ceil(size / 1000)} kB, and ${PASTE_BYTES / 1000} kB is the most: bring it over as a file`,
          );
        else {
          target.refused("");
          this.take(text, target.bracketed());
        }
      },
      { capture: true, signal },
    );
  }

  /** Pastes, or asks: the focus goes to the question, since the person waits for what they pasted. */
  take(text: string, bracketed: boolean): void {
    const clean = cleaned(text);
    if (bracketed || !/[\r\n]/.test(clean)) {
      this.#paste(clean);
      return;
    }
    this.#text = clean;
    const lines = clean.replace(/\r\n?/g, "\n").replace(/\n$/, "").split("\n");
    setText(this.#preview, lines.slice(0, SHOWN_LINES).join(" ⏎ ").slice(0, SHOWN));
    setText(this.#size, `${lines.length} ${lines.length === 1 ? "line" : "lines"}, ${clean.length} characters`);
    this.node.hidden = false;
    this.#yes.focus();
  }

  #answer(yes: boolean): void {
    const text = this.#text;
    this.#text = "";
    this.node.hidden = true;
    this.#back();
    if (yes) this.#paste(text);
  }
}
