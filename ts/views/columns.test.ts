import { expect, test } from "vitest";
import type { Result } from "../result.ts";
import { COLUMNS, columnsFor, leastOf, stacks } from "./columns.ts";

test.each([false, true])(
  "while nobody chose columns a table of any width has room for those that it shows (suppressed: %s)",
  (suppressed) => {
    for (let width = 380; width <= 2000; width += 10) {
      const least = columnsFor(width, suppressed).reduce((sum, key) => sum + leastOf(COLUMNS[key], width), 0);
      expect(least, `at ${width} px`).toBeLessThanOrEqual(width);
    }
  },
);

test("what is wrong and for how long stays in view longest", () => {
  expect(columnsFor(400, true)).toEqual(["status", "title", "summary", "since"]);
  expect(columnsFor(480, true)).toEqual(["status", "title", "summary", "since"]);
  expect(columnsFor(1200, true)).toContain("target");
});

test("a narrow table has two lines a row and just the four columns that stand in them, unless somebody chose its columns", () => {
  expect([519, 520].map((width) => stacks(width, false))).toEqual([true, false]);
  expect(stacks(320, true)).toBe(false);
  expect(columnsFor(519, true)).toEqual(["status", "title", "summary", "since"]);
});

test.each([
  ["crit", "soft", "1/3", "not confirmed: 1 of 3 looks in a row"],
  ["ok", "soft", "1/3", "not confirmed: ok 1 of 3 looks in a row"],
  ["crit", "flapping", "~", "flapping: changes too often"],
] as const)("a mark beside a status says in words what it means: %s, %s", (status, phase, mark, words) => {
  const state = { phase, attempt: 1, max_attempts: 3, since: null, previous: null };
  const cell = COLUMNS.status.cell({ status, state, suppression: null } as unknown as Result);
  const sign = cell.querySelector("[role=img]")!;
  expect([sign.textContent!.trim(), sign.getAttribute("aria-label"), sign.getAttribute("title")]).toEqual([mark, words, words]);
});
