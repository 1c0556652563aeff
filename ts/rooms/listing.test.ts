import { afterEach, describe, expect, it, vi } from "vitest";
import { OpsRoom } from "./ops-room.ts";

const QUERY = { sort: ["title"], group: "", search: "", statuses: [] };

describe("all rows for a file", () => {
  const controller = new AbortController();
  const sent: { type: string; data: { id: string } }[] = [];
  const room = new OpsRoom(
    (frame) => sent.push(JSON.parse(frame)) > 0,
    () => {},
    controller.signal,
  );
  const tell = (type: string, data: object) => room.text(JSON.stringify({ type, data }));
  afterEach(() => {
    vi.useRealTimers();
  });

  it("are those of every part, after the reply that says how many there are", async () => {
    const asked = room.rows(QUERY);
    const { id } = sent.at(-1)!.data;
    expect((await room.rows(QUERY)).error).toBe("the rows are on their way already");
    tell("reply", { id, ok: true, result: { rows: 3, columns: ["title"] } });
    // All in one task, as frames of one read may come.
    tell("rows", { id: "another", from: 0, last: true, rows: [["x"]] });
    tell("rows", { id, from: 0, last: false, rows: [["a"], ["b"]] });
    tell("rows", { id, from: 2, last: true, rows: [["c"]] });
    expect(await asked).toEqual({ id, ok: true, result: { columns: ["title"], rows: [["a"], ["b"], ["c"]] } });
  });

  it("are none when nothing fits the filter, and a sentence when the host refuses", async () => {
    const none = room.rows(QUERY);
    tell("reply", { id: sent.at(-1)!.data.id, ok: true, result: { rows: 0, columns: ["title"] } });
    expect((await none).result).toEqual({ columns: ["title"], rows: [] });
    const refused = room.rows(QUERY);
    tell("reply", { id: sent.at(-1)!.data.id, ok: false, error: "no" });
    expect((await refused).error).toBe("no");
  });

  it("are given up with a sentence when the connection is lost, or when they stop coming", async () => {
    const lost = room.rows(QUERY);
    tell("reply", { id: sent.at(-1)!.data.id, ok: true, result: { rows: 3, columns: ["title"] } });
    room.closed();
    expect((await lost).error).toBe("the connection was lost before all rows had come");
    vi.useFakeTimers();
    const stuck = room.rows(QUERY);
    tell("reply", { id: sent.at(-1)!.data.id, ok: true, result: { rows: 3, columns: ["title"] } });
    await vi.advanceTimersByTimeAsync(15_000);
    expect((await stuck).error).toBe("the rows stopped coming for 15 s");
    controller.abort();
  });
});
