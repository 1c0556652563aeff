/** The grid of results behind a small interface. It holds no rows: it asks for the lines in view, and only they are in the page. */
import type { Result } from "../result.ts";
import type { RowLines } from "../rooms/row-order.ts";
import type { ColumnKey } from "../rooms/row-values.ts";
import { COLUMNS, type Column, columnsFor, leastOf, stacks } from "./columns.ts";
import { element, setText } from "./element.ts";
import { GridHead } from "./grid-head.ts";
import { GridKeys } from "./grid-keys.ts";
import { GridLine, type LineLook } from "./grid-line.ts";
import { followPaper, MOST_PRINTED, PAPER_WIDTH, partOf } from "./paper.ts";
import { age } from "./status.ts";
import type { TableLook } from "./table-look.ts";

export interface TableViewEvents {
  /** A row was chosen: alone, or added to (or taken from) those chosen before. */
  choose(fingerprint: string, how: "only" | "toggle" | "range"): void;
  /** Enter on a row. */
  open(fingerprint: string): void;
  fold(group: string, folded: boolean): void;
  sort(key: ColumnKey, add: boolean): void;
  /** A column was given a width, in pixels. */
  resize(key: ColumnKey, width: number): void;
  /** Which lines are in the page now. */
  look(first: number, count: number): void;
}

export interface TableView {
  readonly node: HTMLElement;
  /** Draws the lines in view with the next frame; the named fields of rows flash. */
  draw(flash?: ReadonlyMap<string, ReadonlySet<string>>): void;
  /** Other lines, or the same in another order. */
  show(lines: RowLines, empty: string): void;
  arrange(look: TableLook, suppressed: boolean): void;
  select(fingerprints: ReadonlySet<string>): void;
  scrollTo(fingerprint: string): void;
  /** To the first line: the lines are others than those that were scrolled to. */
  scrollToTop(): void;
  /** The row and the column that the keyboard is at. */
  readonly at: { row: Result; key: ColumnKey | null } | null;
  /** The columns that are shown, in order. */
  readonly columns: readonly ColumnKey[];
  destroy(): void;
}

/** Pixels of every line and of the header; a narrow table has two lines in one. */
const ONE = { line: 25, head: 26 };
const STACKED = { line: 50, head: 52 };
const OVERSCAN = 4;
const AGE_EVERY_MS = 1000;
/** Milliseconds that a changed cell is marked. */
const FLASH_MS = 1200;
const FLASHES = 2000;

interface Flash {
  fields: ReadonlySet<string>;
  /** By `performance.now()`. */
  until: number;
}

/** `TableView` by a window of lines that follows the scroll position. */
export class GridView implements TableView {
  readonly node: HTMLElement;
  #events: TableViewEvents;
  #lines: RowLines;
  #maxHeight: number;
  #look: TableLook;
  #suppressed = false;
  #columns: readonly Column[] = [];
  #high = ONE;
  #selected: ReadonlySet<string> = new Set();
  #canvas = element("div", { class: "pw-canvas", role: "rowgroup" });
  #inView = element("div", { class: "pw-in-view", role: "presentation" });
  #empty = element("div", { class: "pw-empty", hidden: true });
  #paperNote = element("p", { class: "pw-paper-note", hidden: true });
  #head: GridHead;
  #keys: GridKeys;
  /** The lines in the page, from the top, and what stands in them. */
  #drawn: { key: string; line: GridLine }[] = [];
  #flash = new Map<string, Flash>();
  #fading: ReturnType<typeof setTimeout> | undefined;
  #frame = 0;
  #top = 0;
  #width = 0;
  #pressed: string | null = null;
  #name: string;
  #clock: ReturnType<typeof setInterval>;
  #observer: ResizeObserver;
  #printed = false;
  #leavePaper = followPaper((printed) => {
    this.#printed = printed;
    this.#arrange();
    this.#render();
  });
  static #count = 0;

  /** `maxHeight` in pixels; below it the table is as high as its rows. */
  constructor(holder: HTMLElement, maxHeight: number, lines: RowLines, look: TableLook, events: TableViewEvents) {
    this.#events = events;
    this.#lines = lines;
    this.#look = look;
    this.#maxHeight = maxHeight;
    this.#name = `pw-table-${++GridView.#count}`;
    this.#head = new GridHead(this.#name, events);
    this.#canvas.append(this.#inView);
    this.node = element(
      "div",
      { class: "pw-grid", role: "grid", tabindex: "0", "aria-label": "Check results", "aria-multiselectable": "true" },
      this.#head.node,
      this.#canvas,
      this.#empty,
    );
    this.node.style.setProperty("--pw-highest", `${maxHeight}px`);
    this.#keys = new GridKeys({
      lines: () => this.#lines,
      columns: () => this.#columns,
      page: () => Math.max(1, Math.floor((this.node.clientHeight - this.#high.head) / this.#high.line) - 1),
      widthOf: (key) => this.#head.widthOf(key),
      events,
      moved: () => this.#follow(),
    });
    holder.append(this.#paperNote, this.node);
    this.node.addEventListener("scroll", () => {
      this.#top = this.node.scrollTop;
      this.#schedule();
    });
    this.node.addEventListener("keydown", (event) => {
      if (event.target === this.node) this.#keys.key(event);
    });
    this.node.addEventListener("pointerdown", (event) => {
      this.#pressed = lineOf(event)?.dataset.fingerprint ?? null;
      if (event.shiftKey && this.#pressed) event.preventDefault();
    });
    this.node.addEventListener("click", (event) => this.#click(event));
    this.node.addEventListener("pointerover", entitle);
    this.#observer = new ResizeObserver(() => {
      if (this.node.clientWidth === this.#width) return;
      this.#width = this.node.clientWidth;
      this.#arrange();
    });
    this.#observer.observe(this.node);
    this.#clock = setInterval(() => this.#tick(), AGE_EVERY_MS);
    this.#arrange();
  }

  get at(): { row: Result; key: ColumnKey | null } | null {
    return this.#keys.at;
  }

  get columns(): readonly ColumnKey[] {
    return this.#columns.map(({ key }) => key);
  }

  draw(flash?: ReadonlyMap<string, ReadonlySet<string>>): void {
    // What is not drawn for long, because the page is hidden, needs no flash either.
    if (this.#flash.size > FLASHES) this.#flash.clear();
    const until = performance.now() + FLASH_MS;
    for (const [fingerprint, fields] of flash ?? []) if (fields.size > 0) this.#flash.set(fingerprint, { fields, until });
    this.#schedule();
  }

  show(lines: RowLines, empty: string): void {
    this.#lines = lines;
    setText(this.#empty, empty);
    this.#schedule();
  }

  arrange(look: TableLook, suppressed: boolean): void {
    if (look === this.#look && suppressed === this.#suppressed) return;
    this.#look = look;
    this.#suppressed = suppressed;
    this.#arrange();
  }

  select(fingerprints: ReadonlySet<string>): void {
    this.#selected = new Set(fingerprints);
    this.#schedule();
  }

  scrollTo(fingerprint: string): void {
    this.#scrollToLine(this.#lines.place(fingerprint));
  }

  scrollToTop(): void {
    this.node.scrollTop = 0;
    this.#top = 0;
    this.#schedule();
  }

  destroy(): void {
    clearInterval(this.#clock);
    clearTimeout(this.#fading);
    cancelAnimationFrame(this.#frame);
    this.#observer.disconnect();
    this.#leavePaper();
    this.#paperNote.remove();
    this.node.remove();
  }

  #schedule(): void {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#render();
    });
  }

  #arrange(): void {
    const table = this.#printed ? PAPER_WIDTH : this.#width || this.#maxHeight * 2;
    const keys = this.#look.columns ?? columnsFor(table, this.#suppressed);
    if (keys.length !== this.#columns.length || keys.some((key, index) => key !== this.#columns[index]!.key))
      this.#columns = keys.map((key) => COLUMNS[key]);
    const stacked = stacks(table, this.#look.columns !== null);
    this.#heighten(stacked ? STACKED : ONE);
    this.node.toggleAttribute("data-stacked", stacked);
    const widths = this.#columns.map((column) => {
      const { key, grow } = column;
      const [chosen, width] = [this.#look.widths[key], leastOf(column, table)];
      return chosen ? `${chosen}px` : grow > 0 ? `minmax(${width}px, ${grow}fr)` : `${width}px`;
    });
    this.node.style.setProperty("--pw-columns", widths.join(" "));
    const least = this.#columns.reduce((sum, column) => sum + (this.#look.widths[column.key] ?? leastOf(column, table)), 0);
    this.node.style.setProperty("--pw-least", stacked ? "0px" : `${least}px`);
    this.node.toggleAttribute("data-no-ages", !keys.includes("observed_at"));
    this.#head.draw(this.#columns, this.#look.sort);
    this.#schedule();
  }

  /** Lines of another height: what was at the top stays there. */
  #heighten(high: typeof ONE): void {
    const top = (this.#top / this.#high.line) * high.line;
    this.node.style.setProperty("--pw-line", `${high.line}px`);
    this.node.style.setProperty("--pw-head", `${high.head}px`);
    if (high === this.#high) return;
    this.#high = high;
    this.#canvas.style.height = `${this.#lines.length * high.line}px`;
    this.node.scrollTop = top;
    this.#top = this.node.scrollTop;
  }

  #render(): void {
    this.#keys.arrived();
    const { line: high } = this.#high;
    const { length, grouped } = this.#lines;
    const height = `${length * high}px`;
    if (this.#canvas.style.height !== height) this.#canvas.style.height = height;
    this.#empty.hidden = length > 0;
    const all = this.#printed && length <= MOST_PRINTED;
    const first = all ? 0 : Math.max(0, Math.min(Math.floor(this.#top / high), length - 1) - OVERSCAN);
    const last = all ? length : Math.min(length, Math.ceil((this.#top + this.#maxHeight) / high) + OVERSCAN);
    // On paper nobody scrolls to where they stand, and the other lines would be empty sheets.
    const part = this.#printed && !all;
    this.#inView.style.transform = part ? "" : `translateY(${first * high}px)`;
    if (part) this.#canvas.style.height = `${(last - first) * high}px`;
    this.#paperNote.hidden = !part;
    if (part) setText(this.#paperNote, partOf(first + 1, last, length));
    setAttribute(this.node, "role", grouped ? "treegrid" : "grid");
    setAttribute(this.node, "aria-rowcount", String(length + 1));
    setAttribute(this.node, "aria-colcount", String(this.#columns.length));
    const wanted = Array.from({ length: Math.max(0, last - first) }, (_, index) => {
      const line = this.#lines.line(first + index);
      const key = line.group ? `g-${line.group.name}` : (line.row?.fingerprint ?? `w-${first + index}`);
      return { line, key };
    });
    this.#scrolled(wanted.map(({ key }) => key));
    const now = performance.now();
    const marked = new Map<string, Flash>();
    wanted.forEach(({ line, key }, index) => {
      const drawn = this.#lineAt(index, line.group !== null);
      this.#drawn[index]!.key = key;
      const flash = this.#flash.get(key);
      if (flash && flash.until > now) marked.set(key, flash);
      const look: LineLook = {
        id: `${this.#name}-${key}`,
        rowIndex: first + index + 2,
        columns: this.#columns,
        grouped,
        selected: this.#selected.has(key),
        cursor: this.#keys.isAt(key),
        flash: marked.get(key)?.fields,
      };
      if (line.group) drawn.group(line.group, groupTitle(line.group.name, this.#look.group), this.#look.group === "status", look);
      else drawn.row(line.row, look);
    });
    for (const { line } of this.#drawn.splice(wanted.length)) line.node.remove();
    this.#flash = marked;
    this.#fade(now);
    this.#markCursor();
    this.#events.look(first, wanted.length);
  }

  /**
   * Lines that a scroll took out at one end go to the other. What changed otherwise is written into the lines where they stand: where
   * everything changes its place with every batch, moving nodes costs a layout of each.
   */
  #scrolled(keys: readonly string[]): void {
    const drawn = this.#drawn;
    const down = drawn.findIndex(({ key }) => key === keys[0]);
    const up = down < 0 && drawn[0] ? keys.indexOf(drawn[0].key) : -1;
    if (down > 0) drawn.push(...drawn.splice(0, down));
    else if (up > 0) drawn.unshift(...drawn.splice(-up, up));
    else return;
    if (down > 0) this.#inView.append(...drawn.slice(-down).map(({ line }) => line.node));
    else this.#inView.prepend(...drawn.slice(0, up).map(({ line }) => line.node));
  }

  /** The line at a place of the page; one that is the head of a group stays one. */
  #lineAt(index: number, head: boolean): GridLine {
    const there = this.#drawn[index]?.line;
    if (there?.isHead === head) return there;
    const line = new GridLine(head);
    if (there) there.node.replaceWith(line.node);
    else this.#inView.append(line.node);
    this.#drawn[index] = { key: "", line };
    return line;
  }

  /** Marks are taken away in one go: an animation would paint every marked cell with every frame. */
  #fade(now: number): void {
    if (this.#flash.size === 0) return;
    const next = Math.min(...[...this.#flash.values()].map(({ until }) => until));
    this.#fading ??= setTimeout(() => {
      this.#fading = undefined;
      this.#schedule();
    }, next - now);
  }

  #click(event: MouseEvent): void {
    const line = lineOf(event);
    if (!line) return;
    const { group } = line.dataset;
    if (group !== undefined) {
      this.#keys.go({ group });
      this.#events.fold(group, line.getAttribute("aria-expanded") === "true");
      return;
    }
    // Rows move while a button is down: what was pressed is what was meant.
    const fingerprint = this.#pressed ?? line.dataset.fingerprint;
    this.#pressed = null;
    if (!fingerprint) return;
    this.#keys.go({ fingerprint });
    this.#events.choose(fingerprint, event.shiftKey ? "range" : event.ctrlKey || event.metaKey ? "toggle" : "only");
  }

  /** The cursor went to a line or a cell. */
  #follow(): void {
    const line = this.#keys.lastLine;
    if (line >= 0) this.#scrollToLine(line);
    this.#schedule();
  }

  #scrollToLine(line: number): void {
    if (line < 0) return;
    // The canvas grows with the next frame; what is scrolled to must be there now.
    const { line: high, head } = this.#high;
    this.#canvas.style.height = `${this.#lines.length * high}px`;
    const top = line * high;
    const height = (this.node.clientHeight || this.#maxHeight) - head;
    if (top < this.node.scrollTop) this.node.scrollTop = top;
    else if (top + high > this.node.scrollTop + height) this.node.scrollTop = top + high - height;
    this.#top = this.node.scrollTop;
    this.#schedule();
  }

  #markCursor(): void {
    for (const node of this.node.querySelectorAll(".pw-cell-cursor")) node.classList.remove("pw-cell-cursor");
    const id = this.#keys.elementId(this.#name);
    const node = id ? this.node.querySelector(`#${CSS.escape(id)}`) : null;
    if (node && id) {
      this.node.setAttribute("aria-activedescendant", id);
      if (this.#keys.inCell) node.classList.add("pw-cell-cursor");
    } else this.node.removeAttribute("aria-activedescendant");
  }

  #tick(): void {
    if (document.hidden) return;
    const now = Date.now();
    for (const node of this.node.querySelectorAll<HTMLElement>(".pw-age")) {
      const words = age(node.dataset.at ?? "", now);
      const stale = Number(node.dataset.until) < now;
      const label = stale ? `! ${words}` : words;
      if (node.textContent !== label) node.textContent = label;
      node.classList.toggle("pw-stale", stale);
    }
    for (const { line } of this.#drawn) line.grow(now);
  }
}

/** What a cell cuts off is said by its title, once a pointer is there. */
function entitle({ target }: Event): void {
  const cell = target instanceof Element ? target.closest<HTMLElement>(".pw-row > .pw-cell") : null;
  const text = cell?.firstElementChild;
  if (!cell || !(text instanceof HTMLElement) || text.title) return;
  if (cell.scrollWidth > cell.clientWidth) cell.title = text.textContent ?? "";
  else cell.removeAttribute("title");
}

function lineOf(event: Event): HTMLElement | null {
  return event.target instanceof Element ? event.target.closest<HTMLElement>(".pw-row") : null;
}

function groupTitle(name: string, by: string): string {
  if (by.startsWith("label:")) return name === "" ? `without ${by.slice(6)}` : `${by.slice(6)}=${name}`;
  return name === "" ? "(none)" : name;
}

function setAttribute(node: HTMLElement, name: string, value: string): void {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}
