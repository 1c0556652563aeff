/** All rows of a board for a file: they come in parts, after a reply that says how many they are. */
import type { OpsRows } from "../ops-protocol.ts";
import type { Reply } from "../protocol.ts";

/** Between two parts. */
const PART_MS = 15_000;

export class Listing {
  #done: (reply: Reply) => void;
  #reply: Reply | null = null;
  #rows: OpsRows["rows"] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `done` is called once; the `result` of a good reply is `{columns, rows}`. */
  constructor(done: (reply: Reply) => void) {
    this.#done = done;
  }

  /** The answer: how many rows come, or that none do. */
  begin(reply: Reply): void {
    if (!reply.ok) this.#finish(reply);
    else {
      this.#reply = reply;
      this.#look();
    }
  }

  /** The next part. */
  take({ id, from, rows }: OpsRows): void {
    // Those of an earlier question come to an end unread.
    if (id !== this.#reply?.id || from !== this.#rows.length) return;
    for (const row of rows) this.#rows.push(row);
    this.#look();
  }

  /** No more will come. */
  end(error: string): void {
    this.#finish({ id: "", ok: false, error });
  }

  #look(): void {
    clearTimeout(this.#timer);
    if (!this.#reply) return;
    const { columns, rows } = this.#reply.result as { columns: string[]; rows: number };
    if (this.#rows.length >= rows) this.#finish({ ...this.#reply, result: { columns, rows: this.#rows } });
    else this.#timer = setTimeout(() => this.end("the rows stopped coming for 15 s"), PART_MS);
  }

  #finish(reply: Reply): void {
    clearTimeout(this.#timer);
    const done = this.#done;
    this.#done = () => {};
    done(reply);
  }
}
