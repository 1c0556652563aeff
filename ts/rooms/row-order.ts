/**
 * The rows in order: sorted, filtered, in groups. It stands outside of any grid: a batch re-places the rows that changed, by one
 * merge, and whoever draws asks for the lines in view. Long work is made of steps, between which the order before stands whole. Pure.
 */
import { type Counts, type Result, STATUSES } from "../result.ts";
import { DEFAULT_SORT, groupOf, groupRank, readSort, type SortBy, type SortValue, sortValue } from "./row-values.ts";
import type { Steps } from "./slices.ts";

export interface Group {
  name: string;
  /** Rows in it, shown or folded away. */
  count: number;
  counts: Counts;
  open: boolean;
  /** Its head's place among the lines. */
  line: number;
  /** Its first row's place among the rows. */
  from: number;
}
/** What stands in one line. `row` is null while it is on its way. */
export type Line = { group: Group } | { group: null; row: Result | null };

/** What a grid draws. */
export interface RowLines {
  readonly grouped: boolean;
  /** Heads of groups and rows, without those that are folded away. */
  readonly length: number;
  /** Rows that the filter keeps. */
  readonly rows: number;
  line(index: number): Line;
  /** The line of a row, or -1. */
  place(fingerprint: string): number;
  /** The line of a group's head, or -1. */
  placeOfGroup(name: string): number;
  /** Fingerprints in order, of the rows that are here. */
  order(): string[];
}

/** A row in its place. What another result would put elsewhere gets an entry of its own, so that an order stays true until the next is whole. */
interface Entry {
  result: Result;
  readonly keys: readonly SortValue[];
  readonly group: string;
  /** The filter keeps it, so that it stands among the sorted. */
  shown: boolean;
  /** The merge under way takes it out. */
  leaving: boolean;
}

export interface OrderLook {
  /** The strongest first. Equal rows stand by fingerprint, so that the order is one. */
  sort: readonly SortBy[];
  /** What `groupOf` knows; `""`: not grouped. */
  group: string;
  keep: (row: Result) => boolean;
}

type Compare = (a: Entry, b: Entry) => number;

/** Rows between two places where work may be left. */
const STEP = 256;
/** Rows that are sorted at once. */
const RUN = 1024;

export class RowOrder implements RowLines {
  #entries = new Map<string, Entry>();
  #sorted: Entry[] = [];
  #look: OrderLook = { sort: readSort(DEFAULT_SORT), group: "", keep: () => true };
  #compare: Compare = comparing(this.#look);
  #folded = new Set<string>();
  #groups: Group[] | null = null;
  #length = 0;

  /** Adds or changes rows, and takes others away, by one merge. Until that is done the order is the one before. */
  *put(results: Iterable<Result>, removed: Iterable<string> = []): Steps {
    const { keep } = this.#look;
    const fresh = new Map<string, Entry>();
    const leaving: string[] = [];
    /** Rows whose place stays: nothing that they are sorted by is another. */
    const same = new Map<Entry, Result>();
    let count = 0;
    for (const fingerprint of removed) if (this.#entries.has(fingerprint)) leaving.push(fingerprint);
    for (const result of results) {
      const { fingerprint } = result;
      const before = this.#entries.get(fingerprint);
      const entry = entryOf(result, this.#look, keep(result));
      if (before && before.shown === entry.shown && before.group === entry.group && equal(before.keys, entry.keys)) {
        same.set(before, result);
        // A fingerprint may come twice: the last counts.
        fresh.delete(fingerprint);
      } else {
        if (before) same.delete(before);
        fresh.set(fingerprint, entry);
      }
      if (++count % STEP === 0) yield;
    }
    let merged: Entry[] | null = null;
    if (fresh.size > 0 || leaving.length > 0) {
      const incoming: Entry[] = [];
      for (const entry of fresh.values()) if (entry.shown) incoming.push(entry);
      const ordered = yield* sorted(incoming, this.#compare);
      for (const fingerprints of [leaving, fresh.keys()])
        for (const fingerprint of fingerprints) {
          const before = this.#entries.get(fingerprint);
          if (before) before.leaving = true;
          if (++count % STEP === 0) yield;
        }
      merged = yield* mergedWith(this.#sorted, ordered, this.#compare);
    }
    if (merged) this.#sorted = merged;
    this.#groups = null;
    for (const fingerprint of leaving) this.#entries.delete(fingerprint);
    for (const [entry, result] of same) {
      entry.result = result;
      if (++count % STEP === 0) yield;
    }
    for (const [fingerprint, entry] of fresh) {
      this.#entries.set(fingerprint, entry);
      if (++count % STEP === 0) yield;
    }
    this.#groups = null;
  }

  /** Sorts, groups and filters in another way. Until the last step the order is the one before. */
  *arrange(look: OrderLook): Steps {
    const entries = new Map<string, Entry>();
    const shown: Entry[] = [];
    const compare = comparing(look);
    let count = 0;
    for (const { result } of this.#entries.values()) {
      const entry = entryOf(result, look, look.keep(result));
      entries.set(result.fingerprint, entry);
      if (entry.shown) shown.push(entry);
      if (++count % STEP === 0) yield;
    }
    const ordered = yield* sorted(shown, compare);
    if (look.group !== this.#look.group) this.#folded.clear();
    this.#entries = entries;
    this.#sorted = ordered;
    this.#look = look;
    this.#compare = compare;
    this.#groups = null;
  }

  fold(group: string, folded: boolean): void {
    if (folded) this.#folded.add(group);
    else this.#folded.delete(group);
    this.#groups = null;
  }

  get grouped(): boolean {
    return this.#look.group !== "";
  }

  get length(): number {
    this.#divided();
    return this.#length;
  }

  get rows(): number {
    return this.#sorted.length;
  }

  get groups(): readonly Group[] {
    return this.#divided();
  }

  line(index: number): Line {
    const groups = this.#divided();
    if (this.#look.group === "") return { group: null, row: this.#sorted[index]?.result ?? null };
    const group = groups[groupAt(groups, index)];
    if (!group || index === group.line) return group ? { group } : { group: null, row: null };
    return { group: null, row: this.#sorted[group.from + index - group.line - 1]?.result ?? null };
  }

  place(fingerprint: string): number {
    const entry = this.#entries.get(fingerprint);
    let low = entry?.shown ? this.#search(entry) : -1;
    // In the midst of a change an entry may stand for what comes or for what was.
    if (this.#sorted[low] !== entry) low = this.#sorted.findIndex(({ result }) => result.fingerprint === fingerprint);
    if (low < 0 || this.#look.group === "") return low;
    const group = this.#divided().find(({ from, count }) => low >= from && low < from + count);
    return group?.open ? group.line + 1 + low - group.from : -1;
  }

  /** Where an entry stands, or would. */
  #search(entry: Entry): number {
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#compare(this.#sorted[middle]!, entry) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  placeOfGroup(name: string): number {
    return this.#divided().find((group) => group.name === name)?.line ?? -1;
  }

  order(): string[] {
    return this.#sorted.map(({ result }) => result.fingerprint);
  }

  #divided(): Group[] {
    if (this.#groups) return this.#groups;
    const groups: Group[] = [];
    if (this.#look.group === "") this.#length = this.#sorted.length;
    else {
      let group: Group | undefined;
      for (let from = 0; from < this.#sorted.length; from++) {
        const { group: name, result } = this.#sorted[from]!;
        if (group?.name !== name) {
          group = emptyGroup(name, from, !this.#folded.has(name));
          groups.push(group);
        }
        group.count++;
        if (result.status in group.counts) group.counts[result.status]++;
      }
      this.#length = numberGroups(groups);
    }
    this.#groups = groups;
    return groups;
  }
}

export function emptyGroup(name: string, from: number, open: boolean): Group {
  return { name, count: 0, counts: Object.fromEntries(STATUSES.map((status) => [status, 0])) as Counts, open, line: 0, from };
}

/** Gives the heads their lines; returns how many lines there are. */
export function numberGroups(groups: Group[]): number {
  let line = 0;
  for (const group of groups) {
    group.line = line;
    line += 1 + (group.open ? group.count : 0);
  }
  return line;
}

/** The place of the group that a line belongs to. */
export function groupAt(groups: readonly Group[], line: number): number {
  let [low, high] = [0, groups.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (groups[middle]!.line <= line) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function entryOf(result: Result, { sort, group: by }: OrderLook, shown: boolean): Entry {
  const group = by === "" ? "" : groupOf(result, by);
  // What the filter leaves out stands nowhere and needs no keys.
  const keys: SortValue[] = shown ? sort.map(({ key }) => sortValue(result, key)) : [];
  if (shown && by !== "") keys.unshift(groupRank(group, by));
  return { result, keys, group, shown, leaving: false };
}

function equal(a: readonly SortValue[], b: readonly SortValue[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}

function comparing({ sort, group }: OrderLook): Compare {
  const descending = sort.map((by) => by.descending);
  if (group !== "") descending.unshift(false);
  return (a, b) => {
    const [x, y] = [a.keys, b.keys];
    for (let index = 0; index < x.length; index++) {
      if (x[index] === y[index]) continue;
      return x[index]! < y[index]! === descending[index] ? 1 : -1;
    }
    return a.result.fingerprint < b.result.fingerprint ? -1 : a.result.fingerprint > b.result.fingerprint ? 1 : 0;
  };
}

/** Sorted: short runs, merged two by two. */
function* sorted(entries: Entry[], compare: Compare): Generator<void, Entry[], void> {
  let runs: Entry[][] = [];
  for (let from = 0; from < entries.length; from += RUN) {
    runs.push(entries.slice(from, from + RUN).sort(compare));
    yield;
  }
  while (runs.length > 1) {
    const longer: Entry[][] = [];
    for (let index = 0; index < runs.length; index += 2)
      longer.push(index + 1 < runs.length ? yield* mergedWith(runs[index]!, runs[index + 1]!, compare) : runs[index]!);
    runs = longer;
  }
  return runs[0] ?? [];
}

/** Both in one order, without those of `standing` that leave. */
function* mergedWith(standing: readonly Entry[], incoming: readonly Entry[], compare: Compare): Generator<void, Entry[], void> {
  const merged: Entry[] = [];
  let next = 0;
  for (let place = 0; place < standing.length; place++) {
    const entry = standing[place]!;
    if (place % (2 * STEP) === 0) yield;
    if (entry.leaving) continue;
    while (next < incoming.length && compare(incoming[next]!, entry) < 0) merged.push(incoming[next++]!);
    merged.push(entry);
  }
  while (next < incoming.length) merged.push(incoming[next++]!);
  return merged;
}
