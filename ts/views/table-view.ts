/** The grid of results behind a small interface: rows come keyed by fingerprint, order and selection are kept outside of it. */
import {
  type CellComponent,
  FilterModule,
  FormatModule,
  InteractionModule,
  ResizeColumnsModule,
  ResizeTableModule,
  type RowComponent,
  SortModule,
  Tabulator,
} from "tabulator-tables";
import type { Result } from "../protocol.ts";
import { element } from "./element.ts";
import { age, clock, duration, isStale, severityRank, statusMark, statusRank, suppressionText } from "./status.ts";

export interface TableViewEvents {
  /** A row was chosen: alone, or added to (or taken from) those chosen before. */
  choose(fingerprint: string, how: "only" | "toggle" | "range"): void;
  /** Enter on a row. */
  open(fingerprint: string): void;
}

export interface TableView {
  readonly node: HTMLElement;
  /** Adds or changes rows; the named fields of known rows flash. */
  put(rows: Result[], flash: ReadonlyMap<string, ReadonlySet<string>>): Promise<void>;
  remove(fingerprints: string[]): Promise<void>;
  filter(keep: (row: Result) => boolean): void;
  select(fingerprints: ReadonlySet<string>): void;
  /** Fingerprints as they stand: filtered, sorted. */
  order(): string[];
  scrollTo(fingerprint: string): void;
  destroy(): void;
}

interface Row {
  fingerprint: string;
  status: number;
  severity: number;
  title: string;
  target: string;
  summary: string;
  duration_ms: number;
  observed_at: string;
  suppression: string;
  result: Result;
}

const AGE_EVERY_MS = 1000;

Tabulator.registerModule([SortModule, FilterModule, FormatModule, InteractionModule, ResizeColumnsModule, ResizeTableModule]);

/** `TableView` by Tabulator with six of its modules. */
export class TabulatorView implements TableView {
  readonly node: HTMLElement;
  #grid: Tabulator;
  #ready: Promise<void>;
  #selected: ReadonlySet<string> = new Set();
  #known = new Set<string>();
  #clock: ReturnType<typeof setInterval>;
  #observer: ResizeObserver;
  #name: string;
  #cursor: string | null = null;
  #events: TableViewEvents;
  #places: Map<string, number> | null = null;
  #numbering = 0;
  static #count = 0;

  /** `maxHeight` in pixels; below it the table is as high as its rows. The holder must be in the page. */
  constructor(holder: HTMLElement, maxHeight: number, events: TableViewEvents) {
    this.#events = events;
    this.#name = `pw-table-${++TabulatorView.#count}`;
    this.node = element("div", { class: "pw-grid" });
    holder.append(this.node);
    this.#grid = new Tabulator(this.node, {
      index: "fingerprint",
      layout: "fitColumns",
      maxHeight,
      placeholder: "No results yet",
      columnHeaderSortMulti: true,
      headerSortElement: (_column: unknown, dir: string) => (dir === "asc" ? "▲" : dir === "desc" ? "▼" : ""),
      initialSort: [
        { column: "title", dir: "asc" },
        { column: "severity", dir: "desc" },
        { column: "status", dir: "asc" },
      ],
      rowFormatter: (row: RowComponent) => this.#dress(row),
      columnDefaults: { headerSortTristate: false, resizable: true, sorter: compareValues },
      columns: [
        { title: "Status", field: "status", width: 124, formatter: (cell: CellComponent) => statusCell(rowOf(cell)) },
        {
          title: "Severity",
          field: "severity",
          width: 86,
          headerSortStartingDir: "desc",
          formatter: (cell: CellComponent) => text(rowOf(cell).result.severity),
        },
        {
          title: "Check",
          field: "title",
          widthGrow: 2,
          minWidth: 90,
          formatter: (cell: CellComponent) => text(rowOf(cell).title, "pw-strong"),
        },
        {
          title: "Target",
          field: "target",
          widthGrow: 2,
          minWidth: 80,
          formatter: (cell: CellComponent) => text(rowOf(cell).target, "pw-mono"),
        },
        { title: "Summary", field: "summary", widthGrow: 4, minWidth: 120, formatter: (cell: CellComponent) => text(rowOf(cell).summary) },
        {
          title: "Duration",
          field: "duration_ms",
          width: 88,
          hozAlign: "right",
          formatter: (cell: CellComponent) => text(duration(rowOf(cell).duration_ms), "pw-number"),
        },
        {
          title: "Age",
          field: "observed_at",
          width: 72,
          hozAlign: "right",
          headerSortStartingDir: "desc",
          formatter: (cell: CellComponent) => ageCell(rowOf(cell).result),
        },
        { title: "Ack", field: "suppression", width: 116, formatter: (cell: CellComponent) => suppressionCell(rowOf(cell).result) },
      ],
    } as never);
    this.#ready = new Promise((resolve) => this.#grid.on("tableBuilt", () => resolve()));
    void this.#ready.then(() => this.#makeAccessible());
    // The rows in the page are those in view; a reader is told of the others by number.
    this.#grid.on("renderComplete", () => this.#number(true));
    this.#grid.on("dataFiltered", () => this.#number(true));
    this.#grid.on("scrollVertical", () => this.#number(false));
    this.#observer = new ResizeObserver(() => this.#arrange());
    this.#observer.observe(this.node);
    this.#grid.on("rowClick", (event, row) => {
      const { ctrlKey, metaKey, shiftKey } = event as MouseEvent;
      this.#events.choose((row.getData() as Row).fingerprint, shiftKey ? "range" : ctrlKey || metaKey ? "toggle" : "only");
    });
    this.node.addEventListener("keydown", (event) => this.#key(event));
    this.#clock = setInterval(() => this.#tick(), AGE_EVERY_MS);
  }

  async put(results: Result[], flash: ReadonlyMap<string, ReadonlySet<string>>): Promise<void> {
    await this.#ready;
    const known = results.filter(({ fingerprint }) => this.#known.has(fingerprint));
    const fresh = results.filter(({ fingerprint }) => !this.#known.has(fingerprint));
    if (known.length > 0) await this.#grid.updateData(known.map(toRow) as never);
    for (const { fingerprint } of known) this.#row(fingerprint)?.reformat();
    if (fresh.length > 0) await this.#grid.addData(fresh.map(toRow) as never);
    for (const { fingerprint } of fresh) this.#known.add(fingerprint);
    this.#arrange();
    this.#resort();
    this.#number(true);
    for (const { fingerprint } of known) this.#flash(fingerprint, flash.get(fingerprint));
  }

  async remove(fingerprints: string[]): Promise<void> {
    await this.#ready;
    const rows = fingerprints.map((fingerprint) => this.#row(fingerprint)).filter((row) => row !== null);
    if (rows.length > 0) await this.#grid.deleteRow(rows as never);
    for (const fingerprint of fingerprints) this.#known.delete(fingerprint);
    this.#number(true);
  }

  filter(keep: (row: Result) => boolean): void {
    void this.#ready.then(() => this.#grid.setFilter((row: Row) => keep(row.result)));
  }

  select(fingerprints: ReadonlySet<string>): void {
    const before = this.#selected;
    this.#selected = new Set(fingerprints);
    void this.#ready.then(() => {
      for (const fingerprint of new Set([...before, ...fingerprints])) {
        const row = this.#row(fingerprint);
        if (row) this.#dress(row);
      }
    });
  }

  order(): string[] {
    return this.#grid.getRows("active").map((row) => (row.getData() as Row).fingerprint);
  }

  scrollTo(fingerprint: string): void {
    const row = this.#row(fingerprint);
    if (row) void this.#grid.scrollToRow(row, "nearest", false).catch(() => {});
  }

  destroy(): void {
    clearInterval(this.#clock);
    cancelAnimationFrame(this.#numbering);
    this.#observer.disconnect();
    this.#grid.destroy();
  }

  /** Tabulator warns about rows that it does not have, so it is asked only for those that were put. */
  #row(fingerprint: string): RowComponent | null {
    return this.#known.has(fingerprint) ? this.#grid.getRow(fingerprint) || null : null;
  }

  #dress(row: RowComponent): void {
    const { fingerprint, result } = row.getData() as Row;
    const node = row.getElement();
    const selected = this.#selected.has(fingerprint);
    node.id = `${this.#name}-${fingerprint}`;
    node.dataset.fingerprint = fingerprint;
    node.dataset.status = result.status;
    node.classList.toggle("pw-selected", selected);
    node.classList.toggle("pw-cursor", this.#cursor === fingerprint);
    node.classList.toggle("pw-suppressed", result.suppression !== null);
    node.setAttribute("aria-selected", String(selected));
  }

  /** Rows move only when the order by the current columns changed; the scroll position stays. */
  #resort(): void {
    const sorters = this.#grid.getSorters();
    if (sorters.length === 0) return;
    const rows = this.#grid.getRows("active").map((row) => row.getData() as Row);
    const compare = (a: Row, b: Row): number => {
      // Tabulator applies the list from its end: the last sorter is the strongest.
      for (let index = sorters.length - 1; index >= 0; index--) {
        const { field, dir } = sorters[index]!;
        const [x, y] = [a[field as keyof Row], b[field as keyof Row]];
        if (x === y) continue;
        return (x < y ? -1 : 1) * (dir === "asc" ? 1 : -1);
      }
      return 0;
    };
    const sorted = rows.every((row, index) => index === 0 || compare(rows[index - 1]!, row) <= 0);
    if (!sorted) this.#grid.setSort(sorters.map(({ field, dir }) => ({ column: field, dir })));
  }

  /** A narrow table keeps what matters; the column of acks is there when there is one. */
  #arrange(): void {
    void this.#ready.then(() => {
      const width = this.node.clientWidth;
      if (width === 0) return;
      const suppressed = this.#grid.getData().some((row) => (row as Row).suppression !== "");
      const wanted: Record<string, boolean> = {
        suppression: suppressed && width > 520,
        target: width > (suppressed ? 880 : 760),
        severity: width > 600,
        duration_ms: width > 420,
      };
      for (const [field, visible] of Object.entries(wanted)) {
        const column = this.#grid.getColumn(field);
        if (!column || column.isVisible() === visible) continue;
        if (visible) column.show();
        else column.hide();
      }
    });
  }

  #flash(fingerprint: string, fields: ReadonlySet<string> | undefined): void {
    if (!fields) return;
    const row = this.#row(fingerprint);
    for (const field of fields) {
      const cell = row?.getCell(field);
      const node = cell ? cell.getElement() : null;
      if (!node) continue;
      node.classList.remove("pw-flash");
      void node.offsetWidth;
      node.classList.add("pw-flash");
      node.addEventListener("animationend", () => node.classList.remove("pw-flash"), { once: true });
    }
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
  }

  /** Numbers the rows in view, once a frame, with the header as the first; `moved`: the order is another one. */
  #number(moved: boolean): void {
    if (moved) this.#places = null;
    this.#numbering ||= requestAnimationFrame(() => {
      this.#numbering = 0;
      this.#places ??= new Map(this.order().map((fingerprint, index) => [fingerprint, index + 2]));
      this.node.setAttribute("aria-rowcount", String(this.#places.size + 1));
      for (const node of this.node.querySelectorAll<HTMLElement>(".tabulator-row")) {
        const place = this.#places.get(node.dataset.fingerprint ?? "");
        if (place !== undefined) node.setAttribute("aria-rowindex", String(place));
      }
    });
  }

  #makeAccessible(): void {
    this.node.setAttribute("aria-label", "Check results");
    this.node.setAttribute("aria-multiselectable", "true");
    this.node.tabIndex = 0;
    const holder = this.node.querySelector<HTMLElement>(".tabulator-tableholder");
    if (holder) holder.tabIndex = -1;
    for (const header of this.node.querySelectorAll<HTMLElement>("[role=columnheader]")) {
      header.tabIndex = 0;
      header.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        event.stopPropagation();
        header.click();
      });
    }
  }

  #key(event: KeyboardEvent): void {
    if (event.target !== this.node) return;
    const order = this.order();
    const at = this.#cursor ? order.indexOf(this.#cursor) : -1;
    const go: Record<string, number> = {
      ArrowDown: Math.min(at + 1, order.length - 1),
      ArrowUp: Math.max(at - 1, 0),
      Home: 0,
      End: order.length - 1,
      PageDown: Math.min(at + 10, order.length - 1),
      PageUp: Math.max(at - 10, 0),
    };
    const next = go[event.key];
    if (next !== undefined) {
      event.preventDefault();
      const fingerprint = order[next];
      if (fingerprint === undefined) return;
      this.#moveCursor(fingerprint);
      if (!event.ctrlKey) this.#events.choose(fingerprint, event.shiftKey ? "range" : "only");
    } else if (this.#cursor && event.key === "Enter") {
      event.preventDefault();
      this.#events.open(this.#cursor);
    } else if (this.#cursor && event.key === " ") {
      event.preventDefault();
      this.#events.choose(this.#cursor, "toggle");
    }
  }

  #moveCursor(fingerprint: string): void {
    const before = this.#cursor;
    this.#cursor = fingerprint;
    this.scrollTo(fingerprint);
    for (const key of [before, fingerprint]) {
      const row = key ? this.#row(key) : null;
      if (row) this.#dress(row);
    }
    this.node.setAttribute("aria-activedescendant", `${this.#name}-${fingerprint}`);
  }
}

function compareValues<T extends string | number>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function toRow(result: Result): Row {
  return {
    fingerprint: result.fingerprint,
    status: statusRank(result.status),
    severity: severityRank(result.severity),
    title: result.title || result.check_id,
    target: result.target ?? "",
    summary: result.summary ?? "",
    duration_ms: result.duration_ms,
    observed_at: result.observed_at,
    suppression: suppressionText(result.suppression),
    result,
  };
}

function rowOf(cell: CellComponent): Row {
  return cell.getData() as Row;
}

function text(value: string, className = ""): HTMLElement {
  return element("span", { class: className || null, title: value }, value);
}

function statusCell({ result }: Row): HTMLElement {
  const mark = statusMark(result.status);
  const { phase, attempt, max_attempts } = result.state ?? {};
  if (phase === "soft" && result.status !== "ok" && max_attempts > 1) {
    mark.append(
      element(
        "span",
        { class: "pw-muted pw-small", title: `attempt ${attempt} of ${max_attempts}: not confirmed yet` },
        ` ${attempt}/${max_attempts}`,
      ),
    );
  } else if (phase === "flapping") mark.append(element("span", { class: "pw-muted pw-small", title: "flapping: changes too often" }, " ~"));
  return mark;
}

function ageCell(result: Result): HTMLElement {
  const until = result.ttl_s === null ? Number.POSITIVE_INFINITY : Date.parse(result.observed_at) + result.ttl_s * 1000;
  const stale = isStale(result);
  return element(
    "span",
    {
      class: stale ? "pw-age pw-stale" : "pw-age",
      title: `${clock(result.observed_at)}${stale ? ": older than it should be" : ""}`,
      "data-at": result.observed_at,
      "data-until": until,
    },
    (stale ? "! " : "") + age(result.observed_at),
  );
}

function suppressionCell({ suppression }: Result): HTMLElement {
  const words = suppressionText(suppression);
  return element("span", { class: "pw-muted", title: suppression?.reason ? `${words}: ${suppression.reason}` : words }, words);
}
