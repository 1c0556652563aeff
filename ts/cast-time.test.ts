import { describe, expect, it } from "vitest";
import { playbackTime } from "./cast-time.ts";

const CAST = [
  '{"version":3,"term":{"cols":80,"rows":24}}',
  '[0.5,"o","$ "]',
  "#pw {}",
  '[10,"m","$ ls"]',
  '[ 1, "o", "[99, file]\\r\\n"]',
  '[100.0,"o","late"]',
  '[0.5,"x","0"]',
  "",
].join("\n");

describe("a moment of a recording", () => {
  it("is where the player plays it when every pause is cut to the limit", () => {
    const at = playbackTime(CAST, 2);
    expect([0, 0.5, 10.5, 11.5, 111.5, 112].map(at)).toEqual([0, 0.5, 2.5, 3.5, 5.5, 6]);
  });

  it("goes on for the limit inside a long pause and stands still until its end", () => {
    const at = playbackTime(CAST, 2);
    expect([1.5, 2.5, 4, 10.4].map(at).map((seconds) => Number(seconds.toFixed(9)))).toEqual([1.5, 2.5, 2.5, 2.5]);
  });

  it("is itself where no pause is longer than the limit", () => {
    const at = playbackTime(CAST, 100);
    expect([0, 10.5, 111.5, 500].map(at)).toEqual([0, 10.5, 111.5, 500]);
  });
});
