import { readFileSync } from "node:fs";
import type { OpsSnapshot, Proof } from "../ops-protocol.ts";
import type { Result } from "../result.ts";

const vectors = JSON.parse(readFileSync("../tests/vectors/ops.json", "utf8")) as { message: { type: string; data: unknown } }[];

/** The snapshot of an ops room that Python's tests are held to, too. */
export const SNAPSHOT = vectors.find(({ message }) => message.type === "snapshot")!.message.data as OpsSnapshot;

/** A failing row of it. */
export const RESULT: Result = SNAPSHOT.results[0]!;

/** A remedy that made that row ok. */
export const proof = (change: Partial<Proof> = {}): Proof => ({
  id: "p2",
  fingerprint: RESULT.fingerprint,
  check_id: RESULT.check_id,
  title: RESULT.title,
  actor: "Rob",
  sandbox: "web",
  command: "supervisorctl restart shop",
  exit_code: 0,
  duration_s: 1.5,
  scan_id: "s",
  at: "2026-11-23T06:00:00.000Z",
  before: { seq: 1, result_id: "a", status: "crit", summary: "got 503", observed_at: "2026-11-23T05:59:00.000Z" },
  after: { seq: 2, result_id: "b", status: "ok", summary: "got 200", observed_at: "2026-11-23T06:00:01.000Z" },
  ...change,
});
