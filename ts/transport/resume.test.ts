import { readFileSync } from "node:fs";
import PartySocket from "partysocket";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Count, resumable } from "./resume.ts";

interface Step {
  query?: Record<string, string>;
  frame?: string;
  frame_hex?: string;
  text?: string;
  hex?: string;
  recovered?: boolean;
  lost?: boolean;
}

const vectors = JSON.parse(readFileSync("../tests/vectors/resume.json", "utf8")) as {
  counts: { about: string; steps: Step[] }[];
  malformed: string[];
};

describe("counting", () => {
  it.each(vectors.counts)("$about", ({ steps }) => {
    const count = new Count();
    for (const step of steps) {
      if (step.query) {
        expect(Object.fromEntries(Object.entries(count.query()).filter(([, value]) => value !== null))).toEqual(step.query);
      } else if (step.frame !== undefined) {
        const meant = count.text(step.frame);
        const shown = meant instanceof Uint8Array ? { hex: Buffer.from(meant).toString("hex") } : { text: meant };
        expect(shown).toEqual(step.hex !== undefined ? { hex: step.hex } : { text: step.text ?? null });
      } else count.binary();
      if (step.recovered !== undefined) expect(count.recovered).toBe(step.recovered);
      if (step.lost !== undefined) expect(count.lost).toBe(step.lost);
    }
  });

  it.each(vectors.malformed)("says of %j that it cannot be read", (frame) => {
    expect(() => new Count().text(frame)).toThrow(/cannot be read/);
  });
});

/** A WebSocket whose other end is the test. */
class Wire extends EventTarget {
  static all: Wire[] = [];
  readonly url: string;
  binaryType = "blob";
  bufferedAmount = 0;
  extensions = "";
  protocol = "";
  readyState = 0;
  closed: [number | undefined, string | undefined] | null = null;
  sent: unknown[] = [];

  constructor(url: string) {
    super();
    this.url = url;
    Wire.all.push(this);
  }
  open(): void {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }
  say(data: unknown): void {
    this.dispatchEvent(new MessageEvent("message", { data }));
  }
  control(fields: object): void {
    this.say(`\x1e${JSON.stringify(fields)}`);
  }
  send(message: unknown): void {
    this.sent.push(message);
  }
  close(code?: number, reason?: string): void {
    this.readyState = 2;
    this.closed = [code, reason];
  }
}

describe("resumable", () => {
  let socket: PartySocket | null = null;
  const seen: unknown[] = [];
  const verdicts: boolean[] = [];
  const QUICK = { host: "h", party: "p", room: "r", id: "me", minReconnectionDelay: 1, maxReconnectionDelay: 1 };

  function joined(options: Parameters<typeof resumable>[0] = {}): PartySocket {
    const made = new PartySocket(
      resumable({ ...QUICK, WebSocket: Wire, onResumed: ({ recovered }: { recovered: boolean }) => verdicts.push(recovered), ...options }),
    );
    made.binaryType = "arraybuffer";
    made.addEventListener("message", ({ data }) => seen.push(data));
    socket = made;
    return made;
  }

  /** The connection that PartySocket makes next, open. */
  async function next(count: number): Promise<Wire> {
    await vi.waitFor(() => expect(Wire.all).toHaveLength(count));
    const wire = Wire.all[count - 1]!;
    wire.open();
    return wire;
  }

  afterEach(() => {
    socket?.close();
    socket = null;
    Wire.all = [];
    seen.length = verdicts.length = 0;
    vi.restoreAllMocks();
  });

  it("hides what is counted and asks again with the count", async () => {
    joined({ query: async () => ({ ticket: "t", none: null }) });
    const first = await next(1);
    expect(new URL(first.url).search).toBe("?_pk=me&ticket=t&_pw=1");
    first.control({ type: "resumed", e: "E", o: 7, rec: false, hb: 10 });
    first.say("a");
    first.say(new Uint8Array([1]).buffer);
    first.control({ type: "direct", base64: "AP8=" });
    first.control({ type: "skip", n: 1 });
    expect(seen).toEqual(["a", new Uint8Array([1]).buffer, new Uint8Array([0, 255]).buffer]);
    first.readyState = 3;
    first.dispatchEvent(Object.assign(new Event("close"), { code: 1006, reason: "", wasClean: false }));
    const second = await next(2);
    expect(new URL(second.url).search).toBe("?_pk=me&ticket=t&_pw=1&_e=E&_o=10");
    expect(verdicts).toEqual([]);
    second.control({ type: "resumed", e: "E", o: 10, rec: true, hb: 10 });
    expect(verdicts).toEqual([true]);
  });

  it("tells of a gap behind a connection that was cut before the room had said where it is", async () => {
    joined();
    const first = await next(1);
    first.readyState = 3;
    first.dispatchEvent(Object.assign(new Event("close"), { code: 1006, reason: "", wasClean: false }));
    const second = await next(2);
    second.control({ type: "resumed", e: "E", o: 3, rec: false, hb: 10 });
    expect(verdicts).toEqual([false]);
  });

  it("hands binary messages over as the socket's binaryType says", async () => {
    joined().binaryType = "blob";
    const wire = await next(1);
    wire.control({ type: "resumed", e: "E", o: 0, rec: false, hb: 10 });
    wire.control({ type: "direct", base64: "AP8=" });
    expect(new Uint8Array(await (seen[0] as Blob).arrayBuffer())).toEqual(new Uint8Array([0, 255]));
  });

  it("neither delivers nor counts what comes behind its own close", async () => {
    const made = joined();
    const first = await next(1);
    first.control({ type: "resumed", e: "E", o: 0, rec: false, hb: 10 });
    first.say("a");
    made.reconnect();
    first.say("b");
    const second = await next(2);
    expect(new URL(second.url).searchParams.get("_o")).toBe("1");
    expect(seen).toEqual(["a"]);
  });

  it("connects anew when a heartbeat shows a loss, and says so", async () => {
    joined();
    const first = await next(1);
    first.control({ type: "resumed", e: "E", o: 0, rec: false, hb: 10 });
    first.control({ type: "hb", o: 0 });
    expect(first.closed).toBeNull();
    first.control({ type: "hb", o: 1 });
    expect(first.closed).toEqual([4000, "a broadcast never came"]);
    const second = await next(2);
    expect(new URL(second.url).search).toBe("?_pk=me&_pw=1");
    second.control({ type: "resumed", e: "E", o: 1, rec: false, hb: 10 });
    expect(verdicts).toEqual([false]);
  });

  it("leaves a room that fell silent, without waiting for its close", async () => {
    joined({ silence: 60 });
    const first = await next(1);
    first.control({ type: "resumed", e: "E", o: 3, rec: false, hb: 10 });
    const second = await next(2);
    expect(first.closed).toEqual([4000, "the room was silent"]);
    expect(new URL(second.url).searchParams.get("_o")).toBe("3");
    first.say("late");
    expect(seen).toEqual([]);
  });

  it("waits for ever in a room that does not count", async () => {
    vi.useFakeTimers();
    try {
      joined();
      await vi.advanceTimersByTimeAsync(1);
      Wire.all[0]!.open();
      Wire.all[0]!.say("a");
      await vi.advanceTimersByTimeAsync(600_000);
      expect(Wire.all).toHaveLength(1);
      expect(seen).toEqual(["a"]);
    } finally {
      vi.useRealTimers();
    }
  });

  it("leaves a room whose control frame it cannot read", async () => {
    const complaint = vi.spyOn(console, "error").mockImplementation(() => {});
    joined();
    const first = await next(1);
    first.control({ type: "resumed" });
    expect(first.closed).toEqual([4000, "a control frame could not be read"]);
    await next(2);
    expect(String(complaint.mock.calls[0])).toContain("cannot be read");
  });

  it("is for one socket", async () => {
    const options = resumable({ ...QUICK, WebSocket: Wire });
    socket = new PartySocket(options);
    await next(1);
    const other = new PartySocket({ ...options, maxRetries: 0 });
    const told = new Promise<string>((resolve) => other.addEventListener("error", ({ message }) => resolve(message)));
    expect(await told).toContain("call resumable() for each socket");
    other.close();
  });
});
