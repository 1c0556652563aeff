/** The terminal of a row's sandbox inside the dashboard, with the row's remedy over it: the second room of the widget. */
import type { MountOptions } from "./model.ts";
import type { OpsLink } from "./ops-link.ts";
import { caution, mayRun, type Ops, obstacle, Remedy, type Shell } from "./remedy.ts";
import type { Result } from "./result.ts";
import type { Changes } from "./rooms/changes.ts";
import type { TerminalBundle, TerminalPane } from "./terminal-pane.ts";
import { RemedyView } from "./views/remedy-view.ts";
import { byFinger } from "./views/touch.ts";

const ROWS = 14;

export class RemedyPane {
  #options: MountOptions;
  #ops: Ops;
  #closed: () => void;
  #view: RemedyView;
  #remedy: Remedy;
  #fingerprint = "";
  #sandbox = "";
  /** Ends this terminal, its sockets and its remedy. */
  #stop: AbortController | null = null;
  #pane: TerminalPane | null = null;
  #shell: Shell = null;
  /** Why the bundle did not come. */
  #failure = "";
  #attempt = 0;
  #runsWhenReady = false;
  #warned = false;

  /** `closed` is called when the person left it. */
  constructor(options: MountOptions, { room, ...link }: Pick<OpsLink, "room"> & { live: () => boolean }, closed: () => void) {
    this.#options = options;
    this.#closed = closed;
    this.#ops = {
      store: room.store,
      ask: (type, body) => room.ask(type, body),
      get live() {
        return link.live();
      },
    };
    this.#view = new RemedyView(
      {
        run: (command) => void this.#run(command),
        again: () => (this.#failure ? void this.#open() : void this.#remedy.look()),
        close: () => this.close(),
      },
      options.signal,
    );
    this.#remedy = this.#begun(options.signal);
    options.signal.addEventListener("abort", () => this.#stop?.abort());
  }

  get node(): HTMLElement {
    return this.#view.node;
  }

  /** Opens the terminal that a row names. `run`: its command runs as soon as the shell is there, as its author allows by `confirm: false`. */
  open(row: Result, run: boolean): void {
    const sandbox = row.remediation?.sandbox;
    if (!sandbox) return;
    if (this.#remedy.busy) {
      this.#view.focus();
      return;
    }
    const another = row.fingerprint !== this.#fingerprint || sandbox !== this.#sandbox;
    if (sandbox !== this.#sandbox) this.#leave();
    this.#fingerprint = row.fingerprint;
    this.#sandbox = sandbox;
    this.#runsWhenReady = run;
    if (another || this.node.hidden) {
      this.#remedy.reset();
      this.#view.show(row, sandbox, mayRun(this.#ops.store));
    }
    if (row.remediation?.command) this.#view.focus();
    if (!this.#stop) void this.#open();
    else if (!row.remediation?.command) this.#pane?.focus();
    this.#draw();
    this.node.scrollIntoView({ block: "nearest" });
  }

  /** Leaves the terminal. While a command of it runs, only when asked for a second time. */
  close(): void {
    if (this.node.hidden) return;
    if (this.#remedy.busy && !this.#warned) {
      this.#warned = true;
      this.#draw();
      return;
    }
    this.#leave();
    this.#view.hide();
    this.#closed();
  }

  /** The ops room has news, or came or went. */
  news(changes?: Changes): void {
    if (this.node.hidden) return;
    if (changes && (changes.reset || changes.proved.has(this.#fingerprint))) void this.#remedy.news(changes.reset);
    this.#view.row(this.#ops.store.rows.get(this.#fingerprint));
    this.#draw();
  }

  #begun(signal: AbortSignal): Remedy {
    return new Remedy(this.#ops, () => this.#draw(), signal);
  }

  async #open(): Promise<void> {
    const stop = new AbortController();
    this.#stop?.abort();
    this.#stop = stop;
    this.#remedy = this.#begun(stop.signal);
    this.#failure = "";
    this.#draw();
    try {
      const { openTerminal } = (await this.#options.load("terminal.js", this.#attempt)) as TerminalBundle;
      if (stop.signal.aborted || this.#options.signal.aborted) return;
      this.#pane = openTerminal({
        model: this.#options.model,
        el: this.#view.host,
        signal: stop.signal,
        // The room is called like its sandbox, as for `remedy().run()` in Python: both share one shell.
        room: this.#sandbox,
        query: { sandboxId: this.#sandbox },
        wanted: { sandbox: this.#sandbox },
        view: { fontSize: 13, rows: ROWS, scrollback: 10_000, screenReader: false, pasteWithCtrlV: true },
        changed: (state, status, reason) => {
          this.#shell = { state, status, reason };
          this.#draw();
        },
      });
      if (!this.#view.command) this.#pane.focus();
      this.node.scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (stop.signal.aborted) return;
      this.#attempt++;
      this.#stop = null;
      this.#failure = `the terminal could not be loaded: ${error instanceof Error ? error.message : String(error)}`;
    }
    this.#draw();
  }

  async #run(command: string): Promise<void> {
    const pane = this.#pane;
    if (!pane || this.#obstacle()) return;
    this.#warned = false;
    // A command may ask something. Under a finger, a keyboard would come up over what it says.
    if (byFinger()) this.#view.focus();
    else pane.focus();
    await this.#remedy.run(this.#fingerprint, this.#sandbox, command, (...how) => pane.run(...how));
  }

  /** A proof says how it was then. The row above it may fail again. */
  #relapse(): string {
    const { stage, mended } = this.#remedy.state;
    const [row, after] = [this.#ops.store.rows.get(this.#fingerprint), this.#ops.store.pasts.proof(this.#fingerprint)?.after];
    const fails = row && after && row.seq > after.seq && row.status !== "ok";
    return stage === "proved" && mended && fails ? `. Since then it is ${row.status} again` : "";
  }

  #obstacle(): string {
    return this.#failure || obstacle(this.#ops, this.#fingerprint, this.#shell);
  }

  #draw(): void {
    if (this.node.hidden) return;
    const hindered = this.#obstacle();
    if (!this.#remedy.busy) this.#warned = false;
    const state = this.#remedy.state;
    const since = this.#warned ? ". It runs on without you, but its proof is lost: close again to leave" : this.#relapse();
    const mended = state.mended && since === "";
    this.#view.draw({ ...state, words: state.words + since, mended }, hindered, caution(this.#shell), this.#failure !== "");
    if (this.#runsWhenReady && !hindered && this.#shell?.state === "live") {
      this.#runsWhenReady = false;
      void this.#run(this.#view.command);
    }
  }

  #leave(): void {
    this.#stop?.abort();
    this.#stop = this.#pane = this.#shell = null;
    this.#remedy = this.#begun(this.#options.signal);
    this.#failure = "";
    this.#runsWhenReady = this.#warned = false;
  }
}
