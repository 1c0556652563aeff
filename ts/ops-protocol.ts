/** Messages of the ops room, `partywidgets.v1`. */
import type { Reply } from "./protocol.ts";
import type { Counts, Result, Severity, Status } from "./result.ts";

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
/** How many messages of single rows this page was not told, since it reads more slowly than they come, and since when. */
export interface Skipped {
  changes: number;
  acks: number;
  since: string;
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
  /** Of the whole board, whose rows come in parts; left out by older hosts. */
  counts?: Counts;
  notify?: FailingTarget[];
  /** Why the history is not written; null while it is. */
  unkept?: string | null;
  /** Why the config is not in force as its file is now; null while it is. */
  config_refused?: string | null;
  /** The rows that left in the last ten minutes, and for how many seconds they have been gone. */
  removed?: (Removed & { ago_s: number }) | null;
  role?: string;
  /** What others see the reader as. */
  name?: string;
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

/**
 * Rows that left the board for good: how many, of how many the check looks at something else now, in another row, the first titles, why (of
 * the first), and who did it; null: a file that was read again, a clock.
 */
export interface Removed {
  count: number;
  replaced?: number;
  titles: string[];
  reason: string;
  actor: string | null;
  at: string;
}

/** From the ops room. */
export type OpsMessage =
  | { type: "snapshot"; data: OpsSnapshot }
  | { type: "window"; data: OpsWindow }
  | { type: "rows"; data: OpsRows }
  | { type: "scan-started"; data: { scan_id: string; trigger: string; started_at: string; total: number; next?: string | null } }
  | { type: "check-result"; data: { seq: number; scan_id: string; done: number; total: number; results: Result[] } }
  | { type: "scan-result"; data: ScanReport }
  | { type: "state-change"; data: StateChange }
  | { type: "skipped"; data: Skipped }
  | { type: "notify"; data: { failing: FailingTarget[] } }
  | { type: "unkept"; data: { reason: string | null } }
  | { type: "config-refused"; data: { reason: string | null } }
  | { type: "removed"; data: Removed }
  | { type: "ack"; data: Ack }
  | { type: "silence"; data: Silence }
  | { type: "remedy"; data: Proof }
  | { type: "reply"; data: Reply };

/** To the ops room. */
export type OpsRequest =
  | { type: "ack"; data: { id: string; fingerprint: string; reason: string | null; until: string | null } }
  | { type: "silence"; data: { id: string; matchers: Record<string, string>; until: string | null; reason: string } }
  | { type: "past"; data: { id: string; fingerprint: string } }
  | { type: "window"; data: { id: string } & WindowQuery }
  | { type: "rows"; data: { id: string } & RowsQuery }
  | { type: "ticket"; data: { id: string } }
  | { type: "recheck"; data: { id: string; fingerprints: string[] } }
  | {
      type: "remedy";
      data: { id: string; before: number | null } & Pick<Proof, "fingerprint" | "sandbox" | "command" | "exit_code" | "duration_s">;
    }
  | { type: "scan"; data: { id: string; checks: string[]; labels: Record<string, string> } };
