/** One line of the grid in the page: a row or the head of a group. Its cells are drawn again only where they differ. */
import { type Result, STATUSES } from "../result.ts";
import type { Group } from "../rooms/row-order.ts";
import { staleAt } from "../rooms/row-values.ts";
import type { Column } from "./columns.ts";
import { element, setText } from "./element.ts";
import { STATUS_ICONS, statusMark } from "./status.ts";

export interface LineLook {
  id: string;
  /** Counts from 1, the header being the first. */
  rowIndex: number;
  columns: readonly Column[];
  grouped: boolean;
  selected: boolean;
  cursor: boolean;
  /** Fields that changed a moment ago. */
  flash: ReadonlySet<string> | undefined;
}

const NO_FLASH: ReadonlySet<string> = new Set();

export class GridLine {
  readonly node: HTMLElement = element("div", { role: "row", class: "pw-row" });
  #columns: readonly Column[] = [];
  #cells: HTMLElement[] = [];
  #signs: string[] = [];
  #drawn: Result | null | undefined;
  #attributes = new Map<string, string | null>();
  #flash = NO_FLASH;
  #named = "";
  #group = "";
  #staleAt = Number.POSITIVE_INFINITY;
  #isLate = false;

  /** `isHead`: it is the head of a group, and is never made a row. */
  constructor(readonly isHead: boolean) {}

  /** Draws a row; null: it is on its way. */
  row(row: Result | null, look: LineLook): void {
    if (this.#columns !== look.columns) this.#build(look);
    if (this.#drawn !== row) {
      this.#drawn = row;
      this.#set("data-fingerprint", row?.fingerprint ?? null);
      this.#set("data-status", row?.status ?? null);
      this.#set("aria-busy", row ? null : "true");
      this.#staleAt = row ? staleAt(row) : Number.POSITIVE_INFINITY;
      this.grow(Date.now());
      this.node.classList.toggle("pw-suppressed", (row?.suppression ?? null) !== null);
      look.columns.forEach((column, index) => {
        const cell = this.#cells[index]!;
        const sign = row ? column.sign(row) : "";
        if (this.#signs[index] === sign) return;
        this.#signs[index] = sign;
        const inside = cell.firstElementChild as HTMLElement | null;
        if (!row) cell.replaceChildren("…");
        else if (column.plain && inside?.firstChild instanceof Text) inside.firstChild.data = sign;
        else cell.replaceChildren(column.cell(row));
      });
    }
    this.#dress(look);
    this.#set("aria-level", look.grouped ? "2" : null);
    this.#set("aria-expanded", null);
    this.#show(look.flash ?? NO_FLASH);
    this.#name(look.cursor ? look.id : "");
  }

  /** Time has gone on: a row is late once its result is older than it should be. */
  grow(now: number): void {
    const late = this.#staleAt < now;
    if (late === this.#isLate) return;
    this.#isLate = late;
    this.node.classList.toggle("pw-late", late);
  }

  #show(flash: ReadonlySet<string>): void {
    if (this.#flash === flash) return;
    this.#flash = flash;
    this.#columns.forEach(({ key }, index) => {
      this.#cells[index]!.classList.toggle("pw-flash", flash.has(key));
    });
  }

  /** Only the cells that the cursor may stand on need ids: setting eight of each line costs more than drawing it. */
  #name(id: string): void {
    if (this.#named === id) return;
    this.#named = id;
    this.#columns.forEach(({ key }, index) => {
      if (id === "") this.#cells[index]!.removeAttribute("id");
      else this.#cells[index]!.id = `${id}-${key}`;
    });
  }

  group(group: Group, title: string, byStatus: boolean, look: LineLook): void {
    const sign = JSON.stringify([group.name, group.count, group.counts, group.open, title, look.columns.length]);
    if (this.#group !== sign) {
      this.#group = sign;
      const words = element("span", { class: "pw-strong" });
      if (byStatus && group.name in group.counts) words.append(statusMark(group.name as Result["status"]));
      else setText(words, title);
      this.node.className = "pw-row pw-group";
      this.node.replaceChildren(
        element(
          "div",
          { role: "gridcell", class: "pw-cell", "aria-colspan": look.columns.length },
          element("span", { class: "pw-fold", "aria-hidden": "true" }, group.open ? "▾" : "▸"),
          words,
          element("span", { class: "pw-muted" }, ` ${group.count.toLocaleString("en")} ${group.count === 1 ? "row" : "rows"}`),
          ...(byStatus ? [] : tally(group)),
        ),
      );
    }
    this.#set("data-group", group.name);
    this.#set("aria-level", "1");
    this.#set("aria-expanded", String(group.open));
    this.#dress({ ...look, selected: false });
    this.#set("aria-selected", null);
  }

  #build(look: LineLook): void {
    this.#columns = look.columns;
    this.#drawn = undefined;
    this.#flash = NO_FLASH;
    this.#named = "";
    this.#signs = [];
    this.#cells = look.columns.map((column, index) =>
      element("div", {
        role: "gridcell",
        class: column.right ? "pw-cell pw-right" : "pw-cell",
        dir: column.prose && "auto",
        "aria-colindex": index + 1,
      }),
    );
    this.node.replaceChildren(...this.#cells);
  }

  #dress({ id, rowIndex, selected, cursor }: LineLook): void {
    this.#set("id", id);
    this.#set("aria-rowindex", String(rowIndex));
    this.#set("aria-selected", String(selected));
    this.node.classList.toggle("pw-selected", selected);
    this.node.classList.toggle("pw-cursor", cursor);
  }

  #set(name: string, value: string | null): void {
    if (this.#attributes.get(name) === value) return;
    this.#attributes.set(name, value);
    if (value === null) this.node.removeAttribute(name);
    else this.node.setAttribute(name, value);
  }
}

function tally({ counts }: Group): HTMLElement[] {
  return STATUSES.filter((status) => counts[status] > 0).map((status) =>
    element(
      "span",
      { class: `pw-tally pw-status-${status}`, title: `${counts[status]} ${status}` },
      element("span", { class: "pw-icon", "aria-hidden": "true" }, STATUS_ICONS[status]),
      `${counts[status].toLocaleString("en")} ${status}`,
    ),
  );
}
