/** Row → remedy → proof, from the page: a command in a shared shell, then the look at its row alone. No DOM and no socket in it. */
import type { OpsRequest, Past, Proof } from "./ops-protocol.ts";
import type { OpsRoom } from "./rooms/ops-room.ts";
import type { TerminalRun } from "./rooms/terminal-run.ts";
import type { TerminalStatus } from "./rooms/terminal-status.ts";
import { exitWords } from "./views/proof.ts";
import type { TerminalState } from "./views/terminal-bar.ts";

/** Seconds that a command may take: somebody is watching it. It runs on after them. */
export const COMMAND_S = 900;
/** What the room keeps of a command (`scans/proof.py`). */
export const COMMAND_CHARACTERS = 4096;
const PROOF_MS = 120_000;
/** Control characters, and those that reorder or hide text: a row may come from anybody who publishes results. */
const UNSEEN = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/;

/** `untold`: the command ended, but the room did not take it. `late`: the row is still being looked at. */
export type RemedyStage = "ready" | "running" | "looking" | "late" | "proved" | "failed" | "untold";

export interface RemedyState {
  stage: RemedyStage;
  /** One sentence for the person; empty while nothing was done. */
  words: string;
  /** `proved`: the row is ok now. */
  mended: boolean;
}

/** The terminal as far as a remedy needs to know it; null while it is being opened. */
export type Shell = { state: TerminalState; status: TerminalStatus; reason: string } | null;

/** Who may read and tell what: the ops room, and whether it is reached. */
export type Ops = Pick<OpsRoom, "store" | "ask"> & { live: boolean };

type Told = Omit<Extract<OpsRequest, { type: "remedy" }>["data"], "id">;

const TYPISTS = ["operator", "peer", "moderator"];

/** Why no command can be run for a row now, with what to do; empty when it can. The room decides all the same. */
export function obstacle({ store, live }: Ops, fingerprint: string, shell: Shell): string {
  if (!live) return "not connected to the ops room: wait until its state says live";
  if (!store.rows.has(fingerprint)) return "this row is gone: its check was taken out of its config";
  if (!mayRun(store)) return `you are ${store.role || "nobody"} here: running a remedy needs the ops role responder or admin`;
  if (!shell) return "opening the terminal";
  const { state, status, reason } = shell;
  if (state === "refused" || state === "lost") return `no terminal: ${reason}`;
  if (status.role && !TYPISTS.includes(status.role))
    return `you are ${status.role} in this terminal: ask a moderator of it to run this, or its owner for the role operator`;
  if (state === "ended") {
    const why = status.exit?.reason || status.reason || "it ended";
    return `no shell: ${why}${status.upstream === "failed" ? "; then press Restart" : ". Restart starts one"}`;
  }
  if (state === "connecting") return reason || status.reason || "the shell is being started";
  return "";
}

/** What somebody's role in the ops room allows, whatever else hinders. */
export function mayRun({ role }: Pick<Ops["store"], "role">): boolean {
  return role === "responder" || role === "admin";
}

/** Something that is worth knowing before one runs a command, and hinders nobody. */
export function caution(shell: Shell): string {
  const status = shell?.status;
  if (!status?.lease || status.canType) return "";
  return `${status.lease.name} has control: take control first, or wait until they are idle`;
}

export class Remedy {
  state: RemedyState = { stage: "ready", words: "", mended: false };
  #ops: Ops;
  #tell: () => void;
  #signal: AbortSignal;
  #told: { body: Told; exit: string } | null = null;
  #missed: Proof | null = null;
  #wake: (() => void) | null = null;

  /** `tell` is called after each change of `state`, until `signal` aborts. */
  constructor(ops: Ops, tell: () => void, signal: AbortSignal) {
    this.#ops = ops;
    this.#tell = tell;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#wake?.());
  }

  /** A command runs, or its row is being looked at: nothing else is begun. */
  get busy(): boolean {
    return this.state.stage === "running" || this.state.stage === "looking";
  }

  /** Runs a command for a row, and has the row looked at again. `run` types it into the shell of `sandbox`. */
  async run(fingerprint: string, sandbox: string, command: string, run: TerminalRun["run"]): Promise<void> {
    if (this.busy) return;
    if (UNSEEN.test(command)) {
      this.#set("failed", "the command holds characters that cannot be seen, so it is not what it looks like: type it anew");
      return;
    }
    if (command.length > COMMAND_CHARACTERS) {
      this.#set("failed", `the command has ${command.length} characters, a remedy at most ${COMMAND_CHARACTERS}: run a script instead`);
      return;
    }
    this.#told = this.#missed = null;
    const before = this.#ops.store.rows.get(fingerprint)?.seq ?? null;
    this.#set("running", `given to the shell of ${sandbox}: it runs when the prompt is there`);
    const ran = await run(command, COMMAND_S, () => this.#set("running", `running in ${sandbox}`));
    if (this.#signal.aborted) return;
    if (!ran.ok) {
      this.#set("failed", ran.error);
      return;
    }
    const exit = exitWords(ran.exitCode, ran.durationS);
    const body = { fingerprint, sandbox, command, exit_code: ran.exitCode, duration_s: ran.durationS, before };
    this.#told = { body, exit };
    await this.look();
  }

  /** Tells the room of the command that ended, and waits for what the row is then. Again after `untold`: the command is not run twice. */
  async look(): Promise<void> {
    const told = this.#told;
    if (!told || this.state.stage === "looking") return;
    this.#set("looking", `${told.exit}: the row is being looked at again`);
    const reply = await this.#ops.ask("remedy", told.body);
    if (this.#signal.aborted) return;
    if (!reply.ok) {
      this.#set("untold", `${told.exit}, but the row was not looked at: ${reply.error ?? "the room refused it"}`);
      return;
    }
    const proof = await this.#proof(told.body.fingerprint, (reply.result as { remedy: string }).remedy);
    if (this.#signal.aborted) return;
    if (!proof) this.#set("late", `${told.exit}. The look at the row takes long: what came of it will stand in its details`);
    else this.#set("proved", proofWords(told.exit, proof), proof.after?.status === "ok");
  }

  /** The store has news. After a `reset` of it the proof may have come while the page was away. */
  async news(reset: boolean): Promise<void> {
    if (reset && this.#told && this.state.stage === "looking") {
      const reply = await this.#ops.ask("past", { fingerprint: this.#told.body.fingerprint });
      if (reply.ok) this.#missed = (reply.result as Past).remedy;
    }
    this.#wake?.();
  }

  /** Another row: what was said of the last one is no longer of interest. */
  reset(): void {
    this.#told = null;
    this.#set("ready", "");
  }

  #set(stage: RemedyStage, words: string, mended = false): void {
    this.state = { stage, words, mended };
    if (!this.#signal.aborted) this.#tell();
  }

  /** Waits for the proof of that id, or a newer one of the row. A page that was away meanwhile asks for it. */
  async #proof(fingerprint: string, id: string): Promise<Proof | null> {
    const deadline = performance.now() + PROOF_MS;
    const found = () => [this.#ops.store.pasts.proof(fingerprint), this.#missed].find((proof) => proof && proof.id >= id) ?? null;
    while (!found() && performance.now() < deadline && !this.#signal.aborted) await this.#news(deadline - performance.now());
    return found();
  }

  #news(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#wake = done;
    });
  }
}

function proofWords(exit: string, { before, after }: Proof): string {
  if (!after) return `${exit}. The row was not looked at again: its check is gone`;
  return `${exit}. ${before?.status ?? "new"} → ${after.status}${after.summary ? `: ${after.summary}` : ""}`;
}
