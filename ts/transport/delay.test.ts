import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Delay, measureDelay } from "./delay.ts";

let told: Delay[];
let backs: number;
let heard: number;
let answers: (() => void)[];
let controller: AbortController;
let hidden: boolean;

beforeEach(() => {
  vi.useFakeTimers();
  [told, answers] = [[], []];
  [backs, heard, hidden] = [0, Number.NEGATIVE_INFINITY, false];
  vi.spyOn(document, "hidden", "get").mockImplementation(() => hidden);
  controller = new AbortController();
});
afterEach(() => {
  controller.abort();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

function begin(): void {
  const hello = (timeoutMs: number, signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      answers.push(resolve);
      signal.addEventListener("abort", () => reject(new Error("over")));
      setTimeout(() => reject(new Error("nobody")), timeoutMs);
    });
  measureDelay({ hello, heard: () => heard, tell: (delay) => told.push(delay), back: () => backs++ }, controller.signal);
}

const seconds = () => told.map((delay) => (typeof delay === "object" && delay ? Math.floor(delay.forMs / 1000) : delay));

describe("the delay", () => {
  it("is a question's way there and back", async () => {
    begin();
    await vi.advanceTimersByTimeAsync(40);
    answers[0]!();
    await vi.advanceTimersByTimeAsync(0);
    expect(told).toEqual([40]);
    expect(backs).toBe(0);
  });
});

describe("silence", () => {
  it("is told from the second second on, once a second, over one question after another, until an answer", async () => {
    begin();
    await vi.advanceTimersByTimeAsync(1900);
    expect(told).toEqual([]);
    await vi.advanceTimersByTimeAsync(18_200);
    expect(answers).toHaveLength(2);
    expect(seconds()).toEqual(Array.from({ length: 19 }, (_, index) => index + 2));
    answers[1]!();
    await vi.advanceTimersByTimeAsync(0);
    expect(seconds().at(-1)).toBe(5100);
    expect(backs).toBe(1);
    const count = told.length;
    await vi.advanceTimersByTimeAsync(4900);
    expect(told).toHaveLength(count);
  });

  it("of a way on which something else still comes is told as such", async () => {
    begin();
    await vi.advanceTimersByTimeAsync(2500);
    expect(told.at(-1)).toMatchObject({ heard: false });
    heard = performance.now();
    await vi.advanceTimersByTimeAsync(1000);
    expect(told.at(-1)).toMatchObject({ heard: true });
  });

  it("costs a hidden page no timer, and is told again once a question that is asked then has no answer", async () => {
    begin();
    await vi.advanceTimersByTimeAsync(3100);
    hidden = true;
    document.dispatchEvent(new Event("visibilitychange"));
    const [count, timers] = [told.length, vi.getTimerCount()];
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told).toHaveLength(count);
    expect(answers).toHaveLength(1);
    hidden = false;
    document.dispatchEvent(new Event("visibilitychange"));
    await vi.advanceTimersByTimeAsync(1900);
    expect(told).toHaveLength(count);
    expect(answers).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1100);
    expect(seconds().at(-1)).toBe(66);
    expect(vi.getTimerCount()).toBeLessThanOrEqual(timers + 1);
  });

  it("ends with the view", async () => {
    begin();
    await vi.advanceTimersByTimeAsync(3100);
    const count = told.length;
    controller.abort();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(told).toHaveLength(count);
    expect(vi.getTimerCount()).toBe(0);
  });
});
