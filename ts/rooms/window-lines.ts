/** The lines of a large board: their number and groups are known, and the rows of one window of them are here. Pure. */
import type { OpsWindow } from "../ops-protocol.ts";
import type { Result } from "../result.ts";
import { emptyGroup, type Group, groupAt, type Line, numberGroups, type RowLines } from "./row-order.ts";

/** Most rows that are asked for at once, as `scans/window.py` has it. */
const MOST = 200;
/** Windows begin at multiples of this, so that scrolling by a line asks for nothing. */
const STEP = 50;

export class WindowLines implements RowLines {
  readonly grouped: boolean;
  readonly length: number;
  readonly rows: number;
  readonly folded: ReadonlySet<string>;
  #window: Omit<OpsWindow, "results">;
  #rows: (Result | null)[];
  #groups: Group[] = [];
  #openRows: number;

  /** `results` are the rows that are here, by fingerprint. */
  constructor(window: Omit<OpsWindow, "results">, results: ReadonlyMap<string, Result>, grouped: boolean, folded: ReadonlySet<string>) {
    this.#window = window;
    this.#rows = window.order.map((fingerprint) => results.get(fingerprint) ?? null);
    this.folded = folded;
    this.rows = window.rows;
    this.grouped = grouped && window.groups.length > 0;
    let from = 0;
    if (this.grouped)
      for (const [name, count, counts] of window.groups) {
        const open = !folded.has(name);
        this.#groups.push({ ...emptyGroup(name, from, open), count, counts });
        if (open) from += count;
      }
    this.#openRows = this.grouped ? from : window.rows;
    this.length = this.grouped ? numberGroups(this.#groups) : window.rows;
  }

  line(index: number): Line {
    const group = this.#groups[groupAt(this.#groups, index)];
    if (group && index === group.line) return { group };
    return { group: null, row: this.#row(group ? group.from + index - group.line - 1 : index) };
  }

  place(fingerprint: string): number {
    const place = this.#window.order.indexOf(fingerprint);
    if (place < 0) return -1;
    const row = this.#window.from + place;
    if (!this.grouped) return row;
    const group = this.#groups.find(({ from, count, open }) => open && row >= from && row < from + count);
    return group ? group.line + 1 + row - group.from : -1;
  }

  placeOfGroup(name: string): number {
    return this.#groups.find((group) => group.name === name)?.line ?? -1;
  }

  order(): string[] {
    return this.#window.order.filter((_, place) => this.#rows[place]);
  }

  /** The window that has the rows of these lines, with some before and after them. */
  range(first: number, count: number): { from: number; count: number } {
    const rowAt = (line: number) => {
      const group = this.#groups[groupAt(this.#groups, line)];
      if (!this.grouped || !group) return line;
      return group.from + (group.open ? Math.max(0, line - group.line - 1) : 0);
    };
    const last = Math.max(rowAt(first + Math.max(count - 1, 0)) + 1, rowAt(first) + 1);
    const from = Math.max(0, Math.floor((rowAt(first) - STEP / 2) / STEP) * STEP);
    const end = Math.ceil((last + STEP / 2) / STEP) * STEP;
    return { from, count: Math.min(MOST, Math.max(0, Math.min(end, Math.max(this.#openRows, STEP)) - from)) };
  }

  #row(place: number): Result | null {
    return this.#rows[place - this.#window.from] ?? null;
  }
}
