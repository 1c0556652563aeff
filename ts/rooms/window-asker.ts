/** Asks the host for the rows in view of a large board: at most ten times a second, for the latest view, and never twice for the same. */
import type { WindowQuery } from "../ops-protocol.ts";
import type { Reply } from "../protocol.ts";

const ASK_EVERY_MS = 100;
/** A quiet host is asked again what is in view: that rows become stale is not news of any row. */
const ASK_AGAIN_MS = 5000;

export interface WindowAskerEvents {
  /** What is in view, when the time to ask has come. */
  query(): WindowQuery;
  send(query: WindowQuery): Promise<Reply>;
  /** Why the host did not answer what was asked last; "": it is asked anew. */
  refused(reason: string): void;
}

export class WindowAsker {
  #events: WindowAskerEvents;
  #asked = "";
  #awaiting = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the host told of its window last, of `performance.now()`. */
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(events: WindowAskerEvents) {
    this.#events = events;
  }

  /** What was asked for last is not in the page yet. */
  get awaiting(): boolean {
    return this.#awaiting;
  }

  /** The view may be another one. */
  ask(): void {
    this.#timer ??= setTimeout(() => this.#send(), this.#asked === "" ? 0 : ASK_EVERY_MS);
  }

  /** Asks again for what is in view where the host has not told of it for a while. */
  tick(): void {
    if (this.#asked === "" || performance.now() - this.#toldAt < ASK_AGAIN_MS) return;
    this.#toldAt = performance.now();
    this.#asked = "";
    this.ask();
  }

  /** The host does not know what is in view: it is told at the next asking, the same view too. */
  forgotten(): void {
    this.#asked = "";
  }

  /** The host has told of its window. */
  told(): void {
    this.#toldAt = performance.now();
  }

  /** What the host told is in the page. */
  shown(): void {
    this.#awaiting = false;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #send(): void {
    this.#timer = undefined;
    const query = this.#events.query();
    const asked = JSON.stringify(query);
    if (asked === this.#asked) return;
    this.#asked = asked;
    this.#awaiting = true;
    void this.#events.send(query).then((reply) => {
      if (reply.ok) return;
      if (this.#asked === asked) this.#asked = "";
      this.#events.refused(reply.error ?? "the host did not sort");
    });
    this.#events.refused("");
  }
}
