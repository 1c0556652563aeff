/** Results as CSV (RFC 4180). */
import type { Result } from "../result.ts";

const COLUMNS = ["fingerprint", "check_id", "title", "target", "status", "severity", "summary", "duration_ms", "observed_at"] as const;

/** Lines of values under their names, as the host lists them. */
export function listedCsv(columns: readonly string[], rows: readonly (string | number | null)[][]): string {
  return `${[columns.join(","), ...rows.map((row) => row.map(field).join(","))].join("\r\n")}\r\n`;
}

/** One line per result, with a header; lines end with CRLF. */
export function toCsv(results: Result[]): string {
  return listedCsv(
    COLUMNS,
    results.map((result) => COLUMNS.map((column) => result[column] ?? null)),
  );
}

/** As `toCsv`, for the clipboard: fields parted by tabs, no field with a tab or a line break in it, as a spreadsheet or a mail takes it. */
export function toTabs(results: Result[]): string {
  const plain = (value: Result[(typeof COLUMNS)[number]]) => harmless(value).replace(/[\t\r\n]+/g, " ");
  return [COLUMNS.join("\t"), ...results.map((result) => COLUMNS.map((column) => plain(result[column])).join("\t"))].join("\n");
}

/** A text that a spreadsheet would run as a formula gets an apostrophe, since titles and summaries come from what was checked. */
function harmless(value: string | number | null | undefined): string {
  const text = value === null || value === undefined ? "" : String(value);
  return typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
}

function field(value: string | number | null | undefined): string {
  const text = harmless(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
