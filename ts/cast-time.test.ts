import { describe, expect, it } from "vitest";
import { playbackTime, seekTime } from "./cast-time.ts";

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

describe("a seek to a moment", () => {
  it("is behind all events of that moment and before the next, however the player's sums are rounded", () => {
    const limit = 3;
    const lengths = Array.from({ length: 600 }, (_, index) => (index % 37 ? 1 + ((index * 7919) % 200) : 7001) / 1000);
    const at = playbackTime(lengths.map((length) => `[${length},"o","$ "]`).join("\n"), limit);
    // As the player does it: sums in milliseconds, pauses taken off the sum, events up to and with the sought time.
    let [time, before, shift, thousandths] = [0, 0, 0, 0];
    const events = lengths.map((length) => {
      before = time;
      time += length * 1000;
      shift += Math.max(0, time - before - limit * 1000);
      thousandths += Math.round(length * 1000);
      return { played: time - shift, recorded: thousandths / 1000 };
    });
    const shown = events.map(({ recorded }) => events.filter(({ played }) => played <= seekTime(at(recorded)) * 1000).length);
    expect(shown).toEqual(events.map((_, index) => index + 1));
  });
});
