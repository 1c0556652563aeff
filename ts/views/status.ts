/** Status, severity, durations and times in words and signs. */
import { type Result, STATUSES, type Status, type Suppression } from "../result.ts";
import { staleAt } from "../rooms/row-values.ts";
import { element } from "./element.ts";

/** A sign beside every word, so that no state is told by colour alone. */
export const STATUS_ICONS: Record<Status, string> = { crit: "✖", warn: "▲", unknown: "?", ok: "✔", skip: "–" };

/** The mark of a status: sign and word. */
export function statusMark(status: Status): HTMLElement {
  return element(
    "span",
    { class: `pw-status pw-status-${STATUSES.includes(status) ? status : "unknown"}` },
    element("span", { class: "pw-icon", "aria-hidden": "true" }, STATUS_ICONS[status] ?? "?"),
    String(status),
  );
}

/** Milliseconds, short. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return "";
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60_000
    ? `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`
    : `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

/** How long ago, short: `now`, `42s`, `5m`, `3h`, `2d`. */
export function age(at: string | number, now = Date.now()): string {
  const seconds = Math.floor((now - (typeof at === "number" ? at : Date.parse(at))) / 1000);
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 2) return "now";
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

/** Made once: to make one takes a good part of a millisecond, and a table says a time in every line. */
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

/** A point in time in the reader's zone. */
export function clock(at: string | number): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return String(at);
  const time = TIME.format(date);
  return date.toDateString() === new Date().toDateString() ? time : `${date.toLocaleDateString()} ${time}`;
}

/** True when a result is older than it may be. */
export function isStale(result: Result, now = Date.now()): boolean {
  return staleAt(result) < now;
}

/** Of a status that was not seen often enough to count: a problem, or the end of one. */
export function unconfirmed(status: string, attempt: number, of: number): string {
  return `not confirmed: ${status === "ok" ? "ok " : ""}${attempt} of ${of} looks in a row`;
}

/** Why a result does not alert, in a few words. */
export function suppressionText(suppression: Suppression | null): string {
  if (!suppression) return "";
  const { by, id, actor, until } = suppression;
  const word = by === "ack" ? "acked" : by === "silence" ? "silenced" : by === "dependency" && id ? `waits for ${id}` : by;
  return `${word}${actor ? ` by ${actor}` : ""}${until ? ` until ${clock(until)}` : ""}`;
}
