/** What a row is sorted, filtered and grouped by. Pure; `partywidgets/scans/ordering.py` does the same, by the same vectors. */
import { type Result, SEVERITIES, STATUSES } from "../result.ts";
import { instant } from "./instant.ts";

export const COLUMN_KEYS = [
  "status",
  "severity",
  "title",
  "target",
  "summary",
  "duration_ms",
  "since",
  "observed_at",
  "suppression",
  "check_id",
  "check_type",
  "labels",
] as const;
export type ColumnKey = (typeof COLUMN_KEYS)[number];
export type SortValue = string | number;

export interface SortBy {
  key: ColumnKey;
  descending: boolean;
}

/** Worst first; of those that are alike first what nobody takes care of, then the most severe, then by name. */
export const DEFAULT_SORT = ["status", "suppression", "-severity", "title"];

/** Worst first. */
export function statusRank(status: Result["status"]): number {
  const rank = STATUSES.indexOf(status);
  return rank < 0 ? STATUSES.length : rank;
}

/** Least first. */
export function severityRank(severity: Result["severity"]): number {
  return SEVERITIES.indexOf(severity);
}

/** What a column sorts a row by. */
export function sortValue(row: Result, key: ColumnKey): SortValue {
  switch (key) {
    case "status":
      return statusRank(row.status);
    case "severity":
      return severityRank(row.severity);
    case "duration_ms":
      return row.duration_ms;
    default:
      return textOf(row, key);
  }
}

/** What a column says, as text that a filter looks into. */
export function textOf(row: Result, key: ColumnKey): string {
  switch (key) {
    case "title":
      return row.title || row.check_id;
    case "suppression":
      return row.suppression ? `${row.suppression.by} ${row.suppression.actor ?? ""}` : "";
    case "since":
      return row.state?.since ?? "";
    case "labels":
      return labelTexts(row).sort().join(", ");
    default:
      return String(row[key] ?? "");
  }
}

/** When a row is older than it should be, in milliseconds since 1970; infinite when it never is. */
export function staleAt({ observed_at, ttl_s }: Result): number {
  const at = ttl_s === null || ttl_s === undefined ? Number.NaN : instant(observed_at) + ttl_s * 1000;
  return Number.isNaN(at) ? Number.POSITIVE_INFINITY : at;
}

export function labelTexts(row: Result): string[] {
  return Object.entries(row.labels ?? {}).map(([label, value]) => `${label}=${value}`);
}

/** Words such as `["-severity", "title"]`, strongest first; what is not a column is left out. */
export function readSort(words: readonly string[]): SortBy[] {
  return words.flatMap((word) => {
    const descending = word.startsWith("-");
    const key = (descending ? word.slice(1) : word) as ColumnKey;
    return COLUMN_KEYS.includes(key) ? [{ key, descending }] : [];
  });
}

export function writeSort(sort: readonly SortBy[]): string[] {
  return sort.map(({ key, descending }) => (descending ? `-${key}` : key));
}

export const GROUPINGS = ["status", "severity", "check_type", "host"] as const;

/** The group of a row: by one of `GROUPINGS`, or by `label:NAME`; `""` is the group of those that have none. */
export function groupOf(row: Result, by: string): string {
  if (by === "host") return hostOf(row.target ?? "");
  if (by.startsWith("label:")) return row.labels?.[by.slice(6)] ?? "";
  return GROUPINGS.includes(by as never) ? String(row[by as "status"] ?? "") : "";
}

/** Where a group stands: statuses worst first, severities highest first, others by name, without a name last. */
export function groupRank(name: string, by: string): SortValue {
  if (by === "status") return statusRank(name as Result["status"]);
  if (by === "severity") return -severityRank(name as Result["severity"]);
  return name === "" ? "1" : `0${name}`;
}

/** The host in a URL, in `host:port` or in `[address]:port`; any other target is its own. */
export function hostOf(target: string): string {
  const authority = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#]*)/i.exec(target)?.[1] ?? target;
  const [, bracketed, plain] = /^(?:\[([^\]]+)\](?::\d+)?|([^\s:/]+):\d+)$/.exec(authority) ?? [];
  return bracketed ?? plain ?? authority;
}
