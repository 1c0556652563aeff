/** One result in full: why it is as it is, what was seen, how it went over time, and what helps. */
import type { Hour, Proof, StateChange } from "../ops-protocol.ts";
import type { Result } from "../result.ts";
import type { Point } from "../rooms/series.ts";
import { element, setText, toClipboard } from "./element.ts";
import { LatencyChart, type LoadChart } from "./latency-chart.ts";
import { proofText } from "./proof.ts";
import { age, clock, duration, isStale, STATUS_ICONS, statusMark, suppressionText, unconfirmed } from "./status.ts";
import { uptimeBars } from "./uptime.ts";

export interface DetailActions {
  recheck(fingerprint: string): void;
  /** Opens the terminal of the row's sandbox with its command at hand; `run`: and runs it, where its author wants no question before. */
  terminal(fingerprint: string, run: boolean): void;
  close(): void;
}

/** What is known of a row beside its result. */
export interface Background {
  proof: Proof | null;
  hours: readonly Hour[];
  /** Its last failure while it is ok, else its last success. */
  witness?: Result | null;
  /** When it is looked at next. */
  next?: string | null;
}

const OPEN_TERMINAL = "Open the shared terminal of this row's sandbox below";
const PHASES = ["resolve", "connect", "tls", "processing", "transfer"];

export class Detail {
  readonly node = element("section", { class: "pw-detail", hidden: true, tabindex: -1 });
  #actions: DetailActions;
  #head = element("div", { class: "pw-detail-head" });
  #body = element("div", { class: "pw-detail-body" });
  #chart: LatencyChart;
  /** For how long it is as it is: a clock's words, also while no further result comes. */
  #standing = element("div", { class: "pw-muted" });
  #result: Result | null = null;
  #shown: string | null = null;
  #resultId = "";
  /** What a person folded or unfolded, by its title. */
  #folds = new Map<string, boolean>();

  constructor(actions: DetailActions, signal: AbortSignal, chart: LoadChart) {
    this.#actions = actions;
    this.#chart = new LatencyChart(chart, signal);
    this.node.append(this.#head, this.#body);
    const ticking = setInterval(() => this.node.ownerDocument.hidden || this.#tick(), 1000);
    signal.addEventListener("abort", () => clearInterval(ticking));
    this.node.addEventListener("keydown", (event) => {
      if (event.key === "Escape") actions.close();
    });
  }

  get fingerprint(): string | null {
    return this.#shown;
  }

  /** Shows a result, or nothing. What a person unfolded stays unfolded when the next result of the same check comes. */
  show(
    result: Result | null,
    series: readonly Point[],
    transitions: readonly StateChange[],
    past: Background = { proof: null, hours: [] },
  ): void {
    this.#result = result;
    this.#tick();
    if (!result) {
      this.#shown = null;
      this.node.hidden = true;
      return;
    }
    if (this.#shown !== result.fingerprint) this.#folds.clear();
    const scroll = this.#shown === result.fingerprint ? this.node.scrollTop : 0;
    this.#shown = result.fingerprint;
    this.node.hidden = false;
    this.node.setAttribute("aria-label", `Details of ${result.title || result.check_id}`);
    const { proof, hours } = past;
    const id = `${result.result_id}${JSON.stringify(result.suppression)}${transitions.length}${proof?.id ?? ""}${hours.at(-1)?.begin ?? ""}${past.witness?.result_id ?? ""}${past.next ?? ""}`;
    if (id !== this.#resultId) {
      this.#resultId = id;
      const held = this.#heldButton();
      this.#head.replaceChildren(...this.#headOf(result));
      this.#body.replaceChildren(...this.#bodyOf(result, transitions, past));
      this.node.scrollTop = scroll;
      this.#buttonOf(held)?.focus({ preventScroll: true });
    }
    this.#chart.draw(series);
  }

  /** On the button that opens the terminal, where one is. */
  focus(terminal = false): void {
    ((terminal && this.#buttonOf(OPEN_TERMINAL)) || this.node).focus();
  }

  #tick(): void {
    if (this.#result) setText(this.#standing, standing(this.#result));
  }

  /** Below a narrow table they may be out of view: as much of the page moves as shows that they are there. */
  reveal(): void {
    if (!this.node.hidden) this.#head.scrollIntoView({ block: "nearest" });
  }

  /** The title of the button with the focus: the next result draws all of them anew, and must not take it away. */
  #heldButton(): string | null {
    const active = (this.node.getRootNode() as Document | ShadowRoot).activeElement;
    return active instanceof HTMLButtonElement && this.node.contains(active) ? active.title : null;
  }

  #buttonOf(title: string | null): HTMLButtonElement | null {
    return title === null ? null : ([...this.node.querySelectorAll("button")].find((button) => button.title === title) ?? null);
  }

  #headOf(result: Result): Node[] {
    return [
      statusMark(result.status),
      element(
        "span",
        { class: "pw-strong pw-detail-title", role: "heading", "aria-level": 2, dir: "auto", title: result.check_id },
        result.title || result.check_id,
      ),
      element("span", { class: "pw-space" }),
      button("Re-check", "Run this check now, and it alone", () => this.#actions.recheck(result.fingerprint), "pw-for-responders"),
      named(
        "Close the details",
        button("✕", "Close (Escape)", () => this.#actions.close()),
      ),
    ];
  }

  #bodyOf(result: Result, transitions: readonly StateChange[], { proof, hours, witness, next }: Background): Node[] {
    const { remediation, error, suppression } = result;
    return [
      element("div", { class: "pw-mono pw-wrap" }, result.target ?? ""),
      element("div", { class: "pw-wrap", dir: "auto" }, result.summary ?? ""),
      this.#standing,
      element("div", { class: "pw-muted" }, looked(result, next ?? null)),
      suppression &&
        element("div", { class: "pw-muted" }, `${suppressionText(suppression)}${suppression.reason ? `: ${suppression.reason}` : ""}`),
      error && section("Error", element("div", { class: "pw-wrap" }, `${error.class}: ${error.message}`)),
      remediation && (result.status !== "ok" ? this.#remediation(remediation, result.fingerprint) : this.#terminal(remediation, result)),
      proof && section("Last remedy", proofText(proof)),
      filled(result.conditions) && section("Conditions", conditions(result.conditions)),
      // What was seen stands open where it tells of a failure, as long as it leaves the rest in view.
      result.details
        ? this.#fold("Details", element("pre", { dir: "auto" }, result.details), result.status !== "ok" && short(result.details))
        : null,
      ...(result.evidence ?? []).map((evidence, place) =>
        this.#fold(
          `Evidence: ${evidence.name}${evidence.truncated ? " (truncated)" : ""}${evidence.redacted ? " (redacted)" : ""}`,
          element("pre", {}, evidence.value),
          place === 0 && result.status !== "ok" && short(evidence.value),
        ),
      ),
      witness ? this.#fold(witness.status === "ok" ? "When it was last ok" : "When it last failed", witnessed(witness)) : null,
      filled(transitions) && section("Last changes", changes(transitions)),
      filled(hours) && section("Uptime, last 24 hours", uptimeBars(hours)),
      section("Duration", this.#chart.node),
      phases(result.phases_ms),
      filled(result.metrics) && section("Metrics", metrics(result.metrics)),
      filled(Object.keys(result.labels ?? {})) &&
        section(
          "Labels",
          element(
            "div",
            { class: "pw-wrap" },
            Object.entries(result.labels)
              .map(([label, value]) => `${label}=${value}`)
              .join("  "),
          ),
        ),
      element("div", { class: "pw-muted pw-small" }, origin(result)),
    ].filter((node): node is HTMLElement => node instanceof Node);
  }

  #remediation(remediation: NonNullable<Result["remediation"]>, fingerprint: string): HTMLElement {
    const { text, command, runbook, cell_id: cell, sandbox, confirm } = remediation;
    const open = (run: boolean) => () => this.#actions.terminal(fingerprint, run);
    return section(
      "What helps",
      text && element("div", { class: "pw-wrap", dir: "auto" }, text),
      command && copyable(command, "Copy the command"),
      sandbox &&
        element(
          "div",
          { class: "pw-terminal-offer" },
          button("Open terminal", OPEN_TERMINAL, open(false), "pw-primary"),
          // `confirm: false` in the config: its author wants no question before it.
          command &&
            confirm === false &&
            button(`Run in ${sandbox}`, `Run it at once in the shared shell of ${sandbox}`, open(true), "pw-primary"),
          element("span", { class: "pw-muted" }, `${command ? "to run it " : ""}in the sandbox ${sandbox}`),
        ),
      command && !sandbox && element("div", { class: "pw-muted" }, "Its check names no sandbox, so it cannot be run from here."),
      command &&
        sandbox &&
        this.#fold("From a notebook", copyable(`await ops.remedy(${JSON.stringify(fingerprint)}).run()`, "Copy the line for a cell")),
      runbook && element("div", { class: "pw-muted pw-wrap" }, "Runbook: ", link(atCell(runbook, cell))),
    );
  }

  #terminal({ sandbox }: NonNullable<Result["remediation"]>, { fingerprint }: Result): HTMLElement | null {
    if (!sandbox) return null;
    const open = button("Open terminal", OPEN_TERMINAL, () => this.#actions.terminal(fingerprint, false), "pw-primary");
    return element("div", { class: "pw-terminal-offer" }, open, element("span", { class: "pw-muted" }, `in the sandbox ${sandbox}`));
  }

  #fold(title: string, content: HTMLElement, open = false): HTMLElement {
    const summary = element("summary", {}, title);
    const fold = element("details", { open: this.#folds.get(title) ?? open }, summary, content);
    // Not `toggle`, which comes as well for one that is born open. The click comes before the change.
    summary.addEventListener("click", () => this.#folds.set(title, !fold.open));
    return fold;
  }
}

function button(label: string, title: string, action: () => void, kind?: string): HTMLButtonElement {
  return element("button", { type: "button", class: kind, title, onclick: action }, label);
}

/** A sign for a word: who hears the page hears what it does. */
function named(name: string, sign: HTMLButtonElement): HTMLButtonElement {
  sign.setAttribute("aria-label", name);
  return sign;
}

/** A runbook at one of its cells: JupyterLab opens the notebook there. */
function atCell(runbook: string, cell: string | null): string {
  return cell && !runbook.includes("#") ? `${runbook}#cell-id=${encodeURIComponent(cell)}` : runbook;
}

/** A web address as a link; a path as it is, since only its author knows from where it counts. */
function link(place: string): Node | string {
  return /^https?:\/\//i.test(place) ? element("a", { href: place, target: "_blank", rel: "noopener noreferrer" }, place) : place;
}

/** A line with a button that copies it; where the browser does not allow that, it says what to do. */
function copyable(line: string, title: string): HTMLElement {
  const said = element("span", { class: "pw-muted", role: "status" });
  const copy = element("button", { type: "button", title }, "Copy");
  copy.addEventListener("click", async () => setText(said, (await toClipboard(line)) ? "copied" : "select it and press Ctrl+C"));
  return element("div", { class: "pw-command" }, element("code", {}, line), copy, said);
}

function short(text: string): boolean {
  return text.length <= 400;
}

function filled(list: readonly unknown[] | null | undefined): boolean {
  return (list?.length ?? 0) > 0;
}

function section(title: string, ...content: (Node | string | null | false | undefined)[]): HTMLElement {
  return element("div", { class: "pw-section" }, element("h3", {}, title), ...content);
}

function standing({ status, state, severity }: Result): string {
  if (!state) return `severity ${severity}`;
  const long = state.since ? age(state.since) : "";
  const since = long === "now" ? " since just now" : long ? ` for ${long}` : "";
  const phase =
    state.phase === "soft" ? `, ${unconfirmed(status, state.attempt, state.max_attempts)}` : state.phase === "flapping" ? ", flapping" : "";
  return `${status}${since}${phase}${state.previous ? `, ${state.previous} before` : ""} · severity ${severity}`;
}

/** When it was looked at, and when it will be. */
function looked(result: Result, next: string | null): HTMLElement {
  const node = element("span", {}, `looked at ${clock(result.observed_at)}`);
  if (isStale(result)) node.append(element("span", { class: "pw-stale" }, " ! older than it should be"));
  if (next !== null && Date.parse(next) > Date.now()) node.append(`, next ${clock(next)}`);
  return node;
}

function origin({ check_type, runner, scan_id }: Result): string {
  return `${check_type}${runner ? ` · run on ${runner.host}` : ""} · scan ${scan_id.slice(0, 8)}`;
}

/** What was seen then, below a fold of its own: nothing of it folds again. */
function witnessed(witness: Result): HTMLElement {
  const { observed_at, status, summary, error, details } = witness;
  return element(
    "div",
    { class: "pw-witness" },
    element("div", { class: "pw-wrap" }, statusMark(status), element("span", { class: "pw-muted" }, ` ${clock(observed_at)} `), summary),
    error && error.message !== summary && element("div", { class: "pw-wrap" }, `${error.class}: ${error.message}`),
    filled(witness.conditions) && conditions(witness.conditions),
    details ? element("pre", {}, details) : null,
    ...(witness.evidence ?? []).flatMap(({ name, value }) => [element("div", { class: "pw-muted" }, name), element("pre", {}, value)]),
  );
}

function conditions(list: Result["conditions"]): HTMLElement {
  const rows = list.map(({ expr, ok, actual }) =>
    element(
      "tr",
      {},
      element(
        "td",
        { class: ok ? "pw-status-ok" : "pw-status-crit" },
        element("span", { "aria-label": ok ? "holds" : "fails", role: "img" }, ok ? STATUS_ICONS.ok : STATUS_ICONS.crit),
      ),
      element("td", { class: "pw-mono pw-wrap" }, expr),
      element("td", { class: "pw-mono pw-wrap" }, typeof actual === "string" ? actual : JSON.stringify(actual)),
    ),
  );
  return element(
    "table",
    {},
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        element("th", {}, element("span", { class: "pw-hidden" }, "Holds")),
        element("th", {}, "condition"),
        element("th", {}, "seen"),
      ),
    ),
    element("tbody", {}, ...rows),
  );
}

function metrics(list: Result["metrics"]): HTMLElement {
  const limit = (value: unknown) => (value === null || value === undefined ? "" : String(value));
  const rows = list.map(({ name, value, unit, warn, crit }) =>
    element(
      "tr",
      {},
      element("td", { class: "pw-mono pw-wrap" }, name),
      element("td", { class: "pw-number" }, `${number(value)}${unit ? ` ${unit}` : ""}`),
      element("td", { class: "pw-muted" }, limit(warn)),
      element("td", { class: "pw-muted" }, limit(crit)),
    ),
  );
  const heads = ["name", "value", "warn", "crit"].map((head) => element("th", {}, head));
  return element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
}

function number(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(4).replace(/\.?0+$/, "");
}

/** The phases as a bar whose parts are named below it. */
function phases(phasesMs: Result["phases_ms"]): HTMLElement | null {
  const parts = Object.entries(phasesMs ?? {})
    .filter(([, ms]) => ms > 0)
    .sort(([a], [b]) => PHASES.indexOf(a) - PHASES.indexOf(b));
  const total = parts.reduce((sum, [, ms]) => sum + ms, 0);
  if (total <= 0) return null;
  const bar = element("div", { class: "pw-phases", "aria-hidden": "true" });
  const legend = element("div", { class: "pw-legend" });
  for (const [name, ms] of parts) {
    const index = Math.max(0, PHASES.indexOf(name));
    const part = element("span", { class: `pw-phase pw-phase-${index}`, title: `${name} ${duration(ms)}` });
    part.style.flexGrow = String(ms / total);
    bar.append(part);
    legend.append(
      element("span", {}, element("span", { class: `pw-swatch pw-phase-${index}`, "aria-hidden": "true" }), `${name} ${duration(ms)}`),
    );
  }
  return element("div", { class: "pw-section" }, bar, legend);
}

function changes(list: readonly StateChange[]): HTMLElement {
  return element(
    "ol",
    { class: "pw-changes" },
    ...list
      .slice(0, 8)
      .map(({ at, from, to, summary }) =>
        element(
          "li",
          {},
          element("span", { class: "pw-muted pw-number" }, clock(at)),
          ` ${from ?? "new"} → `,
          element("span", { class: `pw-status-${to}` }, `${STATUS_ICONS[to] ?? ""} ${to}`),
          " ",
          element("bdi", {}, summary),
        ),
      ),
  );
}
