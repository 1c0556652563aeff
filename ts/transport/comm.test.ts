import PartySocket from "partysocket";
import PartySocketOld from "partysocket-1.1.6";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { CustomMessage } from "../model.ts";
import { FakeKernel, soon } from "../testing/kernel.ts";
import { CommChannel, KernelRefusal, KernelSilence } from "./channel.ts";
import { CommSocket, commSocket } from "./comm.ts";

const URL_ = "ws://comm.invalid/parties/chat/lobby?_pk=1";
let kernel: FakeKernel;
let channel: CommChannel;
let controller: AbortController;

beforeEach(() => {
  kernel = new FakeKernel();
  controller = new AbortController();
  channel = new CommChannel(kernel, controller.signal);
});
afterEach(() => {
  controller.abort();
  vi.useRealTimers();
});

function open(): { socket: CommSocket; id: string; messages: unknown[]; closes: CloseEvent[] } {
  const socket = new CommSocket(channel, URL_, ["partywidgets.v1"]);
  socket.binaryType = "arraybuffer";
  const messages: unknown[] = [];
  const closes: CloseEvent[] = [];
  socket.addEventListener("message", (event) => messages.push((event as MessageEvent).data));
  socket.addEventListener("close", (event) => closes.push(event as CloseEvent));
  const id = String(kernel.ops("open").at(-1)!.socket);
  kernel.push({ op: "opened", socket: id, protocol: "partywidgets.v1" });
  return { socket, id, messages, closes };
}

describe("requests", () => {
  it("get the answer with their own id; those of other pages pass by", async () => {
    const answer = channel.request("hello");
    kernel.push({ op: "hello", id: "somebody else's", host_id: "x" });
    kernel.push({ op: "hello", id: kernel.ops("hello")[0]!.id!, host_id: "h" });
    expect((await answer)[0].host_id).toBe("h");
  });

  it("reject with the kernel's sentence", async () => {
    kernel.answer = ({ id }) => queueMicrotask(() => kernel.push({ op: "ticket", id: id!, error: "no host" }));
    await expect(channel.request("ticket")).rejects.toThrow(KernelRefusal);
  });

  it("reject after their time when the kernel is silent", async () => {
    await expect(channel.request("hello", {}, 5)).rejects.toThrow(KernelSilence);
  });

  it("use a pushed ticket once, and never one that is too old", () => {
    const far = performance.now() + 1e6;
    const tickets = [
      { ticket: "old", until: 0 },
      { ticket: "good", until: far },
    ];
    channel = new CommChannel(kernel, controller.signal, tickets);
    expect(channel.pushedTicket()).toBe("good");
    expect(channel.pushedTicket()).toBeNull();
  });

  it("leave no handler on the model when the view is gone", () => {
    expect(kernel.handlers("msg:custom")).toBe(1);
    controller.abort();
    expect(kernel.handlers("msg:custom") + kernel.handlers("comm_live_update")).toBe(0);
  });
});

describe("a socket over the comm", () => {
  it("opens with the path below the host's root and the offered protocols", () => {
    const { socket } = open();
    expect(kernel.ops("open")[0]).toMatchObject({ path: "/parties/chat/lobby?_pk=1", protocols: ["partywidgets.v1"] });
    expect([socket.readyState, socket.protocol]).toEqual([1, "partywidgets.v1"]);
  });

  it("delivers text and bytes in order, and says what it took", async () => {
    const { id, messages } = open();
    kernel.push({ op: "frames", socket: id, kinds: "tbt" }, "a", new Uint8Array([1, 2]), "b");
    expect(messages[0]).toBe("a");
    expect([...new Uint8Array(messages[1] as ArrayBuffer)]).toEqual([1, 2]);
    expect(messages[2]).toBe("b");
    await soon(() => expect(kernel.ops("consumed")).toMatchObject([{ op: "consumed", socket: id, bytes: 4 }]));
  });

  it("reports at once what is large", () => {
    const { id } = open();
    kernel.push({ op: "frames", socket: id, kinds: "b" }, new Uint8Array(200_000));
    expect(kernel.ops("consumed")[0]!.bytes).toBe(200_000);
  });

  it("joins what is sent within 20 ms into one message", async () => {
    const { socket, id } = open();
    for (const letter of "abcd") socket.send(letter);
    socket.send(new Uint8Array([7]));
    await soon(() => expect(kernel.sent.filter(({ message }) => message.op === "frames")).toHaveLength(2));
    const [first, second] = kernel.sent.filter(({ message }) => message.op === "frames");
    expect(first!.message).toMatchObject({ op: "frames", socket: id, kinds: "t" });
    expect(second!.message.kinds).toBe("tttb");
    expect(second!.buffers.map((buffer) => buffer.byteLength)).toEqual([1, 1, 1, 1]);
  });

  it("sends only the bytes of a view, not its whole buffer", () => {
    const { socket } = open();
    socket.send(new Uint8Array([1, 2, 3, 4]).subarray(1, 3));
    expect([...new Uint8Array(kernel.sent.at(-1)!.buffers[0]!)]).toEqual([2, 3]);
  });

  it("stops at 1 MiB that is not consumed, and goes on when it is", async () => {
    const { socket, id } = open();
    const piece = new Uint8Array(512 * 1024);
    for (let count = 0; count < 4; count++) socket.send(piece);
    const pieces = () => kernel.sent.filter(({ message }) => message.op === "frames").reduce((sum, { buffers }) => sum + buffers.length, 0);
    await soon(() => expect(pieces()).toBe(2));
    expect(socket.bufferedAmount).toBe(2 << 20);
    kernel.push({ op: "consumed", socket: id, bytes: 1 << 20 });
    await soon(() => expect(pieces()).toBe(4));
  });

  it("closes itself when a kernel takes nothing for 4 MiB", async () => {
    const { socket, closes } = open();
    for (let count = 0; count < 12; count++) socket.send(new Uint8Array(512 * 1024));
    await soon(() => expect(closes[0]?.code).toBe(1013));
    expect(kernel.ops("close")[0]!.code).toBe(1013);
  });

  it("closes with the host's code, once", () => {
    const { socket, id, closes } = open();
    kernel.push({ op: "closed", socket: id, code: 4403, reason: "no", was_clean: true });
    kernel.push({ op: "closed", socket: id, code: 1000, reason: "", was_clean: true });
    expect(closes.map(({ code, reason, wasClean }) => [code, reason, wasClean])).toEqual([[4403, "no", true]]);
    expect(socket.readyState).toBe(3);
  });

  it("takes no message of another socket", () => {
    const { messages } = open();
    kernel.push({ op: "frames", socket: "another", kinds: "t" }, "a");
    expect(messages).toEqual([]);
  });

  it("gives up on a kernel that does not open it within 10 s", () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const socket = new CommSocket(channel, URL_);
    const codes: number[] = [];
    socket.addEventListener("close", (event) => codes.push((event as CloseEvent).code));
    vi.advanceTimersByTime(10_000);
    expect(codes).toEqual([1006]);
  });
});

describe("a gap", () => {
  it("in what comes ends the socket, so that the room is asked for what is missing", () => {
    const { id, messages, closes } = open();
    kernel.push({ op: "frames", socket: id, kinds: "t" }, "one");
    kernel.lose({ op: "frames", socket: id, kinds: "t" });
    kernel.push({ op: "frames", socket: id, kinds: "t" }, "three");
    expect(messages).toEqual(["one"]);
    expect(closes.map(({ code, wasClean }) => [code, wasClean])).toEqual([[1006, false]]);
    expect(closes[0]!.reason).toContain("did not arrive");
    expect(kernel.ops("close").map(({ socket }) => socket)).toEqual([id]);
  });

  it("at the end of what comes is found by the next hello; a whole socket stays", async () => {
    kernel.answer = ({ op, id }) => queueMicrotask(() => op === "hello" && kernel.push({ op, id: id!, host_id: "h" }));
    const whole = open();
    const { id, closes } = open();
    await channel.hello(1000);
    expect(kernel.ops("hello")[0]!.sockets).toEqual({ [whole.id]: 1, [id]: 1 });
    expect(closes).toEqual([]);
    kernel.lose({ op: "frames", socket: id, kinds: "t" });
    await channel.hello(1000);
    expect(closes.map(({ code }) => code)).toEqual([1006]);
    expect(whole.closes).toEqual([]);
  });

  it("that took the kernel's `closed` with it is found too", async () => {
    kernel.answer = ({ op, id }) => queueMicrotask(() => op === "hello" && kernel.push({ op, id: id!, host_id: "h" }));
    const { id, closes } = open();
    delete kernel.counts[id];
    await channel.hello(1000);
    expect(closes.map(({ code }) => code)).toEqual([1006]);
  });
});

describe.each([
  ["the newest", PartySocket],
  ["1.1.6", PartySocketOld as unknown as typeof PartySocket],
])("PartySocket, %s, over the comm", (_version, Party) => {
  it("echoes, and comes back after a drop with a new socket", async () => {
    const echo = (message: CustomMessage, buffers: ArrayBuffer[]) => {
      const socket = message.socket as string;
      if (message.op === "open") queueMicrotask(() => kernel.push({ op: "opened", socket, protocol: "partywidgets.v1" }));
      if (message.op === "frames")
        queueMicrotask(() =>
          kernel.push({ op: "frames", socket, kinds: message.kinds }, ...buffers.map((buffer) => new Uint8Array(buffer))),
        );
    };
    kernel.answer = echo;
    const party = new Party({
      host: "comm.invalid",
      party: "chat",
      room: "lobby",
      protocols: ["partywidgets.v1"],
      WebSocket: commSocket(channel),
      minReconnectionDelay: 5,
      maxEnqueuedMessages: 0,
    });
    const heard: unknown[] = [];
    let opens = 0;
    party.addEventListener("open", () => party.send(`hello ${++opens}`));
    party.addEventListener("message", ({ data }) => heard.push(data));
    await soon(() => expect(heard).toEqual(["hello 1"]));
    const [first] = kernel.ops("open");
    expect(String(first!.path)).toMatch(/^\/parties\/chat\/lobby\?_pk=/);
    kernel.push({ op: "closed", socket: String(first!.socket), code: 1012, reason: "restart", was_clean: true });
    await soon(() => expect(heard).toEqual(["hello 1", "hello 2"]));
    expect(kernel.ops("open")[1]!.socket).not.toBe(first!.socket);
    party.close();
  });
});
