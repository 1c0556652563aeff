import { describe, expect, it } from "vitest";
import { boardTitle, dressTab, type Standing, standingOf } from "./tab.ts";

describe("a tab", () => {
  it("counts what fails, and says no more than it knows", () => {
    expect(boardTitle({ crit: 2, warn: 1, unknown: 0, ok: 40, skip: 0 }, true, "ops.example")).toBe("2 crit, 1 warn · ops.example");
    expect(boardTitle({ crit: 0, ok: 3 }, true, "ops.example")).toBe("all ok · ops.example");
    expect(boardTitle({}, true, "ops.example")).toBe("ops.example");
    expect(boardTitle({ crit: 0, ok: 3 }, false, "ops.example")).toBe("not live · ops.example");
  });

  it("has an icon of another shape for each standing", () => {
    expect(standingOf({ crit: 1, ok: 2 }, true)).toBe("failing");
    expect(standingOf({ unknown: 1, ok: 2 }, true)).toBe("warning");
    expect(standingOf({ ok: 2 }, true)).toBe("fine");
    expect(standingOf({ ok: 2 }, false)).toBe("unknown");
    document.head.innerHTML = '<link rel="icon" href="data:,">';
    const link = document.head.querySelector("link")!;
    const shapes = (["failing", "warning", "fine", "unknown"] as Standing[]).map((standing) => {
      dressTab("x", standing);
      return decodeURIComponent(link.href)
        .match(/ d="[^"]+"/g)!
        .join();
    });
    expect(new Set(shapes).size).toBe(4);
    expect(document.title).toBe("x");
  });
});
