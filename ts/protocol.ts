/** Frames and messages as docs/topics/messages.md fixes them. Pure functions and types, tested against tests/vectors/*.json. */

export const TERMINAL_DIALECT = "partywidgets.terminal.v1";
export const OPS_DIALECT = "partywidgets.v1";
export const TICKET_PREFIX = "partywidgets.ticket.";

const OUTPUT = 1;
const INPUT = 2;
const SNAPSHOT = 3;

export type TerminalFrame =
  | { kind: "output"; offset: number; bytes: Uint8Array }
  | { kind: "input"; sequence: number; bytes: Uint8Array }
  | { kind: "snapshot"; offset: number; cols: number; rows: number; bytes: Uint8Array };

/** Reads one binary frame of `partywidgets.terminal.v1`. Throws a RangeError that says what it got. */
export function decodeFrame(frame: Uint8Array): TerminalFrame {
  const kind = frame[0];
  const header = kind === SNAPSHOT ? 13 : 9;
  if (frame.length < header) throw new RangeError(`expected a terminal frame of at least ${header} bytes, got ${frame.length}`);
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const number = readU64(view, 1);
  const bytes = frame.subarray(header);
  if (kind === OUTPUT) return { kind: "output", offset: number, bytes };
  if (kind === INPUT) return { kind: "input", sequence: number, bytes };
  if (kind === SNAPSHOT) return { kind: "snapshot", offset: number, cols: view.getUint16(9), rows: view.getUint16(11), bytes };
  throw new RangeError(`expected a terminal frame of kind 1, 2 or 3, got kind ${kind}`);
}

/** An input frame; `sequence` counts from 1 on each socket. */
export function encodeInput(sequence: number, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(9 + bytes.length);
  const view = new DataView(frame.buffer);
  view.setUint8(0, INPUT);
  view.setBigUint64(1, BigInt(sequence));
  frame.set(bytes, 9);
  return frame;
}

/** An offset is a JavaScript number: exact up to 2^53, which is 8 PiB of terminal output. */
function readU64(view: DataView, at: number): number {
  return Number(view.getBigUint64(at));
}

export interface Size {
  cols: number;
  rows: number;
  by: string;
}
export interface Holder {
  connection: string;
  name: string;
}
export interface Lease {
  holder: Holder | null;
  can_type: boolean;
  /** Who waits for the holder's answer; left out by older hosts. */
  asking?: Holder[];
}
export interface Person {
  connection: string;
  name: string;
  role: string;
  subject: string;
}
export interface Welcome {
  type: "welcome";
  epoch: string;
  offset: number;
  resumed: boolean;
  connection: string;
  role: string;
  can_type: boolean;
  size: Size;
  state: UpstreamState;
  reason: string;
  sandbox: string;
  lease: Lease;
  screen: "exact" | "raw";
  host_id: string;
}
export type UpstreamState = "starting" | "running" | "ended" | "failed";
export interface Mark {
  type: "mark";
  kind: "start" | "end";
  id: string;
  command: string;
  actor: string;
  offset: number;
  exit_code?: number | null;
  duration_s?: number | null;
  cwd?: string | null;
}
export interface Reply {
  id: string;
  ok: boolean;
  result?: unknown;
  error?: string;
}

/** Control from a terminal room. */
export type TerminalControl =
  | Welcome
  | { type: "resync"; reason: "joined" | "lagged" | "epoch" | "history" | "asked" }
  | ({ type: "resize"; offset: number } & Size)
  | { type: "presence"; people: Person[] }
  | ({ type: "lease" } & Lease)
  | Mark
  | { type: "upstream"; state: UpstreamState; reason: string; sandbox: string }
  | { type: "lag"; behind: number }
  | { type: "exit"; code: number | null; reason: string }
  | { type: "ticket"; ticket: string; expires_in: number }
  | ({ type: "reply" } & Reply)
  | { type: "waits"; id: string; reason: string }
  | { type: "error"; message: string };

/** Control to a terminal room. */
export type TerminalRequest =
  | { type: "consumed"; offset: number }
  | { type: "resync" }
  | { type: "resize"; cols: number; rows: number }
  | { type: "lease"; action: "take" | "release" | "withdraw" }
  | { type: "lease"; action: "give" | "refuse"; to: string }
  | { type: "ask"; id: string }
  | { type: "eject"; id: string; connection: string }
  | { type: "restart"; id: string }
  | { type: "run"; id: string; command: string; timeout_s: number | null }
  | { type: "cancel"; run: string; interrupt?: boolean }
  | { type: "send"; id: string; text: string }
  | { type: "screen"; id: string; format: "text" | "html" }
  | { type: "history"; id: string };

export const STATUSES = ["crit", "warn", "unknown", "ok", "skip"] as const;
export type Status = (typeof STATUSES)[number];
export const SEVERITIES = ["info", "low", "medium", "high", "critical"] as const;
export type Severity = (typeof SEVERITIES)[number];
export type Counts = Record<Status, number>;

export interface Condition {
  expr: string;
  ok: boolean;
  actual: unknown;
}
export interface Metric {
  name: string;
  value: number;
  unit: string | null;
  warn: unknown;
  crit: unknown;
  min: number | null;
  max: number | null;
}
export interface Evidence {
  kind: string;
  name: string;
  value: string;
  truncated: boolean;
  sha256: string | null;
  redacted: boolean;
}
export interface Remediation {
  text: string | null;
  runbook: string | null;
  cell_id: string | null;
  command: string | null;
  sandbox?: string | null;
  confirm: boolean;
}
export interface Suppression {
  by: string;
  id: string | null;
  until: string | null;
  actor: string | null;
  reason: string | null;
}

/** `partywidgets.result/1`. */
export interface Result {
  schema: string;
  scan_id: string;
  result_id: string;
  seq: number;
  fingerprint: string;
  check_id: string;
  check_type: string;
  target: string;
  title: string;
  status: Status;
  status_code: number | null;
  severity: Severity;
  state: { phase: "soft" | "hard" | "flapping"; since: string; attempt: number; max_attempts: number; previous: Status | null };
  change: "new" | "unchanged" | "updated" | "absent" | "resolved";
  scheduled_at: string | null;
  started_at: string;
  observed_at: string;
  duration_ms: number;
  phases_ms: Record<string, number> | null;
  summary: string;
  details: string | null;
  conditions: Condition[];
  metrics: Metric[];
  evidence: Evidence[];
  error: { class: string; message: string } | null;
  remediation: Remediation | null;
  suppression: Suppression | null;
  labels: Record<string, string>;
  links: unknown[];
  runner: { host: string; version: string; zone: string | null } | null;
  ttl_s: number | null;
}

/** `partywidgets.scan/1`; in a snapshot without `results`. */
export interface ScanReport {
  schema: string;
  scan_id: string;
  trigger: string;
  started_at: string;
  finished_at: string;
  counts: Counts;
  results?: Result[];
  total: number;
  more: string | null;
}
export interface Silence {
  id: string;
  matchers: Record<string, string>;
  until: string | null;
  actor: string;
  reason: string;
  at: string;
}
export interface Ack {
  fingerprint: string;
  until: string | null;
  actor: string;
  reason: string | null;
  at: string;
}
export interface StateChange {
  seq: number;
  fingerprint: string;
  check_id: string;
  title: string;
  from: Status | null;
  to: Status;
  severity: Severity;
  at: string;
  summary: string;
}
/** A row at one moment. */
export interface Seen {
  seq: number;
  result_id: string;
  status: Status;
  summary: string;
  observed_at: string;
}
/** A command that was run for a row, and what the check saw before and after it. */
export interface Proof {
  id: string;
  fingerprint: string;
  check_id: string;
  title: string;
  actor: string;
  sandbox: string;
  command: string;
  exit_code: number | null;
  duration_s: number;
  scan_id: string;
  at: string;
  before: Seen | null;
  after: Seen | null;
}
/** A row's figures of one hour. */
export interface Hour {
  begin: string;
  looks: number;
  ok: number;
  warn: number;
  crit: number;
  unknown: number;
  skip: number;
  /** 0 to 1; null: nobody looked. */
  uptime: number | null;
}
/** The answer to `past`. */
export interface Past {
  hours: Hour[];
  remedy: Proof | null;
  /** The newest first. */
  changes?: StateChange[];
  /** The oldest first. */
  looks?: [observedAt: string, durationMs: number, status: Status][];
  /** Of a row that is ok its last failure, of another its last success; null: there was none. */
  witness?: Result | null;
  /** When the row is looked at next; null: not by itself. */
  next?: string | null;
}

/** A target of notifications whose last message did not arrive. */
export interface FailingTarget {
  target: string;
  error: string;
}

export interface OpsSnapshot {
  epoch: string;
  seq: number;
  part: number;
  of: number;
  results: Result[];
  scan?: ScanReport | null;
  silences?: Silence[];
  running?: string[];
  /** When the next full scan of a schedule begins; null: none does. */
  next?: string | null;
  checks?: number;
  notify?: FailingTarget[];
  /** Why the history is not written; null while it is. */
  unkept?: string | null;
  role?: string;
  /** How many rows there are, of a board that is looked at by windows: then `results` is empty. */
  total?: number;
}

/** The rows in view of a large board, in order, and those of them that are new to this page. */
export interface OpsWindow {
  epoch: string;
  seq: number;
  /** Rows that the filter keeps. */
  rows: number;
  /** Rows on the board. */
  total: number;
  counts: Counts;
  /** The place of the first, among the rows of open groups. */
  from: number;
  order: string[];
  groups: [name: string, count: number, counts: Counts][];
  /** Of the pinned rows those that have left the board. */
  gone?: string[];
  /** When the row looked at last was looked at; left out by older hosts. */
  newest?: string | null;
  /** How many rows of the board are older than they should be. */
  stale?: number;
  results: Result[];
}
export interface WindowQuery {
  sort: string[];
  group: string;
  search: string;
  statuses: Status[];
  folded: string[];
  /** Rows that are told of wherever they stand. */
  pinned: string[];
  from: number;
  count: number;
}

/** A part of all rows that were asked for, with `columns` of the reply; `last`: none comes after it. */
export interface OpsRows {
  id: string;
  from: number;
  last: boolean;
  rows: (string | number | null)[][];
}
export type RowsQuery = Pick<WindowQuery, "sort" | "group" | "search" | "statuses">;

/** From the ops room. */
export type OpsMessage =
  | { type: "snapshot"; data: OpsSnapshot }
  | { type: "window"; data: OpsWindow }
  | { type: "rows"; data: OpsRows }
  | { type: "scan-started"; data: { scan_id: string; trigger: string; started_at: string; total: number; next?: string | null } }
  | { type: "check-result"; data: { seq: number; scan_id: string; done: number; total: number; results: Result[] } }
  | { type: "scan-result"; data: ScanReport }
  | { type: "state-change"; data: StateChange }
  | { type: "notify"; data: { failing: FailingTarget[] } }
  | { type: "unkept"; data: { reason: string | null } }
  | { type: "ack"; data: Ack }
  | { type: "silence"; data: Silence }
  | { type: "remedy"; data: Proof }
  | { type: "ticket"; ticket: string; expires_in: number }
  | { type: "reply"; data: Reply };

/** To the ops room. */
export type OpsRequest =
  | { type: "ack"; data: { id: string; fingerprint: string; reason: string | null; until: string | null } }
  | { type: "silence"; data: { id: string; matchers: Record<string, string>; until: string | null; reason: string } }
  | { type: "past"; data: { id: string; fingerprint: string } }
  | { type: "window"; data: { id: string } & WindowQuery }
  | { type: "rows"; data: { id: string } & RowsQuery }
  | { type: "recheck"; data: { id: string; fingerprints: string[] } }
  | {
      type: "remedy";
      data: { id: string; before: number | null } & Pick<Proof, "fingerprint" | "sandbox" | "command" | "exit_code" | "duration_s">;
    }
  | { type: "scan"; data: { id: string; checks: string[]; labels: Record<string, string> } };

/** Parses a text frame. Throws a SyntaxError or a TypeError when it is not a JSON object with a `type`. */
export function parseMessage<M extends { type: string }>(text: string): M {
  const message: unknown = JSON.parse(text);
  if (typeof message !== "object" || message === null || typeof (message as { type?: unknown }).type !== "string") {
    throw new TypeError(`expected a message with a type, got ${text.slice(0, 80)}`);
  }
  return message as M;
}

/** Ids of requests: random, so that a page knows its own answers among those of others. */
export function requestId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(9));
  return Array.from(bytes, (byte) => byte.toString(36).padStart(2, "0")).join("");
}
