/** The header of the grid: how it is sorted, and the handles that give a column its width. */
import type { ColumnKey, SortBy } from "../rooms/row-values.ts";
import { COLUMNS, type Column } from "./columns.ts";
import { element, setText } from "./element.ts";
import type { TableViewEvents } from "./table-view.ts";

const HINT = "Sort (with Shift: also by this one)";
const LEAST = 40;
const MOST = 1200;

export class GridHead {
  readonly node: HTMLElement;
  #row = element("div", { role: "row", class: "pw-head-row", "aria-rowindex": "1" });
  #name: string;
  #events: TableViewEvents;
  #columns: readonly Column[] = [];

  constructor(name: string, events: TableViewEvents) {
    this.#name = name;
    this.#events = events;
    this.node = element("div", { role: "rowgroup", class: "pw-head" }, this.#row);
  }

  draw(columns: readonly Column[], sort: readonly SortBy[]): void {
    if (columns !== this.#columns) {
      this.#columns = columns;
      this.#row.replaceChildren(...columns.map((column, index) => this.#cell(column, index)));
    }
    // Numbers without a gap: what the order asks beside that has no header, as acks mostly, the words say.
    const shown = sort.filter(({ key }) => columns.some((column) => column.key === key));
    const order = sort.map(({ key }) => `${COLUMNS[key].title}${shown.some((by) => by.key === key) ? "" : " (no column)"}`).join(", ");
    columns.forEach(({ key }, index) => {
      const cell = this.#row.children[index] as HTMLElement;
      const place = shown.findIndex((by) => by.key === key);
      const by = shown[place];
      if (by) cell.setAttribute("aria-sort", by.descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
      const sign = cell.querySelector<HTMLElement>(".pw-sort")!;
      setText(sign, by ? `${by.descending ? "▼" : "▲"}${shown.length > 1 ? place + 1 : ""}` : "");
      cell.title = by && sort.length > 1 ? `Sorted by ${order}. ${HINT}` : HINT;
    });
  }

  /** The width of a column as it stands, in pixels. */
  widthOf(key: ColumnKey): number {
    const index = this.#columns.findIndex((column) => column.key === key);
    return this.#row.children[index]?.getBoundingClientRect().width ?? 0;
  }

  #cell(column: Column, index: number): HTMLElement {
    const handle = element("span", { class: "pw-resize", "aria-hidden": "true" });
    const cell = element(
      "div",
      {
        role: "columnheader",
        class: column.right ? "pw-cell pw-right" : "pw-cell",
        id: `${this.#name}-head-${column.key}`,
        "aria-colindex": index + 1,
        title: HINT,
      },
      element("span", { class: "pw-head-title" }, column.title),
      element("span", { class: "pw-sort", "aria-hidden": "true" }),
      handle,
    );
    cell.addEventListener("click", (event) => {
      if (event.target !== handle) this.#events.sort(column.key, event.shiftKey || event.ctrlKey || event.metaKey);
    });
    handle.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      handle.setPointerCapture(event.pointerId);
      const [from, width] = [event.clientX, cell.getBoundingClientRect().width];
      const move = ({ clientX }: PointerEvent) => this.#events.resize(column.key, clamp(width + clientX - from));
      handle.addEventListener("pointermove", move);
      handle.addEventListener("lostpointercapture", () => handle.removeEventListener("pointermove", move), { once: true });
    });
    return cell;
  }
}

/** A column's width in pixels, within reason. */
export function clamp(width: number): number {
  return Math.round(Math.min(Math.max(width, LEAST), MOST));
}
