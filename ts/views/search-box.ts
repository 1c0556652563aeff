/** Search in a terminal's screen and history. */
import { element } from "./element.ts";
import type { TerminalView } from "./terminal-view.ts";

const DECORATIONS = {
  matchBackground: "#8a6d00",
  matchOverviewRuler: "#8a6d00",
  activeMatchBackground: "#c25e00",
  activeMatchBorder: "#ff8c00",
  activeMatchColorOverviewRuler: "#c25e00",
};

export class SearchBox {
  readonly node: HTMLElement;
  #view: TerminalView;
  #input = element("input", { type: "search", placeholder: "Find in terminal", "aria-label": "Find in terminal" });
  #count = element("span", { class: "pw-muted", role: "status" });
  #matchCase = this.#toggle("Aa", "Match case");
  #regex = this.#toggle(".*", "Regular expression");

  constructor(view: TerminalView) {
    this.#view = view;
    this.node = element(
      "div",
      { class: "pw-search", hidden: true },
      this.#input,
      this.#matchCase,
      this.#regex,
      element(
        "button",
        { type: "button", title: "Previous (Shift+Enter)", "aria-label": "Previous match", onclick: () => this.#find(false) },
        "↑",
      ),
      element("button", { type: "button", title: "Next (Enter)", "aria-label": "Next match", onclick: () => this.#find(true) }, "↓"),
      this.#count,
      element("button", { type: "button", title: "Close (Escape)", "aria-label": "Close search", onclick: () => this.close() }, "✕"),
    );
    this.#input.addEventListener("input", () => this.#find(false));
    this.#input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.#find(!event.shiftKey);
    });
    this.node.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
    view.search.onDidChangeResults(({ resultIndex, resultCount }) => {
      this.#count.textContent =
        this.#input.value === "" ? "" : resultCount === 0 ? "nothing found" : `${resultIndex + 1} of ${resultCount}`;
    });
  }

  open(): void {
    this.node.hidden = false;
    this.#input.focus();
    this.#input.select();
  }

  close(): void {
    this.node.hidden = true;
    this.#view.search.clearDecorations();
    this.#view.terminal.focus();
  }

  #toggle(label: string, title: string): HTMLButtonElement {
    const button = element("button", { type: "button", title, "aria-label": title, "aria-pressed": "false" }, label);
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(!isPressed(button)));
      // The addon counts anew for another text only.
      this.#view.search.clearDecorations();
      this.#find(false);
    });
    return button;
  }

  #find(forward: boolean): void {
    const { value } = this.#input;
    const { search } = this.#view;
    const regex = isPressed(this.#regex);
    if (value === "" || (regex && !isRegex(value))) {
      search.clearDecorations();
      this.#count.textContent = value === "" ? "" : "not a regular expression";
      return;
    }
    const options = { decorations: DECORATIONS, caseSensitive: isPressed(this.#matchCase), regex };
    if (forward) search.findNext(value, options);
    else search.findPrevious(value, options);
  }
}

function isPressed(button: HTMLElement): boolean {
  return button.getAttribute("aria-pressed") === "true";
}

function isRegex(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}
