import { describe, expect, it } from "vitest";
import { WheelLines } from "./wheel.ts";

describe("lines of a wheel", () => {
  it("adds small movements up, and begins anew when the direction turns", () => {
    const wheel = new WheelLines();
    const lines = [10, 10, 10, -10, -10].map((deltaY) => wheel.take({ deltaY, deltaMode: 0 }, 20, 24));
    expect(lines).toEqual([0, 1, 0, 0, -1]);
  });

  it("takes pixels, lines and pages, and at most a screen", () => {
    const lines = (deltaY: number, deltaMode: number) => new WheelLines().take({ deltaY, deltaMode }, 20, 24);
    expect([lines(100, 0), lines(-3, 1), lines(1, 2), lines(10_000, 0)]).toEqual([5, -3, 24, 24]);
  });
});
