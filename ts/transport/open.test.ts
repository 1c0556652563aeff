// @vitest-environment node
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import WS, { type WebSocket as Peer, WebSocketServer } from "ws";
import { FakeKernel, soon } from "../testing/kernel.ts";
import type { Asked, Delay } from "./delay.ts";
import type { Endpoint } from "./endpoint.ts";
import type { LinkHandlers, LinkState } from "./open.ts";

const page = { href: "http://localhost:8888/lab", baseUrl: "/" as string | null };
vi.stubGlobal("WebSocket", WS);
const cookies = vi.hoisted(() => ({ value: "" }));
vi.stubGlobal("document", {
  hidden: false,
  get cookie() {
    return cookies.value;
  },
  addEventListener() {},
  getElementById: () => ({ textContent: JSON.stringify({ baseUrl: page.baseUrl }) }),
  body: { dataset: {} },
});
vi.stubGlobal("location", {
  get href() {
    return page.href;
  },
});
vi.stubGlobal(
  "CloseEvent",
  class extends Event {
    code: number;
    reason: string;
    wasClean: boolean;
    constructor(type: string, init: { code: number; reason: string; wasClean: boolean }) {
      super(type);
      [this.code, this.reason, this.wasClean] = [init.code, init.reason, init.wasClean];
    }
  },
);

/** What measures the delay of each way that was taken. */
const measured = vi.hoisted(() => [] as Asked[]);
vi.mock("./delay.ts", async (original) => {
  const real = await original<typeof import("./delay.ts")>();
  const measureDelay: typeof real.measureDelay = (place, signal) => {
    measured.push(place);
    real.measureDelay(place, signal);
  };
  return { ...real, measureDelay };
});

/** A host: hello over HTTP, rooms over real WebSockets. */
class Host {
  hostId = "h1";
  helloStatus = 200;
  /** What `hello` was asked with. */
  asked: IncomingHttpHeaders[] = [];
  /** Refuses handshakes, as a server without a login does and a proxy without a server. */
  stopped = false;
  offers: string[][] = [];
  urls: string[] = [];
  peers: Peer[] = [];
  onPeer: (peer: Peer, request: IncomingMessage) => void = () => {};
  #server: Server;
  #sockets = new WebSocketServer({ noServer: true, handleProtocols: (protocols) => [...protocols][0]! });

  constructor() {
    this.#server = createServer((request, response) => {
      if (request.url?.endsWith("/hello")) {
        this.asked.push(request.headers);
        response.writeHead(this.helloStatus, { "Content-Type": "application/json", ...(this.helloStatus === 302 && { Location: "/hub" }) });
        response.end(JSON.stringify({ host_id: this.hostId, version: "0" }));
      } else response.writeHead(404).end();
    });
    this.#server.on("upgrade", (request, socket, head) => {
      if (this.stopped) return void socket.end("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n");
      this.#sockets.handleUpgrade(request, socket, head, (peer) => {
        this.offers.push((request.headers["sec-websocket-protocol"] ?? "").split(/,\s*/));
        this.urls.push(request.url ?? "");
        this.peers.push(peer);
        this.onPeer(peer, request);
      });
    });
  }

  async start(port = 0): Promise<string> {
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
    return this.url;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  stop(): void {
    for (const peer of this.peers) peer.terminate();
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

let host: Host;
let kernel: FakeKernel;
let controller: AbortController;
let states: [LinkState, string][];
let texts: string[];
let transports: (string | null)[];
let delays: Delay[];

beforeEach(async () => {
  host = new Host();
  await host.start();
  kernel = new FakeKernel();
  controller = new AbortController();
  [states, texts, transports, delays] = [[], [], [], []];
  measured.length = 0;
  vi.spyOn(console, "debug").mockImplementation(() => {});
});
afterEach(() => {
  controller.abort();
  host.stop();
  vi.restoreAllMocks();
});

const handlers: LinkHandlers = {
  state: (state, reason) => states.push([state, reason]),
  opened() {},
  text: (message) => texts.push(message),
  binary() {},
  delay: (transport, delay) => {
    transports.push(transport);
    delays.push(delay);
  },
};

async function link(endpoints: Endpoint[], tickets: string[] = []) {
  const { RoomLink } = await import("./open.ts");
  const { CommChannel } = await import("./channel.ts");
  const channel = new CommChannel(
    kernel,
    controller.signal,
    tickets.map((ticket) => ({ ticket, until: Number.POSITIVE_INFINITY })),
  );
  const address = { endpoints, party: "chat", room: "a b", dialect: "partywidgets.v1", query: () => ({ x: "1", none: null }) };
  return new RoomLink(address, channel, handlers, controller.signal);
}

/** The kernel answers `hello` as a host, `ticket` with numbered ones, and echoes what a comm socket sends. */
function liveKernel(hostId = "h1"): void {
  let count = 0;
  kernel.answer = (message, buffers) =>
    queueMicrotask(() => {
      const { op, id, socket } = message as { op: string; id: string; socket: string };
      if (op === "hello") kernel.push({ op, id, host_id: hostId });
      if (op === "ticket") kernel.push({ op, id, ticket: `asked${++count}`, expires_in: 30 });
      if (op === "open") kernel.push({ op: "opened", socket, protocol: "partywidgets.v1" });
      if (op === "frames") kernel.push({ op, socket, kinds: message.kinds }, ...buffers.map((buffer) => new Uint8Array(buffer)));
    });
}

const loopback = (hostId = "h1"): Endpoint => ({ kind: "loopback", host_id: hostId, url: host.url });
const comm = (hostId = "h1"): Endpoint => ({ kind: "comm", host_id: hostId });
const isOpen = () => expect(states.at(-1)?.[0]).toBe("open");

describe("the way", () => {
  it("is the first candidate that answers as the expected host", async () => {
    liveKernel();
    const room = await link([loopback(), comm()], ["pushed"]);
    await soon(isOpen);
    expect(room.transport).toBe("loopback");
    expect(host.urls[0]).toMatch(/^\/parties\/chat\/a%20b\?_pk=[^&]+&x=1$/);
    expect(host.offers[0]).toEqual(["partywidgets.v1", "partywidgets.ticket.pushed"]);
  });

  it("passes a candidate that is another host", async () => {
    host.hostId = "somebody else";
    liveKernel();
    const room = await link([loopback(), comm()]);
    await soon(isOpen);
    expect(room.transport).toBe("comm");
    expect(host.peers).toEqual([]);
  });

  it("leads to a host that was started anew, once the kernel says that this is its host now", async () => {
    liveKernel();
    const room = await link([loopback(), comm()], ["pushed"]);
    await soon(isOpen);
    host.hostId = "h2";
    kernel.answer = (message) => queueMicrotask(() => kernel.push({ ...message, error: "the host does not answer" }));
    host.peers[0]!.terminate();
    await soon(() => expect(states.at(-1)?.[0]).toBe("lost"));
    liveKernel("h2");
    await soon(isOpen);
    expect(room.transport).toBe("loopback");
    expect(host.peers).toHaveLength(2);
  });

  it("is the one that carried, where the host comes back after that was asked and before the next is", async () => {
    liveKernel();
    const room = await link([loopback(), comm()], ["pushed"]);
    await soon(isOpen);
    const port = Number(new URL(host.url).port);
    const live = kernel.answer;
    kernel.answer = (message, buffers) => {
      kernel.answer = live;
      void host.start(port).then(() => live(message, buffers));
    };
    host.stop();
    await soon(() => expect(host.peers).toHaveLength(2));
    await soon(isOpen);
    expect(room.transport).toBe("loopback");
  });

  it("passes a candidate that does not answer", async () => {
    liveKernel();
    const room = await link([{ kind: "loopback", host_id: "h1", url: "http://127.0.0.1:1/" }, comm()]);
    await soon(isOpen);
    expect(room.transport).toBe("comm");
    room.send("ping");
    await soon(() => expect(texts).toEqual(["ping"]));
  });

  it("is never the comm where the Jupyter Server said no", async () => {
    page.href = `${host.url}lab`;
    liveKernel();
    for (const status of [401, 403]) {
      host.helloStatus = status;
      const room = await link([{ kind: "server", host_id: "h1" }, comm()]);
      await soon(() => expect(states.at(-1)?.[0]).toBe("refused"));
      expect(states.at(-1)![1]).toMatch(/ask its owner/);
      expect(room.transport).toBeNull();
    }
    expect(kernel.ops("hello").concat(kernel.ops("open"))).toEqual([]);
    page.href = "http://localhost:8888/lab";
  });

  it("through the Jupyter Server offers no ticket", async () => {
    page.href = `${host.url}lab`;
    const room = await link([{ kind: "server", host_id: "h1" }, comm()], ["pushed"]);
    await soon(isOpen);
    expect(room.transport).toBe("server");
    expect(host.urls[0]).toMatch(/^\/partywidgets\/parties\/chat\//);
    expect(host.offers[0]).toEqual(["partywidgets.v1"]);
    page.href = "http://localhost:8888/lab";
  });

  it("shows the Jupyter Server what only its own pages know, and nobody else", async () => {
    page.href = `${host.url}lab`;
    cookies.value = "other=1; _xsrf=own|path; _xsrf=wider";
    await link([{ kind: "server", host_id: "h1" }]);
    await soon(isOpen);
    expect(host.asked[0]!["x-xsrftoken"]).toBe("own|path");
    page.href = "http://localhost:8888/lab";
    controller.abort();
    controller = new AbortController();
    host.asked.length = 0;
    liveKernel();
    await link([loopback()]);
    await soon(isOpen);
    expect(host.asked[0]).not.toHaveProperty("x-xsrftoken");
    cookies.value = "";
  });

  it("is looked for again until a host is there", async () => {
    await link([comm()]);
    await soon(() => expect(states.at(-1)).toEqual(["lost", "No live host: start the kernel and run this cell"]));
    liveKernel();
    kernel.emit("comm_live_update");
    await soon(isOpen);
  });
});

describe("tickets", () => {
  it("after the pushed one are the room's resume tickets, which need no kernel", async () => {
    host.onPeer = (peer) => {
      peer.send(JSON.stringify({ type: "ticket", ticket: `resume${host.peers.length}`, expires_in: 600 }));
      peer.send("after the ticket");
    };
    await link([loopback()], ["pushed"]);
    await soon(() => expect(texts).toEqual(["after the ticket"]));
    host.peers[0]!.close(1012, "restart");
    await soon(() => expect(host.offers).toHaveLength(2));
    expect(host.offers.map((offer) => offer[1])).toEqual(["partywidgets.ticket.pushed", "partywidgets.ticket.resume1"]);
    expect(texts.join()).not.toContain("resume");
  });

  it("that are refused cost one more attempt with a fresh one", async () => {
    liveKernel();
    host.onPeer = (peer) => (host.peers.length === 1 ? peer.close(4401, "spent") : peer.send("welcome"));
    await link([loopback()], ["pushed"]);
    await soon(() => expect(texts).toEqual(["welcome"]));
    expect(host.offers.map((offer) => offer[1])).toEqual(["partywidgets.ticket.pushed", "partywidgets.ticket.asked1"]);
    expect(states.some(([state]) => state === "refused")).toBe(false);
  });

  it("that are refused twice end it with a sentence", async () => {
    liveKernel();
    host.onPeer = (peer) => peer.close(4401);
    await link([loopback()], ["pushed"]);
    await soon(() => expect(states.at(-1)).toEqual(["refused", "the ticket was refused: run this cell again"]));
    const attempts = host.offers.length;
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect(host.offers).toHaveLength(attempts);
    expect(attempts).toBe(2);
  });
});

describe("a close", () => {
  it.each([
    [4403, "you watch only", "you watch only"],
    [4404, "", "there is no such room on this host"],
    [4409, "", "this room already has another sandbox open"],
  ])("with %i ends it, with the reason", async (code, reason, sentence) => {
    host.onPeer = (peer) => peer.close(code, reason);
    await link([loopback()], ["pushed"]);
    await soon(() => expect(states.at(-1)).toEqual(["refused", sentence]));
    expect(host.peers).toHaveLength(1);
  });

  it("without a reason to stop is followed by a new connection", async () => {
    liveKernel();
    await link([loopback()], ["pushed"]);
    await soon(isOpen);
    host.peers[0]!.terminate();
    await soon(() => expect(host.peers).toHaveLength(2));
    await soon(isOpen);
    expect(states.map(([state]) => state)).toEqual(["connecting", "open", "connecting", "open"]);
  });

  it("of a kernel's host whose kernel restarted says so", async () => {
    liveKernel();
    await link([loopback(), comm()], ["pushed"]);
    await soon(isOpen);
    kernel.answer = () => {};
    kernel.emit("comm_live_update");
    host.stop();
    await soon(() => expect(states.at(-1)).toEqual(["lost", "ended: kernel restarted, run this cell again"]));
  });

  it("by the view ends everything", async () => {
    await link([loopback()], ["pushed"]);
    await soon(isOpen);
    const gone = once(host.peers[0]!, "close");
    controller.abort();
    await gone;
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect(host.peers).toHaveLength(1);
  });

  it("leaves nothing behind that listens to the kernel", async () => {
    const { CommChannel } = await import("./channel.ts");
    const listen = CommChannel.prototype.onInterruption;
    let listening = 0;
    vi.spyOn(CommChannel.prototype, "onInterruption").mockImplementation(function (this: InstanceType<typeof CommChannel>, listener) {
      listening++;
      const stop = listen.call(this, listener);
      return () => {
        listening--;
        return stop();
      };
    });
    liveKernel();
    const room = await link([loopback(), comm()], ["pushed"]);
    await soon(isOpen);
    const first = listening;
    room.restart();
    await soon(() => expect(host.peers).toHaveLength(2));
    await soon(isOpen);
    expect(listening).toBe(first);
  });

  it("keeps nothing that was sent meanwhile", async () => {
    liveKernel();
    const heard: string[] = [];
    host.onPeer = (peer) => peer.on("message", (data) => heard.push(String(data)));
    const room = await link([loopback()], ["pushed"]);
    await soon(isOpen);
    host.peers[0]!.terminate();
    await soon(() => expect(states.at(-1)?.[0]).toBe("connecting"));
    expect(room.send("rm -rf /")).toBe(false);
    await soon(() => expect(host.peers).toHaveLength(2));
    await soon(isOpen);
    expect(room.send("ls")).toBe(true);
    await soon(() => expect(heard).toEqual(["ls"]));
  });
});

describe("a Jupyter Server that was stopped", () => {
  beforeEach(async () => {
    page.href = `${host.url}lab`;
    await link([{ kind: "server", host_id: "h1" }, comm()]);
    await soon(isOpen);
  });
  afterEach(() => {
    page.href = "http://localhost:8888/lab";
  });

  it("and knows the page's login no more when it is back is told as a refusal", async () => {
    host.helloStatus = 401;
    host.stopped = true;
    host.peers[0]!.terminate();
    await soon(() => expect(states.at(-1)?.[0]).toBe("refused"));
    expect(states.at(-1)![1]).toMatch(/reload this page/);
  });

  it("is waited for while the Hub answers in its place", async () => {
    host.helloStatus = 302;
    host.stopped = true;
    host.peers[0]!.terminate();
    await soon(() => expect(states.filter(([, reason]) => reason === "connection lost: reconnecting").length).toBeGreaterThan(2));
    host.helloStatus = 200;
    host.stopped = false;
    await soon(isOpen);
  });
});

describe("the badge's delay", () => {
  it("is not told while the connection is lost, however often it is tried", async () => {
    page.href = `${host.url}lab`;
    const silence = { forMs: 3000, heard: false };
    await link([{ kind: "server", host_id: "h1" }, comm()]);
    await soon(isOpen);
    measured[0]!.tell(silence);
    expect(delays.at(-1)).toEqual(silence);
    host.stop();
    await soon(() => expect(states.filter(([, reason]) => reason === "connection lost: reconnecting").length).toBeGreaterThan(1));
    measured[0]!.tell(silence);
    measured[0]!.tell(7);
    expect(delays.at(-1)).toBeNull();
    page.href = "http://localhost:8888/lab";
  });

  it("names the way that carries", async () => {
    liveKernel();
    await link([comm()]);
    await soon(() => expect(transports).toContain("comm"));
  });
});
