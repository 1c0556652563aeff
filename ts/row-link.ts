/** A link to a row of the board: sought until the row is here, filtered for where the host holds the rows, or said to lead nowhere. */
import { type Result, STATUSES } from "./result.ts";
import type { OpsStore } from "./rooms/ops-store.ts";

const FINGERPRINT = /^[0-9a-f]{16}$/;

/** What a link does to the board. */
export interface LinkedBoard {
  /** How the table is looked at now. */
  view(): object;
  look(view: object): void;
  /** Chooses a row that may be out of view: the host tells where it stands. */
  select(fingerprint: string): void;
  /** The row is here. */
  found(row: Result): void;
  /** There is none. */
  missing(sentence: string): void;
}

export class RowLink {
  #store: OpsStore;
  #board: LinkedBoard;
  /** A fingerprint or a check's id, until its row is here; "" when nothing is sought. */
  #wanted = "";
  /** How the table was looked at before it was filtered for the row; null: it is not. */
  #filter: object | null = null;

  constructor(store: OpsStore, board: LinkedBoard) {
    this.#store = store;
    this.#board = board;
  }

  /** Leads to a row from now on; "" to none. */
  to(wanted: string): void {
    this.#wanted = wanted;
    if (this.#store.epoch !== null) this.seek(true);
  }

  /** Rows have come. `complete`: all are here, or the host sorts them. `gone`: those that it has just said are on no board. */
  seek(complete: boolean, gone: ReadonlySet<string> = new Set()): void {
    if (this.#wanted === "") return;
    const { rows } = this.#store;
    const row = rows.get(this.#wanted) ?? worst([...rows.values()].filter(({ check_id }) => check_id === this.#wanted));
    if (row) {
      this.#wanted = "";
      this.#filter = null;
      this.#board.found(row);
    } else if (this.#store.window) {
      if (this.#filter !== null && this.#store.window.rows === 0) {
        this.#look(this.#filter);
        this.#missing();
      } else if (gone.has(this.#wanted)) this.#missing();
      if (!complete || this.#wanted === "") return;
      // The host tells of a row that is selected wherever it stands; one that only its check's id is known of is filtered for.
      if (FINGERPRINT.test(this.#wanted)) this.#board.select(this.#wanted);
      else {
        const before = this.#board.view();
        this.#look({ ...before, search: `id:"${this.#wanted.replaceAll('"', "")}"` });
        // Where rows were in view, none in view says that there is no such row.
        this.#filter = this.#store.window.rows > 0 ? before : null;
      }
    } else if (complete) this.#missing();
  }

  #look(view: object): void {
    this.#filter = null;
    this.#board.look(view);
  }

  #missing(): void {
    this.#board.missing(`no row here is called ${this.#wanted}: its check is gone, or was not looked at yet`);
    this.#wanted = "";
  }
}

/** The row that fails most: of a check with several targets a link means the one that somebody was told of. */
function worst(rows: Result[]): Result | undefined {
  return rows.sort((a, b) => STATUSES.indexOf(a.status) - STATUSES.indexOf(b.status))[0];
}
