import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Mark } from "../terminal-protocol.ts";
import type { Answer, Asked } from "./terminal-room.ts";
import { TerminalRun } from "./terminal-run.ts";

const STATUS = { connection: "me", people: [{ connection: "me", name: "Ana", role: "operator", subject: "ana" }] };
const LOST: Answer = { ok: false, error: "the connection was lost before the answer came", lost: true };
let asked: Asked[];
let replies: ((answer: Answer) => void)[];
let controller: AbortController;
let run: TerminalRun;
const start = (change: Partial<Mark> = {}): Mark => ({
  type: "mark",
  kind: "start",
  id: "c1",
  command: "make it",
  actor: "Ana",
  offset: 0,
  ...change,
});
const end = (change: Partial<Mark> = {}): Mark => start({ kind: "end", exit_code: 3, duration_s: 2, ...change });

beforeEach(() => {
  [asked, replies, controller] = [[], [], new AbortController()];
  const ask = (request: Asked) => {
    asked.push(request);
    return new Promise<Answer>((resolve) => replies.push(resolve));
  };
  run = new TerminalRun({ status: STATUS as never, ask }, controller.signal);
});
afterEach(() => void vi.useRealTimers());

describe("a command in the shared shell", () => {
  it("is run by the room, which tells how it ended", async () => {
    const ran = run.run("make it", 60);
    expect(asked).toEqual([{ type: "run", command: "make it", timeout_s: 60 }]);
    replies[0]!({ ok: true, result: { id: "c1", exit_code: 0, duration_s: 1.5 } });
    expect(await ran).toEqual({ ok: true, exitCode: 0, durationS: 1.5 });
  });

  it("that the room refuses, or that does not end in time, is its sentence", async () => {
    const ran = run.run("make it", 60);
    replies[0]!({ ok: false, error: "Bo has control of the terminal" });
    expect(await ran).toEqual({ ok: false, error: "Bo has control of the terminal" });
  });

  it("is followed over a lost connection, by the mark of its end", async () => {
    let began = 0;
    const ran = run.run("make it", 60, () => began++);
    run.mark(start({ id: "other", actor: "Bo" }));
    expect(began).toBe(0);
    run.mark(start());
    expect(began).toBe(1);
    replies[0]!(LOST);
    await Promise.resolve();
    run.mark(end({ id: "other", exit_code: 0 }));
    run.mark(end());
    expect(await ran).toEqual({ ok: true, exitCode: 3, durationS: 2 });
  });

  it("that ended while the connection was away is found in the ledger", async () => {
    const ran = run.run("make it", 60);
    run.mark(start());
    replies[0]!(LOST);
    await new Promise((resolve) => setTimeout(resolve));
    const back = run.back();
    expect(asked.at(-1)).toEqual({ type: "history" });
    replies[1]!({
      ok: true,
      result: {
        commands: [
          { id: "c0", exit_code: 9 },
          { id: "c1", exit_code: 0, duration_s: 8 },
        ],
      },
    });
    await back;
    expect(await ran).toEqual({ ok: true, exitCode: 0, durationS: 8 });
  });

  it("is not said to have run when the connection went before it began", async () => {
    const ran = run.run("make it", 60);
    run.mark(start({ command: "something else" }));
    replies[0]!(LOST);
    expect(await ran).toMatchObject({ ok: false, error: expect.stringContaining("before the command began") });
  });

  it("of which nothing comes back ends as not known, at the time limit or when the view goes", async () => {
    vi.useFakeTimers();
    const late = run.run("make it", 60);
    run.mark(start());
    replies[0]!(LOST);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await late).toMatchObject({ ok: false, error: expect.stringContaining("not known how it ended") });
    const gone = run.run("make it", 60);
    run.mark(start({ id: "c2" }));
    replies[1]!(LOST);
    await vi.advanceTimersByTimeAsync(0);
    controller.abort();
    expect(await gone).toMatchObject({ ok: false });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("asks for no ledger when it waits for nothing", async () => {
    await run.back();
    expect(asked).toEqual([]);
  });
});
