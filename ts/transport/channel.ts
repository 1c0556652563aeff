/** Requests to a widget's kernel over its comm, and the tickets that come with them. */
import type { CustomMessage, PushedTicket, WidgetModel } from "../model.ts";
import { requestId } from "../protocol.ts";

/** The kernel answered no. Its sentence is the message. */
export class KernelRefusal extends Error {}

/** Nothing came back in time: the kernel is busy or gone. */
export class KernelSilence extends Error {}

type Waiting = {
  resolve: (answer: [CustomMessage, DataView[]]) => void;
  reject: (error: Error) => void;
  timer: ReturnType<typeof setTimeout>;
};

/** A socket of the comm. Its messages are numbered each way: Jupyter's channel may lose some and tells nobody. */
export interface CommEnd {
  /** Messages that went to the kernel. */
  readonly sent: number;
  receive(message: CustomMessage, buffers: DataView[]): void;
  /** The kernel says how many it has sent; undefined: it knows no such socket. */
  compare(count: number | undefined): void;
}

/** One view's side of the comm. Answers are matched by a random id; those of other pages are ignored. */
export class CommChannel {
  #model: WidgetModel;
  #waiting = new Map<string, Waiting>();
  #sockets = new Map<string, CommEnd>();
  #tickets: PushedTicket[];
  #wanted: Record<string, unknown>;
  #liveness = new Set<() => void>();
  /** The manager said that the comm came or went since the last answer. */
  interrupted = false;
  /** When the kernel last sent something, on performance.now()'s clock. */
  heard = Number.NEGATIVE_INFINITY;

  /** `tickets` are those pushed for this view's room; `wanted` says in a request which other room of the widget a ticket is for. */
  constructor(model: WidgetModel, signal: AbortSignal, tickets: PushedTicket[] = [], wanted: Record<string, unknown> = {}) {
    this.#model = model;
    this.#tickets = tickets;
    this.#wanted = wanted;
    const receive = (message: CustomMessage, buffers: DataView[]) => this.#receive(message, buffers);
    const changed = () => {
      this.interrupted = true;
      for (const listener of [...this.#liveness]) listener();
    };
    model.on("msg:custom", receive);
    model.on("comm_live_update", changed);
    signal.addEventListener("abort", () => {
      model.off("msg:custom", receive);
      model.off("comm_live_update", changed);
      for (const waiting of this.#waiting.values()) {
        clearTimeout(waiting.timer);
        waiting.reject(new KernelSilence("the view was closed"));
      }
      this.#waiting.clear();
    });
  }

  /** Sends `{op, id, …}` and resolves with the answer. Rejects with KernelRefusal or, after `timeoutMs`, KernelSilence. */
  async request(op: string, fields: Record<string, unknown> = {}, timeoutMs = 5000): Promise<[CustomMessage, DataView[]]> {
    const id = requestId();
    const answer = new Promise<[CustomMessage, DataView[]]>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new KernelSilence(`the kernel did not answer within ${timeoutMs / 1000} s`));
      }, timeoutMs);
      this.#waiting.set(id, { resolve, reject, timer });
    });
    this.post({ op, id, ...fields });
    return answer;
  }

  /** Sends a message that has no answer. A comm that is closed loses it; whoever needs an answer uses `request`. */
  post(message: CustomMessage, buffers: ArrayBuffer[] = []): void {
    try {
      this.#model.send(message, undefined, buffers);
    } catch (error) {
      console.debug("partywidgets: the comm is closed", error);
    }
  }

  /** Messages that carry `socket` go to `end`, until the returned function is called. */
  attach(socket: string, end: CommEnd): () => void {
    this.#sockets.set(socket, end);
    return () => this.#sockets.delete(socket);
  }

  /** Asks who the host is, and compares with the kernel what went between its sockets and ours. */
  async hello(timeoutMs: number): Promise<CustomMessage> {
    const asked = [...this.#sockets];
    const [answer] = await this.request("hello", { sockets: Object.fromEntries(asked.map(([id, end]) => [id, end.sent])) }, timeoutMs);
    const counts = (answer.sockets ?? {}) as Record<string, number>;
    for (const [id, end] of asked) if (this.#sockets.get(id) === end) end.compare(counts[id]);
    return answer;
  }

  /** Calls `listener` when the manager says that the kernel came or went. */
  onInterruption(listener: () => void): () => void {
    this.#liveness.add(listener);
    return () => this.#liveness.delete(listener);
  }

  /** A ticket that the kernel pushed and nobody used yet, if it is still good. */
  pushedTicket(): string | null {
    while (this.#tickets.length > 0) {
      const pushed = this.#tickets.shift()!;
      if (pushed.until > performance.now()) return pushed.ticket;
    }
    return null;
  }

  /** A ticket by request. */
  async freshTicket(timeoutMs = 5000): Promise<string> {
    const [answer] = await this.request("ticket", this.#wanted, timeoutMs);
    if (typeof answer.ticket !== "string") throw new KernelRefusal("the kernel's answer holds no ticket");
    return answer.ticket;
  }

  #receive(message: CustomMessage, buffers: DataView[]): void {
    if (typeof message !== "object" || message === null) return;
    this.interrupted = false;
    this.heard = performance.now();
    const waiting = typeof message.id === "string" ? this.#waiting.get(message.id) : undefined;
    if (waiting) {
      this.#waiting.delete(message.id!);
      clearTimeout(waiting.timer);
      if (typeof message.error === "string") waiting.reject(new KernelRefusal(message.error));
      else waiting.resolve([message, buffers ?? []]);
      return;
    }
    if (typeof message.socket === "string") this.#sockets.get(message.socket)?.receive(message, buffers ?? []);
  }
}
