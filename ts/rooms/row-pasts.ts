/** What a page knows of its rows' past: durations and transitions that it saw or was told of, remedies, and the row that it asked about. */
import type { Past, Proof, StateChange } from "../ops-protocol.ts";
import type { Result } from "../result.ts";
import { instant } from "./instant.ts";
import { type Point, Series } from "./series.ts";

const SERIES_POINTS = 300;
const SERIES_LEAST = 20;
/** At least so many of a row that somebody opened. */
const REMEMBERED = 150;
/** Points of all rows: a page of many rows keeps fewer of each. */
const POINTS_IN_ALL = 200_000;
const CHANGES_KEPT = 20;
const ROWS_WITH_CHANGES = 2000;
const PROOFS_KEPT = 500;

export class RowPasts {
  readonly #rows: ReadonlyMap<string, Result>;
  readonly #checks: () => number;
  #series = new Map<string, Series>();
  #history = new Map<string, StateChange[]>();
  #proofs = new Map<string, Proof>();
  #past: { fingerprint: string; hours: Past["hours"]; witness: Result | null; next: string | null } | null = null;

  /** Of the rows that are here now; `checks` is how many there are in all, as far as that is known. */
  constructor(rows: ReadonlyMap<string, Result>, checks: () => number) {
    this.#rows = rows;
    this.#checks = checks;
  }

  /** The durations that this page saw, oldest first; at most 300, of ten thousand rows 20 each, and before them those it was told of. */
  series(fingerprint: string): readonly Point[] {
    const series = this.#series.get(fingerprint);
    if (series) return series.points();
    const row = this.#rows.get(fingerprint);
    const at = row ? instant(row.observed_at) : Number.NaN;
    return row && !Number.isNaN(at) ? [{ at, durationMs: row.duration_ms, status: row.status }] : [];
  }

  /** The transitions that this page saw or was told of, newest first; at most 20. */
  transitions(fingerprint: string): readonly StateChange[] {
    return this.#history.get(fingerprint) ?? [];
  }

  /** The last remedy of a row that this page knows of. */
  proof(fingerprint: string): Proof | null {
    return this.#proofs.get(fingerprint) ?? null;
  }

  /** The hours of the row that was asked for last. */
  hours(fingerprint: string): Past["hours"] {
    return this.#past?.fingerprint === fingerprint ? this.#past.hours : [];
  }

  /** When the row that was asked for last is looked at next, as that was then. */
  nextLook(fingerprint: string): string | null {
    return this.#past?.fingerprint === fingerprint ? this.#past.next : null;
  }

  /** Of the row that was asked for last what it does not tell itself: its last failure while it is ok, else its last success. */
  witness(fingerprint: string): Result | null {
    const witness = this.#past?.fingerprint === fingerprint ? this.#past.witness : null;
    const row = this.#rows.get(fingerprint);
    return witness && row && (witness.status === "ok") !== (row.status === "ok") ? witness : null;
  }

  /** Takes an answer to `past`. */
  remember(fingerprint: string, { hours, remedy, changes = [], looks = [], witness = null, next = null }: Past): void {
    this.#past = { fingerprint, hours, witness, next };
    if (remedy) this.prove(remedy);
    if (!this.#rows.has(fingerprint)) return;
    for (const change of [...changes].reverse()) this.transition(change);
    // What this page saw itself goes on where the past ends.
    const seen = this.series(fingerprint);
    const begin = seen[0]?.at ?? Number.POSITIVE_INFINITY;
    const series = new Series(Math.max(REMEMBERED, this.#share()));
    for (const [observedAt, durationMs, status] of looks) {
      const at = Date.parse(observedAt);
      if (at < begin) series.add(at, durationMs, status);
    }
    for (const { at, durationMs, status } of seen) series.add(at, durationMs, status);
    this.#series.set(fingerprint, series);
  }

  /** How many points each row may have. */
  #share(): number {
    const share = Math.floor(POINTS_IN_ALL / Math.max(this.#rows.size, this.#checks(), 1));
    return Math.max(SERIES_LEAST, Math.min(SERIES_POINTS, share));
  }

  /** Takes a row's next look. One that was seen once has no series: it is its only point. Ten thousand of them would be made at a join. */
  observe(before: Result, { fingerprint, observed_at, duration_ms, status, scan_id }: Result): void {
    const at = instant(observed_at);
    // Without a scan nobody looked: the row only turned unknown.
    if (Number.isNaN(at) || scan_id === "") return;
    let series = this.#series.get(fingerprint);
    if (!series) {
      const first = instant(before.observed_at);
      if (first === at) return;
      series = new Series(this.#share());
      if (!Number.isNaN(first)) series.add(first, before.duration_ms, before.status);
      this.#series.set(fingerprint, series);
    }
    series.add(at, duration_ms, status);
  }

  /** The newer of two stays; ids are in the order of time. */
  prove(proof: Proof): void {
    const known = this.#proofs.get(proof.fingerprint);
    if (known && known.id > proof.id) return;
    this.#proofs.delete(proof.fingerprint);
    this.#proofs.set(proof.fingerprint, proof);
    if (this.#proofs.size > PROOFS_KEPT) this.#proofs.delete(this.#proofs.keys().next().value!);
  }

  /** A transition that came live, or that the past tells of. */
  transition(change: StateChange): void {
    const changes = this.#history.get(change.fingerprint) ?? [];
    if (changes.some(({ seq }) => seq === change.seq)) return;
    changes.unshift(change);
    // What the past brings may be older than what came live.
    changes.sort((a, b) => b.seq - a.seq);
    changes.length = Math.min(changes.length, CHANGES_KEPT);
    this.#history.delete(change.fingerprint);
    this.#history.set(change.fingerprint, changes);
    if (this.#history.size > ROWS_WITH_CHANGES) this.#history.delete(this.#history.keys().next().value!);
  }

  /** Drops what was seen of a row that is no longer here. */
  forget(fingerprint: string): void {
    this.#series.delete(fingerprint);
    this.#history.delete(fingerprint);
  }
}
