/** What a page knows of the ops room: one result per fingerprint, keyed and versioned outside any grid. Pure. */
import {
  type Ack,
  type Counts,
  type OpsMessage,
  type OpsSnapshot,
  type Past,
  type Proof,
  type Result,
  type ScanReport,
  type Silence,
  STATUSES,
  type StateChange,
} from "../protocol.ts";

const SERIES_POINTS = 300;
const CHANGES_KEPT = 20;
const PROOFS_KEPT = 500;

export interface Point {
  /** Milliseconds since 1970. */
  at: number;
  durationMs: number;
  status: Result["status"];
}

export interface RunningScan {
  scanId: string;
  trigger: string;
  done: number;
  total: number;
}

/** What one batch of messages changed; the views draw from this. */
export interface Changes {
  changed: Map<string, Set<string>>;
  removed: Set<string>;
  reset: boolean;
  transitions: StateChange[];
  scan: boolean;
  /** Rows that somebody ran a remedy for. */
  proved: Set<string>;
}

export function noChanges(): Changes {
  return { changed: new Map(), removed: new Set(), reset: false, transitions: [], scan: false, proved: new Set() };
}

/** Fields whose change is worth a flash. */
const WATCHED = ["status", "summary", "severity", "duration_ms", "suppression"] as const;

export class OpsStore {
  readonly rows = new Map<string, Result>();
  readonly silences = new Map<string, Silence>();
  readonly running = new Map<string, RunningScan>();
  epoch: string | null = null;
  seq = 0;
  lastScan: ScanReport | null = null;
  checks = 0;
  role = "";
  #series = new Map<string, Point[]>();
  #history = new Map<string, StateChange[]>();
  #proofs = new Map<string, Proof>();
  #past: { fingerprint: string; hours: Past["hours"] } | null = null;
  #parts: { epoch: string; seq: number; next: number; results: Result[]; live: Set<string> } | null = null;

  /** Results by status. */
  counts(): Counts {
    const counts = Object.fromEntries(STATUSES.map((status) => [status, 0])) as Counts;
    for (const { status } of this.rows.values()) if (status in counts) counts[status]++;
    return counts;
  }

  /** The durations seen by this page, oldest first; at most 300. */
  series(fingerprint: string): readonly Point[] {
    return this.#series.get(fingerprint) ?? [];
  }

  /** The transitions seen by this page, newest first; at most 20. */
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

  /** Takes an answer to `past`. */
  remember(fingerprint: string, { hours, remedy }: Past): void {
    this.#past = { fingerprint, hours };
    if (remedy) this.#prove(remedy);
  }

  /** Takes one message and adds what it changed to `changes`. */
  apply(message: OpsMessage, changes: Changes): void {
    switch (message.type) {
      case "snapshot":
        this.#snapshot(message.data, changes);
        break;
      case "scan-started": {
        const { scan_id, trigger, total } = message.data;
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
        this.lastScan = message.data;
        changes.scan = true;
        for (const result of message.data.results ?? []) this.#put(result, changes);
        break;
      case "state-change":
        this.seq = Math.max(this.seq, message.data.seq);
        this.#transition(message.data);
        changes.transitions.push(message.data);
        break;
      case "remedy":
        this.#prove(message.data);
        changes.proved.add(message.data.fingerprint);
        break;
      case "ack":
        this.#ack(message.data, changes);
        break;
      case "silence":
        this.#silence(message.data, changes);
        break;
    }
  }

  #snapshot(snapshot: OpsSnapshot, changes: Changes): void {
    if (snapshot.part === 1) {
      this.#parts = { epoch: snapshot.epoch, seq: snapshot.seq, next: 1, results: [], live: new Set() };
      this.lastScan = snapshot.scan ?? this.lastScan;
      this.checks = snapshot.checks ?? this.checks;
      this.role = snapshot.role ?? this.role;
      this.silences.clear();
      for (const silence of snapshot.silences ?? []) this.silences.set(silence.id, silence);
      this.running.clear();
      for (const scanId of snapshot.running ?? []) this.running.set(scanId, { scanId, trigger: "", done: 0, total: 0 });
      changes.scan = true;
    }
    const parts = this.#parts;
    if (!parts || parts.epoch !== snapshot.epoch || parts.next !== snapshot.part) return;
    parts.results.push(...snapshot.results);
    parts.next++;
    if (parts.next <= snapshot.of) return;
    // Live frames come between the parts: what they brought is newer than the snapshot.
    const here = new Set([...parts.results.map(({ fingerprint }) => fingerprint), ...parts.live]);
    for (const fingerprint of [...this.rows.keys()]) {
      if (here.has(fingerprint)) continue;
      this.rows.delete(fingerprint);
      changes.removed.add(fingerprint);
    }
    for (const result of parts.results) this.#put(result, changes, true);
    this.#parts = null;
    this.seq = parts.epoch === this.epoch ? Math.max(this.seq, parts.seq) : parts.seq;
    this.epoch = parts.epoch;
    changes.reset = true;
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
      this.rows.delete(fingerprint);
      changes.changed.delete(fingerprint);
      changes.removed.add(fingerprint);
      return;
    }
    if (known && comparable && known.seq > result.seq) return;
    this.rows.set(fingerprint, result);
    const fields = changes.changed.get(fingerprint) ?? new Set<string>();
    if (known && !quiet) {
      for (const field of WATCHED) if (JSON.stringify(known[field]) !== JSON.stringify(result[field])) fields.add(field);
    }
    changes.changed.set(fingerprint, fields);
    changes.removed.delete(fingerprint);
    this.#observe(result);
  }

  #observe({ fingerprint, observed_at, duration_ms, status }: Result): void {
    const at = Date.parse(observed_at);
    if (Number.isNaN(at)) return;
    const points = this.#series.get(fingerprint) ?? [];
    if (points.at(-1)?.at === at) return;
    // A clock that went back: the line goes on from there, for its times must rise.
    while (points.length > 0 && points[points.length - 1]!.at >= at) points.pop();
    points.push({ at, durationMs: duration_ms, status });
    if (points.length > SERIES_POINTS) points.shift();
    this.#series.set(fingerprint, points);
  }

  /** The newer of two stays; ids are in the order of time. */
  #prove(proof: Proof): void {
    const known = this.#proofs.get(proof.fingerprint);
    if (known && known.id > proof.id) return;
    this.#proofs.delete(proof.fingerprint);
    this.#proofs.set(proof.fingerprint, proof);
    if (this.#proofs.size > PROOFS_KEPT) this.#proofs.delete(this.#proofs.keys().next().value!);
  }

  #transition(change: StateChange): void {
    const changes = this.#history.get(change.fingerprint) ?? [];
    changes.unshift(change);
    changes.length = Math.min(changes.length, CHANGES_KEPT);
    this.#history.set(change.fingerprint, changes);
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
    this.rows.set(row.fingerprint, { ...row, suppression });
    const fields = changes.changed.get(row.fingerprint) ?? new Set<string>();
    changes.changed.set(row.fingerprint, fields.add("suppression"));
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
