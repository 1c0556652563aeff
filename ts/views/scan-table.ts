/** Results with everything around the grid: search, filters by status, pause, actions on the selected rows. Knows no network. */
import { type Counts, type Reply, type Result, STATUSES, type Status } from "../protocol.ts";
import { type Changes, noChanges, type OpsStore } from "../rooms/ops-store.ts";
import { ActionBar, type RowActions } from "./action-bar.ts";
import { toCsv } from "./csv.ts";
import { download, element, setText } from "./element.ts";
import { STATUS_ICONS } from "./status.ts";
import { type TableView, TabulatorView } from "./table-view.ts";

export interface ScanTableEvents {
  selection(fingerprints: string[]): void;
  open(fingerprint: string): void;
  actions: RowActions;
}

const SEARCHED: (keyof Result)[] = ["title", "check_id", "check_type", "target", "summary", "status", "severity"];

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
    title: "Filter the results by text (press / in the table)",
  });
  #chips = new Map<Status, { node: HTMLButtonElement; count: HTMLElement }>();
  #only = new Set<Status>();
  #pause = element(
    "button",
    { type: "button", "aria-pressed": "false", title: "Keep the rows still; changes are counted and shown when you go on" },
    "Pause",
  );
  #live = element("div", { class: "pw-hidden", role: "status", "aria-live": "polite" });
  #actions: ActionBar;
  #selected = new Set<string>();
  #anchor: string | null = null;
  #held: Changes | null = null;
  #drawing: Promise<void> = Promise.resolve();

  constructor(store: OpsStore, maxHeight: number, events: ScanTableEvents) {
    this.#store = store;
    this.#events = events;
    this.#maxHeight = maxHeight;
    this.#actions = new ActionBar(
      {
        ack: (fingerprints, reason, until) => this.#report(events.actions.ack(fingerprints, reason, until)),
        silence: (fingerprints, reason, until) => this.#report(events.actions.silence(fingerprints, reason, until)),
        recheck: (fingerprints) => this.#report(events.actions.recheck(fingerprints)),
      },
      () => [...this.#selected].flatMap((fingerprint) => store.rows.get(fingerprint) ?? []),
    );
    this.#search.addEventListener("input", () => this.#refilter());
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
    const csv = element("button", { type: "button", title: "Save the rows shown as CSV" }, "CSV");
    csv.addEventListener("click", () => download("checks.csv", "text/csv", toCsv(this.#shown())));
    this.tools = element("div", { class: "pw-tools" }, chips, this.#search, element("span", { class: "pw-space" }), this.#pause, csv);
    this.node = element("div", { class: "pw-table" }, this.tools, this.#actions.node, this.#live);
    this.node.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Builds the grid; the node must be in the page by now. */
  open(signal: AbortSignal): void {
    this.#grid = new TabulatorView(this.node, this.#maxHeight, {
      choose: (fingerprint, how) => this.#choose(fingerprint, how),
      open: (fingerprint) => this.#events.open(fingerprint),
    });
    signal.addEventListener("abort", () => this.#grid?.destroy());
  }

  /** Draws what changed in the store. */
  draw(changes: Changes): void {
    this.#count(this.#store.counts());
    this.#announce(changes);
    if (this.#held) {
      hold(this.#held, changes);
      setText(this.#pause, `Go on · ${this.#held.changed.size + this.#held.removed.size} new`);
      return;
    }
    this.#drawing = this.#drawing
      .then(() => this.#put(changes))
      .catch((error) => console.error("partywidgets: the table was not drawn", error));
  }

  /** Shows an answer that came to somebody else's request. */
  tell(reply: Reply): void {
    this.#actions.tell(reply);
  }

  focus(): void {
    this.#grid?.node.focus();
  }

  get selection(): string[] {
    return [...this.#selected];
  }

  /** Selects without telling it again. */
  select(fingerprints: string[]): void {
    this.#selected = new Set(fingerprints);
    this.#grid?.select(this.#selected);
    this.#actions.refresh();
    const first = fingerprints[0];
    if (first) this.#grid?.scrollTo(first);
  }

  /** Resolves when what was drawn is in the page. */
  settled(): Promise<void> {
    return this.#drawing;
  }

  async #put(changes: Changes): Promise<void> {
    const grid = this.#grid;
    if (!grid) return;
    if (changes.removed.size > 0) await grid.remove([...changes.removed]);
    const rows = [...changes.changed.keys()].flatMap((fingerprint) => this.#store.rows.get(fingerprint) ?? []);
    if (rows.length > 0) await grid.put(rows, changes.changed);
    let gone = false;
    for (const fingerprint of changes.removed) gone = this.#selected.delete(fingerprint) || gone;
    if (gone) this.#select();
    this.#actions.refresh();
  }

  #shown(): Result[] {
    return (this.#grid?.order() ?? []).flatMap((fingerprint) => this.#store.rows.get(fingerprint) ?? []);
  }

  #refilter(): void {
    const words = this.#search.value.toLowerCase().split(/\s+/).filter(Boolean);
    this.#grid?.filter((row) => {
      if (this.#only.size > 0 && !this.#only.has(row.status)) return false;
      if (words.length === 0) return true;
      const text = `${SEARCHED.map((field) => row[field]).join("\n")}\n${Object.entries(row.labels ?? {})
        .map(([label, value]) => `${label}=${value}`)
        .join("\n")}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
  }

  #toggleStatus(status: Status): void {
    if (!this.#only.delete(status)) this.#only.add(status);
    for (const [name, { node }] of this.#chips) node.setAttribute("aria-pressed", String(this.#only.has(name)));
    this.#refilter();
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
    if (how === "toggle") {
      if (!this.#selected.delete(fingerprint)) this.#selected.add(fingerprint);
      this.#anchor = fingerprint;
    } else if (how === "range" && this.#anchor && this.#grid) {
      const order = this.#grid.order();
      const [from, to] = [order.indexOf(this.#anchor), order.indexOf(fingerprint)].sort((a, b) => a - b) as [number, number];
      this.#selected = new Set(from < 0 ? [fingerprint] : order.slice(from, to + 1));
    } else {
      this.#selected = new Set([fingerprint]);
      this.#anchor = fingerprint;
    }
    this.#select();
  }

  #select(): void {
    this.#grid?.select(this.#selected);
    this.#actions.refresh();
    this.#events.selection([...this.#selected]);
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
      this.#search.value = "";
      this.#refilter();
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

/** Adds `more` to what a paused table holds back. */
function hold(held: Changes, more: Changes): void {
  for (const [fingerprint, fields] of more.changed) {
    const known = held.changed.get(fingerprint) ?? new Set<string>();
    for (const field of fields) known.add(field);
    held.changed.set(fingerprint, known);
    held.removed.delete(fingerprint);
  }
  for (const fingerprint of more.removed) {
    held.removed.add(fingerprint);
    held.changed.delete(fingerprint);
  }
  held.reset ||= more.reset;
}
