/** The client's side of a terminal room: offsets, acknowledgements, resume. No DOM and no socket in it. */
import { parseMessage, requestId } from "../protocol.ts";
import {
  decodeFrame,
  encodeInput,
  type LeaseAction,
  type Mark,
  type TerminalControl,
  type TerminalRequest,
  type Welcome,
} from "../terminal-protocol.ts";
import { ComingScreen } from "./coming-screen.ts";
import { SentInputs } from "./sent-inputs.ts";
import { NOBODY, type TerminalStatus } from "./terminal-status.ts";

/** Output on the screen is acknowledged after this many bytes, or after a pause. The room holds a viewer with 512 KiB unacknowledged for lagging. */
const ACK_BYTES = 128 * 1024;
const ACK_IDLE_MS = 50;
/** A `resync` that brought nothing is asked for again after this. */
const RESYNC_AGAIN_MS = 5000;
/** Bytes of the lines above that come with a first screen: the rest follows, as far as the line brings it in a moment. */
const FIRST_BYTES = 8192;
/** Whoever missed more gets a screen first, which over a slow line is there sooner. */
const MISSED_BYTES = 32_768;

/** Where output goes. Calls are in stream order; `done` comes when it is on the screen. */
export interface Screen {
  write(bytes: Uint8Array, done: () => void): void;
  /** A whole screen: reset, resize, write. */
  restore(size: { cols: number; rows: number }, bytes: Uint8Array, done: () => void): void;
  resize(size: { cols: number; rows: number }): void;
}

export interface TerminalEvents {
  status(status: TerminalStatus): void;
  /** A sentence for the person: an error, a refused request. */
  notice(sentence: string): void;
  mark(mark: Mark): void;
}

export type Asked =
  | { type: "restart" }
  | ({ type: "lease" } & LeaseAction)
  | { type: "ask" }
  | { type: "screen"; format: "text" | "html" }
  | { type: "run"; command: string; timeout_s: number | null }
  | { type: "history" }
  | { type: "eject"; connection: string };
/** The room's answer, or why there is none; `lost`: the connection went, and what was asked for may go on. */
export type Answer = { ok: boolean; result?: unknown; error?: string; lost?: boolean };

export class TerminalRoom {
  status: TerminalStatus = { ...NOBODY };
  #screen: Screen;
  #events: TerminalEvents;
  #send: (frame: string | Uint8Array<ArrayBuffer>) => boolean;
  #epoch: string | null = null;
  /** The next byte expected. */
  #offset = 0;
  /** Everything before it is on the screen. */
  #shown = 0;
  #acked = 0;
  #ackTimer: ReturnType<typeof setTimeout> | undefined;
  /** What the room calls the socket of the last welcome. */
  #socket = "";
  #inputs = new SentInputs();
  #coming = new ComingScreen({
    late: (late) => {
      if (this.status.lagging !== late) this.#update({ lagging: late });
    },
    above: (above) => this.#update({ above }),
  });
  #resizeAhead: { cols: number; rows: number; offset: number } | null = null;
  #askedResyncAt = Number.NEGATIVE_INFINITY;
  /** Frames of an older epoch or screen still in the write queue must not move the acknowledgement. */
  #generation = 0;
  /** The sandbox of the shell that ran here last. */
  #ranOn = "";
  #replies = new Map<string, (reply: Answer) => void>();

  constructor(screen: Screen, events: TerminalEvents, send: (frame: string | Uint8Array<ArrayBuffer>) => boolean) {
    this.#screen = screen;
    this.#events = events;
    this.#send = send;
  }

  /**
   * The query that resumes where this page's screen is; without an offset while it waits for a screen, and without the lines above it once
   * a connection ended before one had come: on a bad line a large one never does. Who comes back first opens a room that has ended meanwhile: whoever may type names
   * the sandbox that ran, so that it is never on another machine than the one that they typed into.
   */
  resumeQuery(): {
    after: string | null;
    epoch: string | null;
    offset: string | null;
    first: string;
    missed: string;
    scrollback?: string;
    sandboxId?: string;
  } {
    const where = {
      first: String(FIRST_BYTES),
      missed: String(MISSED_BYTES),
      after: this.#socket || null,
      epoch: this.#epoch,
      offset: this.#epoch === null || this.#coming.awaited ? null : String(this.#offset),
      ...(this.#coming.thin ? { scrollback: "0" } : {}),
    };
    return this.#ranOn && this.status.role !== "observer" ? { ...where, sandboxId: this.#ranOn } : where;
  }

  /** A new socket: input sequences start again. */
  opened(): void {
    this.#inputs.restart();
    this.#askedResyncAt = Number.NEGATIVE_INFINITY;
  }

  closed(): void {
    this.#coming.lost();
    this.#update({ welcomed: false, canType: false, people: [], asking: [], lagging: false, above: this.#coming.above });
    for (const answer of this.#replies.values()) answer({ ok: false, error: "the connection was lost before the answer came", lost: true });
    this.#replies.clear();
  }

  /** Keystrokes. False when they did not go out. */
  type(bytes: Uint8Array): boolean {
    if (!this.status.canType) return false;
    const sent = this.#send(encodeInput(this.#inputs.next, bytes));
    if (sent) this.#inputs.went(bytes.length);
    return sent;
  }

  /** Sends a control message that has no answer. */
  tell(request: TerminalRequest): boolean {
    return this.#send(JSON.stringify(request));
  }

  /** Sends a request with an id and resolves with its answer; an `error` is a sentence, never a rejection. */
  ask(request: Asked, timeoutMs = 10_000): Promise<Answer> {
    const id = requestId();
    return new Promise((resolve) => {
      const timer = setTimeout(() => answer({ ok: false, error: `the room did not answer within ${timeoutMs / 1000} s` }), timeoutMs);
      const answer = (reply: Answer) => {
        clearTimeout(timer);
        this.#replies.delete(id);
        resolve(reply);
      };
      this.#replies.set(id, answer);
      if (!this.#send(JSON.stringify({ ...request, id }))) answer({ ok: false, error: "not connected" });
    });
  }

  /** The page is seen, or is not. */
  seen(now: boolean): void {
    if (this.#coming.seen(now)) this.askAbove();
  }

  /** Asks for the lines above the screen that were left out. They come with a whole screen: a slow line brings nothing else meanwhile. */
  askAbove(): void {
    if (this.tell({ type: "resync" })) this.#coming.asked();
  }

  binary(data: Uint8Array): void {
    let frame: ReturnType<typeof decodeFrame>;
    try {
      frame = decodeFrame(data);
    } catch (error) {
      console.warn("partywidgets: terminal frame ignored:", error);
      return;
    }
    if (frame.kind === "snapshot") this.#restore(frame);
    else if (frame.kind === "output") this.#output(frame.offset, frame.bytes);
  }

  text(data: string): void {
    let message: TerminalControl;
    try {
      message = parseMessage<TerminalControl>(data);
    } catch (error) {
      console.warn("partywidgets: terminal message ignored:", error);
      return;
    }
    switch (message.type) {
      case "welcome":
        this.#welcome(message);
        break;
      case "resize":
        this.#update({ size: { cols: message.cols, rows: message.rows, by: message.by } });
        this.#resize(message);
        break;
      case "presence":
        this.#update({ people: message.people });
        break;
      case "lease":
        this.#update({ lease: message.holder, canType: message.can_type, asking: message.asking ?? [] });
        break;
      case "upstream":
        this.#update({
          upstream: message.state,
          reason: message.reason,
          sandbox: message.sandbox,
          ...(message.state === "running" || message.state === "starting" ? { exit: null } : {}),
        });
        break;
      case "exit":
        this.#update({ upstream: "ended", exit: { code: message.code, reason: message.reason } });
        break;
      case "lag":
        this.#update({ lagging: message.behind > 0 });
        break;
      case "mark":
        this.#events.mark(message);
        break;
      case "reply":
        this.#replies.get(message.id)?.(message);
        break;
      case "error":
        this.#events.notice(message.message);
        break;
      case "resync":
        this.#coming.announced(message.reason, message.short === true);
        break;
      case "ticket":
      case "waits":
        break;
      default:
        console.debug("partywidgets: unknown terminal message", message);
    }
  }

  #welcome(welcome: Welcome): void {
    const fresh = welcome.epoch !== this.#epoch;
    this.#epoch = welcome.epoch;
    if (fresh || !welcome.resumed) {
      this.#generation++;
      this.#offset = this.#shown = this.#acked = welcome.offset;
    }
    this.#update({
      welcomed: true,
      connection: welcome.connection,
      role: welcome.role,
      canType: welcome.can_type,
      lease: welcome.lease.holder,
      asking: welcome.lease.asking ?? [],
      size: welcome.size,
      upstream: welcome.state,
      reason: welcome.reason,
      sandbox: welcome.sandbox,
      exit: welcome.state === "ended" || welcome.state === "failed" ? (this.status.exit ?? { code: null, reason: welcome.reason }) : null,
      lagging: false,
      screenIsRaw: welcome.screen === "raw",
    });
    this.#coming.welcomed(welcome.resumed);
    this.#resizeAhead = null;
    this.#screen.resize(welcome.size);
    this.#socket = welcome.socket ?? "";
    const swallowed = this.#inputs.swallowed(welcome.taken);
    if (swallowed !== null) this.#events.notice(swallowed);
  }

  /** A resize stands at an offset of the stream. One that overtakes output, or the snapshot of a time before it, waits for its place. */
  #resize(size: { cols: number; rows: number; offset: number }): void {
    this.#resizeAhead = size.offset > this.#offset ? size : null;
    if (!this.#resizeAhead) this.#screen.resize(size);
  }

  #resizeWhenReached(): void {
    const size = this.#resizeAhead;
    if (!size || size.offset > this.#offset) return;
    this.#resizeAhead = null;
    this.#screen.resize(size);
  }

  #restore({ offset, cols, rows, bytes }: { offset: number; cols: number; rows: number; bytes: Uint8Array }): void {
    const generation = ++this.#generation;
    const rate = this.#coming.came(bytes.length);
    this.#offset = offset;
    this.#askedResyncAt = Number.NEGATIVE_INFINITY;
    this.#screen.restore({ cols, rows }, bytes, () => this.#reached(generation, offset, true, rate));
    // A snapshot from beyond the resize was taken at that size, or at a newer one.
    if (this.#resizeAhead && this.#resizeAhead.offset < offset) this.#resizeAhead = null;
    this.#resizeWhenReached();
  }

  #output(offset: number, bytes: Uint8Array): void {
    if (offset > this.#offset) {
      // Bytes are missing: what follows cannot be drawn on top of this screen.
      this.#askResync();
      return;
    }
    const known = this.#offset - offset;
    if (known >= bytes.length) return;
    const news = known === 0 ? bytes : bytes.subarray(known);
    this.#offset += news.length;
    const [generation, end] = [this.#generation, this.#offset];
    this.#screen.write(news, () => this.#reached(generation, end, false));
    this.#resizeWhenReached();
  }

  #askResync(): void {
    const now = performance.now();
    if (now - this.#askedResyncAt < RESYNC_AGAIN_MS) return;
    this.#askedResyncAt = now;
    this.tell({ type: "resync" });
  }

  #reached(generation: number, offset: number, force: boolean, rate?: number): void {
    if (generation !== this.#generation) return;
    this.#shown = offset;
    if (force || this.#shown - this.#acked >= ACK_BYTES) this.#acknowledge(rate);
    else this.#ackTimer ??= setTimeout(() => this.#acknowledge(), ACK_IDLE_MS);
  }

  #acknowledge(rate?: number): void {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
    if (this.tell({ type: "consumed", offset: this.#shown, ...(rate ? { rate } : {}) })) this.#acked = this.#shown;
  }

  #update(change: Partial<TerminalStatus>): void {
    this.status = { ...this.status, ...change };
    if (this.status.upstream === "running") this.#ranOn = this.status.sandbox;
    this.#events.status(this.status);
  }
}
