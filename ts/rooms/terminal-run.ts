/** A command in a room's shared shell, followed to its end also when the connection is lost meanwhile. No DOM and no socket in it. */
import type { Mark } from "../terminal-protocol.ts";
import type { Answer, Asked, TerminalRoom } from "./terminal-room.ts";

/** The room ends the waiting itself; its answer gets this much longer to arrive. */
const ANSWER_MS = 10_000;

/** How a command ended; or why that is not known, in one sentence. */
export type Ran = { ok: true; exitCode: number | null; durationS: number } | { ok: false; error: string };

interface Ended {
  id: string;
  exit_code: number | null;
  duration_s: number;
}

type Room = Pick<TerminalRoom, "status"> & { ask(request: Asked, timeoutMs?: number): Promise<Answer> };

export class TerminalRun {
  #room: Room;
  #signal: AbortSignal;
  #command: string | null = null;
  #id = "";
  #began: () => void = () => {};
  #ended: ((ended: Ended) => void) | null = null;

  /** Nobody waits any more once `signal` aborts. */
  constructor(room: Room, signal: AbortSignal) {
    this.#room = room;
    this.#signal = signal;
  }

  /**
   * Runs one command at a time. `timeoutS` is in seconds; the command itself runs on after it, as it does after a lost connection.
   * `began` is called when the shell has begun it: a shell that is busy, or tells only ends, may take its time.
   */
  async run(command: string, timeoutS: number, began: () => void = () => {}): Promise<Ran> {
    const deadline = performance.now() + timeoutS * 1000;
    this.#command = command;
    this.#began = began;
    this.#id = "";
    try {
      const answer = await this.#room.ask({ type: "run", command, timeout_s: timeoutS }, timeoutS * 1000 + ANSWER_MS);
      if (answer.ok) return ran(answer.result as Ended);
      if (!answer.lost) return { ok: false, error: answer.error ?? "the room refused it" };
      if (this.#id === "")
        return { ok: false, error: "the connection was lost before the command began: see in the terminal whether it ran" };
      return await this.#followed(deadline - performance.now());
    } finally {
      this.#command = this.#ended = null;
    }
  }

  /** A mark of the room. */
  mark(mark: Mark): void {
    const { people, connection } = this.#room.status;
    const name = people.find((person) => person.connection === connection)?.name;
    if (mark.kind === "start" && mark.command === this.#command && mark.actor === name) {
      this.#id = mark.id;
      this.#began();
    }
    if (mark.kind === "end") this.#end([{ id: mark.id, exit_code: mark.exit_code ?? null, duration_s: mark.duration_s ?? 0 }]);
  }

  /** The room is there again: what ended meanwhile stands in its ledger. */
  async back(): Promise<void> {
    if (!this.#ended) return;
    const answer = await this.#room.ask({ type: "history" });
    if (answer.ok) this.#end((answer.result as { commands: Ended[] }).commands);
  }

  #end(commands: Ended[]): void {
    const own = commands.find(({ id }) => id === this.#id);
    if (own) this.#ended?.(own);
  }

  #followed(ms: number): Promise<Ran> {
    return new Promise((resolve) => {
      const end = (how: Ran) => {
        clearTimeout(timer);
        this.#signal.removeEventListener("abort", giveUp);
        resolve(how);
      };
      const giveUp = () =>
        end({ ok: false, error: "the connection was lost while it ran, and it is not known how it ended: look at the terminal" });
      const timer = setTimeout(giveUp, Math.max(0, this.#signal.aborted ? 0 : ms));
      this.#signal.addEventListener("abort", giveUp);
      this.#ended = (ended) => end(ran(ended));
    });
  }
}

function ran({ exit_code, duration_s }: Ended): Ran {
  return { ok: true, exitCode: exit_code, durationS: duration_s };
}
