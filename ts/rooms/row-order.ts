/**
 * The rows in order: sorted, filtered, in groups. It stands outside of any grid: a batch re-places the rows that changed, by one
 * merge, and whoever draws asks for the lines in view. Pure.
 */
import { type Counts, type Result, STATUSES } from "../protocol.ts";
import { DEFAULT_SORT, groupOf, groupRank, readSort, type SortBy, type SortValue, sortValue } from "./row-values.ts";

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

interface Entry {
  result: Result;
  keys: SortValue[];
  group: string;
  /** The filter keeps it. */
  shown: boolean;
  /** It stands among the sorted. */
  placed: boolean;
  /** The next merge takes it out. */
  leaving: boolean;
}

export class RowOrder implements RowLines {
  #entries = new Map<string, Entry>();
  #sorted: Entry[] = [];
  #sort: readonly SortBy[] = readSort(DEFAULT_SORT);
  #by = "";
  #keep: ((row: Result) => boolean) | null = null;
  /** The direction of each of an entry's keys. */
  #descending: boolean[] = this.#sort.map(({ descending }) => descending);
  #folded = new Set<string>();
  #groups: Group[] | null = null;
  #length = 0;

  /** Adds or changes rows. */
  put(results: Iterable<Result>): void {
    const touched = new Set<Entry>();
    for (const result of results) {
      const { fingerprint } = result;
      let entry = this.#entries.get(fingerprint);
      if (entry === undefined) {
        entry = { result, keys: [], group: "", shown: false, placed: false, leaving: false };
        this.#entries.set(fingerprint, entry);
      }
      entry.result = result;
      if (this.#rekeyed(entry)) touched.add(entry);
      entry.shown = this.#keep === null || this.#keep(result);
      if (entry.shown !== entry.placed) touched.add(entry);
    }
    for (const entry of touched) entry.leaving = entry.placed;
    if (touched.size > 0) this.#merge([...touched].filter(({ shown }) => shown));
    this.#groups = null;
  }

  remove(fingerprints: Iterable<string>): void {
    let leaving = false;
    for (const fingerprint of fingerprints) {
      const entry = this.#entries.get(fingerprint);
      this.#entries.delete(fingerprint);
      if (!entry?.placed) continue;
      entry.leaving = true;
      leaving = true;
    }
    if (leaving) this.#merge([]);
  }

  /** Sorts anew; the strongest first. Equal rows stand by fingerprint, so that the order is one. */
  sort(sort: readonly SortBy[]): void {
    this.#sort = sort;
    this.#rekey();
  }

  /** Groups by what `groupOf` knows; `""`: not at all. */
  group(by: string): void {
    if (by === this.#by) return;
    this.#by = by;
    this.#folded.clear();
    this.#rekey();
  }

  filter(keep: (row: Result) => boolean): void {
    this.#keep = keep;
    for (const entry of this.#entries.values()) entry.shown = keep(entry.result);
    this.#arrange();
  }

  fold(group: string, folded: boolean): void {
    if (folded) this.#folded.add(group);
    else this.#folded.delete(group);
    this.#groups = null;
  }

  get grouped(): boolean {
    return this.#by !== "";
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
    if (this.#by === "") return { group: null, row: this.#sorted[index]?.result ?? null };
    const group = groups[groupAt(groups, index)];
    if (!group || index === group.line) return group ? { group } : { group: null, row: null };
    return { group: null, row: this.#sorted[group.from + index - group.line - 1]?.result ?? null };
  }

  place(fingerprint: string): number {
    const entry = this.#entries.get(fingerprint);
    if (!entry?.placed) return -1;
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#compare(this.#sorted[middle]!, entry) < 0) low = middle + 1;
      else high = middle;
    }
    if (this.#by === "") return low;
    const group = this.#divided().find(({ from, count }) => low >= from && low < from + count);
    return group?.open ? group.line + 1 + low - group.from : -1;
  }

  placeOfGroup(name: string): number {
    return this.#divided().find((group) => group.name === name)?.line ?? -1;
  }

  order(): string[] {
    return this.#sorted.map(({ result }) => result.fingerprint);
  }

  /** Brings the keys and the group of an entry up to its result; true when they are others. */
  #rekeyed(entry: Entry): boolean {
    const { keys, result } = entry;
    let changed = false;
    let place = 0;
    if (this.#by !== "") {
      entry.group = groupOf(result, this.#by);
      const rank = groupRank(entry.group, this.#by);
      changed = keys[0] !== rank;
      keys[place++] = rank;
    }
    for (const { key } of this.#sort) {
      const value = sortValue(result, key);
      if (keys[place] !== value) {
        changed = true;
        keys[place] = value;
      }
      place++;
    }
    return changed;
  }

  #compare = (a: Entry, b: Entry): number => {
    const [x, y] = [a.keys, b.keys];
    for (let index = 0; index < x.length; index++) {
      if (x[index] === y[index]) continue;
      return x[index]! < y[index]! === this.#descending[index] ? 1 : -1;
    }
    return a.result.fingerprint < b.result.fingerprint ? -1 : a.result.fingerprint > b.result.fingerprint ? 1 : 0;
  };

  /** Takes out what leaves and merges what comes: one pass over the rows, however many changed. */
  #merge(incoming: Entry[]): void {
    incoming.sort(this.#compare);
    const merged: Entry[] = [];
    let next = 0;
    for (const entry of this.#sorted) {
      if (entry.leaving) {
        entry.leaving = false;
        entry.placed = false;
        continue;
      }
      while (next < incoming.length && this.#compare(incoming[next]!, entry) < 0) merged.push(incoming[next++]!);
      merged.push(entry);
    }
    while (next < incoming.length) merged.push(incoming[next++]!);
    for (const entry of incoming) entry.placed = true;
    this.#sorted = merged;
    this.#groups = null;
  }

  #rekey(): void {
    this.#descending = this.#sort.map(({ descending }) => descending);
    if (this.#by !== "") this.#descending.unshift(false);
    for (const entry of this.#entries.values()) {
      entry.keys.length = 0;
      entry.group = "";
      this.#rekeyed(entry);
    }
    this.#arrange();
  }

  #arrange(): void {
    for (const entry of this.#entries.values()) entry.placed = entry.shown;
    this.#sorted = [...this.#entries.values()].filter(({ placed }) => placed).sort(this.#compare);
    this.#groups = null;
  }

  #divided(): Group[] {
    if (this.#groups) return this.#groups;
    const groups: Group[] = [];
    if (this.#by === "") this.#length = this.#sorted.length;
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
