import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Proof } from "./ops-protocol.ts";
import type { Reply } from "./protocol.ts";
import { COMMAND_S, caution, obstacle, Remedy, type Shell } from "./remedy.ts";
import type { Result } from "./result.ts";
import { noChanges } from "./rooms/changes.ts";
import { OpsStore } from "./rooms/ops-store.ts";
import type { Ran } from "./rooms/terminal-run.ts";
import type { TerminalStatus } from "./rooms/terminal-status.ts";
import { proof, SNAPSHOT } from "./testing/ops.ts";

const ROW: Result = SNAPSHOT.results[0]!;
const GIVEN = "running: given to the shell of web: it runs when the prompt is there";
const OK: Ran = { ok: true, exitCode: 0, durationS: 1.5 };

const shell = (status: Partial<TerminalStatus> = {}, state: NonNullable<Shell>["state"] = "live", reason = ""): Shell => ({
  state,
  reason,
  status: { connection: "me", role: "operator", canType: true, lease: null, exit: null, reason: "", ...status } as TerminalStatus,
});

let store: OpsStore;
let asked: { type: string; body: Record<string, unknown> }[];
let replies: Record<string, Reply>;
let words: string[];
let controller: AbortController;
let remedy: Remedy;
let live: boolean;
const ops = () => ({
  store,
  live,
  ask: (async (type: string, body: Record<string, unknown>) => {
    asked.push({ type, body });
    return replies[type] ?? { id: "", ok: false, error: "not connected: try again when the state says live" };
  }) as never,
});
const told = (message: Proof, reset = false) => {
  store.apply({ type: "remedy", data: message }, noChanges());
  return remedy.news(reset);
};

beforeEach(() => {
  store = new OpsStore();
  store.apply({ type: "snapshot", data: { ...SNAPSHOT, part: 1, of: 1, role: "responder" } }, noChanges());
  [asked, words, live, controller] = [[], [], true, new AbortController()];
  replies = { remedy: { id: "", ok: true, result: { remedy: "p2", scan_id: "s" } } };
  remedy = new Remedy(ops(), () => words.push(`${remedy.state.stage}: ${remedy.state.words}`), controller.signal);
});
afterEach(() => {
  controller.abort();
  vi.useRealTimers();
});

describe("a remedy", () => {
  it("runs, has its row alone looked at again, and ends with before and after", async () => {
    const typed: unknown[] = [];
    const done = remedy.run(ROW.fingerprint, "web", "restart", async (command, timeoutS, began) => {
      typed.push([command, timeoutS]);
      began?.();
      return OK;
    });
    expect(remedy.busy).toBe(true);
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    expect(typed).toEqual([["restart", COMMAND_S]]);
    expect(asked[0]).toEqual({
      type: "remedy",
      body: { fingerprint: ROW.fingerprint, sandbox: "web", command: "restart", exit_code: 0, duration_s: 1.5, before: ROW.seq },
    });
    await told(proof());
    await done;
    expect(words).toEqual([
      GIVEN,
      "running: running in web",
      "looking: exit 0 after 1.50 s: the row is being looked at again",
      "proved: exit 0 after 1.50 s. crit → ok: got 200",
    ]);
    expect([remedy.state.mended, remedy.busy]).toEqual([true, false]);
  });

  it("whose command fails has its row looked at none the less, and is no mending", async () => {
    const done = remedy.run(ROW.fingerprint, "web", "restart", async () => ({ ok: true, exitCode: 3, durationS: 0.01 }));
    await vi.waitFor(() => expect(asked[0]?.body).toMatchObject({ exit_code: 3 }));
    await told(proof({ exit_code: 3, after: { ...proof().after!, status: "crit", summary: "got 503" } }));
    await done;
    expect(words.at(-1)).toBe("proved: exit 3. crit → crit: got 503");
    expect(remedy.state.mended).toBe(false);
  });

  it("that did not run tells the room nothing", async () => {
    await remedy.run(ROW.fingerprint, "web", "restart", async () => ({
      ok: false,
      error: "`restart` did not end within 900 s: it still runs",
    }));
    await remedy.run(ROW.fingerprint, "web", "x".repeat(5000), async () => OK);
    expect(words).toEqual([
      GIVEN,
      "failed: `restart` did not end within 900 s: it still runs",
      "failed: the command has 5000 characters, a remedy at most 4096: run a script instead",
    ]);
    expect(asked).toEqual([]);
  });

  it.each(["ls\x1b[A", "ls\rrm x", "ls \u202egpj.mr", "l\u200bs"])("does not type what cannot be seen: %j", async (command) => {
    await remedy.run(ROW.fingerprint, "web", command, () => Promise.reject(new Error("typed")));
    expect(remedy.state).toMatchObject({ stage: "failed", words: expect.stringContaining("cannot be seen") });
    void remedy.run(ROW.fingerprint, "web", "if true\n\tthen ls é ✓\nfi", () => new Promise(() => {}));
    expect(remedy.state.stage).toBe("running");
  });

  it("that the room did not hear of is told again without a second run", async () => {
    replies = {};
    let runs = 0;
    await remedy.run(ROW.fingerprint, "web", "restart", async () => {
      runs++;
      return OK;
    });
    expect(words.at(-1)).toMatch(/^untold: exit 0 after 1.50 s, but the row was not looked at: not connected/);
    replies = { remedy: { id: "", ok: true, result: { remedy: "p2", scan_id: "s" } } };
    const again = remedy.look();
    await vi.waitFor(() => expect(asked).toHaveLength(2));
    await told(proof());
    await again;
    expect([runs, remedy.state.stage, asked[1]!.body]).toEqual([1, "proved", asked[0]!.body]);
  });

  it("whose proof came while the page was away is asked for", async () => {
    replies.past = { id: "", ok: true, result: { hours: [], remedy: proof() } };
    const done = remedy.run(ROW.fingerprint, "web", "restart", async () => OK);
    await vi.waitFor(() => expect(remedy.state.stage).toBe("looking"));
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    await remedy.look(); // it is being looked at already
    expect(asked).toHaveLength(1);
    await remedy.news(true);
    await done;
    expect([remedy.state.stage, asked[1]!.type]).toEqual(["proved", "past"]);
  });

  it("is not held up by a look that takes long", async () => {
    vi.useFakeTimers();
    const done = remedy.run(ROW.fingerprint, "web", "restart", async () => OK);
    await vi.advanceTimersByTimeAsync(0);
    await told(proof({ id: "p1", actor: "an older one" }));
    await vi.advanceTimersByTimeAsync(120_000);
    await done;
    expect(words.at(-1)).toMatch(/^late: exit 0 after 1.50 s. The look at the row takes long/);
  });

  it("that is left says no more", async () => {
    const done = remedy.run(ROW.fingerprint, "web", "restart", async () => {
      controller.abort();
      return OK;
    });
    await done;
    expect([words, asked]).toEqual([[GIVEN], []]);
  });
});

describe("what hinders a remedy is said with what to do", () => {
  it.each<[string, Shell, string]>([
    ["nothing", shell(), ""],
    ["a shell that another has", shell({ canType: false, lease: { connection: "b", name: "Bo" } }), ""],
    ["a terminal that opens", null, "opening the terminal"],
    ["a shell that starts", shell({ reason: "pulling the image" }, "connecting"), "pulling the image"],
    ["an observer", shell({ role: "observer", canType: false }), "you are observer in this terminal: ask a moderator"],
    ["a shell that ended", shell({ exit: { code: 1, reason: "" } }, "ended"), "no shell: it ended. Restart starts one"],
    [
      "an unknown sandbox",
      shell({ upstream: "failed", reason: "no sandbox has the id 'web': add it" }, "ended"),
      "no shell: no sandbox has the id 'web': add it; then press Restart",
    ],
    ["a refusal", shell({}, "refused", "this terminal is open on the sandbox default"), "no terminal: this terminal is open"],
    ["a lost host", shell({}, "lost", "No live host"), "no terminal: No live host"],
  ])("%s", (_, given, sentence) => {
    const found = obstacle(ops(), ROW.fingerprint, given);
    expect(sentence === "" ? found : found.slice(0, sentence.length)).toBe(sentence);
  });

  it("on the ops room's side too", () => {
    expect(obstacle(ops(), "nothing", shell())).toContain("this row is gone");
    store.role = "viewer";
    expect(obstacle(ops(), ROW.fingerprint, shell())).toContain(
      "you are viewer here: running a remedy needs the ops role responder or admin",
    );
    live = false;
    expect(obstacle(ops(), ROW.fingerprint, shell())).toContain("not connected to the ops room");
  });

  it("and who has the keyboard is said before, without forbidding it", () => {
    expect(caution(shell({ canType: false, lease: { connection: "b", name: "Bo" } }))).toContain("Bo has control: take control first");
    expect(caution(shell({ lease: { connection: "me", name: "Ana" } }))).toBe("");
    expect(caution(null)).toBe("");
  });
});
