/** Which columns a table shows, and in which order: a button and its list, by mouse and by keyboard. */
import { COLUMN_KEYS, type ColumnKey } from "../rooms/row-values.ts";
import { COLUMNS } from "./columns.ts";
import { element } from "./element.ts";

export interface ColumnMenuEvents {
  /** The columns now shown, in order. */
  shown(): readonly ColumnKey[];
  /** null: by the width of the table, again. */
  choose(columns: ColumnKey[] | null): void;
}

export class ColumnMenu {
  readonly node: HTMLElement;
  #events: ColumnMenuEvents;
  #button: HTMLButtonElement;
  #list = element("ul", { class: "pw-menu-list" });
  #panel: HTMLElement;

  constructor(events: ColumnMenuEvents) {
    this.#events = events;
    this.#button = element(
      "button",
      { type: "button", "aria-expanded": "false", "aria-haspopup": "dialog", title: "Choose the columns and their order" },
      "Columns",
    );
    this.#button.addEventListener("click", () => (this.#panel.hidden ? this.#open() : this.#close()));
    const reset = element("button", { type: "button", title: "As many as the width allows, in their usual order and width" }, "Reset");
    reset.addEventListener("click", () => this.#choose(null, "reset"));
    const done = element("button", { type: "button", onclick: () => this.#close() }, "Close");
    this.#panel = element(
      "div",
      { class: "pw-menu", role: "dialog", "aria-label": "Columns", hidden: true },
      this.#list,
      element("div", { class: "pw-menu-foot" }, reset, done),
    );
    this.node = element("div", { class: "pw-menu-holder" }, this.#button, this.#panel);
    this.node.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || this.#panel.hidden) return;
      event.stopPropagation();
      this.#close();
    });
    this.node.addEventListener("focusout", (event) => {
      // The list is drawn anew while a button of it has the focus: that is no leaving.
      if (event.relatedTarget instanceof Node && !this.node.contains(event.relatedTarget)) this.#panel.hidden = true;
      this.#button.setAttribute("aria-expanded", String(!this.#panel.hidden));
    });
  }

  #open(): void {
    this.#panel.hidden = false;
    this.#button.setAttribute("aria-expanded", "true");
    this.#draw();
    this.#list.querySelector("input")?.focus();
  }

  #close(): void {
    this.#panel.hidden = true;
    this.#button.setAttribute("aria-expanded", "false");
    this.#button.focus();
  }

  #draw(): void {
    const shown = this.#events.shown();
    const rest = COLUMN_KEYS.filter((key) => !shown.includes(key));
    this.#list.replaceChildren(
      ...[...shown, ...rest].map((key) => {
        const place = shown.indexOf(key);
        const box = element("input", { type: "checkbox", checked: place >= 0, "data-focus": `box-${key}` });
        box.disabled = place >= 0 && shown.length === 1;
        box.addEventListener("change", () =>
          this.#choose(box.checked ? [...shown, key] : shown.filter((other) => other !== key), `box-${key}`),
        );
        const move = (step: number, sign: string, word: string) => {
          const target = place + step;
          const title = `Move ${COLUMNS[key].title} ${word}`;
          const button = element("button", { type: "button", title, "aria-label": title, "data-focus": `${word}-${key}` }, sign);
          button.disabled = place < 0 || target < 0 || target >= shown.length;
          button.addEventListener("click", () => {
            const columns = shown.filter((other) => other !== key);
            columns.splice(target, 0, key);
            this.#choose(columns, `${word}-${key}`);
          });
          return button;
        };
        return element(
          "li",
          {},
          element("label", {}, box, COLUMNS[key].title),
          element("span", { class: "pw-space" }),
          move(-1, "↑", "to the left"),
          move(1, "↓", "to the right"),
        );
      }),
    );
  }

  #choose(columns: ColumnKey[] | null, focus: string): void {
    this.#events.choose(columns);
    this.#draw();
    const next = [...this.#panel.querySelectorAll<HTMLInputElement | HTMLButtonElement>("[data-focus]")].find(
      (node) => node.dataset.focus === focus,
    );
    // At the end of its way a button cannot be pressed any more: the box of the same column takes the focus.
    const key = focus.slice(focus.indexOf("-") + 1);
    (next && !next.disabled ? next : this.#panel.querySelector<HTMLElement>(`[data-focus="box-${CSS.escape(key)}"]`))?.focus();
  }
}
