/** The bar over an ops view: which room, its state, the last scan, the running one, and a way to start one. */
import type { FailingTarget, Reply } from "../protocol.ts";
import type { OpsStore } from "../rooms/ops-store.ts";
import type { TransportName } from "../transport/endpoint.ts";
import type { LinkState } from "../transport/open.ts";
import { Badge } from "./badge.ts";
import { element, setText } from "./element.ts";
import { clock, duration } from "./status.ts";

export interface OpsBarActions {
  scan(): Promise<Reply>;
  retry(): void;
}

const WORDS: Record<LinkState, [string, string]> = {
  connecting: ["◌", "connecting"],
  open: ["●", "live"],
  refused: ["✕", "refused"],
  lost: ["✕", "lost"],
};

export class OpsBar {
  readonly node: HTMLElement;
  #state = element("span", { class: "pw-state", role: "status" });
  #scan = element("span", { class: "pw-muted" });
  #progress = element("progress", { class: "pw-progress", hidden: true, "aria-label": "Progress of the running scan" });
  #answer = element("span", { class: "pw-answer", role: "status" });
  #failing = element("span", { class: "pw-answer pw-failing", role: "status" });
  #badge = new Badge();
  #now: HTMLButtonElement;
  #retry: HTMLButtonElement;

  constructor(title: string, actions: OpsBarActions) {
    this.#now = element("button", { type: "button", class: "pw-primary pw-scan-now", title: "Run every check now" }, "Scan now");
    this.#now.addEventListener("click", async () => {
      this.#now.disabled = true;
      const reply = await actions.scan();
      this.#now.disabled = false;
      setText(this.#answer, reply.ok ? "" : (reply.error ?? "the scan was refused"));
    });
    this.#retry = element(
      "button",
      { type: "button", hidden: true, title: "Look for the host again", onclick: actions.retry },
      "Try again",
    );
    this.node = element(
      "div",
      { class: "pw-bar", role: "toolbar", "aria-label": title },
      element("span", { class: "pw-bar-title" }, title),
      this.#state,
      this.#retry,
      this.#answer,
      this.#failing,
      element("span", { class: "pw-space" }),
      this.#progress,
      this.#scan,
      this.#badge.node,
      this.#now,
    );
    this.link("connecting", "");
  }

  link(state: LinkState, reason: string): void {
    const [icon, word] = WORDS[state];
    this.#state.dataset.state = state === "open" ? "live" : state;
    this.#state.dataset.icon = icon;
    setText(this.#state, reason || word);
    this.#retry.hidden = state !== "refused" && state !== "lost";
    this.#now.hidden = state !== "open";
  }

  delay(transport: TransportName | null, delay: number | "busy" | null): void {
    this.#badge.show(transport, delay);
  }

  draw(store: OpsStore): void {
    setText(this.#failing, unheard(store.failing));
    const [running] = store.running.values();
    this.#progress.hidden = !running;
    if (running) {
      this.#progress.max = Math.max(running.total, 1);
      if (running.total > 0) this.#progress.value = running.done;
      setText(this.#scan, running.total > 0 ? `scanning ${running.done}/${running.total}` : "scanning");
      return;
    }
    const last = store.lastScan;
    if (!last) {
      setText(this.#scan, store.checks > 0 ? count(store.checks) : "");
      return;
    }
    const took = Date.parse(last.finished_at) - Date.parse(last.started_at);
    setText(this.#scan, `last scan ${clock(last.finished_at)} (${last.trigger}, ${count(last.total)}, ${duration(took)})`);
  }
}

function count(checks: number): string {
  return `${checks} ${checks === 1 ? "check" : "checks"}`;
}

/** What a person must know who relies on messages: they do not arrive. */
function unheard(failing: FailingTarget[]): string {
  const [first] = failing;
  if (!first) return "";
  const others = failing.length > 1 ? ` (and ${failing.length - 1} more)` : "";
  return `⚠ notifications to ${first.target}${others} do not arrive: ${first.error}`;
}
