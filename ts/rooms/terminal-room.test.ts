import { beforeEach, describe, expect, it, vi } from "vitest";
import { TerminalRoom } from "./terminal-room.ts";
import { asksForControl, holdsControl, maySize, sizesOnJoining, type TerminalStatus, whyUnheard } from "./terminal-status.ts";

const WELCOME = {
  type: "welcome",
  epoch: "k1",
  offset: 0,
  resumed: false,
  connection: "me",
  role: "moderator",
  can_type: true,
  size: { cols: 80, rows: 24, by: "Ana" },
  state: "running",
  reason: "",
  sandbox: "default",
  lease: { holder: null, can_type: true },
  screen: "exact",
  host_id: "h",
};

function output(offset: number, text: string): Uint8Array {
  const frame = new Uint8Array(9 + text.length);
  const view = new DataView(frame.buffer);
  view.setUint8(0, 1);
  view.setBigUint64(1, BigInt(offset));
  frame.set(new TextEncoder().encode(text), 9);
  return frame;
}

function snapshot(offset: number, text: string): Uint8Array {
  const frame = new Uint8Array(13 + text.length);
  const view = new DataView(frame.buffer);
  view.setUint8(0, 3);
  view.setBigUint64(1, BigInt(offset));
  view.setUint16(9, 120);
  view.setUint16(11, 40);
  frame.set(new TextEncoder().encode(text), 13);
  return frame;
}

let drawn: string[];
let pending: (() => void)[];
let sent: Record<string, unknown>[];
let inputs: Uint8Array[];
let notices: string[];
let statuses: TerminalStatus[];
let connected: boolean;
let room: TerminalRoom;
const text = (message: object) => room.text(JSON.stringify(message));
const flush = () => {
  for (const done of pending.splice(0)) done();
};

beforeEach(() => {
  [drawn, pending, sent, inputs, notices, statuses, connected] = [[], [], [], [], [], [], true];
  room = new TerminalRoom(
    {
      write: (bytes, done) => {
        drawn.push(new TextDecoder().decode(bytes));
        pending.push(done);
      },
      restore: ({ cols, rows }, bytes, done) => {
        drawn.push(`[${cols}x${rows}]${new TextDecoder().decode(bytes)}`);
        pending.push(done);
      },
      resize: ({ cols, rows }) => drawn.push(`<${cols}x${rows}>`),
    },
    { status: (status) => statuses.push(status), notice: (sentence) => notices.push(sentence), mark() {} },
    (frame) => {
      if (connected) typeof frame === "string" ? sent.push(JSON.parse(frame)) : inputs.push(frame);
      return connected;
    },
  );
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  return () => vi.useRealTimers();
});

describe("the first screen of a connection", () => {
  it("is being caught up with once it is late, until it comes", () => {
    text(WELCOME);
    vi.advanceTimersByTime(999);
    expect(room.status.lagging).toBe(false);
    vi.advanceTimersByTime(1);
    expect(room.status.lagging).toBe(true);
    text({ type: "resync", reason: "joined" });
    expect(room.status.lagging).toBe(true);
    room.binary(snapshot(7, "now"));
    expect(room.status.lagging).toBe(false);
    text({ type: "lag", behind: 9 });
    vi.advanceTimersByTime(5000);
    expect(room.status.lagging).toBe(true);
  });

  it("is not waited for where it came in time, where the connection goes on, and where it is lost", () => {
    text(WELCOME);
    room.binary(snapshot(7, "now"));
    text({ ...WELCOME, offset: 7, resumed: true });
    vi.advanceTimersByTime(5000);
    text({ ...WELCOME, epoch: "k2" });
    room.closed();
    vi.advanceTimersByTime(5000);
    expect(statuses.some(({ lagging }) => lagging)).toBe(false);
  });
});

describe("the lines above a first screen", () => {
  const last = () => sent.filter(({ type }) => type === "consumed").at(-1);

  it("follow by how fast it came, which the page says; nothing is shown of what is over in a moment", () => {
    text(WELCOME);
    text({ type: "resync", reason: "joined", short: true });
    vi.advanceTimersByTime(100);
    room.binary(snapshot(7, "x".repeat(1000)));
    flush();
    expect(last()).toEqual({ type: "consumed", offset: 7, rate: 10_000 });
    text({ type: "resync", reason: "above", short: true });
    vi.advanceTimersByTime(500);
    room.binary(snapshot(7, "x".repeat(4000)));
    flush();
    expect(last()).toEqual({ type: "consumed", offset: 7, rate: 8000 });
    text({ type: "resync", reason: "above" });
    room.binary(snapshot(9, "x".repeat(8000)));
    flush();
    expect(last()).toEqual({ type: "consumed", offset: 9 });
    vi.advanceTimersByTime(5000);
    expect(statuses.some(({ above }) => above !== "whole")).toBe(false);
  });

  it("are on their way when they take a while, and are offered where they do not follow", () => {
    text(WELCOME);
    text({ type: "resync", reason: "joined", short: true });
    room.binary(snapshot(7, "now"));
    vi.advanceTimersByTime(999);
    expect(room.status.above).toBe("whole");
    vi.advanceTimersByTime(1);
    expect(room.status.above).toBe("short");
    text({ type: "resync", reason: "above", short: true });
    vi.advanceTimersByTime(1000);
    expect(room.status.above).toBe("coming");
    room.binary(snapshot(9, "more"));
    expect(room.status.above).toBe("short");
    room.askAbove();
    text({ type: "resync", reason: "asked" });
    expect(room.status.above).toBe("coming");
    room.binary(snapshot(9, "all"));
    expect(room.status.above).toBe("whole");
  });

  it("wait for a new connection when this one is lost", () => {
    text(WELCOME);
    text({ type: "resync", reason: "joined", short: true });
    room.binary(snapshot(7, "now"));
    room.closed();
    vi.advanceTimersByTime(5000);
    expect(room.status.above).toBe("whole");
  });
});

describe("output", () => {
  it("is drawn once, however often it comes", () => {
    text(WELCOME);
    drawn = [];
    room.binary(output(0, "hello"));
    room.binary(output(0, "hello"));
    room.binary(output(3, "lo world"));
    expect(drawn).toEqual(["hello", " world"]);
  });

  it("with a gap before it is not drawn, and a resync is asked for once", () => {
    text(WELCOME);
    drawn = [];
    room.binary(output(10, "late"));
    room.binary(output(14, "later"));
    expect(drawn).toEqual([]);
    expect(sent.filter(({ type }) => type === "resync")).toHaveLength(1);
  });

  it("is acknowledged after 50 ms, when it is on the screen", () => {
    text(WELCOME);
    room.binary(output(0, "hello"));
    vi.advanceTimersByTime(100);
    expect(sent).toEqual([]);
    flush();
    vi.advanceTimersByTime(50);
    expect(sent).toEqual([{ type: "consumed", offset: 5 }]);
  });

  it("is acknowledged at once after 128 KiB", () => {
    text(WELCOME);
    room.binary(output(0, "x".repeat(130 * 1024)));
    flush();
    expect(sent).toEqual([{ type: "consumed", offset: 130 * 1024 }]);
  });

  it("of before a snapshot does not move the acknowledgement when it is drawn late", () => {
    text(WELCOME);
    room.binary(output(0, "old"));
    room.binary(snapshot(1000, "screen"));
    flush();
    vi.advanceTimersByTime(100);
    expect(sent).toEqual([{ type: "consumed", offset: 1000 }]);
  });

  it("of an older shell that is drawn late acknowledges nothing of the new one", () => {
    text(WELCOME);
    room.binary(output(0, "old"));
    text({ ...WELCOME, epoch: "k2" });
    flush();
    vi.advanceTimersByTime(100);
    expect(sent).toEqual([]);
  });

  it("whose acknowledgement did not go out is acknowledged with the next", () => {
    text(WELCOME);
    connected = false;
    room.binary(output(0, "x".repeat(130 * 1024)));
    flush();
    connected = true;
    room.binary(output(130 * 1024, "y"));
    flush();
    expect(sent).toEqual([{ type: "consumed", offset: 130 * 1024 + 1 }]);
  });

  it("goes on after a snapshot at its offset", () => {
    text(WELCOME);
    drawn = [];
    room.binary(snapshot(1000, "screen"));
    room.binary(output(990, "0123456789new"));
    expect(drawn).toEqual(["[120x40]screen", "new"]);
  });

  it("is resized at its place in the stream, also when the word comes before the bytes", () => {
    text(WELCOME);
    drawn = [];
    text({ type: "resize", cols: 100, rows: 30, by: "Ana", offset: 5 });
    room.binary(output(0, "hello"));
    room.binary(output(5, " world"));
    expect(drawn).toEqual(["hello", "<100x30>", " world"]);
  });

  it("keeps a resize that overtook the snapshot of a time before it", () => {
    text(WELCOME);
    drawn = [];
    text({ type: "resize", cols: 120, rows: 24, by: "Ana", offset: 1005 });
    room.binary(snapshot(1000, "screen"));
    room.binary(output(1000, "hello"));
    expect(drawn).toEqual(["[120x40]screen", "hello", "<120x24>"]);
  });

  it("forgets a resize that a later snapshot holds", () => {
    text(WELCOME);
    drawn = [];
    text({ type: "resize", cols: 120, rows: 24, by: "Ana", offset: 500 });
    room.binary(snapshot(1000, "screen"));
    expect(drawn).toEqual(["[120x40]screen"]);
  });

  it("in a broken frame is left alone", () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    room.binary(new Uint8Array([1, 2]));
    room.binary(new Uint8Array(20).fill(9));
    expect(drawn).toEqual([]);
    expect(warn).toHaveBeenCalledTimes(2);
    warn.mockRestore();
  });
});

describe("a connection", () => {
  it("that comes back is welcomed before anything of it holds: what ran before may not run any more", () => {
    text(WELCOME);
    expect(room.status.welcomed).toBe(true);
    room.closed();
    room.opened();
    expect(room.status).toMatchObject({ welcomed: false, upstream: "running" });
    expect(whyUnheard(room.status, true)).toBe("the connection is lost");
    text(WELCOME);
    expect(room.status.welcomed).toBe(true);
  });

  it("that is lost answers what was asked: it may go on in the room", async () => {
    text(WELCOME);
    const asked = room.ask({ type: "run", command: "make", timeout_s: null });
    room.closed();
    expect(await asked).toEqual({ ok: false, error: "the connection was lost before the answer came", lost: true });
  });

  it("that comes back to a terminal that ended still knows with what code", () => {
    text(WELCOME);
    text({ type: "exit", code: 3, reason: "exit" });
    room.closed();
    text({ ...WELCOME, state: "ended", reason: "it ended" });
    expect(room.status.exit).toEqual({ code: 3, reason: "exit" });
  });
});

describe("resume", () => {
  it("asks for nothing before the first welcome, then for the next byte of the epoch", () => {
    expect(room.resumeQuery()).toEqual({ after: null, epoch: null, offset: null, first: "8192", missed: "32768" });
    text(WELCOME);
    room.binary(snapshot(0, ""));
    room.binary(output(0, "hello"));
    expect(room.resumeQuery()).toMatchObject({ epoch: "k1", offset: "5" });
  });

  it("asks for a screen again that had not come, and for a small one when it had been on its way for long", () => {
    text(WELCOME);
    text({ type: "resync", reason: "joined" });
    room.closed();
    expect(room.resumeQuery()).toMatchObject({ epoch: "k1", offset: null });
    expect(room.resumeQuery().scrollback).toBeUndefined();
    text(WELCOME);
    text({ type: "resync", reason: "history" });
    vi.advanceTimersByTime(3000);
    room.closed();
    expect(room.resumeQuery()).toMatchObject({ epoch: "k1", offset: null, scrollback: "0" });
    text(WELCOME);
    room.binary(snapshot(70, "screen"));
    expect(room.resumeQuery()).toMatchObject({ epoch: "k1", offset: "70", scrollback: "0" });
    room.closed();
    expect(room.resumeQuery().scrollback).toBe("0");
  });

  it("wants the lines above a screen that came short while nobody saw the page, once it is seen", () => {
    text(WELCOME);
    const resyncs = () => sent.filter(({ type }) => type === "resync").length;
    text({ type: "resync", reason: "lagged", short: true });
    room.binary(snapshot(10, "seen"));
    room.seen(false);
    room.seen(true);
    expect(resyncs()).toBe(0);
    room.seen(false);
    text({ type: "resync", reason: "lagged", short: true });
    room.binary(snapshot(20, "unseen"));
    room.seen(true);
    room.seen(true);
    expect(resyncs()).toBe(1);
  });

  it("knows that lines above the screen were left out, asks for them once, and when they have come", () => {
    text(WELCOME);
    text({ type: "resync", reason: "joined" });
    room.binary(snapshot(5, "whole"));
    expect(room.status.above).toBe("whole");
    text({ type: "resync", reason: "lagged", short: true });
    room.binary(snapshot(10, "short"));
    expect(room.status.above).toBe("short");
    room.askAbove();
    expect(sent.filter(({ type }) => type === "resync")).toHaveLength(1);
    expect(room.status.above).toBe("coming");
    text({ type: "resync", reason: "asked" });
    expect(room.status.above, "they are on their way").toBe("coming");
    room.binary(snapshot(10, "lines and screen"));
    expect(room.status.above).toBe("whole");
  });

  it("has them still to ask for when the connection was lost before they came, or took nothing", () => {
    text(WELCOME);
    text({ type: "resync", reason: "lagged", short: true });
    room.binary(snapshot(10, "short"));
    connected = false;
    room.askAbove();
    expect(room.status.above).toBe("short");
    connected = true;
    room.askAbove();
    room.closed();
    expect(room.status.above).toBe("short");
    text({ ...WELCOME, offset: 10, resumed: true });
    expect(room.status.above).toBe("short");
  });

  it("keeps the position when the room resumed, and takes the room's when it did not", () => {
    text(WELCOME);
    room.binary(snapshot(0, ""));
    room.binary(output(0, "hello"));
    text({ ...WELCOME, resumed: true, offset: 5 });
    expect(room.resumeQuery().offset).toBe("5");
    text({ ...WELCOME, epoch: "k2", offset: 70 });
    room.binary(snapshot(70, ""));
    expect(room.resumeQuery()).toMatchObject({ epoch: "k2", offset: "70" });
  });

  it("names the sandbox that ran there, for whoever may type: who comes back first opens no other one", () => {
    text({ ...WELCOME, state: "starting", sandbox: "nope" });
    expect(room.resumeQuery().sandboxId).toBeUndefined();
    text({ type: "upstream", state: "running", reason: "", sandbox: "web" });
    text({ type: "exit", code: 0, reason: "the shell ended" });
    expect(room.resumeQuery().sandboxId).toBe("web");
    text({ ...WELCOME, role: "observer", sandbox: "web" });
    expect(room.resumeQuery().sandboxId).toBeUndefined();
  });

  it("counts input sequences from 1 on each socket, and only what went out", () => {
    text(WELCOME);
    const sequence = () => inputs.map((frame) => Number(new DataView(frame.buffer).getBigUint64(1)));
    room.type(new Uint8Array([97]));
    connected = false;
    expect(room.type(new Uint8Array([98]))).toBe(false);
    connected = true;
    room.type(new Uint8Array([99]));
    expect(sequence()).toEqual([1, 2]);
    room.opened();
    room.type(new Uint8Array([100]));
    expect(sequence()).toEqual([1, 2, 1]);
  });

  it("says how many inputs were lost with the socket before", () => {
    text({ ...WELCOME, socket: "s1", taken: null });
    for (const key of [97, 98, 99]) room.type(new Uint8Array([key]));
    room.closed();
    expect(room.resumeQuery().after).toBe("s1");
    room.opened();
    room.closed();
    room.opened();
    text({ ...WELCOME, resumed: true, socket: "s2", taken: 1 });
    expect(notices).toEqual(["Your last 2 keystrokes were lost with the connection"]);
    room.type(new Uint8Array([97]));
    room.closed();
    expect(room.resumeQuery().after).toBe("s2");
    room.opened();
    text({ ...WELCOME, resumed: true, socket: "s3", taken: 1 });
    expect(notices).toHaveLength(1);
  });

  it("calls a pasted text that was lost what it is", () => {
    text({ ...WELCOME, socket: "s1", taken: null });
    room.type(new Uint8Array(1));
    room.type(new Uint8Array(500));
    room.closed();
    room.opened();
    text({ ...WELCOME, resumed: true, socket: "s2", taken: 1 });
    room.type(new Uint8Array(500));
    for (const key of [97, 98]) room.type(new Uint8Array([key]));
    room.closed();
    room.opened();
    text({ ...WELCOME, resumed: true, socket: "s3", taken: 0 });
    room.type(new Uint8Array(500));
    room.type(new Uint8Array(1));
    room.closed();
    room.opened();
    text({ ...WELCOME, resumed: true, socket: "s4", taken: 1 });
    expect(notices).toEqual([
      "The text that you pasted last was lost with the connection",
      "Your last 3 inputs, pasted text among them, were lost with the connection",
      "Your last keystroke was lost with the connection",
    ]);
  });

  it("says nothing of inputs where a host does not tell what came", () => {
    text(WELCOME);
    room.type(new Uint8Array([97]));
    room.closed();
    room.opened();
    text({ ...WELCOME, resumed: true });
    expect(room.resumeQuery().after).toBeNull();
    expect(notices).toEqual([]);
  });
});

describe("who types", () => {
  it("sends nothing of a viewer who may not type", () => {
    text({ ...WELCOME, role: "observer", can_type: false });
    expect(room.type(new Uint8Array([97]))).toBe(false);
    expect(inputs).toEqual([]);
  });

  it("may set the size while it may type and nobody else has control", () => {
    text(WELCOME);
    text({ type: "presence", people: [person("other"), person("me")] });
    expect(maySize(room.status)).toBe(true);
    text({ type: "lease", holder: { connection: "other", name: "Other" }, can_type: true });
    expect(maySize(room.status)).toBe(false);
    text({ type: "lease", holder: { connection: "me", name: "Me" }, can_type: true });
    expect(maySize(room.status)).toBe(true);
    text({ type: "lease", holder: null, can_type: false });
    expect(maySize(room.status)).toBe(false);
  });

  it("has control when another connection of the same person has it", () => {
    text(WELCOME);
    text({ type: "presence", people: [{ ...person("kernel"), subject: "ana" }, { ...person("me"), subject: "ana" }, person("other")] });
    text({ type: "lease", holder: { connection: "kernel", name: "kernel" }, can_type: true });
    expect([holdsControl(room.status), maySize(room.status)]).toEqual([true, true]);
    text({ type: "lease", holder: { connection: "other", name: "Other" }, can_type: false });
    expect(holdsControl(room.status)).toBe(false);
  });

  it("knows who asks for control, and that it was this person in another page", () => {
    text(WELCOME);
    text({ type: "presence", people: [{ ...person("tab"), subject: "ana" }, { ...person("me"), subject: "ana" }, person("other")] });
    expect([room.status.asking, asksForControl(room.status)]).toEqual([[], false]);
    text({ type: "lease", holder: { connection: "other", name: "Other" }, can_type: false, asking: [{ connection: "tab", name: "Ana" }] });
    expect([room.status.asking.length, asksForControl(room.status)]).toEqual([1, true]);
    text({ type: "lease", holder: { connection: "other", name: "Other" }, can_type: false });
    expect(asksForControl(room.status)).toBe(false);
  });

  it("sets the size on joining only where nobody did, or the same person", () => {
    const by = (name: string) => {
      text({ ...WELCOME, size: { cols: 80, rows: 24, by: name } });
      text({ type: "presence", people: [person("other"), { ...person("me"), name: "Me" }] });
      return sizesOnJoining(room.status);
    };
    expect([by(""), by("Me"), by("other")]).toEqual([true, true, false]);
  });

  it("answers a restart with the room's sentence, or with its own when the room is silent", async () => {
    text(WELCOME);
    const refused = room.ask({ type: "restart" });
    text({ type: "reply", id: sent[0]!.id, ok: false, error: "restart needs the role moderator" });
    expect(await refused).toMatchObject({ ok: false, error: "restart needs the role moderator" });
    const silent = room.ask({ type: "restart" });
    vi.advanceTimersByTime(10_000);
    expect((await silent).error).toMatch(/did not answer/);
  });

  it("forgets who was there when the connection closes", () => {
    text(WELCOME);
    room.closed();
    expect(statuses.at(-1)).toMatchObject({ canType: false, people: [] });
  });
});

function person(connection: string) {
  return { connection, name: connection, role: "operator", subject: connection };
}

describe("what somebody types in vain", () => {
  const lease = (holder: { connection: string; name: string } | null, can_type: boolean) => text({ type: "lease", holder, can_type });

  it("is explained by what keeps it out", () => {
    expect(whyUnheard(room.status, false)).toBe("the terminal is not live yet");
    expect(whyUnheard(room.status, true)).toBe("the terminal is not live yet");
    text({ ...WELCOME, role: "operator" });
    expect(whyUnheard(room.status, false)).toBe("the connection is lost");
    lease({ connection: "other", name: "Ben" }, false);
    expect(whyUnheard(room.status, true)).toBe("Ben has control");
    text({ type: "exit", code: 0, reason: "the shell ended with code 0" });
    expect(whyUnheard(room.status, true)).toBe("nothing runs in this terminal any more");
    text({ ...WELCOME, role: "observer", can_type: false, lease: { holder: { connection: "other", name: "Ben" }, can_type: false } });
    expect(whyUnheard(room.status, true)).toBe("you are observer here and only watch");
  });
});
