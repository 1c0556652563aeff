/** Results with everything around the grid: search, filters by status, pause, actions on the selected rows. Knows no network. */
import { type Counts, type Reply, type Result, type RowsQuery, STATUSES, type Status, type WindowQuery } from "../protocol.ts";
import { type Changes, hold, noChanges } from "../rooms/changes.ts";
import type { OpsStore } from "../rooms/ops-store.ts";
import { compileFilter, goesByTime, STALE, toggleWord } from "../rooms/row-filter.ts";
import { type RowLines, RowOrder } from "../rooms/row-order.ts";
import { writeSort } from "../rooms/row-values.ts";
import { Slices, type Steps } from "../rooms/slices.ts";
import { WindowLines } from "../rooms/window-lines.ts";
import { ActionBar, type RowActions } from "./action-bar.ts";
import { ColumnMenu } from "./column-menu.ts";
import { COLUMNS } from "./columns.ts";
import { listedCsv, toCsv } from "./csv.ts";
import { download, element, setText } from "./element.ts";
import { GroupSelect } from "./group-select.ts";
import { STATUS_ICONS } from "./status.ts";
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
const ASK_EVERY_MS = 100;
/** A quiet host is asked again what is in view: that rows become stale is no news of any row. */
const ASK_AGAIN_MS = 5000;
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
  #chips = new Map<Status, { node: HTMLButtonElement; count: HTMLElement }>();
  #order = new RowOrder();
  #slices: Slices | null = null;
  /** The order is of all rows, not of a window. */
  #whole = true;
  /** How the order stands; null: as a new one does. */
  #arranged: TableLook | null = null;
  /** When the order was arranged last, in milliseconds since 1970. */
  #arrangedAt = Number.NEGATIVE_INFINITY;
  /** When the host told of its window last, of `performance.now()`. */
  #toldAt = Number.NEGATIVE_INFINITY;
  /** What changed and is not in the order yet. */
  #waiting: Changes | null = null;
  #look: TableLook;
  #group: GroupSelect;
  #folded: ReadonlySet<string> = new Set();
  /** The lines that stand in the page while all rows are not here. */
  #window: WindowLines | null = null;
  #inView = { first: 0, count: 0 };
  #asked = "";
  /** What was asked for last is not in the page yet. */
  #awaiting = false;
  #asking: ReturnType<typeof setTimeout> | undefined;
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
    const chips = element("div", { class: "pw-chips", role: "group", "aria-label": "Filter by status" });
    for (const status of STATUSES) {
      const count = element("span", { class: "pw-count" }, "0");
      const node = element(
        "button",
        { type: "button", class: `pw-chip pw-status-${status}`, "aria-pressed": "false", title: `Show ${status} only` },
        element("span", { class: "pw-icon", "aria-hidden": "true" }, STATUS_ICONS[status]),
        count,
        element("span", { class: "pw-chip-word" }, status),
      );
      node.addEventListener("click", () => this.#toggleStatus(status));
      this.#chips.set(status, { node, count });
      chips.append(node);
    }
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
      chips,
      this.#search,
      this.#refusal,
      space,
      this.#group.node,
      columns.node,
      actions && this.#pause, // where nothing can be done, nothing changes
      this.#csv,
    );
    this.node = element("div", { class: "pw-table" }, this.tools, this.#actions.node, this.#live);
    this.node.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Builds the grid; the node must be in the page by now. */
  open(signal: AbortSignal): void {
    this.#slices = new Slices(() => this.#bringIn(), signal);
    this.#grid = new GridView(this.node, this.#maxHeight, this.#order, this.#look, {
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
    signal.addEventListener("abort", () => {
      clearTimeout(this.#asking);
      this.#grid?.destroy();
    });
    this.#apply(null);
  }

  /** Draws what changed in the store. */
  draw(changes: Changes): void {
    this.#count(this.#store.counts());
    this.#announce(changes);
    if (this.#held) {
      hold(this.#held, changes);
      // Who scrolls, sorts or filters meanwhile sees what came for that.
      if (changes.moved && this.#awaiting) this.#show();
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
      if (this.#asked === "" || performance.now() - this.#toldAt < ASK_AGAIN_MS) return;
      this.#toldAt = performance.now();
      this.#asked = "";
      this.#ask();
    } else if (!this.#held && goesByTime(this.#look.search) && this.#store.agedSince(this.#arrangedAt, now)) {
      this.#arranged = null;
      this.#slices?.start();
    }
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
    if (changes.reset) this.#asked = "";
    if (changes.moved) this.#toldAt = performance.now();
    if (!this.#store.window) {
      if (!this.#whole) this.#forgetOrder(changes, this.#store.rows.keys());
      this.#whole = true;
      if (this.#waiting) hold(this.#waiting, changes);
      else this.#waiting = changes;
      this.#slices?.start();
      return;
    }
    if (this.#whole) this.#forgetOrder(changes, []);
    this.#whole = false;
    this.#drawn(changes);
  }

  /** All rows are no longer here, or they are again, as `rows` has them: what stood in order is not to go on from. */
  #forgetOrder(changes: Changes, rows: Iterable<string>): void {
    this.#slices?.stop();
    this.#order = new RowOrder();
    this.#arranged = null;
    this.#waiting = null;
    for (const fingerprint of rows) if (!changes.changed.has(fingerprint)) changes.changed.set(fingerprint, new Set());
  }

  /** Brings the order to the look and to the store, as both are when each piece begins: what comes meanwhile is one more piece. */
  *#bringIn(): Steps {
    for (;;) {
      const [look, changes] = [this.#look, this.#waiting];
      const { sort, group, search, statuses } = this.#arranged ?? {};
      if (look.sort !== sort || look.group !== group || look.search !== search || look.statuses !== statuses) {
        this.#arrangedAt = Date.now();
        yield* this.#order.arrange({ sort: look.sort, group: look.group, keep: compileFilter(look) });
        this.#arranged = look;
        this.#show();
      } else if (changes) {
        this.#waiting = null;
        const rows = [...changes.changed.keys()].flatMap((fingerprint) => this.#store.rows.get(fingerprint) ?? []);
        yield* this.#order.put(rows, changes.removed);
        this.#drawn(changes);
      } else return;
    }
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
    return this.#window ?? this.#order;
  }

  #show(): void {
    const { window, rows } = this.#store;
    this.#window = window && new WindowLines(window, rows, this.#look.group !== "", this.#folded);
    this.#awaiting = false;
    const filtered = (window?.total ?? rows.size) > 0;
    this.#grid?.show(this.#lines(), filtered ? "No row fits the filter" : "No results yet");
    this.#ask();
  }

  /** Asks for the rows in view, where they are not all here: at most ten times a second, for the latest view. */
  #ask(): void {
    if (!this.#store.window && this.#store.rows.size <= WINDOW_ROWS) return;
    this.#asking ??= setTimeout(
      () => {
        this.#asking = undefined;
        const range = this.#window?.range(this.#inView.first, this.#inView.count) ?? { from: 0, count: 100 };
        const query = { ...this.#query(), folded: [...this.#folded], pinned: [...this.#selected].slice(-PINNED), ...range };
        const asked = JSON.stringify(query);
        if (asked === this.#asked) return;
        this.#asked = asked;
        this.#awaiting = true;
        void this.#events.window(query).then((reply) => {
          if (reply.ok) return;
          if (this.#asked === asked) this.#asked = "";
          setText(this.#refusal, reply.error ?? "the host did not sort");
        });
        setText(this.#refusal, "");
      },
      this.#asked === "" ? 0 : ASK_EVERY_MS,
    );
  }

  #fold(group: string, folded: boolean): void {
    const now = new Set(this.#folded);
    if (folded) now.add(group);
    else now.delete(group);
    this.#folded = now;
    this.#order.fold(group, folded);
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
    for (const [status, { node }] of this.#chips) node.setAttribute("aria-pressed", String(statuses.includes(status)));
    this.#group.show(look.group);
    if (look.group !== before?.group) this.#folded = new Set();
    this.#grid?.arrange(look, this.#store.suppressed());
    // Who filters, sorts or groups wants what comes first; a width that changes moves nothing.
    if (before && (["sort", "group", "search", "statuses"] as const).some((part) => look[part] !== before[part])) this.#grid?.scrollToTop();
    if (this.#store.window) this.#show();
    else this.#slices?.start();
  }

  #toggleStatus(status: Status): void {
    const { statuses } = this.#look;
    this.#change({ statuses: statuses.includes(status) ? statuses.filter((other) => other !== status) : [...statuses, status] });
  }

  #togglePause(): void {
    const held = this.#held;
    this.#held = held ? null : noChanges();
    this.#pause.setAttribute("aria-pressed", String(this.#held !== null));
    setText(this.#pause, this.#held ? "Go on" : "Pause");
    if (held) this.draw(held);
  }

  #count(counts: Counts): void {
    for (const [status, { node, count }] of this.#chips) {
      setText(count, String(counts[status]));
      node.classList.toggle("pw-zero", counts[status] === 0);
    }
  }

  /** Transitions are spoken; the hundred rows of a scan are not. */
  #announce(changes: Changes): void {
    const last = changes.transitions.slice(-3);
    if (last.length === 0) return;
    const more = changes.transitions.length - last.length;
    setText(
      this.#live,
      last.map(({ title, from, to, summary }) => `${title}: ${from ?? "new"} to ${to}. ${summary}`).join(" ") +
        (more > 0 ? ` And ${more} more.` : ""),
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
    this.#select();
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
