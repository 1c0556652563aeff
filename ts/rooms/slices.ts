/** Long work in slices: what takes longer than a few milliseconds goes on in another task, so that frames and keys come between. */

/** Work that may be left at each `yield`; what others see of it must be whole there. */
export type Steps = Generator<void, void, void>;

/** Of a frame of 16.7 ms this leaves the half to the browser. A step beyond it, or a collection of garbage, still fits into 50 ms. */
export const SLICE_MS = 8;

/** Runs `work` whenever something is due. What fits into the first slice is done when `start` returns. */
export class Slices {
  #work: () => Steps;
  #steps: Steps | null = null;
  /** A task that waits in no timer's queue: timers of 0 ms are put off to 4 ms after a few. */
  #channel = new MessageChannel();
  #posted = false;
  #now: () => number;

  /** `now` in milliseconds. `work` ends when nothing is due any more, and is not begun twice at once. */
  constructor(work: () => Steps, signal: AbortSignal, now: () => number = () => performance.now()) {
    this.#work = work;
    this.#now = now;
    this.#channel.port1.onmessage = () => {
      this.#posted = false;
      this.#slice();
    };
    signal.addEventListener("abort", () => {
      this.#steps = null;
      this.#channel.port1.close();
    });
  }

  start(): void {
    if (this.#steps) return;
    this.#steps = this.#work();
    this.#slice();
  }

  /** Leaves what is under way; the next `start` begins anew. */
  stop(): void {
    this.#steps = null;
  }

  #slice(): void {
    const steps = this.#steps;
    if (!steps) return;
    const until = this.#now() + SLICE_MS;
    try {
      do {
        if (steps.next().done) this.#leave(steps);
      } while (this.#steps === steps && this.#now() < until);
    } catch (error) {
      this.#leave(steps);
      throw error;
    }
    if (this.#steps !== steps || this.#posted) return;
    this.#posted = true;
    this.#channel.port2.postMessage(null);
  }

  #leave(steps: Steps): void {
    if (this.#steps === steps) this.#steps = null;
  }
}
