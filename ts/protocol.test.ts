import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseMessage, requestId } from "./protocol.ts";
import { OpsRoom } from "./rooms/ops-room.ts";
import { TerminalRoom } from "./rooms/terminal-room.ts";
import { decodeFrame, encodeInput } from "./terminal-protocol.ts";

const terminal = JSON.parse(readFileSync("../tests/vectors/terminal.json", "utf8")) as {
  binary: { kind: string; offset?: number; sequence?: number; cols?: number; rows?: number; bytes_hex: string; frame_hex: string }[];
  control: { from: string; message: { type: string } }[];
};
const ops = JSON.parse(readFileSync("../tests/vectors/ops.json", "utf8")) as { from: string; message: { type: string; data: unknown } }[];

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
const hex = (data: Uint8Array) => Buffer.from(data).toString("hex");

describe("terminal frames", () => {
  for (const vector of terminal.binary) {
    it(`reads the ${vector.kind} vector as Python does`, () => {
      const { bytes: payload, ...rest } = decodeFrame(bytes(vector.frame_hex));
      const { bytes_hex, frame_hex, ...expected } = vector;
      expect(rest).toEqual(expected);
      expect(hex(payload)).toBe(bytes_hex);
    });
  }

  it("writes the input vector byte by byte", () => {
    const vector = terminal.binary.find(({ kind }) => kind === "input")!;
    expect(hex(encodeInput(vector.sequence!, bytes(vector.bytes_hex)))).toBe(vector.frame_hex);
  });

  it("reads a frame that stands inside a larger buffer", () => {
    const vector = terminal.binary[0]!;
    const larger = bytes(`ffff${vector.frame_hex}ff`);
    expect(decodeFrame(larger.subarray(2, larger.length - 1))).toMatchObject({ kind: "output", offset: vector.offset });
  });

  it.each(["", "01", "0200000000000000", "03000000000000040000780"])("refuses a short frame %j", (frame) => {
    expect(() => decodeFrame(bytes(frame))).toThrow(/at least (9|13) bytes/);
  });

  it("refuses a kind that it does not know", () => {
    expect(() => decodeFrame(bytes("070000000000000000"))).toThrow(/got kind 7/);
  });
});

describe("control messages", () => {
  it("takes every terminal vector of the server without a warning of an unknown type", () => {
    const notices: string[] = [];
    const screen = { write() {}, restore() {}, resize() {} };
    const room = new TerminalRoom(screen, { status() {}, notice: (sentence) => notices.push(sentence), mark() {} }, () => true);
    for (const { message } of terminal.control.filter(({ from }) => from === "server")) room.text(JSON.stringify(message));
    expect(notices).toEqual(["unknown message type 'x'"]);
    expect(room.status).toMatchObject({ connection: "c1", role: "moderator", lagging: true, exit: { code: 0, reason: "the shell ended" } });
  });

  it("sends requests with the fields of the vectors", () => {
    const sent: { type: string }[] = [];
    const room = new TerminalRoom(
      { write() {}, restore() {}, resize() {} },
      { status() {}, notice() {}, mark() {} },
      (frame) => sent.push(JSON.parse(String(frame))) > 0,
    );
    room.tell({ type: "resize", cols: 100, rows: 30 });
    room.tell({ type: "lease", action: "take" });
    void room.ask({ type: "restart" });
    for (const message of sent) {
      const vector = terminal.control.find(({ from, message: { type } }) => from === "client" && type === message.type)!;
      expect(Object.keys(message).sort()).toEqual(Object.keys(vector.message).sort());
    }
  });

  it("takes every ops vector of the server", () => {
    const controller = new AbortController();
    const room = new OpsRoom(
      () => true,
      () => {},
      controller.signal,
    );
    for (const { message } of ops.filter(({ from }) => from === "server")) room.text(JSON.stringify(message));
    expect(room.store.counts()).toEqual({ ok: 11_000, warn: 0, crit: 1, unknown: 0, skip: 0 });
    expect([...room.store.rows.keys()]).toEqual(room.store.window?.order);
    expect(room.store.lastScan?.total).toBe(4);
    controller.abort();
  });

  it("sends ops requests with the fields of the vectors", () => {
    const controller = new AbortController();
    const sent: { type: string; data: object }[] = [];
    const room = new OpsRoom(
      (frame) => sent.push(JSON.parse(frame)) > 0,
      () => {},
      controller.signal,
    );
    void room.ask("ack", { fingerprint: "f", reason: "r", until: null });
    void room.ask("silence", { matchers: {}, until: null, reason: "r" });
    void room.ask("recheck", { fingerprints: [] });
    void room.ask("scan", { checks: [], labels: {} });
    void room.ask("window", { sort: [], group: "", search: "", statuses: [], folded: [], pinned: [], from: 0, count: 0 });
    void room.rows({ sort: [], group: "", search: "", statuses: [] });
    void room.ask("ticket", {});
    for (const { type, data } of sent) {
      const vector = ops.find(({ from, message }) => from === "client" && message.type === type)!;
      expect(Object.keys(data).sort()).toEqual(Object.keys(vector.message.data as object).sort());
    }
    controller.abort();
  });

  it.each(["1", "null", "{}", '{"type": 3}', "not json"])("refuses %s as a message", (text) => {
    expect(() => parseMessage(text)).toThrow();
  });

  it("never repeats a request id", () => {
    expect(new Set(Array.from({ length: 500 }, requestId)).size).toBe(500);
  });
});
