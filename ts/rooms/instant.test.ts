import { describe, expect, it } from "vitest";
import { instant } from "./instant.ts";

describe("instant", () => {
  it("reads every time as Date.parse does, whatever the day before it was", () => {
    const texts = Array.from({ length: 2000 }, (_, index) => new Date(index * 86_123_456_789 - 4e12 + index).toISOString());
    for (const text of [...texts, ...texts.reverse()]) expect(instant(text)).toBe(Date.parse(text));
  });

  it.each([
    "",
    "2026-11-28",
    "2026-11-28T24:00:00.000Z",
    "2026-11-28T23:60:00.000Z",
    "2026-11-28T2a:00:00.000Z",
    "2026-11-28T03:04:05.6 8Z",
    "2026-11-28T03-04-05.678Z",
    "2026-13-28T03:04:05.678Z",
    "2026-11-28T03:04:05+02:00",
    "2026-11-28T03:04:05.678901Z",
    "not a time, but as long.Z",
  ])("says of %j what Date.parse says", (text) => {
    instant("2026-11-28T03:04:05.678Z");
    expect(instant(text)).toBe(Date.parse(text));
  });
});
