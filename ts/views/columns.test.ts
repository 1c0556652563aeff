import { expect, test } from "vitest";
import { COLUMNS, columnsFor, leastOf } from "./columns.ts";

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
