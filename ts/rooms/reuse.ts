/**
 * What a row keeps of the version before it. Of twenty thousand results a second most is what it was: a name, a target, labels, who looked.
 * Parsed text makes all of it anew; kept in the old row's copy, the new one dies young, which a collection of garbage does not notice. Pure.
 */
import type { Result } from "../result.ts";

const TEXTS = ["schema", "scan_id", "fingerprint", "check_id", "check_type", "target", "title", "summary"] as const;

/** Puts into `now` what is equal in `before`; what it says stays the same. Both are ours alone, and nobody changes their parts. */
export function reuse(before: Result, now: Result): void {
  for (const field of TEXTS) if (now[field] === before[field]) now[field] = before[field];
  if (alike(now.labels, before.labels)) now.labels = before.labels;
  if (alike(now.runner, before.runner)) now.runner = before.runner;
  if (alike(now.state, before.state)) now.state = before.state;
  now.conditions = listed(now.conditions, before.conditions);
  now.metrics = listed(now.metrics, before.metrics);
  now.evidence = listed(now.evidence, before.evidence);
  now.links = listed(now.links, before.links);
}

/** The elements that are what they were, from `before`; the whole list where all are. */
function listed<T>(now: T[], before: T[]): T[] {
  if (!Array.isArray(now) || !Array.isArray(before)) return now;
  let same = now.length === before.length;
  for (let index = 0; index < now.length && index < before.length; index++) {
    if (alike(now[index], before[index])) now[index] = before[index]!;
    else same = false;
  }
  return same ? before : now;
}

/** Whether two records have the same members, none of which is a record itself. */
function alike(now: unknown, before: unknown): boolean {
  if (now === before) return true;
  if (typeof now !== "object" || typeof before !== "object" || now === null || before === null) return false;
  let count = 0;
  for (const name in now) {
    if ((now as Record<string, unknown>)[name] !== (before as Record<string, unknown>)[name]) return false;
    count++;
  }
  for (const _ in before) count--;
  return count === 0;
}
