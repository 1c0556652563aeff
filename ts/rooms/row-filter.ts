/** The language of the filter: words that all must be there. Pure; `partywidgets/scans/row_filter.py` reads the same, by the same vectors. */
import type { Result } from "../result.ts";
import { COLUMN_KEYS, type ColumnKey, labelTexts, staleAt, textOf } from "./row-values.ts";

export interface RowFilter {
  /** Words; `-word` must not be there, `column:word` looks into one column, `duration>500` compares, `"two words"` keeps them together. */
  search: string;
  /** Only these; empty: all. */
  statuses: readonly string[];
}

const SEARCHED: readonly ColumnKey[] = ["title", "check_id", "check_type", "target", "summary", "status", "severity"];
const SHORT: Record<string, ColumnKey> = {
  check: "title",
  id: "check_id",
  type: "check_type",
  duration: "duration_ms",
  ack: "suppression",
  label: "labels",
};
const WORD = /-?(?:[\w.]+[:<>]=?)?(?:"[^"]*"?|\S+)/g;
const TERM = /^(-?)(?:([a-z_]+)(:|[<>]=?))?("?)(.*?)"?$/is;

type Test = (row: Result, text: () => string) => boolean;

/** The word for rows that were not looked at in time. */
export const STALE = "is:stale";

/** True when time alone changes which rows a filter keeps. */
export function goesByTime(search: string): boolean {
  return wordsOf(search).some((word) => word.toLowerCase().replace(/^-/, "") === STALE);
}

/** A search with a word taken out of it, or put behind it. */
export function toggleWord(search: string, word: string): string {
  const words = wordsOf(search);
  const others = words.filter((other) => other.toLowerCase() !== word);
  return (others.length < words.length ? others : [...words, word]).join(" ");
}

function wordsOf(search: string): string[] {
  return search.match(WORD) ?? [];
}

/** True for the rows that the filter keeps. */
export function compileFilter({ search, statuses }: RowFilter, now: () => number = Date.now): (row: Result) => boolean {
  const tests = wordsOf(search).map((word) => readTerm(word, now));
  const only = new Set(statuses);
  return (row) => {
    if (only.size > 0 && !only.has(row.status)) return false;
    let text: string | undefined;
    const whole = () => {
      text ??= [...SEARCHED.map((key) => textOf(row, key)), ...labelTexts(row)].join("\n").toLowerCase();
      return text;
    };
    return tests.every((test) => test(row, whole));
  };
}

function readTerm(word: string, now: () => number): Test {
  const [, minus = "", name = "", operator = "", , rest = ""] = TERM.exec(word) ?? [];
  const key = columnOf(name);
  const wanted = minus === "";
  if (word.toLowerCase().slice(minus.length) === STALE) return (row) => staleAt(row) < now() === wanted;
  if (key === "duration_ms" && operator !== ":" && operator !== "") {
    if (/^\d+(\.\d+)?$/.test(rest)) return (row) => compare(row.duration_ms, operator, Number(rest)) === wanted;
  }
  if (key && operator === ":") {
    const part = rest.toLowerCase();
    return (row) => textOf(row, key).toLowerCase().includes(part) === wanted;
  }
  const part = (minus === "" || word.length === 1 ? word : word.slice(1)).replaceAll('"', "").toLowerCase();
  return (_, text) => text().includes(part) === (wanted || word.length === 1);
}

function columnOf(name: string): ColumnKey | null {
  const key = SHORT[name.toLowerCase()] ?? name.toLowerCase();
  return COLUMN_KEYS.includes(key as ColumnKey) ? (key as ColumnKey) : null;
}

function compare(value: number, operator: string, bound: number): boolean {
  if (operator === ">") return value > bound;
  if (operator === ">=") return value >= bound;
  return operator === "<" ? value < bound : value <= bound;
}
