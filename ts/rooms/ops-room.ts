/** The client's side of the ops room: messages into the store, batches out at most ten times a second, requests with answers. */
import type { OpsMessage, OpsRequest, RowsQuery } from "../ops-protocol.ts";
import { parseMessage, type Reply, requestId } from "../protocol.ts";
import { type Changes, noChanges } from "./changes.ts";
import { Listing } from "./listing.ts";
import { OpsStore } from "./ops-store.ts";

const FRAME_MS = 100;
const ANSWER_MS = 15_000;

type Body<T extends OpsRequest["type"]> = Omit<Extract<OpsRequest, { type: T }>["data"], "id">;

export class OpsRoom {
  readonly store = new OpsStore();
  #send: (frame: string) => boolean;
  #draw: (changes: Changes) => void;
  #pending = noChanges();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #replies = new Map<string, (reply: Reply) => void>();
  #listing: Listing | null = null;

  /** `draw` gets what changed since its last call. */
  constructor(send: (frame: string) => boolean, draw: (changes: Changes) => void, signal: AbortSignal) {
    this.#send = send;
    this.#draw = draw;
    signal.addEventListener("abort", () => {
      clearTimeout(this.#timer);
      this.closed();
    });
  }

  /** One text frame. What is not ours is logged and left. */
  text(data: string): void {
    let message: OpsMessage;
    try {
      message = parseMessage<OpsMessage>(data);
    } catch (error) {
      console.warn("partywidgets: ops message ignored:", error);
      return;
    }
    if (message.type === "reply") {
      this.#replies.get(message.data.id)?.(message.data);
      return;
    }
    if (message.type === "rows") {
      this.#listing?.take(message.data);
      return;
    }
    this.store.apply(message, this.#pending);
    this.#timer ??= setTimeout(() => this.#flush(), Math.max(0, this.#drawnAt + FRAME_MS - performance.now()));
  }

  /** The socket is gone: no answer will come any more. */
  closed(): void {
    for (const answer of this.#replies.values()) answer({ id: "", ok: false, error: "the connection was lost before the answer came" });
    this.#replies.clear();
    this.#listing?.end("the connection was lost before all rows had come");
  }

  /** All rows of the board that a look keeps, in its order, as the host has them: `result` has the columns and the rows. */
  rows(query: RowsQuery): Promise<Reply> {
    if (this.#listing) return Promise.resolve({ id: "", ok: false, error: "the rows are on their way already" });
    return new Promise((resolve) => {
      const listing = new Listing((reply) => {
        this.#listing = null;
        resolve(reply);
      });
      this.#listing = listing;
      this.#request("rows", query, (reply) => listing.begin(reply));
    });
  }

  /** Sends a request and resolves with its reply; a failure is a reply with a sentence. */
  ask<T extends OpsRequest["type"]>(type: T, body: Body<T>): Promise<Reply> {
    return new Promise((resolve) => this.#request(type, body, resolve));
  }

  /** `answered` is called as the reply comes, before the next message is read. */
  #request<T extends OpsRequest["type"]>(type: T, body: Body<T>, answered: (reply: Reply) => void): void {
    const id = requestId();
    const answer = (reply: Reply) => {
      clearTimeout(timer);
      this.#replies.delete(id);
      answered(reply);
    };
    const timer = setTimeout(() => answer({ id, ok: false, error: "the room did not answer within 15 s" }), ANSWER_MS);
    this.#replies.set(id, answer);
    if (!this.#send(JSON.stringify({ type, data: { id, ...body } })))
      answer({ id, ok: false, error: "not connected: try again when the state says live" });
  }

  #flush(): void {
    this.#timer = undefined;
    this.#drawnAt = performance.now();
    const changes = this.#pending;
    this.#pending = noChanges();
    this.#draw(changes);
  }
}
