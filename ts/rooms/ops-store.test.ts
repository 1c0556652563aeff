import { describe, expect, it, vi } from "vitest";
import type { OpsMessage } from "../ops-protocol.ts";
import type { Result } from "../result.ts";
import { RESULT } from "../testing/ops.ts";
import { noChanges } from "./changes.ts";
import { OpsRoom } from "./ops-room.ts";
import { matches, OpsStore } from "./ops-store.ts";

function result(fingerprint: string, change: Partial<Result> = {}): Result {
  return { ...RESULT, fingerprint, result_id: `${fingerprint}-${change.observed_at ?? ""}-${change.status ?? ""}`, ...change };
}

function snapshot(results: Result[], part = 1, of = 1, epoch = "e1"): OpsMessage {
  return {
    type: "snapshot",
    data: { epoch, seq: 1, part, of, results, ...(part === 1 ? { scan: null, silences: [], running: [], checks: results.length } : {}) },
  };
}

function checked(...results: Result[]): OpsMessage {
  return { type: "check-result", data: { seq: 2, scan_id: "s", done: 1, total: 4, results } };
}

describe("the store", () => {
  it("takes the parts of a snapshot as they come, and takes rows away only when every part is there", () => {
    const store = new OpsStore();
    store.apply(snapshot([result("old")]), noChanges());
    const changes = noChanges();
    store.apply(snapshot([result("a")], 1, 2, "e2"), changes);
    expect([...store.rows.keys()]).toEqual(["old", "a"]);
    store.apply(snapshot([result("b")], 2, 2, "e2"), changes);
    expect([...store.rows.keys()]).toEqual(["a", "b"]);
    expect([...changes.removed]).toEqual(["old"]);
  });

  it("shows the parts of its first snapshot as they come, and takes off what is not in a later one", () => {
    const store = new OpsStore();
    const changes = noChanges();
    store.apply(snapshot([result("a"), result("left")], 1, 2), changes);
    expect([[...store.rows.keys()], changes.reset]).toEqual([["a", "left"], false]);
    store.apply(checked(result("left", { change: "absent", status: "skip", seq: RESULT.seq + 1 })), changes);
    store.apply(snapshot([result("b")], 2, 2), changes);
    expect([[...store.rows.keys()], changes.reset]).toEqual([["a", "b"], true]);
    store.apply(snapshot([result("b")]), changes);
    expect([...store.rows.keys()]).toEqual(["b"]);
  });

  it("counts what the host has while its rows are still coming, and what changes meanwhile", () => {
    const store = new OpsStore();
    const first = snapshot([result("a", { status: "crit" })], 1, 3);
    const counts = { crit: 2, warn: 1, unknown: 0, ok: 7, skip: 0 };
    store.apply({ ...first, data: { ...first.data, counts } } as OpsMessage, noChanges());
    expect([store.counts(), store.coming()]).toEqual([counts, { rows: 1, of: 10 }]);
    store.apply(checked(result("a", { status: "ok", seq: RESULT.seq + 1 })), noChanges());
    store.apply(checked(result("b", { status: "warn", change: "unchanged" })), noChanges());
    store.apply(checked(result("c", { status: "warn", change: "new" })), noChanges());
    store.apply(checked(result("a", { status: "skip", change: "absent", seq: RESULT.seq + 2 })), noChanges());
    expect([store.counts(), store.coming()]).toEqual([
      { ...counts, crit: 1, warn: 2 },
      { rows: 1, of: 10 },
    ]);
    store.apply(snapshot([result("d")], 2, 3), noChanges());
    expect(store.coming()).toEqual({ rows: 2, of: 10 });
    store.apply(snapshot([result("e")], 3, 3), noChanges());
    expect([store.counts(), store.coming()]).toEqual([{ crit: 2, warn: 2, unknown: 0, ok: 0, skip: 0 }, null]);
  });

  it("keeps a row that came live between the parts of a snapshot", () => {
    const store = new OpsStore();
    store.apply(snapshot([result("a")], 1, 2), noChanges());
    store.apply(checked(result("live")), noChanges());
    store.apply(snapshot([result("b")], 2, 2), noChanges());
    expect([...store.rows.keys()].sort()).toEqual(["a", "b", "live"]);
  });

  it("goes by the room's count, for clocks go back: the row follows, and its line rises in time", () => {
    const store = new OpsStore();
    const at = (time: string, seq: number, status: Result["status"]) =>
      store.apply(checked(result("a", { observed_at: `2026-11-23T${time}.000Z`, seq, status })), noChanges());
    at("05:00:00", 1, "ok");
    at("08:00:00", 2, "ok");
    at("06:00:00", 3, "crit");
    at("06:00:01", 4, "warn");
    expect(store.rows.get("a")!.status).toBe("warn");
    expect(store.pasts.series("a").map(({ status }) => status)).toEqual(["ok", "crit", "warn"]);
  });

  it("takes what a room says after a restart, also when it counts from the start again", () => {
    const store = new OpsStore();
    store.apply(snapshot([result("a", { seq: 900, status: "ok" }), result("b", { seq: 901, status: "ok" })]), noChanges());
    store.apply(snapshot([result("a", { seq: 1, status: "crit" })], 1, 2, "e2"), noChanges());
    store.apply(checked(result("b", { seq: 7, status: "warn" })), noChanges());
    store.apply(snapshot([result("b", { seq: 2, status: "crit" })], 2, 2, "e2"), noChanges());
    expect([...store.rows.values()].map(({ status }) => status).sort()).toEqual(["crit", "warn"]);
  });

  it("keeps one row of a fingerprint that comes twice in a frame: the last that the room counted", () => {
    const store = new OpsStore();
    const changes = noChanges();
    store.apply(checked(result("a", { seq: 6, summary: "second" }), result("a", { seq: 5, summary: "first" })), changes);
    expect([store.rows.size, changes.changed.size, store.rows.get("a")!.summary]).toEqual([1, 1, "second"]);
  });

  it("takes a row off when its check is gone", () => {
    const store = new OpsStore();
    store.apply(checked(result("a")), noChanges());
    const changes = noChanges();
    store.apply(checked(result("a", { change: "absent", status: "skip" })), changes);
    expect(store.rows.size).toBe(0);
    expect([...changes.removed]).toEqual(["a"]);
  });

  it("drops a part of another epoch", () => {
    const store = new OpsStore();
    store.apply(snapshot([result("a")], 1, 2, "e2"), noChanges());
    store.apply(snapshot([result("b")], 2, 2, "e3"), noChanges());
    expect([...store.rows.keys()]).toEqual(["a"]);
  });

  it("keeps the newer of two results, whichever came last", () => {
    const store = new OpsStore();
    store.apply(checked(result("a", { observed_at: "2026-11-23T06:00:02.000Z", status: "ok", seq: 9 })), noChanges());
    store.apply(checked(result("a", { observed_at: "2026-11-23T06:00:01.000Z", status: "crit", seq: 8 })), noChanges());
    expect(store.rows.get("a")!.status).toBe("ok");
  });

  it("names the fields that changed, and none for a new row", () => {
    const store = new OpsStore();
    const first = noChanges();
    store.apply(checked(result("a", { observed_at: "2026-11-23T06:00:01.000Z", status: "ok", summary: "fine" })), first);
    expect([...first.changed.get("a")!]).toEqual([]);
    const second = noChanges();
    store.apply(checked(result("a", { observed_at: "2026-11-23T06:00:02.000Z", status: "crit", summary: "fine" })), second);
    expect([...second.changed.get("a")!]).toEqual(["status"]);
  });

  it("counts by status, and an unknown word nowhere", () => {
    const store = new OpsStore();
    store.apply(
      checked(result("a", { status: "ok" }), result("b", { status: "crit" }), result("c", { status: "odd" as never })),
      noChanges(),
    );
    expect(store.counts()).toEqual({ crit: 1, warn: 0, unknown: 0, ok: 1, skip: 0 });
  });

  it("shows an ack until it is withdrawn", () => {
    const store = new OpsStore();
    store.apply(checked(result("a")), noChanges());
    const ack = { fingerprint: "a", until: null, actor: "Ana", at: "2026-11-23T06:00:00.000Z" };
    store.apply({ type: "ack", data: { ...ack, reason: "on it" } }, noChanges());
    expect(store.rows.get("a")!.suppression).toMatchObject({ by: "ack", actor: "Ana", reason: "on it" });
    store.apply({ type: "ack", data: { ...ack, reason: null } }, noChanges());
    expect(store.rows.get("a")!.suppression).toBeNull();
  });

  it("silences the rows that match, until the silence is lifted", () => {
    const store = new OpsStore();
    store.apply(checked(result("a", { labels: { team: "web" } }), result("b", { labels: { team: "db" } })), noChanges());
    const silence = { id: "s1", matchers: { team: "web" }, actor: "Ana", reason: "work", at: "2026-11-23T06:00:00.000Z" };
    store.apply({ type: "silence", data: { ...silence, until: "2026-11-23T08:00:00.000Z" } }, noChanges());
    expect([...store.rows.values()].map(({ suppression }) => suppression?.by)).toEqual(["silence", undefined]);
    store.apply({ type: "silence", data: { ...silence, until: null } }, noChanges());
    expect(store.rows.get("a")!.suppression).toBeNull();
  });

  it("matches fields only where no label has their name", () => {
    expect(matches(result("a", { labels: {} }), { check_id: RESULT.check_id, severity: RESULT.severity })).toBe(true);
    expect(matches(result("a", { labels: { target: "blue" } }), { target: RESULT.target })).toBe(false);
    expect(matches(result("a", { labels: { target: "blue" } }), { target: "blue" })).toBe(true);
  });

  it("never matches everything by an empty silence", () => {
    expect(matches(RESULT, {})).toBe(false);
  });

  it("keeps a bounded series of durations, one point a time", () => {
    const store = new OpsStore();
    for (let second = 0; second < 400; second++) {
      const at = new Date(1_700_000_000_000 + second * 1000).toISOString();
      store.apply(checked(result("a", { observed_at: at, duration_ms: second })), noChanges());
      store.apply(checked(result("a", { observed_at: at, duration_ms: second })), noChanges());
    }
    const series = store.pasts.series("a");
    expect(series).toHaveLength(300);
    expect(series.at(-1)!.durationMs).toBe(399);
  });

  it("knows the duration of a row that it saw once, also when the same snapshot comes again", () => {
    const store = new OpsStore();
    for (let times = 0; times < 2; times++) {
      store.apply(snapshot([result("a", { observed_at: "2026-11-28T03:00:00.000Z", duration_ms: 7, status: "warn" })]), noChanges());
      expect(store.pasts.series("a")).toEqual([{ at: Date.UTC(2026, 10, 28, 3), durationMs: 7, status: "warn" }]);
    }
    store.apply(snapshot([]), noChanges());
    expect(store.pasts.series("a")).toEqual([]);
  });

  it("says of a row that changed several times before it was drawn all that changed", () => {
    const store = new OpsStore();
    store.apply(checked(result("a", { seq: 1, status: "ok", duration_ms: 1 })), noChanges());
    const changes = noChanges();
    store.apply(checked(result("a", { seq: 2, status: "crit", duration_ms: 1 })), changes);
    store.apply(checked(result("a", { seq: 3, status: "crit", duration_ms: 900 })), changes);
    expect([...changes.changed.get("a")!].sort()).toEqual(["duration_ms", "status"]);
  });

  it.each([
    [100, 180, false],
    [3, 40, false],
    [100, 200, true],
    [900, 400, true],
  ])("marks a duration only where it is another that matters: %d ms, then %d ms", (before, now, marked) => {
    const store = new OpsStore();
    store.apply(checked(result("a", { seq: 1, duration_ms: before })), noChanges());
    const changes = noChanges();
    store.apply(checked(result("a", { seq: 2, duration_ms: now })), changes);
    expect(changes.changed.get("a")!.has("duration_ms")).toBe(marked);
  });

  it.each([
    ["HTTP 200 in 11.64 ms", "HTTP 200 in 9.1 ms", false],
    ["backup: 12 bytes, changed 5m ago", "backup: 12 bytes, changed 6m ago", false],
    ["7 orders wait", "8 orders wait", true],
    ["HTTP 200 in 11.64 ms", "HTTP 503 in 11.64 ms", true],
  ])("marks a summary where more than its times is another: %s, then %s", (before, now, marked) => {
    const store = new OpsStore();
    store.apply(checked(result("a", { seq: 1, summary: before })), noChanges());
    const changes = noChanges();
    store.apply(checked(result("a", { seq: 2, summary: now })), changes);
    expect(changes.changed.get("a")!.has("summary")).toBe(marked);
  });

  it("follows a running scan until its report", () => {
    const store = new OpsStore();
    store.apply({ type: "scan-started", data: { scan_id: "s", trigger: "manual", started_at: "", total: 4 } }, noChanges());
    store.apply(checked(result("a")), noChanges());
    expect(store.running.get("s")).toMatchObject({ done: 1, total: 4, trigger: "manual" });
    store.apply(
      {
        type: "scan-result",
        data: {
          schema: "",
          scan_id: "s",
          trigger: "manual",
          started_at: "",
          finished_at: "",
          counts: store.counts(),
          total: 4,
          more: null,
        },
      },
      noChanges(),
    );
    expect(store.running.size).toBe(0);
  });
});

describe("the room", () => {
  it("draws at most ten times a second and loses nothing in between", () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const drawn: string[][] = [];
    const room = new OpsRoom(
      () => true,
      (changes) => drawn.push([...changes.changed.keys()]),
      new AbortController().signal,
    );
    for (let index = 0; index < 100; index++) {
      room.text(JSON.stringify(checked(result(`f${index}`))));
      vi.advanceTimersByTime(10);
    }
    vi.advanceTimersByTime(200);
    expect(drawn.length).toBeLessThanOrEqual(12);
    expect(new Set(drawn.flat()).size).toBe(100);
    vi.useRealTimers();
  });

  it("answers every request: with the reply, or with a sentence when the connection is gone", async () => {
    let up = true;
    const sent: { data: { id: string } }[] = [];
    const room = new OpsRoom(
      (frame) => up && sent.push(JSON.parse(frame)) > 0,
      () => {},
      new AbortController().signal,
    );
    const answered = room.ask("scan", { checks: [], labels: {} });
    room.text(JSON.stringify({ type: "reply", data: { id: sent[0]!.data.id, ok: true, result: { scan_id: "s" } } }));
    expect(await answered).toMatchObject({ ok: true });
    const lost = room.ask("recheck", { fingerprints: ["a"] });
    room.closed();
    expect((await lost).error).toMatch(/connection was lost/);
    up = false;
    expect((await room.ask("recheck", { fingerprints: ["a"] })).error).toMatch(/not connected/);
  });

  it("counts the transitions that it was not told one by one", () => {
    const store = new OpsStore();
    const changes = noChanges();
    for (const count of [2, 3])
      store.apply({ type: "skipped", data: { changes: count, acks: 1, since: "2026-11-23T06:00:00.013Z" } }, changes);
    expect([changes.skipped, changes.transitions]).toEqual([5, []]);
  });
});
