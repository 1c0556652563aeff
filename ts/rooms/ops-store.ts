/** What a page knows of the ops room: one result per fingerprint, keyed and versioned outside any grid. Pure. */
import type { Ack, FailingTarget, OpsMessage, OpsSnapshot, OpsWindow, Removed, ScanReport, Silence } from "../ops-protocol.ts";
import { type Counts, type Result, STATUSES } from "../result.ts";
import { both, type Changes, changedFields, NONE, SUPPRESSION } from "./changes.ts";
import { instant } from "./instant.ts";
import { reuse } from "./reuse.ts";
import { RowPasts } from "./row-pasts.ts";
import { staleAt } from "./row-values.ts";

/** The epoch of results that no host has: a cell gave them. */
export const GIVEN = "given";
/** Triggers of scans that say little about the whole. */
export const PARTIAL = ["interval", "recheck"];

export interface RunningScan {
  scanId: string;
  trigger: string;
  done: number;
  total: number;
}

/** A snapshot that is coming in. */
interface SnapshotParts {
  epoch: string;
  seq: number;
  next: number;
  /** Rows that it had so far. */
  had: Set<string>;
  /** Rows that came live meanwhile, which are newer. */
  live: Set<string>;
  /** Of the whole board, those that are still to come too; null: an older host does not say. */
  counts: Counts | null;
}

export class OpsStore {
  readonly rows = new Map<string, Result>();
  readonly pasts = new RowPasts(this.rows, () => this.checks);
  readonly silences = new Map<string, Silence>();
  readonly running = new Map<string, RunningScan>();
  /** Of a board that is looked at by windows: the last one; null: all rows are here. */
  window: Omit<OpsWindow, "results"> | null = null;
  /** Rows that stay here when they leave the window: those that are selected. */
  pinned: ReadonlySet<string> = new Set();
  epoch: string | null = null;
  seq = 0;
  /** The last scan of more than what was just due, or of a row looked at again. */
  lastScan: ScanReport | null = null;
  /** When the next full scan begins. */
  nextScan: string | null = null;
  checks = 0;
  /** Targets of notifications that do not take messages. */
  failing: FailingTarget[] = [];
  /** Why the history is not written; null while it is. */
  unkept: string | null = null;
  configRefused: string | null = null;
  /** The rows that left last, and when the room was told, on this page's clock. */
  removed: (Removed & { told: number }) | null = null;
  role = "";
  /** What others see this person as. */
  name = "";
  #counts = Object.fromEntries(STATUSES.map((status) => [status, 0])) as Counts;
  #suppressed = 0;
  #parts: SnapshotParts | null = null;
  /** The row that came last: what is new shares with it what rows have in common. */
  #newest: Result | null = null;

  /** Results by status; while they come in parts, of all that the host has. */
  counts(): Counts {
    return { ...(this.window?.counts ?? this.#parts?.counts ?? this.#counts) };
  }

  /** How many rows are here of those that the host has; null: all of them, or the host did not say. */
  coming(): { rows: number; of: number } | null {
    if (!this.#parts?.counts) return null;
    return { rows: this.#parts.had.size, of: STATUSES.reduce((sum, status) => sum + this.counts()[status], 0) };
  }

  /** True when some row is acked, silenced or suppressed otherwise. */
  suppressed(): boolean {
    return this.#suppressed > 0;
  }

  /**
   * When the row looked at last was looked at, in milliseconds since 1970, and how many are older than they should be. Of a board that is
   * looked at by windows as the host said last. Null: no row is here, or the host did not say.
   */
  freshness(now: number): { newest: number; stale: number } | null {
    if (this.window) {
      const { newest, stale = 0 } = this.window;
      return newest ? { newest: instant(newest), stale } : null;
    }
    let [newest, stale] = [Number.NEGATIVE_INFINITY, 0];
    for (const row of this.rows.values()) {
      const at = instant(row.observed_at);
      if (at > newest) newest = at;
      if (staleAt(row) < now) stale++;
    }
    return newest === Number.NEGATIVE_INFINITY ? null : { newest, stale };
  }

  /** True when a row has become stale after `since` and by `now`, in milliseconds since 1970. */
  agedSince(since: number, now: number): boolean {
    for (const row of this.rows.values()) {
      const at = staleAt(row);
      if (at >= since && at < now) return true;
    }
    return false;
  }

  /** Takes one message and adds what it changed to `changes`. */
  apply(message: OpsMessage, changes: Changes): void {
    switch (message.type) {
      case "snapshot":
        this.#snapshot(message.data, changes);
        break;
      case "window":
        this.#look(message.data, changes);
        break;
      case "scan-started": {
        const { scan_id, trigger, total, next } = message.data;
        this.nextScan = next ?? null;
        this.running.set(scan_id, { scanId: scan_id, trigger, done: 0, total });
        changes.scan = true;
        break;
      }
      case "check-result": {
        const { seq, scan_id, done, total, results } = message.data;
        this.seq = Math.max(this.seq, seq);
        const trigger = this.running.get(scan_id)?.trigger ?? "";
        if (done < total) this.running.set(scan_id, { scanId: scan_id, trigger, done, total });
        changes.scan = true;
        for (const result of results) this.#put(result, changes);
        break;
      }
      case "scan-result":
        this.running.delete(message.data.scan_id);
        if (!PARTIAL.includes(message.data.trigger)) this.lastScan = message.data;
        changes.scan = true;
        for (const result of message.data.results ?? []) this.#put(result, changes);
        break;
      case "state-change":
        this.seq = Math.max(this.seq, message.data.seq);
        this.pasts.transition(message.data);
        changes.transitions.push(message.data);
        break;
      case "skipped":
        changes.skipped += message.data.changes;
        break;
      case "remedy":
        this.pasts.prove(message.data);
        changes.proved.add(message.data.fingerprint);
        break;
      case "ack":
        this.#ack(message.data, changes);
        break;
      case "notify":
        this.failing = message.data.failing;
        changes.scan = true;
        break;
      case "unkept":
        this.unkept = message.data.reason;
        changes.scan = true;
        break;
      case "config-refused":
        this.configRefused = message.data.reason;
        changes.scan = true;
        break;
      case "removed":
        this.removed = { ...message.data, told: performance.now() };
        changes.scan = true;
        break;
      case "silence":
        this.#silence(message.data, changes);
        break;
    }
  }

  #snapshot(snapshot: OpsSnapshot, changes: Changes): void {
    if (snapshot.part === 1) {
      const { epoch, seq } = snapshot;
      this.#parts = { epoch, seq, next: 1, had: new Set(), live: new Set(), counts: snapshot.counts ?? null };
      if (snapshot.scan && !PARTIAL.includes(snapshot.scan.trigger)) this.lastScan = snapshot.scan;
      this.nextScan = snapshot.next ?? null;
      this.checks = snapshot.checks ?? this.checks;
      this.role = snapshot.role ?? this.role;
      this.name = snapshot.name ?? this.name;
      this.failing = snapshot.notify ?? [];
      this.unkept = snapshot.unkept ?? null;
      this.configRefused = snapshot.config_refused ?? null;
      const { removed } = snapshot;
      if (removed) this.removed = { ...removed, told: performance.now() - removed.ago_s * 1000 };
      this.silences.clear();
      for (const silence of snapshot.silences ?? []) this.silences.set(silence.id, silence);
      this.running.clear();
      for (const scanId of snapshot.running ?? []) this.running.set(scanId, { scanId, trigger: "", done: 0, total: 0 });
      changes.scan = true;
      const { total } = snapshot;
      if (total !== undefined)
        this.window = {
          epoch: snapshot.epoch,
          seq: snapshot.seq,
          total,
          rows: total,
          counts: snapshot.counts ?? this.counts(),
          from: 0,
          order: [],
          groups: [],
        };
      else this.window = null;
    }
    const parts = this.#parts;
    if (!parts || parts.epoch !== snapshot.epoch || parts.next !== snapshot.part) return;
    parts.next++;
    // Each part is shown as it comes, and is a task of its own: the failing rows are in the first.
    for (const result of snapshot.results) {
      parts.had.add(result.fingerprint);
      this.#put(result, changes, true);
    }
    if (parts.next <= snapshot.of) return;
    // Live frames come between the parts: what they brought is newer than the snapshot.
    for (const fingerprint of [...this.rows.keys()]) {
      if (parts.had.has(fingerprint) || parts.live.has(fingerprint) || (this.window && this.pinned.has(fingerprint))) continue;
      this.#forget(fingerprint);
      changes.removed.add(fingerprint);
    }
    this.#parts = null;
    this.seq = parts.epoch === this.epoch ? Math.max(this.seq, parts.seq) : parts.seq;
    this.epoch = parts.epoch;
    changes.reset = true;
  }

  /** Rows in view come; what is neither in view nor selected goes. */
  #look({ results, ...window }: OpsWindow, changes: Changes): void {
    this.window = window;
    this.seq = Math.max(this.seq, window.seq);
    for (const result of results) this.#put(result, changes);
    const inView = new Set(window.order);
    for (const fingerprint of window.gone ?? []) {
      this.#forget(fingerprint);
      changes.changed.delete(fingerprint);
      changes.removed.add(fingerprint);
    }
    for (const fingerprint of [...this.rows.keys()]) {
      if (inView.has(fingerprint) || this.pinned.has(fingerprint)) continue;
      this.#forget(fingerprint);
      changes.changed.delete(fingerprint);
    }
    changes.moved = true;
  }

  /**
   * The newer of two versions stays: a snapshot and a live frame may cross. Newer is by the room's own count: clocks go back.
   * What an earlier life of the room counted says nothing about this one.
   */
  #put(result: Result, changes: Changes, quiet = false): void {
    const { fingerprint } = result;
    const known = this.rows.get(fingerprint);
    const comparable = !this.#parts || this.#parts.epoch === this.epoch || this.#parts.live.has(fingerprint);
    if (!quiet) this.#parts?.live.add(fingerprint);
    if (result.change === "absent") {
      this.#recount(known, result);
      this.#forget(fingerprint);
      changes.changed.delete(fingerprint);
      changes.removed.add(fingerprint);
      return;
    }
    if (known && comparable && known.seq > result.seq) return;
    const alike = known ?? this.#newest;
    if (alike) reuse(alike, result);
    this.#newest = result;
    if (known) this.pasts.observe(known, result);
    if (!quiet) this.#recount(known, result);
    this.#keep(fingerprint, known, result);
    const fields = known && !quiet ? changedFields(known, result) : NONE;
    changes.changed.set(fingerprint, both(changes.changed.get(fingerprint), fields));
    if (changes.removed.size > 0) changes.removed.delete(fingerprint);
  }

  /** The host counted before this row came live; what it was then is known of rows that are here, and of those that were not there. */
  #recount(known: Result | undefined, { status, change }: Result): void {
    const counts = this.#parts?.counts;
    if (!counts) return;
    if (known) counts[known.status]--;
    if (change === "new" || (known && change !== "absent")) counts[status]++;
  }

  /** Puts a row in place of another, or takes it away, and counts. */
  #keep(fingerprint: string, before: Result | undefined, result: Result | null): void {
    if (before?.status !== result?.status || before?.suppression !== result?.suppression) {
      if (before) this.#count(before, -1);
      if (result) this.#count(result, 1);
    }
    if (result) this.rows.set(fingerprint, result);
    else this.rows.delete(fingerprint);
  }

  #count({ status, suppression }: Result, by: 1 | -1): void {
    if (this.#counts[status] !== undefined) this.#counts[status] += by;
    if (suppression !== null) this.#suppressed += by;
  }

  #forget(fingerprint: string): void {
    this.#keep(fingerprint, this.rows.get(fingerprint), null);
    this.pasts.forget(fingerprint);
  }

  #ack(ack: Ack, changes: Changes): void {
    const row = this.rows.get(ack.fingerprint);
    if (!row) return;
    const suppression = ack.reason === null ? null : { by: "ack", id: null, until: ack.until, actor: ack.actor, reason: ack.reason };
    this.#suppress(row, suppression, changes);
  }

  #silence(silence: Silence, changes: Changes): void {
    const lifted = silence.until === null;
    if (lifted) this.silences.delete(silence.id);
    else this.silences.set(silence.id, silence);
    for (const row of this.rows.values()) {
      if (lifted) {
        if (row.suppression?.by === "silence" && row.suppression.id === silence.id) this.#suppress(row, null, changes);
      } else if (matches(row, silence.matchers)) {
        this.#suppress(row, { by: "silence", id: silence.id, until: silence.until, actor: silence.actor, reason: silence.reason }, changes);
      }
    }
  }

  #suppress(row: Result, suppression: Result["suppression"], changes: Changes): void {
    this.#keep(row.fingerprint, row, { ...row, suppression });
    changes.changed.set(row.fingerprint, both(changes.changed.get(row.fingerprint), SUPPRESSION));
  }
}

const FIELDS = ["check_id", "check_type", "target", "severity", "fingerprint"];

/** A silence's matchers: labels by value, and some fields where no label has their name (as `scans/silence.py` does). */
export function matches(row: Result, matchers: Record<string, string>): boolean {
  const entries = Object.entries(matchers);
  return (
    entries.length > 0 &&
    entries.every(([label, value]) => {
      const own = row.labels?.[label];
      return own === undefined && FIELDS.includes(label) ? row[label as keyof Result] === value : own === value;
    })
  );
}
