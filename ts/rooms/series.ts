/** The durations of one row over time, in a ring of fixed size: ten thousand rows that change all day take no more than at first. */
import { STATUSES, type Status } from "../result.ts";

export interface Point {
  /** Milliseconds since 1970. */
  at: number;
  durationMs: number;
  status: Status;
}

/** Numbers of a point: its time, its duration, the place of its status. One array of all: ten thousand rows have one each. */
const WIDTH = 3;

export class Series {
  #points: Float64Array;
  readonly #capacity: number;
  #first = 0;
  #count = 0;

  /** `capacity` in points; beyond it the oldest leave. */
  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#points = new Float64Array(capacity * WIDTH);
  }

  /** Adds a point, once a time. A clock that went back: the line goes on from there, for its times must rise. */
  add(at: number, durationMs: number, status: Status): void {
    if (this.#last() === at) return;
    while (this.#count > 0 && this.#last() >= at) this.#count--;
    if (this.#count === this.#capacity) this.#first = (this.#first + 1) % this.#capacity;
    else this.#count++;
    const place = this.#place(this.#count - 1);
    this.#points[place] = at;
    this.#points[place + 1] = durationMs;
    this.#points[place + 2] = STATUSES.indexOf(status);
  }

  /** Oldest first. */
  points(): Point[] {
    return Array.from({ length: this.#count }, (_, index) => {
      const place = this.#place(index);
      const [at, durationMs, status] = this.#points.subarray(place, place + WIDTH) as unknown as [number, number, number];
      return { at, durationMs, status: STATUSES[status] ?? "unknown" };
    });
  }

  #place(index: number): number {
    return ((this.#first + index) % this.#capacity) * WIDTH;
  }

  #last(): number {
    return this.#count === 0 ? Number.NaN : this.#points[this.#place(this.#count - 1)]!;
  }
}
