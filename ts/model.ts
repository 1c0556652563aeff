/** The part of an anywidget model that the bundles use, and how traits are written through it. */

export type CustomMessage = Record<string, unknown> & { op?: string; id?: string };
export type MessageHandler = (message: CustomMessage, buffers: DataView[]) => void;

/** anywidget's model proxy, or the dev page's stand-in. `comm_live_update` is ipywidgets' event for "the kernel came or went". */
export interface WidgetModel {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  send(content: unknown, callbacks?: unknown, buffers?: (ArrayBuffer | ArrayBufferView)[]): void;
  on(event: string, handler: (...args: never[]) => void): void;
  off(event: string, handler?: ((...args: never[]) => void) | null): void;
}

/** What a bundle exports: `mount` puts the widget into `el` until `signal` aborts. */
export interface MountOptions {
  model: WidgetModel;
  el: HTMLElement;
  signal: AbortSignal;
  /** Tickets that the kernel pushed before the bundle was there. */
  tickets?: PushedTicket[];
  /** Another bundle by its file name, over whichever way brought this one. After a failure, `attempt` counts on: browsers remember failed imports. */
  load(name: string, attempt?: number): Promise<unknown>;
}

export interface PushedTicket {
  ticket: string;
  /** Milliseconds of `performance.now()` after which it is not used any more. */
  until: number;
}

const WRITE_EVERY_MS = 250;

/** Writes traits at most every 250 ms and only when they changed. A kernel that is gone costs nothing: the next live one gets the values. */
export class TraitWriter {
  #model: WidgetModel;
  #pending = new Map<string, unknown>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(model: WidgetModel, signal: AbortSignal) {
    this.#model = model;
    signal.addEventListener("abort", () => clearTimeout(this.#timer));
  }

  write(name: string, value: unknown): void {
    this.#pending.set(name, value);
    this.#timer ??= setTimeout(() => this.#flush(), WRITE_EVERY_MS);
  }

  #flush(): void {
    this.#timer = undefined;
    let changed = false;
    for (const [name, value] of this.#pending) {
      if (JSON.stringify(this.#model.get(name)) === JSON.stringify(value)) continue;
      this.#model.set(name, value);
      changed = true;
    }
    this.#pending.clear();
    if (!changed) return;
    try {
      this.#model.save_changes();
    } catch {
      // No comm channel: the values stay in the page's model and travel with the next change.
    }
  }
}

/** A view option, when the model has `_options` with that name and a value of the default's type. */
export function option<T extends string | number | boolean>(model: WidgetModel, name: string, fallback: T): T {
  const options = model.get("_options") as Record<string, unknown> | undefined | null;
  const value = options?.[name];
  return typeof value === typeof fallback ? (value as T) : fallback;
}
