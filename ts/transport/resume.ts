/**
 * Resume (`pw1`) for the npm `partysocket`, which stays as it is: `new PartySocket(resumable({ host, party, room, onResumed }))`.
 *
 * After a lost connection the room sends all the broadcasts that were missed, or `onResumed` says that something may be missing. What goes
 * over the wire stands in partywidgets/party/resume.py. This file imports nothing, so that it can be copied into a project.
 */

const MARK = "\x1e";
/** The close code of a connection that this side gives up. */
const GIVEN_UP = 4000;
/** Heartbeats that do not come before a connection counts as silent: 25 s at the room's 10. */
const HEARTBEATS = 2.5;

/** What a message of the room to this connection alone carries. */
export type Direct = string | Uint8Array<ArrayBuffer>;

/** How many broadcasts of which epoch have come. Pure; the same as `partywidgets.partysocket.resume.Count`. */
export class Count {
  epoch: string | null = null;
  offset = 0;
  /** Of the latest connection: true, all that was missed follows; false, something may be missing; null, the room does not count. */
  recovered: boolean | null = null;
  /** A heartbeat showed that a broadcast never came: only a fresh start helps. */
  lost = false;
  /** Seconds between two heartbeats of the room. */
  heartbeat = 0;

  /** What goes into the query of the next upgrade, after which a new connection is counted. */
  query(): { _pw: string; _e: string | null; _o: string | null } {
    this.recovered = null;
    if (this.lost) {
      this.epoch = null;
      this.offset = 0;
      this.lost = false;
    }
    return { _pw: "1", _e: this.epoch, _o: this.epoch === null ? null : String(this.offset) };
  }

  /** The message that a text frame means; null for one that is for this counter alone. Throws an Error for one that cannot be read. */
  text(frame: string): Direct | null {
    if (frame.startsWith(MARK)) return this.#control(frame.slice(1));
    this.binary();
    return frame;
  }

  /** A binary frame came. */
  binary(): void {
    if (this.recovered !== null) this.offset++;
  }

  #control(json: string): Direct | null {
    let frame: Record<string, unknown>;
    try {
      frame = JSON.parse(json);
      switch (frame.type) {
        case "resumed":
          this.epoch = need(frame.e, "string");
          this.offset = need(frame.o, "number");
          this.recovered = need(frame.rec, "boolean");
          this.heartbeat = need(frame.hb, "number");
          return null;
        case "skip":
          this.offset += need(frame.n, "number");
          return null;
        case "hb":
          this.lost = need(frame.o, "number") !== this.offset;
          return null;
        case "direct":
          if (frame.text !== undefined) return need(frame.text, "string");
          return Uint8Array.from(atob(need(frame.base64, "string")), (character) => character.charCodeAt(0));
        case undefined:
          throw new Error("it has no type");
        default:
          return null;
      }
    } catch (error) {
      throw new Error(`a control frame of the room cannot be read: ${error instanceof Error ? error.message : error}`);
    }
  }
}

interface Types {
  string: string;
  number: number;
  boolean: boolean;
}

function need<K extends keyof Types>(value: unknown, type: K): Types[K] {
  if (typeof value !== type) throw new Error(`a ${type} is missing`);
  return value as Types[K];
}

export type Query = Record<string, string | null | undefined>;

/** What a WebSocket class must have to be counted: the browser's, Node's, the package `ws`. */
interface Inner {
  binaryType: string;
  readonly bufferedAmount: number;
  readonly extensions: string;
  readonly protocol: string;
  readonly readyState: number;
  readonly url: string;
  addEventListener(type: string, listener: (event: never) => void): void;
  close(code?: number, reason?: string): void;
  send(message: never): void;
}

type InnerClass = new (url: string, protocols?: string | string[]) => Inner;

/** What `resumable` takes beside PartySocket's own options. */
export interface ResumeOptions {
  query?: Query | null | (() => Query | null | undefined | Promise<Query | null | undefined>);
  /** The class to connect with. Default: the page's own. */
  WebSocket?: unknown;
  /**
   * Called on every connection but the first, before its messages. `recovered`: all that was missed follows, each once. Otherwise
   * something may be missing: load afresh what the page shows. Never called in a room that does not count.
   */
  onResumed?: (event: { recovered: boolean }) => void;
  /** Milliseconds without a frame after which the connection is given up for another; 0: never. Default: 2.5 heartbeats of the room, 25 s. */
  silence?: number;
}

/** PartySocket's options, with a `query` and a `WebSocket` that count. */
export type Resumable<T> = Omit<T, keyof ResumeOptions> & { query: () => Promise<Query>; WebSocket: unknown };

/** Options for one `new PartySocket(…)` that counts the room's broadcasts. In a room that does not count it is an ordinary socket. */
export function resumable<T extends object>(options: T & ResumeOptions): Resumable<T> {
  const { onResumed, silence, query, WebSocket: given, ...rest } = options;
  const count = new Count();
  let connectedBefore = false;
  let current: CountingSocket | null = null;

  class CountingSocket extends EventTarget {
    readonly #inner: Inner;
    readonly #again = connectedBefore;
    #deaf = false;
    #dropped = false;
    #heard = 0;
    #watch: ReturnType<typeof setInterval> | undefined;

    constructor(url: string, protocols?: string | string[]) {
      super();
      if (current !== null && current.readyState < 2)
        throw new Error("these options are another PartySocket's: call resumable() for each socket");
      const WebSocketClass = (given ?? globalThis.WebSocket) as InnerClass | undefined;
      if (!WebSocketClass) throw new Error("there is no WebSocket here: give resumable() one, for example that of the package ws");
      this.#inner = protocols === undefined ? new WebSocketClass(url) : new WebSocketClass(url, protocols);
      current = this;
      this.#inner.addEventListener("open", () => {
        connectedBefore = true; // also when it is cut before the room says where it is: a page may have loaded the room by then
        if (!this.#deaf) this.dispatchEvent(new Event("open"));
      });
      this.#inner.addEventListener("message", ({ data, origin }: MessageEvent) => this.#deaf || this.#message(data, origin));
      this.#inner.addEventListener("error", (event: Event) => this.#dropped || this.#failed(event));
      this.#inner.addEventListener("close", ({ code, reason, wasClean }: CloseEvent) => {
        this.#end();
        if (!this.#dropped) this.dispatchEvent(closeEvent(code, reason, wasClean));
      });
    }

    get binaryType() {
      return this.#inner.binaryType;
    }
    set binaryType(type) {
      this.#inner.binaryType = type;
    }
    get bufferedAmount() {
      return this.#inner.bufferedAmount;
    }
    get extensions() {
      return this.#inner.extensions;
    }
    get protocol() {
      return this.#inner.protocol;
    }
    get readyState() {
      return this.#dropped ? 3 : this.#inner.readyState;
    }
    get url() {
      return this.#inner.url;
    }

    send(message: unknown): void {
      this.#inner.send(message as never);
    }

    /** What still comes from now on is neither delivered nor counted: the next connection brings it. */
    close(code?: number, reason?: string): void {
      this.#end();
      this.#inner.close(code, reason);
    }

    #message(data: unknown, origin: string | undefined): void {
      this.#heard = performance.now();
      const deliver = (content: unknown) => this.dispatchEvent(new MessageEvent("message", { data: content, origin: origin ?? "" }));
      if (typeof data !== "string") {
        count.binary();
        deliver(data);
        return;
      }
      const before = count.recovered;
      let message: Direct | null;
      try {
        message = count.text(data);
      } catch (error) {
        console.error("partywidgets:", error);
        this.#drop("a control frame could not be read");
        return;
      }
      if (before === null && count.recovered !== null) this.#resumed(count.recovered);
      if (count.lost) this.#drop("a broadcast never came");
      else if (message !== null) deliver(typeof message === "string" ? message : this.#binary(message));
    }

    #resumed(recovered: boolean): void {
      const limit = silence ?? HEARTBEATS * 1000 * count.heartbeat;
      let late = false;
      const look = () => {
        const overdue = performance.now() - this.#heard > limit;
        // Overdue at two looks: a page that slept first gets what had arrived meanwhile.
        if (overdue && late) this.#drop("the room was silent");
        late = overdue;
      };
      if (limit > 0) this.#watch = setInterval(look, limit / 10);
      if (this.#again) onResumed?.({ recovered });
    }

    #binary(bytes: Uint8Array<ArrayBuffer>): unknown {
      if (this.binaryType === "arraybuffer") return bytes.buffer;
      return this.binaryType === "blob" ? new Blob([bytes]) : bytes;
    }

    #failed(event: Event): void {
      const { error, message } = event as Partial<ErrorEvent>;
      this.dispatchEvent(Object.assign(new Event("error"), error === undefined ? {} : { error, message }));
    }

    /** Gives the connection up: a half-open one would take minutes to close by itself. PartySocket connects again. */
    #drop(reason: string): void {
      this.#end();
      this.#dropped = true;
      this.#inner.close(GIVEN_UP, reason);
      this.dispatchEvent(closeEvent(GIVEN_UP, reason, false));
    }

    #end(): void {
      this.#deaf = true;
      clearInterval(this.#watch);
    }
  }

  return {
    ...rest,
    // PartySocket calls it before every attempt; what is counted is read last, in case that the page's own part takes long.
    query: async () => ({ ...(typeof query === "function" ? await query() : query), ...count.query() }),
    WebSocket: CountingSocket,
  };
}

function closeEvent(code: number, reason: string, wasClean: boolean): Event {
  // Node 20 has no CloseEvent.
  if (typeof CloseEvent === "function") return new CloseEvent("close", { code, reason, wasClean });
  return Object.assign(new Event("close"), { code, reason, wasClean });
}
