import { afterEach, describe, expect, it, vi } from "vitest";
import { SLICE_MS, Slices } from "./slices.ts";

describe("work in slices", () => {
  let abort = new AbortController();
  afterEach(() => {
    abort.abort();
    abort = new AbortController();
    vi.restoreAllMocks();
  });

  it("does what fits into the first slice at once, and the rest in tasks of its own", async () => {
    let [now, steps] = [0, 0];
    const tasks = vi.spyOn(Object.getPrototypeOf(new MessageChannel().port2), "postMessage");
    const slices = new Slices(
      function* () {
        for (let step = 0; step < 40; step++) {
          steps++;
          now += 1;
          yield;
        }
      },
      abort.signal,
      () => now,
    );
    slices.start();
    expect(steps).toBe(SLICE_MS);
    // Whoever asks meanwhile starts nothing a second time.
    slices.start();
    expect(steps).toBe(SLICE_MS);
    await vi.waitFor(() => expect(steps).toBe(40));
    expect(tasks.mock.calls.length).toBe(40 / SLICE_MS);
  });

  it("leaves what was stopped, and begins anew", async () => {
    let now = 0;
    const seen: string[] = [];
    let name = "first";
    const slices = new Slices(
      function* () {
        const mine = name;
        for (let step = 0; step < 3 * SLICE_MS; step++) {
          seen.push(mine);
          now += 1;
          yield;
        }
        seen.push("end");
      },
      abort.signal,
      () => now,
    );
    slices.start();
    slices.stop();
    name = "second";
    slices.start();
    await vi.waitFor(() => expect(seen.at(-1)).toBe("end"));
    expect(seen.filter((word) => word === "first").length).toBe(SLICE_MS);
    expect(seen.filter((word) => word === "second").length).toBe(3 * SLICE_MS);
  });

  it("can start again after an error, and does nothing once aborted", () => {
    let count = 0;
    const slices = new Slices(
      // biome-ignore lint/correctness/useYield: it fails before its first step ends
      function* () {
        count++;
        throw new Error("no");
      },
      abort.signal,
    );
    expect(() => slices.start()).toThrow("no");
    expect(() => slices.start()).toThrow("no");
    expect(count).toBe(2);
    abort.abort();
  });
});
