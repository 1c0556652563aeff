/** The keys that a phone's keyboard has not, below the screen: shown where a finger is the pointer. */
import type { Terminal } from "@xterm/xterm";
import { element } from "./element.ts";

/** What a key sends; `app`: in a program that takes the arrow keys for itself. */
interface Key {
  sign: string;
  name: string;
  sends: string;
  app?: string;
}

const KEYS: Key[] = [
  { sign: "Esc", name: "Esc", sends: "\x1b" },
  { sign: "Tab", name: "Tab", sends: "\t" },
  { sign: "^C", name: "Interrupt, ^C", sends: "\x03" },
  { sign: "←", name: "Left", sends: "\x1b[D", app: "\x1bOD" },
  { sign: "↑", name: "Up", sends: "\x1b[A", app: "\x1bOA" },
  { sign: "↓", name: "Down", sends: "\x1b[B", app: "\x1bOB" },
  { sign: "→", name: "Right", sends: "\x1b[C", app: "\x1bOC" },
];

export class TouchKeys {
  readonly node: HTMLElement;
  #control: HTMLButtonElement;
  #terminal: Terminal;
  #unheard: () => void;

  /** `unheard` is called for a key while nobody may type here. */
  constructor(terminal: Terminal, unheard: () => void) {
    this.#terminal = terminal;
    this.#unheard = unheard;
    this.#control = button("Ctrl", "Ctrl, held for the next letter", () => this.#hold(!this.#held));
    const keys = KEYS.map((key) => button(key.sign, key.name, () => this.#press(key)));
    keys.splice(2, 0, this.#control);
    this.node = element("div", { class: "pw-keys", role: "toolbar", "aria-label": "Keys" }, ...keys);
    // The focus stays in the screen, and with it the phone's own keyboard.
    this.node.addEventListener("pointerdown", (event) => event.preventDefault());
    this.node.addEventListener("mousedown", (event) => event.preventDefault());
    this.#hold(false);
  }

  /** What is typed, as the control key that is held makes it: a letter is held for once, longer text is none. */
  typed(text: string): string {
    if (!this.#held) return text;
    this.#hold(false);
    return controlled(text);
  }

  get #held(): boolean {
    return this.#control.getAttribute("aria-pressed") === "true";
  }

  #hold(on: boolean): void {
    this.#control.setAttribute("aria-pressed", String(on));
  }

  #press({ sends, app }: Key): void {
    this.#hold(false);
    const { modes, options } = this.#terminal;
    if (options.disableStdin) this.#unheard();
    else this.#terminal.input(app && modes.applicationCursorKeysMode ? app : sends);
  }
}

/** A character as Ctrl makes it, `@` to `_` and letters, `?` and the space: any other text is as it was. */
export function controlled(text: string): string {
  if (text === "?") return "\x7f";
  if (text === " ") return "\x00";
  return /^[@-_a-z]$/.test(text) ? String.fromCharCode(text.charCodeAt(0) & 0x1f) : text;
}

function button(sign: string, name: string, action: () => void): HTMLButtonElement {
  return element("button", { type: "button", "aria-label": name, onclick: action }, sign);
}
