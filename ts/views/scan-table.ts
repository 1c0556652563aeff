/** Results with everything around the grid: search, filters by status, pause, actions on the selected rows. Knows no network. */
import type { RowsQuery, WindowQuery } from "../ops-protocol.ts";
import type { Reply } from "../protocol.ts";
import type { Result } from "../result.ts";
import { ArrangedRows } from "../rooms/arranged-rows.ts";
import { type Changes, hold, noChanges } from "../rooms/changes.ts";
import type { OpsStore } from "../rooms/ops-store.ts";
import { STALE, toggleWord } from "../rooms/row-filter.ts";
import type { RowLines } from "../rooms/row-order.ts";
import { writeSort } from "../rooms/row-values.ts";
import { WindowAsker } from "../rooms/window-asker.ts";
import { WindowLines } from "../rooms/window-lines.ts";
import { ActionBar, type RowActions } from "./action-bar.ts";
import { ColumnMenu } from "./column-menu.ts";
import { COLUMNS } from "./columns.ts";
import { listedCsv, toCsv } from "./csv.ts";
import { download, element, setText } from "./element.ts";
import { GroupSelect } from "./group-select.ts";
import { noRows } from "./no-rows.ts";
import { StatusChips } from "./status-chips.ts";
import { readLook, sortedBy, type TableLook, writeLook } from "./table-look.ts";
import { GridView, type TableView } from "./table-view.ts";

export interface ScanTableEvents {
  selection(fingerprints: string[]): void;
  open(fingerprint: string): void;
  /** How the table is looked at has changed; for the trait `view`. */
  view(view: Record<string, unknown>): void;
  /** Rows of a large board come into view. */
  window(query: WindowQuery): Promise<Reply>;
  /** All rows of a large board are asked for; `result` of the reply is `{columns, rows}`. */
  rows(query: RowsQuery): Promise<Reply>;
  /** What can be done with rows; null: nothing. */
  actions: RowActions | null;
}

/** More rows than these are sorted and filtered by the host. */
export const WINDOW_ROWS = 10_000;
/** Most rows that the host tells of though they are not in view, as `scans/window.py` has it. */
const PINNED = 200;
const SEARCH_HINT =
  "Words that all must be there; -word must not, target:web looks into one column, duration>500 compares (press / in the table)";

export class ScanTable {
  readonly node: HTMLElement;
  readonly tools: HTMLElement;
  #store: OpsStore;
  #events: ScanTableEvents;
  #maxHeight: number;
  #grid: TableView | null = null;
  #search = element("input", {
    type: "search",
    placeholder: "Filter",
    "aria-label": "Filter the results by text",
    title: SEARCH_HINT,
  });
  #chips = new StatusChips((statuses) => this.#change({ statuses }));
  #rows: ArrangedRows;
  #look: TableLook;
  #group: GroupSelect;
  #folded: ReadonlySet<string> = new Set();
  /** The lines that stand in the page while all rows are not here. */
  #window: WindowLines | null = null;
  #inView = { first: 0, count: 0 };
  #asker = new WindowAsker({
    query: () => {
      const range = this.#window?.range(this.#inView.first, this.#inView.count) ?? { from: 0, count: 100 };
      return { ...this.#query(), folded: [...this.#folded], pinned: [...this.#selected].slice(-PINNED), ...range };
    },
    send: (query) => this.#events.window(query),
    refused: (reason) => setText(this.#refusal, reason),
  });
  #pause = element(
    "button",
    { type: "button", "aria-pressed": "false", title: "Keep the rows still; changes are counted and shown when you go on" },
    "Pause",
  );
  #csv = element("button", { type: "button", title: "Save the rows that the filter keeps as CSV, in this order" }, "CSV");
  #refusal = element("span", { class: "pw-answer", role: "status" });
  #live = element("div", { class: "pw-hidden", role: "status", "aria-live": "polite" });
  #actions: ActionBar;
  #selected = new Set<string>();
  #anchor: string | null = null;
  #held: Changes | null = null;

  /** `view` is the value of the trait of that name. */
  constructor(store: OpsStore, maxHeight: number, view: unknown, events: ScanTableEvents) {
    this.#store = store;
    this.#look = readLook(view);
    this.#events = events;
    this.#rows = new ArrangedRows(store, () => this.#look, {
      arranged: () => this.#show(),
      changed: (changes) => this.#drawn(changes),
    });
    this.#maxHeight = maxHeight;
    const { actions } = events;
    this.#actions = new ActionBar(
      actions && {
        ack: (fingerprints, reason, until) => this.#report(actions.ack(fingerprints, reason, until)),
        silence: (fingerprints, reason, until) => this.#report(actions.silence(fingerprints, reason, until)),
        lift: (fingerprints) => this.#report(actions.lift(fingerprints)),
        recheck: (fingerprints) => this.#report(actions.recheck(fingerprints)),
      },
      () => [...this.#selected].flatMap((fingerprint) => store.rows.get(fingerprint) ?? []),
    );
    this.#search.addEventListener("input", () => this.#change({ search: this.#search.value }));
    this.#pause.addEventListener("click", () => this.#togglePause());
    this.#csv.addEventListener("click", () => void this.#save());
    this.#group = new GroupSelect(
      () => store.rows.values(),
      (group) => this.#change({ group }),
    );
    const columns = new ColumnMenu({
      shown: () => this.#grid?.columns ?? [],
      choose: (chosen) => this.#change(chosen ? { columns: chosen } : { columns: null, widths: {} }),
    });
    const space = element("span", { class: "pw-space" });
    this.tools = element(
      "div",
      { class: "pw-tools" },
      this.#chips.node,
      this.#search,
      this.#refusal,
      space,
      this.#group.node,
      columns.node,
      actions && this.#pause, // where nothing can be done, nothing changes
      this.#csv,
    );
    this.node = element("div", { class: "pw-table" }, this.tools, this.#live);
    this.node.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Builds the grid; the node must be in the page by now. */
  open(signal: AbortSignal): void {
    this.#rows.open(signal);
    this.#grid = new GridView(this.node, this.#maxHeight, this.#rows.order, this.#look, {
      choose: (fingerprint, how) => this.#choose(fingerprint, how),
      open: (fingerprint) => this.#events.open(fingerprint),
      sort: (key, add) => this.#change({ sort: sortedBy(this.#look.sort, key, COLUMNS[key].descending ?? false, add) }),
      resize: (key, width) => this.#change({ widths: { ...this.#look.widths, [key]: width } }),
      fold: (group, folded) => this.#fold(group, folded),
      look: (first, count) => {
        this.#inView = { first, count };
        this.#ask();
      },
    });
    // Below the rows: none of them moves when it comes.
    this.node.append(this.#actions.node);
    signal.addEventListener("abort", () => {
      this.#asker.stop();
      this.#grid?.destroy();
    });
    this.#apply(null);
  }

  /** Draws what changed in the store. */
  draw(changes: Changes): void {
    this.#chips.count(this.#store.counts());
    this.#announce(changes);
    if (this.#held) {
      hold(this.#held, changes);
      // Who scrolls, sorts or filters meanwhile sees what came for that.
      if (changes.moved && this.#asker.awaiting) this.#show();
      setText(this.#pause, `Go on · ${this.#held.changed.size + this.#held.removed.size} new`);
      return;
    }
    this.#put(changes);
  }

  /** Shows an answer that came to somebody else's request. */
  tell(reply: Reply): void {
    this.#actions.tell(reply);
  }

  focus(): void {
    this.#grid?.node.focus();
  }

  /** The filter keeps stale rows alone. */
  get staleOnly(): boolean {
    return toggleWord(this.#look.search, STALE).length < this.#look.search.length;
  }

  /** Shows stale rows alone, or takes that out of the filter again. */
  toggleStale(): void {
    this.#change({ search: toggleWord(this.#look.search, STALE) });
  }

  /** A second has passed: time alone makes rows stale. */
  tick(now = Date.now()): void {
    if (this.#store.window) {
      this.#asker.tick();
    } else if (!this.#held) this.#rows.tick(now);
  }

  get selection(): string[] {
    return [...this.#selected];
  }

  /** Selects without telling it again. */
  select(fingerprints: string[]): void {
    this.#selected = new Set(fingerprints);
    this.#store.pinned = this.#selected;
    this.#grid?.select(this.#selected);
    this.#actions.refresh();
    this.#ask();
    const first = fingerprints[0];
    if (first) this.#grid?.scrollTo(first);
  }

  /** The view that somebody else chose: Python, or the same widget elsewhere in the page. */
  setView(view: unknown): void {
    const before = this.#look;
    if (JSON.stringify(writeLook(before)) === JSON.stringify(view ?? {})) return;
    this.#look = readLook(view);
    this.#apply(before);
  }

  #put(changes: Changes): void {
    if (changes.reset) this.#asker.forgotten();
    if (changes.moved) this.#asker.told();
    if (this.#store.window) {
      this.#rows.leave(changes);
      this.#drawn(changes);
    } else this.#rows.put(changes);
  }

  /** The lines are as the changes left them. */
  #drawn(changes: Changes): void {
    this.#grid?.arrange(this.#look, this.#store.suppressed());
    this.#show();
    this.#grid?.draw(changes.changed);
    let gone = false;
    for (const fingerprint of changes.removed) gone = this.#selected.delete(fingerprint) || gone;
    if (gone) this.#select();
    this.#actions.refresh();
  }

  #lines(): RowLines {
    return this.#window ?? this.#rows.order;
  }

  #show(): void {
    const { window, rows } = this.#store;
    this.#window = window && new WindowLines(window, rows, this.#look.group !== "", this.#folded);
    this.#asker.shown();
    const filtered = (window?.total ?? rows.size) > 0;
    this.#grid?.show(this.#lines(), filtered ? "No row fits the filter" : noRows(this.#store));
    this.#ask();
  }

  /** Asks for the rows in view, where they are not all here. */
  #ask(): void {
    if (this.#store.window || this.#store.rows.size > WINDOW_ROWS) this.#asker.ask();
  }

  #fold(group: string, folded: boolean): void {
    const now = new Set(this.#folded);
    if (folded) now.add(group);
    else now.delete(group);
    this.#folded = now;
    this.#rows.order.fold(group, folded);
    const { window } = this.#store;
    // The places of rows are others from now on: those that are here stand nowhere until the host has said which they are.
    if (window) this.#store.window = { ...window, order: [] };
    this.#show();
  }

  #query(): RowsQuery {
    const { sort, group, search, statuses } = this.#look;
    return { sort: writeSort(sort), group, search, statuses };
  }

  /** Saves every row that the filter keeps; those of a large board come from the host. */
  async #save(): Promise<void> {
    let text: string;
    if (this.#window) {
      this.#csv.disabled = true;
      setText(this.#refusal, `Fetching ${this.#window.rows.toLocaleString("en")} rows …`);
      const reply = await this.#events.rows(this.#query());
      this.#csv.disabled = false;
      setText(this.#refusal, reply.ok ? "" : (reply.error ?? "the host did not give the rows"));
      if (!reply.ok) return;
      const { columns, rows } = reply.result as { columns: string[]; rows: (string | number | null)[][] };
      text = listedCsv(columns, rows);
    } else text = toCsv(this.#shown());
    download("checks.csv", "text/csv", text);
  }

  #shown(): Result[] {
    return this.#lines()
      .order()
      .flatMap((fingerprint) => this.#store.rows.get(fingerprint) ?? []);
  }

  #change(change: Partial<TableLook>): void {
    const before = this.#look;
    this.#look = { ...before, ...change };
    this.#apply(before);
    this.#events.view(writeLook(this.#look));
  }

  /** Brings tools, order and grid to the look; `before` is what they have, null: nothing yet. */
  #apply(before: TableLook | null): void {
    const look = this.#look;
    const { search, statuses } = look;
    if (this.#search.value !== search) this.#search.value = search;
    this.#chips.press(statuses);
    this.#group.show(look.group);
    if (look.group !== before?.group) this.#folded = new Set();
    this.#grid?.arrange(look, this.#store.suppressed());
    // Who filters, sorts or groups wants what comes first; a width that changes moves nothing.
    if (before && (["sort", "group", "search", "statuses"] as const).some((part) => look[part] !== before[part])) this.#grid?.scrollToTop();
    if (this.#store.window) this.#show();
    else this.#rows.arrange();
  }

  #togglePause(): void {
    const held = this.#held;
    this.#held = held ? null : noChanges();
    this.#pause.setAttribute("aria-pressed", String(this.#held !== null));
    setText(this.#pause, this.#held ? "Go on" : "Pause");
    if (held) this.draw(held);
  }

  /** Transitions are spoken; the hundred rows of a scan are not. */
  #announce(changes: Changes): void {
    const last = changes.transitions.slice(-3);
    const more = changes.transitions.length - last.length + changes.skipped;
    if (last.length + more === 0) return;
    setText(
      this.#live,
      last.map(({ title, from, to, summary }) => `${title}: ${from ?? "new"} to ${to}. ${summary}`).join(" ") +
        (more > 0 ? ` And ${more} more${last.length === 0 ? " changes" : ""}.` : ""),
    );
  }

  #choose(fingerprint: string, how: "only" | "toggle" | "range"): void {
    let refusal = "";
    if (how === "toggle") {
      if (!this.#selected.delete(fingerprint)) this.#selected.add(fingerprint);
      this.#anchor = fingerprint;
    } else if (how === "range" && this.#anchor && this.#grid) {
      const order = this.#lines().order();
      const [from, to] = [order.indexOf(this.#anchor), order.indexOf(fingerprint)].sort((a, b) => a - b) as [number, number];
      this.#selected = new Set(from < 0 ? [fingerprint] : order.slice(from, to + 1));
      if (from < 0 && this.#window) refusal = "The range begins beyond the rows that are loaded: one row is selected";
    } else {
      this.#selected = new Set([fingerprint]);
      this.#anchor = fingerprint;
    }
    setText(this.#refusal, refusal);
    if (how !== "only") this.#tellChosen(fingerprint);
    this.#select();
  }

  /** For the ear: the mark on a row is spoken by no screen reader while the focus stands in one of its cells. */
  #tellChosen(fingerprint: string): void {
    const row = this.#store.rows.get(fingerprint);
    const is = this.#selected.has(fingerprint) ? "selected" : "not selected";
    setText(this.#live, `${row?.title || row?.check_id || "row"} ${is}, ${this.#selected.size} in all.`);
  }

  #select(): void {
    this.#store.pinned = this.#selected;
    this.#grid?.select(this.#selected);
    this.#actions.refresh();
    this.#events.selection([...this.#selected]);
    this.#ask();
  }

  async #report(answer: Promise<Reply>): Promise<Reply> {
    const reply = await answer;
    setText(this.#live, reply.ok ? "Done." : (reply.error ?? "Refused."));
    return reply;
  }

  #key(event: KeyboardEvent): void {
    const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
    if (event.key === "/" && !typing) {
      event.preventDefault();
      this.#search.focus();
    } else if (event.key === "Escape" && event.target === this.#search && this.#search.value !== "") {
      this.#change({ search: "" });
    } else if (!typing && this.#selected.size > 0 && !event.ctrlKey && !event.metaKey && !event.altKey) {
      if (event.key === "a") this.#actions.ask("ack");
      else if (event.key === "s") this.#actions.ask("silence");
      else if (event.key === "r") void this.#actions.recheck();
      else if (event.key === "c") void this.#actions.copy();
      else return;
      event.preventDefault();
    }
  }
}
