/** A check's result, `partywidgets.result/1`, as `scans/model.py` writes it. */

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
