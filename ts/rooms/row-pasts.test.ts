import { expect, test } from "vitest";
import type { Result } from "../result.ts";
import { RowPasts } from "./row-pasts.ts";

const look = (at: number, ms: number, scan_id = "s") =>
  ({ fingerprint: "a", observed_at: new Date(at).toISOString(), duration_ms: ms, status: "ok", scan_id }) as Result;

test("a row that only turned unknown adds no point to its line: nobody looked", () => {
  const rows = new Map([["a", look(1000, 5)]]);
  const pasts = new RowPasts(rows, () => 1);
  pasts.observe(look(1000, 5), look(2000, 7));
  pasts.observe(look(2000, 7), { ...look(3000, 0, ""), status: "unknown" } as Result);
  expect(pasts.series("a").map(({ durationMs }) => durationMs)).toEqual([5, 7]);
});
