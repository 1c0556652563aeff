/** A WebSocket-shaped class over a widget's comm, given to PartySocket where nothing else reaches the host. */
import type { CustomMessage } from "../model.ts";
import { requestId } from "../protocol.ts";
import type { CommChannel, CommEnd } from "./channel.ts";
import type { Hello, Transport } from "./transport.ts";

/** Payload bytes that may be under way to the kernel without its `consumed` (docs/topics/messages.md, Comm). */
const WINDOW_BYTES = 1 << 20;
/** Beyond the window frames wait here; a kernel that stays away longer than this fills costs the socket, not the page. */
const QUEUE_LIMIT_BYTES = 4 << 20;
/** At most 50 messages a second each way, so that Jupyter's limit of 1,000 a second for a kernel is far. */
const SEND_EVERY_MS = 20;
const REPORT_BYTES = 128 * 1024;
const REPORT_IDLE_MS = 20;
const OPEN_TIMEOUT_MS = 10_000;
const GAP = "connection lost: something the kernel sent did not arrive, reconnecting";

type Payload = string | ArrayBuffer | ArrayBufferView | Blob;

/** The class bound to one channel: PartySocket calls `new Socket(url, protocols)`. */
export function commSocket(channel: CommChannel): typeof WebSocket {
  return class extends CommSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(channel, url, protocols);
    }
  } as unknown as typeof WebSocket;
}

export class CommSocket extends EventTarget implements CommEnd {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  readonly CONNECTING = 0;
  readonly OPEN = 1;
  readonly CLOSING = 2;
  readonly CLOSED = 3;

  readonly url: string;
  readonly extensions = "";
  protocol = "";
  readyState = 0;
  sent = 0;
  binaryType: BinaryType = "blob";

  #channel: CommChannel;
  #id = requestId();
  #detach: () => void;
  #queue: { kind: "t" | "b"; buffer: ArrayBuffer }[] = [];
  #queued = 0;
  #inFlight = 0;
  #lastSend = Number.NEGATIVE_INFINITY;
  #sendTimer: ReturnType<typeof setTimeout> | undefined;
  #taken = 0;
  #received = 0;
  #reportTimer: ReturnType<typeof setTimeout> | undefined;
  #openTimer: ReturnType<typeof setTimeout>;

  constructor(channel: CommChannel, url: string | URL, protocols: string | string[] = []) {
    super();
    const { pathname, search, href } = new URL(url);
    this.url = href;
    this.#channel = channel;
    this.#detach = channel.attach(this.#id, this);
    this.#openTimer = setTimeout(() => this.#fail("the kernel did not open the room in 10 s"), OPEN_TIMEOUT_MS);
    const offered = typeof protocols === "string" ? [protocols] : protocols;
    this.#post({ op: "open", path: pathname + search, protocols: offered });
  }

  /** Bytes that the kernel has not taken yet. */
  get bufferedAmount(): number {
    return this.#queued + this.#inFlight;
  }

  send(data: Payload): void {
    if (this.readyState === CommSocket.CONNECTING) throw new DOMException("still connecting", "InvalidStateError");
    if (this.readyState !== CommSocket.OPEN) return;
    if (data instanceof Blob) throw new TypeError("a comm socket sends text and bytes, not blobs");
    const text = typeof data === "string";
    const buffer = text ? copy(new TextEncoder().encode(data)) : copy(data);
    this.#queue.push({ kind: text ? "t" : "b", buffer });
    this.#queued += buffer.byteLength;
    if (this.#queued > QUEUE_LIMIT_BYTES) {
      this.close(1013, "the kernel takes nothing");
      return;
    }
    this.#flushSoon();
  }

  close(code = 1000, reason = ""): void {
    if (this.readyState >= CommSocket.CLOSING) return;
    if (this.readyState === CommSocket.OPEN) this.#flush(true);
    this.readyState = CommSocket.CLOSING;
    this.#post({ op: "close", code, reason });
    // The kernel may be busy for minutes: the page does not wait for its answer.
    queueMicrotask(() => this.#closed(code, reason, true));
  }

  #post(fields: CustomMessage, buffers?: ArrayBuffer[]): void {
    this.#channel.post({ ...fields, socket: this.#id, n: this.sent++ }, buffers);
  }

  compare(count: number | undefined): void {
    if (count !== this.#received) this.#fail(GAP);
  }

  receive(message: CustomMessage, buffers: DataView[]): void {
    if (this.readyState >= CommSocket.CLOSING) return;
    if (message.op !== "closed" && message.n !== this.#received++) {
      this.#fail(GAP);
      return;
    }
    switch (message.op) {
      case "opened":
        clearTimeout(this.#openTimer);
        this.readyState = CommSocket.OPEN;
        this.protocol = typeof message.protocol === "string" ? message.protocol : "";
        this.dispatchEvent(new Event("open"));
        break;
      case "frames":
        this.#deliver(String(message.kinds ?? ""), buffers);
        break;
      case "consumed":
        this.#inFlight = Math.max(0, this.#inFlight - Number(message.bytes ?? 0));
        this.#flushSoon();
        break;
      case "closed":
        this.#closed(Number(message.code ?? 1006), String(message.reason ?? ""), message.was_clean !== false);
        break;
    }
  }

  #deliver(kinds: string, buffers: DataView[]): void {
    for (const [index, view] of buffers.entries()) {
      if (this.readyState !== CommSocket.OPEN) return;
      this.#taken += view.byteLength;
      this.dispatchEvent(new MessageEvent("message", { data: this.#payload(kinds[index] === "t", view) }));
    }
    if (this.#taken >= REPORT_BYTES) this.#report();
    else this.#reportTimer ??= setTimeout(() => this.#report(), REPORT_IDLE_MS);
  }

  #payload(text: boolean, view: DataView): string | ArrayBuffer | Blob {
    if (text) return new TextDecoder().decode(view);
    const bytes = copy(view);
    return this.binaryType === "arraybuffer" ? bytes : new Blob([bytes]);
  }

  #report(): void {
    clearTimeout(this.#reportTimer);
    this.#reportTimer = undefined;
    if (this.#taken === 0 || this.readyState !== CommSocket.OPEN) return;
    this.#post({ op: "consumed", bytes: this.#taken });
    this.#taken = 0;
  }

  #flushSoon(): void {
    if (this.#sendTimer !== undefined || this.#queue.length === 0) return;
    const pause = this.#lastSend + SEND_EVERY_MS - performance.now();
    if (pause <= 0) this.#flush();
    else
      this.#sendTimer = setTimeout(() => {
        this.#sendTimer = undefined;
        this.#flush();
      }, pause);
  }

  #flush(closing = false): void {
    let kinds = "";
    const buffers: ArrayBuffer[] = [];
    while (this.#queue.length > 0 && (closing || this.#inFlight < WINDOW_BYTES)) {
      const { kind, buffer } = this.#queue.shift()!;
      kinds += kind;
      buffers.push(buffer);
      this.#queued -= buffer.byteLength;
      this.#inFlight += buffer.byteLength;
    }
    if (buffers.length === 0) return;
    this.#lastSend = performance.now();
    this.#post({ op: "frames", kinds }, buffers);
  }

  #fail(reason: string): void {
    this.#post({ op: "close", code: 1000, reason });
    this.#closed(1006, reason, false);
  }

  #closed(code: number, reason: string, wasClean: boolean): void {
    if (this.readyState === CommSocket.CLOSED) return;
    this.readyState = CommSocket.CLOSED;
    clearTimeout(this.#openTimer);
    clearTimeout(this.#sendTimer);
    clearTimeout(this.#reportTimer);
    this.#queue = [];
    this.#queued = 0;
    this.#detach();
    this.dispatchEvent(new CloseEvent("close", { code, reason, wasClean }));
  }
}

/** The bytes alone, in a buffer of their own: comms send whole buffers. */
function copy(data: ArrayBuffer | ArrayBufferView): ArrayBuffer {
  const bytes = data instanceof ArrayBuffer ? new Uint8Array(data) : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return bytes.slice().buffer as ArrayBuffer;
}

/** Through the kernel, where nothing else reaches the host. The grant is the owner's, so it is the last resort only. */
export class CommTransport implements Transport {
  readonly name = "comm";
  #channel: CommChannel;

  constructor(channel: CommChannel) {
    this.#channel = channel;
  }

  async hello(timeoutMs: number): Promise<Hello> {
    const answer = await this.#channel.hello(timeoutMs);
    return { host_id: String(answer.host_id) };
  }

  socket() {
    return {
      WebSocket: commSocket(this.#channel),
      host: "comm.invalid",
      protocol: "ws" as const,
      prefix: "parties",
      connectionTimeout: OPEN_TIMEOUT_MS,
    };
  }

  async protocols(dialect: string): Promise<string[]> {
    return [dialect];
  }

  resume(): void {}
}
