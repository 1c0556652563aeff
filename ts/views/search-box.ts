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

  constructor(view: TerminalView) {
    this.#view = view;
    this.node = element(
      "div",
      { class: "pw-search", hidden: true },
      this.#input,
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
      if (event.key === "Enter") this.#find(event.shiftKey);
      else if (event.key === "Escape") this.close();
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

  #find(forward: boolean): void {
    const { value } = this.#input;
    if (value === "") {
      this.#view.search.clearDecorations();
      this.#count.textContent = "";
    } else if (forward) this.#view.search.findNext(value, { decorations: DECORATIONS });
    else this.#view.search.findPrevious(value, { decorations: DECORATIONS });
  }
}
