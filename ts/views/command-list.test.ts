import { expect, test } from "vitest";
import { lasts, position } from "./command-list.ts";

test("a recording says how long it took, and how long it is played without its pauses", () => {
  expect(lasts({ duration_s: 1297, complete: true }, 112)).toBe("21:37, played in 1:52");
  expect(lasts({ duration_s: 61.2, complete: true }, 61.2)).toBe("1:01");
  expect(lasts({ duration_s: 61.2, complete: false }, 61.2)).toBe("1:01 · not ended when it was read");
});

test("hours are shown where there are some", () => {
  expect([59.9, 3600].map(position)).toEqual(["0:59", "1:00:00"]);
});
