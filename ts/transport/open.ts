/** Picks the way to a room's host and keeps a PartySocket on it. */
import PartySocket from "partysocket";
import { type CommChannel, KernelSilence } from "./channel.ts";
import { CommTransport } from "./comm.ts";
import { type Delay, measureDelay } from "./delay.ts";
import { type Endpoint, httpRoot, type Page, type TransportName, thisPage, whyRelayed } from "./endpoint.ts";
import { LoopbackTransport } from "./loopback.ts";
import { ServerTransport } from "./server.ts";
import { Refused, SentElsewhere, type Transport } from "./transport.ts";

export const HELLO_TIMEOUT_MS = 1500;
const SEARCH_PAUSES_MS = [1000, 2000, 4000, 8000];
/** Attempts that never opened before another way is looked for. The extension's way is not left: its refusal may look like this too. */
const ATTEMPTS = 3;

const STOP: Record<number, string> = {
  4400: "the host does not understand this request",
  4401: "the ticket was refused: run this cell again",
  4403: "you may not enter this room: ask its owner for access",
  4404: "there is no such room on this host",
  4409: "this room already has another sandbox open",
};

export type LinkState = "connecting" | "open" | "refused" | "lost";

/** What a room's link tells its owner. `reason` is one sentence, or empty. */
export interface LinkHandlers {
  state(state: LinkState, reason: string): void;
  opened(protocol: string): void;
  text(message: string): void;
  binary(frame: Uint8Array): void;
  /** The way that carries, its delay, and why no better one does, or "". */
  delay(transport: TransportName | null, delay: Delay, why: string): void;
}

export interface RoomAddress {
  endpoints: Endpoint[];
  party: string;
  room: string;
  dialect: string;
  /** Read at each connect: resume positions and sizes change. */
  query: () => Record<string, string | null>;
}

/** The transport of an endpoint, or null when this page cannot use it. */
export function transportFor(endpoint: Endpoint, page: Page, channel: CommChannel): Transport | null {
  if (endpoint.kind === "comm") return new CommTransport(channel);
  const root = httpRoot(endpoint, page);
  if (root === null) return null;
  return endpoint.kind === "server" ? new ServerTransport(root) : new LoopbackTransport(endpoint.kind, root, channel);
}

export interface Candidate {
  endpoint: Endpoint;
  transport: Transport;
}

/**
 * The first candidate that says `hello` as the expected host carries. A host that was started anew has another id: `current` asks the kernel
 * for the id of the host that it uses now. Throws Refused when the extension said no; null when nobody answered.
 */
export async function choose(candidates: Candidate[], current: () => Promise<string>, signal: AbortSignal): Promise<Candidate | null> {
  let asked = false;
  for (const candidate of candidates) {
    signal.throwIfAborted();
    const { endpoint, transport } = candidate;
    try {
      const { host_id } = await transport.hello(HELLO_TIMEOUT_MS, signal);
      if (endpoint.host_id && host_id !== endpoint.host_id && !asked) {
        asked = true;
        const expected = await current();
        for (const other of candidates) if (other.endpoint.host_id) other.endpoint.host_id = expected;
      }
      if (!endpoint.host_id || host_id === endpoint.host_id) return candidate;
    } catch (error) {
      // Only Jupyter's own no ends the search: the comm behind it would act as the owner.
      if (error instanceof Refused && transport.name === "server") throw error;
      console.debug(`partywidgets: ${transport.name} does not answer`, error);
    }
  }
  return null;
}

/** A room, however it is reached: finds the way, reconnects, measures the delay, until `signal` aborts or the host refuses. */
export class RoomLink {
  #address: RoomAddress;
  #channel: CommChannel;
  #handlers: LinkHandlers;
  #signal: AbortSignal;
  #candidates: Candidate[];
  #socket: PartySocket | null = null;
  #current: Candidate | null = null;
  #stop: AbortController | null = null;
  #wasLive = false;
  #wake: (() => void) | null = null;

  constructor(address: RoomAddress, channel: CommChannel, handlers: LinkHandlers, signal: AbortSignal) {
    this.#address = address;
    this.#channel = channel;
    this.#handlers = handlers;
    this.#signal = signal;
    const page = thisPage();
    this.#candidates = address.endpoints.flatMap((endpoint) => {
      const transport = transportFor(endpoint, page, channel);
      return transport ? [{ endpoint: { ...endpoint }, transport }] : [];
    });
    signal.addEventListener("abort", () => this.#stop?.abort());
    channel.onInterruption(() => this.#wake?.());
    this.restart();
  }

  /** Behind a notebook's page is a kernel, whose comm is a way to the host; behind a host's own page is none. */
  get #hasKernel(): boolean {
    return this.#candidates.some(({ transport }) => transport.name === "comm" || transport.name === "loopback");
  }

  /** The way that carries, or null. */
  get transport(): TransportName | null {
    return this.#current?.transport.name ?? null;
  }

  /** Whether each attempt needs a ticket, which a kernel that is busy or gone gives to nobody. */
  get needsTickets(): boolean {
    return this.transport === "loopback" || this.transport === "remote";
  }

  /** A resume ticket that the room gave: the next attempt needs no kernel. */
  resume(ticket: string): void {
    this.#current?.transport.resume(ticket);
  }

  /** Sends when the room is open; what cannot be sent now is not kept. True when it went out. */
  send(frame: string | ArrayBuffer | ArrayBufferView<ArrayBuffer>): boolean {
    const socket = this.#socket;
    if (!socket || socket.readyState !== WebSocket.OPEN) return false;
    socket.send(frame);
    return true;
  }

  /** Looks for the host again from the start: after a refusal, when the person asks. */
  restart(): void {
    this.#stop?.abort();
    if (this.#signal.aborted) return;
    const stop = new AbortController();
    this.#stop = stop;
    this.#run(stop.signal).catch((error) => {
      if (stop.signal.aborted) return;
      this.#handlers.state(error instanceof Refused ? "refused" : "lost", wordsOf(error));
      this.#tellDelay(null, null);
    });
  }

  async #run(signal: AbortSignal): Promise<void> {
    let left: Candidate | null = null;
    let carried: Candidate | null = null;
    for (let round = 0; !signal.aborted; round++) {
      if (round === 0) this.#handlers.state("connecting", "");
      const candidates = left ? this.#candidates.filter((candidate) => candidate !== left) : this.#candidates;
      let chosen = await choose(candidates, () => this.#currentHost(), signal);
      if (chosen && carried && candidates.indexOf(carried) >= 0 && candidates.indexOf(carried) < candidates.indexOf(chosen))
        // The host came back between two questions, or was slow when it began: a worse way would be kept for good.
        chosen = (await choose([carried], () => this.#currentHost(), signal)) ?? chosen;
      if (signal.aborted) return;
      left = null;
      if (chosen) {
        round = 0;
        const outcome = await this.#connect(chosen, signal);
        if (outcome === "leave") left = chosen;
        else carried = chosen;
        if (outcome === "stopped") return;
        continue;
      }
      this.#tellAbsence();
      await this.#pause(SEARCH_PAUSES_MS[Math.min(round, SEARCH_PAUSES_MS.length - 1)]!, signal);
    }
  }

  #tellDelay(transport: TransportName | null, delay: Delay): void {
    this.#handlers.delay(transport, delay, transport === "comm" ? whyRelayed(this.#address.endpoints, thisPage()) : "");
  }

  async #currentHost(): Promise<string> {
    const [answer] = await this.#channel.request("hello", {}, HELLO_TIMEOUT_MS);
    return String(answer.host_id);
  }

  #tellAbsence(): void {
    const inKernel =
      this.#candidates.some(({ transport }) => transport.name === "loopback") ||
      this.#candidates.every(({ transport }) => transport.name === "comm");
    if (!this.#hasKernel) this.#handlers.state("lost", "the host does not answer: still trying");
    else if (this.#wasLive && inKernel && this.#channel.interrupted)
      this.#handlers.state("lost", "ended: kernel restarted, run this cell again");
    else if (this.#wasLive) this.#handlers.state("lost", "the host does not answer: still trying");
    else this.#handlers.state("lost", "No live host: start the kernel and run this cell");
    this.#tellDelay(null, null);
  }

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        this.#wake = null;
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#wake = done;
      signal.addEventListener("abort", done, { once: true });
    });
  }

  /** Stays on one way. Resolves `stopped` when the host said no, `leave` when another way should be tried, `search` when the host is gone. */
  #connect(candidate: Candidate, signal: AbortSignal): Promise<"stopped" | "leave" | "search"> {
    const { transport } = candidate;
    const { party, room, dialect, query } = this.#address;
    this.#current = candidate;
    let refusals = 0;
    let failures = 0;
    let opened = false;
    let heard = performance.now();
    return new Promise((resolve) => {
      const socket = new PartySocket({
        ...transport.socket(),
        party,
        room: encodeURIComponent(room),
        query: async () => query(),
        protocols: () =>
          transport.protocols(dialect, refusals > 0).catch((error: unknown) => {
            // PartySocket tries again; the person is told why it takes so long.
            if (!signal.aborted)
              this.#handlers.state("connecting", error instanceof KernelSilence ? "waiting for the kernel: it is busy" : wordsOf(error));
            throw error;
          }),
        // Keystrokes typed into the void must not arrive later in a shell, nor clicks in a table.
        maxEnqueuedMessages: 0,
        minReconnectionDelay: 300 + Math.random() * 500,
        maxReconnectionDelay: 5000,
        shouldReconnectOnClose: (event) => !(event.code in STOP) || (event.code === 4401 && refusals === 0),
      });
      socket.binaryType = "arraybuffer";
      this.#socket = socket;
      const ended = new AbortController();
      const end = (outcome: "stopped" | "leave" | "search") => {
        if (ended.signal.aborted) return;
        ended.abort();
        this.#socket = null;
        socket.close();
        resolve(outcome);
      };
      const listen = { signal: ended.signal };
      socket.addEventListener(
        "open",
        () => {
          opened = this.#wasLive = true;
          failures = 0;
          heard = performance.now();
          this.#handlers.state("open", "");
          this.#handlers.opened(socket.protocol);
        },
        listen,
      );
      socket.addEventListener(
        "message",
        ({ data }) => {
          refusals = 0;
          heard = performance.now();
          if (typeof data === "string") this.#text(data, transport);
          else if (data instanceof ArrayBuffer) this.#handlers.binary(new Uint8Array(data));
        },
        listen,
      );
      socket.addEventListener(
        "close",
        ({ code, reason: given }) => {
          // PartySocket's own words are no reason for a person; of an attempt that failed in a browser it is the event itself.
          const reason = typeof given !== "string" || given === "timeout" || given === "unknown reason" ? "" : given;
          if (code === 4401 && refusals++ === 0) {
            this.#handlers.state("connecting", "");
          } else if (code in STOP) {
            this.#handlers.state(
              "refused",
              reason || (code === 4401 && !this.#hasKernel ? "the ticket was refused: reload this page" : STOP[code]!),
            );
            this.#tellDelay(transport.name, null);
            end("stopped");
          } else {
            this.#handlers.state("connecting", reason || "connection lost: reconnecting");
            this.#tellDelay(transport.name, null);
            if (opened)
              this.#stillThere(candidate, ended.signal).then(
                (there) => there || end("search"),
                (refusal: Refused) => {
                  if (ended.signal.aborted || socket.readyState === WebSocket.OPEN) return;
                  this.#handlers.state("refused", refusal.message);
                  this.#tellDelay(transport.name, null);
                  end("stopped");
                },
              );
          }
        },
        listen,
      );
      socket.addEventListener(
        "error",
        () => {
          if (++failures >= ATTEMPTS && transport.name !== "server") end(opened ? "search" : "leave");
        },
        listen,
      );
      signal.addEventListener("abort", () => end("stopped"), listen);
      const deaf = this.#channel.onInterruption(() => {
        if (transport.name === "comm") void this.#stillThere(candidate, ended.signal).then((there) => there || end("search"));
      });
      ended.signal.addEventListener("abort", deaf);
      measureDelay(
        {
          hello: (timeoutMs, signal) => transport.hello(timeoutMs, signal),
          heard: () => (transport.name === "comm" ? this.#channel.heard : heard),
          tell: (delay) => {
            // Of a socket that is not open the state says it all; a kernel's silence is why its own does not open.
            if (socket.readyState === WebSocket.OPEN || transport.name === "comm") this.#tellDelay(transport.name, delay);
          },
          back: (asked) => {
            // The network was away, and the socket has said nothing since: it may be half open, which a browser does not notice.
            if (socket.readyState === WebSocket.OPEN && heard < asked && transport.name !== "comm") socket.reconnect();
          },
        },
        ended.signal,
      );
    });
  }

  /**
   * True while the host of a dropped socket answers, or is only busy; a host that restarted has another id. Rejects with Refused where the
   * Jupyter Server is there and knows this page's login no more: a Hub ends those of a server that it stops.
   */
  async #stillThere({ endpoint, transport }: Candidate, signal: AbortSignal): Promise<boolean> {
    try {
      const { host_id } = await transport.hello(HELLO_TIMEOUT_MS, signal);
      return !endpoint.host_id || host_id === endpoint.host_id;
    } catch (error) {
      if (!signal.aborted && transport.name === "server" && error instanceof Refused && !(error instanceof SentElsewhere)) throw error;
      return signal.aborted || (error instanceof KernelSilence && !this.#channel.interrupted) || transport.name === "server";
    }
  }

  #text(data: string, transport: Transport): void {
    if (data.includes('"ticket"')) {
      try {
        const message = JSON.parse(data) as { type?: string; ticket?: string };
        if (message.type === "ticket" && message.ticket) {
          transport.resume(message.ticket);
          return;
        }
      } catch {
        // Not JSON: the room's owner says so.
      }
    }
    this.#handlers.text(data);
  }
}

/** What an error says to a person; a browser's `error` event says nothing. */
function wordsOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  return typeof error === "string" ? error : "no answer yet, trying again";
}
