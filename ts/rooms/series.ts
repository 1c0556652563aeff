/** The durations of one row over time, in a ring of fixed size: ten thousand rows that change all day take no more than at first. */
import { STATUSES, type Status } from "../protocol.ts";

export interface Point {
  /** Milliseconds since 1970. */
  at: number;
  durationMs: number;
  status: Status;
}

export class Series {
  #at: Float64Array;
  #durations: Float32Array;
  #statuses: Uint8Array;
  #first = 0;
  #count = 0;

  /** `capacity` in points; beyond it the oldest leave. */
  constructor(capacity: number) {
    this.#at = new Float64Array(capacity);
    this.#durations = new Float32Array(capacity);
    this.#statuses = new Uint8Array(capacity);
  }

  /** Adds a point, once a time. A clock that went back: the line goes on from there, for its times must rise. */
  add(at: number, durationMs: number, status: Status): void {
    if (this.#last() === at) return;
    while (this.#count > 0 && this.#last() >= at) this.#count--;
    const capacity = this.#at.length;
    if (this.#count === capacity) this.#first = (this.#first + 1) % capacity;
    else this.#count++;
    const place = (this.#first + this.#count - 1) % capacity;
    this.#at[place] = at;
    this.#durations[place] = durationMs;
    this.#statuses[place] = STATUSES.indexOf(status);
  }

  /** Oldest first. */
  points(): Point[] {
    return Array.from({ length: this.#count }, (_, index) => {
      const place = (this.#first + index) % this.#at.length;
      return { at: this.#at[place]!, durationMs: this.#durations[place]!, status: STATUSES[this.#statuses[place]!] ?? "unknown" };
    });
  }

  #last(): number {
    return this.#count === 0 ? Number.NaN : this.#at[(this.#first + this.#count - 1) % this.#at.length]!;
  }
}
