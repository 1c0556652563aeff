/** The screen that is to come: since when, how fast it came, and what of the lines above it was left out. No DOM and no socket in it. */

/** The lines above the screen: all that the room gives, some were left out, or those are on their way. */
export type Above = "whole" | "short" | "coming";

export interface ComingScreenEvents {
  /** The screen of a new connection is late, or has come after all. */
  late(late: boolean): void;
  above(above: Above): void;
}

/** A connection that is lost when a screen has been on its way for so long is too bad for a large one. */
const THIN_AFTER_MS = 3000;
/** Whoever waits so long for the screen of a new connection is told that it is being caught up with. */
const LATE_AFTER_MS = 1000;
/** Bytes a second: the most that a room is told. */
const MAX_RATE = 1e9;

export class ComingScreen {
  above: Above = "whole";
  /** The connection was lost before a screen had come: the next one is to be small. */
  thin = false;
  #events: ComingScreenEvents;
  /** Since when a screen is to come, and what this page shows is of a time before it; null when none is. */
  #since: number | null = null;
  /** Runs while the screen of a welcome is to come; that screen is late once it has fired. */
  #lateTimer: ReturnType<typeof setTimeout> | undefined;
  /** The newest screen has not all of the lines above it; what follows depends on how fast it came. */
  #short = false;
  #mayFollow = false;
  /** Lines above the screen may follow by themselves: runs until it is plain that they do not, or are late. */
  #aboveTimer: ReturnType<typeof setTimeout> | undefined;
  /** A screen came short while nobody saw the page. */
  #shortUnseen = false;

  constructor(events: ComingScreenEvents) {
    this.#events = events;
  }

  /** A screen is to come. */
  get awaited(): boolean {
    return this.#since !== null;
  }

  welcomed(resumed: boolean): void {
    this.#since = resumed ? null : performance.now();
    clearTimeout(this.#lateTimer);
    this.#lateTimer = resumed ? undefined : setTimeout(() => this.#events.late(true), LATE_AFTER_MS);
  }

  /** The room says that a screen comes. Behind one of a new connection, the lines above that were left out follow at once where the line is good. */
  announced(reason: string, short: boolean): void {
    this.#since = performance.now();
    this.#short = short;
    clearTimeout(this.#aboveTimer);
    this.#mayFollow = short && reason !== "lagged" && reason !== "asked";
    this.#shortUnseen = short && !this.#mayFollow;
    if (this.#mayFollow || reason === "above") {
      // Nobody is shown what is over in a moment.
      this.#aboveTimer = setTimeout(() => this.#tell(reason === "above" && this.awaited ? "coming" : this.#left()), LATE_AFTER_MS);
    } else this.#tell(short ? "short" : this.above === "coming" ? "coming" : "whole");
  }

  /** It has come. The bytes a second in which it did, where more may follow: behind its announcement it comes as fast as the line is, however long the way. */
  came(bytes: number): number | undefined {
    const ms = performance.now() - (this.#since ?? 0);
    const rate = this.#mayFollow ? Math.min(MAX_RATE, Math.ceil((1000 * bytes) / Math.max(ms, 0.001))) : undefined;
    this.#since = null;
    clearTimeout(this.#lateTimer);
    if (this.#lateTimer !== undefined) this.#events.late(false);
    this.#lateTimer = undefined;
    if (this.above === "coming") this.#tell(this.#left());
    return rate;
  }

  /** The lines above were asked for. They come with a whole screen. */
  asked(): void {
    this.#tell("coming");
  }

  /**
   * The page is seen, or is not. True when a screen came short meanwhile: browsers let a page that nobody sees draw seldom, so that its line
   * seems slow, and it may have the lines above now.
   */
  seen(now: boolean): boolean {
    const wanted = now && this.#shortUnseen;
    this.#shortUnseen = false;
    return wanted;
  }

  /** The connection is lost. Nobody is told: `above` is what counts from now on. */
  lost(): void {
    clearTimeout(this.#lateTimer);
    clearTimeout(this.#aboveTimer);
    this.thin ||= this.#since !== null && performance.now() - this.#since >= THIN_AFTER_MS;
    if (this.above === "coming") this.above = "short";
  }

  #left(): Above {
    return this.#short ? "short" : "whole";
  }

  #tell(above: Above): void {
    this.above = above;
    this.#events.above(above);
  }
}
