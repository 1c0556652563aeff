/** All rows of a store in the order that is asked for, brought into it piece by piece while the page goes on. */
import { type Changes, hold } from "./changes.ts";
import type { OpsStore } from "./ops-store.ts";
import { compileFilter, goesByTime, type RowFilter } from "./row-filter.ts";
import { type OrderLook, RowOrder } from "./row-order.ts";
import { Slices, type Steps } from "./slices.ts";

/** In which order rows are wanted, and which. Another object, or list in it, is another wish. */
export type Wanted = Omit<OrderLook, "keep"> & RowFilter;

export interface ArrangedRowsEvents {
  /** The rows stand in another order. */
  arranged(): void;
  /** The lines are as these changes left them. */
  changed(changes: Changes): void;
}

export class ArrangedRows {
  #store: OpsStore;
  #wanted: () => Wanted;
  #events: ArrangedRowsEvents;
  #order = new RowOrder();
  #slices: Slices | null = null;
  /** The order is of all rows. */
  #whole = true;
  /** How the order stands; null: as a new one does. */
  #arranged: Wanted | null = null;
  /** When the order was arranged last, in milliseconds since 1970. */
  #arrangedAt = Number.NEGATIVE_INFINITY;
  /** What changed and is not in the order yet. */
  #waiting: Changes | null = null;

  constructor(store: OpsStore, wanted: () => Wanted, events: ArrangedRowsEvents) {
    this.#store = store;
    this.#wanted = wanted;
    this.#events = events;
  }

  /** The order as it is by now; another object after `leave`. */
  get order(): RowOrder {
    return this.#order;
  }

  /** From now on pieces of work are done. */
  open(signal: AbortSignal): void {
    this.#slices = new Slices(() => this.#bringIn(), signal);
  }

  /** What is wanted may be another order. */
  arrange(): void {
    this.#slices?.start();
  }

  put(changes: Changes): void {
    if (!this.#whole) this.#forget(changes, this.#store.rows.keys());
    this.#whole = true;
    if (this.#waiting) hold(this.#waiting, changes);
    else this.#waiting = changes;
    this.#slices?.start();
  }

  /** The rows are no longer all here. */
  leave(changes: Changes): void {
    if (this.#whole) this.#forget(changes, []);
    this.#whole = false;
  }

  /** Time alone makes rows stale, and a filter may ask for that. */
  tick(now: number): void {
    if (!goesByTime(this.#wanted().search) || !this.#store.agedSince(this.#arrangedAt, now)) return;
    this.#arranged = null;
    this.#slices?.start();
  }

  /** What stood in order is not to go on from; `rows` are to be put into it anew. */
  #forget(changes: Changes, rows: Iterable<string>): void {
    this.#slices?.stop();
    this.#order = new RowOrder();
    this.#arranged = null;
    this.#waiting = null;
    for (const fingerprint of rows) if (!changes.changed.has(fingerprint)) changes.changed.set(fingerprint, new Set());
  }

  /** Brings the order to what is wanted and to the store, as both are when each piece begins: what comes meanwhile is one more piece. */
  *#bringIn(): Steps {
    for (;;) {
      const [wanted, changes] = [this.#wanted(), this.#waiting];
      const { sort, group, search, statuses } = this.#arranged ?? {};
      if (wanted.sort !== sort || wanted.group !== group || wanted.search !== search || wanted.statuses !== statuses) {
        this.#arrangedAt = Date.now();
        yield* this.#order.arrange({ sort: wanted.sort, group: wanted.group, keep: compileFilter(wanted) });
        this.#arranged = wanted;
        this.#events.arranged();
      } else if (changes) {
        this.#waiting = null;
        const rows = [...changes.changed.keys()].flatMap((fingerprint) => this.#store.rows.get(fingerprint) ?? []);
        yield* this.#order.put(rows, changes.removed);
        this.#events.changed(changes);
      } else return;
    }
  }
}
