/** How long a host takes to answer, or has given no answer: asked every 5 s while the page is visible. */

const ASK_EVERY_MS = 5000;
/** An answer that takes longer is silence, which is told from then on. */
const SILENT_AFTER_MS = 2000;
const TELL_EVERY_MS = 1000;
/** A question that takes longer is one that nobody heard: its connection may be half open, and the next one is made anew. */
const SILENCE_MS = 10_000;

/** Nothing answers. */
export interface Silence {
  /** Milliseconds since the first question that has no answer. */
  forMs: number;
  /** Something else came from there meanwhile: whoever should answer is busy, the way is whole. */
  heard: boolean;
}

/** Milliseconds there and back; null: not known. */
export type Delay = number | Silence | null;

export interface Asked {
  /** The question; rejects when nobody answers within `timeoutMs`. */
  hello(timeoutMs: number, signal: AbortSignal): Promise<unknown>;
  /** When something last came over the same way, on performance.now()'s clock. */
  heard(): number;
  tell(delay: number | Silence): void;
  /** An answer after questions that nobody heard; `asked` on the same clock. */
  back(asked: number): void;
}

/** Asks until `signal` aborts. A hidden page asks and tells nothing, and has no timer that tells. */
export function measureDelay(place: Asked, signal: AbortSignal): void {
  let since: number | null = null;
  let unheard = false;
  let asking = false;
  /** No silence is told earlier: of the time in which nobody looked nothing was asked. */
  let tellFrom = 0;
  let wake = () => {};
  let telling: ReturnType<typeof setInterval> | undefined;

  const tell = () => {
    if (since === null) return;
    const now = performance.now();
    const forMs = now - since;
    if (forMs >= SILENT_AFTER_MS && now >= tellFrom) place.tell({ forMs, heard: place.heard() > since });
  };
  const follow = () => {
    clearInterval(telling);
    telling = since === null || document.hidden || signal.aborted ? undefined : setInterval(tell, TELL_EVERY_MS);
    if (telling !== undefined) tell();
  };
  const seen = () => {
    if (!document.hidden && !asking) {
      tellFrom = performance.now() + SILENT_AFTER_MS;
      wake();
    }
    follow();
  };
  const ask = async () => {
    if (document.hidden) return;
    const asked = performance.now();
    if (since === null) {
      since = asked;
      follow();
    }
    asking = true;
    try {
      await place.hello(SILENCE_MS, signal);
      if (signal.aborted) return;
      since = null;
      follow();
      place.tell(Math.round((performance.now() - asked) * 10) / 10);
      if (unheard) place.back(asked);
      unheard = false;
    } catch {
      unheard = true;
    } finally {
      asking = false;
    }
  };
  const loop = async () => {
    while (!signal.aborted) {
      await ask();
      await pause();
    }
  };
  const pause = () =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ASK_EVERY_MS);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  document.addEventListener("visibilitychange", seen, { signal });
  signal.addEventListener("abort", () => {
    clearInterval(telling);
    wake();
  });
  void loop();
}
