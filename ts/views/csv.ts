/** Results as CSV (RFC 4180). */
import type { Result } from "../protocol.ts";

const COLUMNS = ["fingerprint", "check_id", "title", "target", "status", "severity", "summary", "duration_ms", "observed_at"] as const;

/** One line per result, with a header; lines end with CRLF. */
export function toCsv(results: Result[]): string {
  const lines = [COLUMNS.join(","), ...results.map((result) => COLUMNS.map((column) => field(result[column])).join(","))];
  return `${lines.join("\r\n")}\r\n`;
}

/** A text that a spreadsheet would run as a formula gets an apostrophe, since titles and summaries come from what was checked. */
function field(value: string | number | null | undefined): string {
  let text = value === null || value === undefined ? "" : String(value);
  if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
