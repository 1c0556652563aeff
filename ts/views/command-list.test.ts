import { expect, test } from "vitest";
import { commandList, lasts, position } from "./command-list.ts";

test("a recording says how long it took, and how long it is played without its pauses", () => {
  expect(lasts({ duration_s: 1297, complete: true }, 112)).toBe("21:37, played in 1:52");
  expect(lasts({ duration_s: 61.2, complete: true }, 61.2)).toBe("1:01");
  expect(lasts({ duration_s: 61.2, complete: false }, 61.2)).toBe("1:01 · not ended when it was read");
});

test("who ran a command stands beside it where it was not one person", () => {
  const of = (...actors: string[]) => {
    const commands = actors.map((actor, time) => ({ time, command: "df", actor, exit_code: 0, duration_s: 0.1 }));
    return [...commandList(commands, () => {}).querySelectorAll("li")].map((line) => line.textContent);
  };
  expect(of("Ada", "Ben", "")).toEqual(["0:00dfAda✓ exit 0 · 100 ms", "0:01dfBen✓ exit 0 · 100 ms", "0:02dfsomebody✓ exit 0 · 100 ms"]);
  expect(of("Ada", "Ada")).toEqual(["0:00df✓ exit 0 · 100 ms", "0:01df✓ exit 0 · 100 ms"]);
});

test("hours are shown where there are some", () => {
  expect([59.9, 3600].map(position)).toEqual(["0:59", "1:00:00"]);
});
