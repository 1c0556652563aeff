/** The bar over an ops view: which room, its state, how fresh its rows are, the last whole scan, the running one, and a way to start one. */
import type { FailingTarget } from "../ops-protocol.ts";
import type { Reply } from "../protocol.ts";
import { type OpsStore, PARTIAL } from "../rooms/ops-store.ts";
import type { Delay } from "../transport/delay.ts";
import type { TransportName } from "../transport/endpoint.ts";
import type { LinkState } from "../transport/open.ts";
import { Badge } from "./badge.ts";
import { element, setText } from "./element.ts";
import { RemovedNotice } from "./removed-notice.ts";
import { age, clock, duration } from "./status.ts";

export interface OpsBarActions {
  scan(): Promise<Reply>;
  retry(): void;
  /** Shows the stale rows alone, or all again. */
  stale(): void;
}

const WORDS: Record<LinkState, [string, string]> = {
  connecting: ["◌", "connecting"],
  open: ["●", "live"],
  refused: ["✕", "refused"],
  lost: ["✕", "lost"],
};

const FRESH_MS = 1000;

export class OpsBar {
  readonly node: HTMLElement;
  #state = element("span", { class: "pw-state", role: "status" });
  #pulse = element("span", { class: "pw-muted" });
  /** The words are a button's, so that they lead to the rows; the place around it speaks when they change. */
  #stale = element("span", { class: "pw-stale", role: "status" });
  #staleOnly: HTMLButtonElement;
  #scan = element("span", { class: "pw-muted" });
  #store: OpsStore | null = null;
  #toldAt = Number.NEGATIVE_INFINITY;
  #progress = element("progress", { class: "pw-progress", hidden: true, "aria-label": "Progress of the running scan" });
  #answer = element("span", { class: "pw-answer", role: "status" });
  #failing = element("span", { class: "pw-answer pw-failing", role: "status" });
  #removed = new RemovedNotice(() => this.node.focus());
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
    this.#staleOnly = element("button", {
      type: "button",
      class: "pw-stale-only",
      hidden: true,
      "aria-pressed": "false",
      title: "These checks were not looked at in time: what their rows say may be over. Shows them alone, or all rows again",
      onclick: actions.stale,
    });
    this.#stale.append(this.#staleOnly);
    this.node = element(
      "div",
      { class: "pw-bar", role: "toolbar", "aria-label": title, tabindex: -1 },
      element("span", { class: "pw-bar-title" }, title),
      this.#state,
      this.#retry,
      this.#answer,
      this.#failing,
      this.#removed.node,
      element("span", { class: "pw-space" }),
      this.#stale,
      this.#pulse,
      this.#progress,
      this.#scan,
      this.#badge.node,
      this.#now,
      this.#removed.whole,
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

  delay(transport: TransportName | null, delay: Delay, why = ""): void {
    this.#badge.show(transport, delay, why);
  }

  draw(store: OpsStore): void {
    this.#store = store;
    setText(this.#failing, [unheard(store.failing), unkept(store.unkept), unloaded(store.configRefused)].filter(Boolean).join(" "));
    if (performance.now() - this.#toldAt >= FRESH_MS || (store.removed?.told ?? 0) > this.#toldAt) this.tick();
    // Checks that are just due run all the time: their progress would only flicker.
    const running = [...store.running.values()].find(({ trigger }) => !PARTIAL.includes(trigger));
    this.#progress.hidden = !running;
    this.#scan.classList.toggle("pw-past-scan", !running);
    if (running) {
      this.#progress.max = Math.max(running.total, 1);
      if (running.total > 0) this.#progress.value = running.done;
      this.#say(running.total > 0 ? `scanning ${running.done}/${running.total}` : "scanning");
      return;
    }
    const last = store.lastScan;
    const next = store.nextScan ? `next ${clock(store.nextScan)}` : "";
    if (last) {
      const took = Date.parse(last.finished_at) - Date.parse(last.started_at);
      const detail = ` (${last.trigger}, ${count(last.total)}, ${duration(took)})`;
      this.#say(`last scan ${clock(last.finished_at)}`, detail, next && ` · ${next}`);
    } else this.#say([store.checks > 0 && count(store.checks), next].filter(Boolean).join(" · "));
  }

  /** What is said of scans; `detail` is left out where the bar is narrow. */
  #say(begin: string, detail = "", end = ""): void {
    const whole = begin + detail + end;
    if (this.#scan.textContent === whole) return;
    this.#scan.replaceChildren(begin, element("span", { class: "pw-scan-detail" }, detail), end);
    this.#scan.title = whole;
  }

  /** The table shows the stale rows alone. */
  staleOnly(pressed: boolean): void {
    this.#staleOnly.setAttribute("aria-pressed", String(pressed));
    this.tick();
  }

  /** How fresh the rows are, now: called once a second. */
  tick(now = Date.now()): void {
    const store = this.#store;
    if (!store) return;
    this.#toldAt = performance.now();
    this.#removed.show(store.removed, this.#toldAt);
    const fresh = store.freshness(now);
    const coming = store.coming();
    if (coming) {
      setText(this.#pulse, `loading ${coming.rows.toLocaleString("en")} of ${coming.of.toLocaleString("en")} rows`);
      this.#pulse.title = "The failing rows come first. The filter and CSV know the rows that have come; the counts are of all";
    } else {
      setText(this.#pulse, fresh ? `newest look ${ago(fresh.newest, now)}` : "");
      this.#pulse.title = fresh ? `The check looked at last, at ${clock(fresh.newest)}` : "";
    }
    const stale = fresh?.stale ?? 0;
    setText(this.#staleOnly, stale > 0 ? `! ${stale.toLocaleString("en")} stale` : "0 stale");
    // Who looks at the stale rows alone keeps the way back to all.
    this.#staleOnly.hidden = stale === 0 && this.#staleOnly.getAttribute("aria-pressed") === "false";
  }
}

function count(checks: number): string {
  return `${checks.toLocaleString("en")} ${checks === 1 ? "check" : "checks"}`;
}

function ago(at: number, now: number): string {
  const words = age(at, now);
  return words === "now" ? "just now" : `${words} ago`;
}

/** What a person must know who relies on messages: they do not arrive. */
function unheard(failing: FailingTarget[]): string {
  const [first] = failing;
  if (!first) return "";
  const others = failing.length > 1 ? ` (and ${failing.length - 1} more)` : "";
  return `⚠ notifications to ${first.target}${others} do not arrive: ${first.error}`;
}

/** What a person must know who will look back at this hour: it is missing. */
function unkept(reason: string | null): string {
  return reason === null ? "" : `⚠ the history is not written: ${reason}. What is seen now is not kept`;
}

/** What a person must know who changed the config, or sees what it should have changed: it was refused. */
function unloaded(reason: string | null): string {
  return reason === null ? "" : `⚠ the changed config is refused, and the former one in force: ${reason}`;
}
