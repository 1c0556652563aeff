/** The keyboard in the grid: one stop of the tab key, a cursor that goes over header, groups, rows and cells. */
import type { Result } from "../result.ts";
import type { RowLines } from "../rooms/row-order.ts";
import type { ColumnKey } from "../rooms/row-values.ts";
import type { Column } from "./columns.ts";
import { clamp } from "./grid-head.ts";
import type { TableViewEvents } from "./table-view.ts";

const RESIZE = 16;

export interface GridKeysHost {
  lines(): RowLines;
  columns(): readonly Column[];
  /** Lines of a page. */
  page(): number;
  /** The width of a column, in pixels. */
  widthOf(key: ColumnKey): number;
  events: TableViewEvents;
  moved(): void;
}

/** `line`: where a row is on its way. */
type Cursor = { fingerprint: string } | { group: string } | { line: number } | "head";

export class GridKeys {
  #host: GridKeysHost;
  #cursor: Cursor | null = null;
  /** The column of the cell; -1: the row as a whole. */
  #column = -1;
  /** Where the cursor stood last: when its row is gone, it goes on from there. */
  #last = -1;

  constructor(host: GridKeysHost) {
    this.#host = host;
  }

  /** The line of the cursor, or -1. */
  get line(): number {
    const lines = this.#host.lines();
    if (this.#cursor === null || this.#cursor === "head") return -1;
    if ("line" in this.#cursor) return this.#cursor.line;
    return "group" in this.#cursor ? lines.placeOfGroup(this.#cursor.group) : lines.place(this.#cursor.fingerprint);
  }

  /** As `line`; of a row that is not here, where it stood last. */
  get lastLine(): number {
    return this.line >= 0 || this.#cursor === "head" ? this.line : Math.min(this.#last, this.#host.lines().length - 1);
  }

  get inCell(): boolean {
    return this.#cursor === "head" || (this.#column >= 0 && this.#cursor !== null && "fingerprint" in this.#cursor);
  }

  get at(): { row: Result; key: ColumnKey | null } | null {
    const line = this.line;
    const found = line < 0 ? null : this.#host.lines().line(line);
    if (!found || found.group || !found.row) return null;
    return { row: found.row, key: this.#host.columns()[this.#column]?.key ?? null };
  }

  isAt(key: string): boolean {
    if (this.#cursor === null || this.#cursor === "head" || "line" in this.#cursor) return false;
    return "group" in this.#cursor ? key === `g-${this.#cursor.group}` : key === this.#cursor.fingerprint;
  }

  /** The id of the element that the cursor is on. */
  elementId(table: string): string | null {
    const key = this.#host.columns()[this.#column]?.key;
    if (this.#cursor === null || (this.#cursor !== "head" && "line" in this.#cursor)) return null;
    if (this.#cursor === "head") return key ? `${table}-head-${key}` : null;
    if ("group" in this.#cursor) return `${table}-g-${this.#cursor.group}`;
    return `${table}-${this.#cursor.fingerprint}${key ? `-${key}` : ""}`;
  }

  go(cursor: Cursor): void {
    this.#cursor = cursor;
    if (cursor === "head") this.#column = Math.max(0, this.#column);
    this.#last = this.line;
    this.#host.moved();
  }

  /** The lines are others: a row that the cursor went to has come. */
  arrived(): void {
    if (this.#cursor === null || this.#cursor === "head" || !("line" in this.#cursor)) return;
    const { line } = this.#cursor;
    if (line >= this.#host.lines().length) this.#cursor = null;
    else this.#goLine(line, { ctrlKey: false, shiftKey: false });
  }

  key(event: KeyboardEvent): void {
    if (this.#head(event) || this.#move(event) || this.#act(event)) event.preventDefault();
  }

  #head(event: KeyboardEvent): boolean {
    if (this.#cursor !== "head") return false;
    const columns = this.#host.columns();
    const column = columns[Math.min(this.#column, columns.length - 1)];
    if (!column) return false;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step && event.altKey) this.#host.events.resize(column.key, clamp(this.#host.widthOf(column.key) + step * RESIZE));
    else if (step) this.#goColumn(Math.min(Math.max(this.#column + step, 0), columns.length - 1));
    else if (event.key === "Home") this.#goColumn(0);
    else if (event.key === "End") this.#goColumn(columns.length - 1);
    else if (event.key === "Enter" || event.key === " ")
      this.#host.events.sort(column.key, event.shiftKey || event.ctrlKey || event.metaKey);
    else return false;
    return true;
  }

  #move(event: KeyboardEvent): boolean {
    const lines = this.#host.lines();
    const { length } = lines;
    const inHead = this.#cursor === "head";
    let at = this.line;
    // The row left: the cursor stands between its neighbours.
    if (at < 0 && this.#cursor !== null && !inHead) at = Math.min(this.#last, length) - (event.key === "ArrowDown" ? 1 : 0);
    const ends = event.ctrlKey || event.metaKey || !this.inCell;
    const go: Record<string, number> = {
      ArrowDown: inHead ? 0 : Math.min(at + 1, length - 1),
      ArrowUp: at - 1,
      PageDown: Math.min(Math.max(at, 0) + this.#host.page(), length - 1),
      PageUp: Math.max(at - this.#host.page(), 0),
      ...(ends ? { Home: 0, End: length - 1 } : {}),
    };
    const next = go[event.key];
    if (next !== undefined) {
      if (inHead && event.key !== "ArrowDown") return true;
      if (next < 0 && event.key === "ArrowUp") this.go("head");
      else this.#goLine(next, event);
      return true;
    }
    if (this.inCell && (event.key === "Home" || event.key === "End"))
      this.#goColumn(event.key === "Home" ? 0 : this.#host.columns().length - 1);
    else if (event.key === "ArrowLeft" || event.key === "ArrowRight") this.#sideways(event.key === "ArrowRight");
    else return false;
    return true;
  }

  #goLine(index: number, event: Pick<KeyboardEvent, "ctrlKey" | "shiftKey">): void {
    if (index < 0) return;
    const line = this.#host.lines().line(index);
    if (line.group) this.go({ group: line.group.name });
    else if (!line.row) {
      if (this.#cursor === null || this.#cursor === "head" || !("line" in this.#cursor) || this.#cursor.line !== index)
        this.go({ line: index });
    } else {
      const { fingerprint } = line.row;
      this.go({ fingerprint });
      if (!event.ctrlKey) this.#host.events.choose(fingerprint, event.shiftKey ? "range" : "only");
    }
  }

  #sideways(right: boolean): void {
    if (this.#cursor !== null && this.#cursor !== "head" && "group" in this.#cursor) {
      this.#host.events.fold(this.#cursor.group, !right);
      return;
    }
    if (this.#cursor === null || (this.#cursor !== "head" && "line" in this.#cursor)) return;
    this.#goColumn(Math.min(Math.max(this.#column + (right ? 1 : -1), -1), this.#host.columns().length - 1));
  }

  #goColumn(column: number): void {
    this.#column = column;
    this.#host.moved();
  }

  #act(event: KeyboardEvent): boolean {
    const cursor = this.#cursor;
    if (cursor === null || cursor === "head" || "line" in cursor || (event.key !== "Enter" && event.key !== " ")) return false;
    if ("group" in cursor) {
      const line = this.#host.lines().line(this.line);
      if (line.group) this.#host.events.fold(cursor.group, line.group.open);
    } else if (event.key === "Enter") this.#host.events.open(cursor.fingerprint);
    else this.#host.events.choose(cursor.fingerprint, "toggle");
    return true;
  }
}
