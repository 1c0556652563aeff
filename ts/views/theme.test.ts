import { describe, expect, it } from "vitest";
import { contrast, standingOut } from "./theme.ts";

describe("the contrast of two colours", () => {
  it("is that of WCAG 2", () => {
    expect(contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)")).toBeCloseTo(21);
    expect(contrast("rgb(118, 118, 118)", "rgb(255, 255, 255)")).toBeCloseTo(4.54, 2);
  });

  // The grounds and brand colours of JupyterLab's and VS Code's own themes, and of some that people install.
  it.each([
    ["rgb(25, 118, 210)", "rgb(255, 255, 255)"],
    ["rgb(100, 181, 246)", "rgb(17, 17, 17)"],
    ["rgb(0, 120, 212)", "rgb(31, 31, 31)"],
    ["rgb(0, 95, 184)", "rgb(255, 255, 255)"],
    ["rgb(131, 148, 150)", "rgb(0, 43, 54)"],
    ["rgb(101, 123, 131)", "rgb(253, 246, 227)"],
    ["rgb(171, 178, 191)", "rgb(40, 44, 52)"],
  ])("%s is mixed with %s until it stands out, and no further", (color, on) => {
    const mixed = standingOut(color, on);
    expect(contrast(mixed, on)).toBeGreaterThanOrEqual(3);
    expect(contrast(mixed, on)).toBeLessThan(3.8);
  });

  it("has no more than the colour itself", () => {
    expect(standingOut("rgb(200, 200, 200)", "rgb(255, 255, 255)")).toBe("rgb(200, 200, 200)");
  });
});
