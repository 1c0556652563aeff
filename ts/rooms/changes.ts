/** What messages changed in the rows that a page knows, so that the views draw that alone. Pure. */
import type { StateChange } from "../ops-protocol.ts";
import type { Result } from "../result.ts";

/** What one batch of messages changed; the views draw from this. */
export interface Changes {
  /** The fields of each row whose change is worth a mark. */
  changed: Map<string, ReadonlySet<string>>;
  removed: Set<string>;
  reset: boolean;
  /** Another window came. */
  moved: boolean;
  transitions: StateChange[];
  /** Transitions that this page was not told one by one. */
  skipped: number;
  scan: boolean;
  /** Rows that somebody ran a remedy for. */
  proved: Set<string>;
}

export function noChanges(): Changes {
  return {
    changed: new Map(),
    removed: new Set(),
    reset: false,
    moved: false,
    transitions: [],
    skipped: 0,
    scan: false,
    proved: new Set(),
  };
}

/** Adds `more` to changes that are held back. */
export function hold(held: Changes, more: Changes): void {
  for (const [fingerprint, fields] of more.changed) {
    held.changed.set(fingerprint, both(held.changed.get(fingerprint), fields));
    held.removed.delete(fingerprint);
  }
  for (const fingerprint of more.removed) {
    held.removed.add(fingerprint);
    held.changed.delete(fingerprint);
  }
  held.reset ||= more.reset;
  held.moved ||= more.moved;
}

const WATCHED = ["status", "summary", "severity", "duration_ms", "suppression"] as const;
/** Every set of watched fields there can be, by the bits of its members: twenty thousand updates a second make no set each. */
const FIELD_SETS: readonly ReadonlySet<string>[] = Array.from(
  { length: 1 << WATCHED.length },
  (_, bits) => new Set(WATCHED.filter((_, index) => bits & (1 << index))),
);
/** No mark: a row that came, or that is as it was. */
export const NONE = FIELD_SETS[0]!;
export const SUPPRESSION = FIELD_SETS[16]!;

function bitsOf(fields: ReadonlySet<string>): number {
  return WATCHED.reduce((bits, field, index) => (fields.has(field) ? bits | (1 << index) : bits), 0);
}

/** Either's fields. */
export function both(known: ReadonlySet<string> | undefined, more: ReadonlySet<string>): ReadonlySet<string> {
  if (!known || known.size === 0 || known === more) return more;
  return more.size === 0 ? known : FIELD_SETS[bitsOf(known) | bitsOf(more)]!;
}

/** The watched fields that are others. */
export function changedFields(before: Result, now: Result): ReadonlySet<string> {
  let bits = 0;
  if (before.status !== now.status) bits |= 1;
  if (before.summary !== now.summary && timeless(before.summary) !== timeless(now.summary)) bits |= 2;
  if (before.severity !== now.severity) bits |= 4;
  if (moved(before.duration_ms, now.duration_ms)) bits |= 8;
  if (before.suppression !== now.suppression && differs(before.suppression, now.suppression)) bits |= 16;
  return FIELD_SETS[bits]!;
}

/** A duration is another with each look, so only one that an eye should go to is marked: twice or half of what it was, by 100 ms or more. */
function moved(before: number, now: number): boolean {
  return Math.abs(now - before) >= 100 && (now >= 2 * before || before >= 2 * now);
}

/** A summary without the times in it: "HTTP 200 in 11.6 ms" says the same with the next look. */
function timeless(summary: string): string {
  return summary.replace(/\d+(?:\.\d+)? ?(?:ms|s|m|h)\b/g, "");
}

function differs(a: unknown, b: unknown): boolean {
  return (typeof a !== "object" && typeof b !== "object") || JSON.stringify(a) !== JSON.stringify(b);
}
