import { expect, test } from "vitest";
import type { Point } from "../rooms/series.ts";
import { columns } from "./latency-chart.ts";

const points = (...seconds: number[]) => seconds.map((at): Point => ({ at: at * 1000, durationMs: at, status: "ok" }));

test("a time in which nobody looked is a gap in the line", () => {
  expect(columns(points(1, 2, 3, 60, 61))).toEqual([
    [1, 2, 3, 31.5, 60, 61],
    [1, 2, 3, null, 60, 61],
  ]);
});

test("looks that come unevenly are one line, and so are two", () => {
  expect(columns(points(1, 2, 4, 8, 9))[1]).not.toContain(null);
  expect(columns(points(1, 3600))[1]).toEqual([1, 3600]);
  expect(columns([])).toEqual([[], []]);
});
