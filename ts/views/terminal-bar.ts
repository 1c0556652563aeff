/** The bar over a terminal: which room, its state, who is there, who types, and what can be done. */
import type { TerminalStatus } from "../rooms/terminal-status.ts";
import type { Delay } from "../transport/delay.ts";
import type { TransportName } from "../transport/endpoint.ts";
import type { LinkState } from "../transport/open.ts";
import { type AskActions, AskList } from "./ask-list.ts";
import { Badge } from "./badge.ts";
import { element, setText } from "./element.ts";
import { Overflow } from "./overflow.ts";
import { HOLDERS, type PeopleActions, PeopleList, present } from "./people-list.ts";

export type TerminalState = "connecting" | "live" | "lagging" | "ended" | "refused" | "lost";

export interface TerminalBarActions extends PeopleActions, AskActions {
  take(): void;
  ask(): void;
  withdraw(): void;
  release(): void;
  search(): void;
  copy(): void;
  /** Left out where there is no recording to be asked for. */
  recording?: (() => void) | undefined;
  zoom(step: number): void;
  /** Asks for the lines above the screen that were left out. */
  above(): void;
  restart(): void;
  retry(): void;
  screenReader(on: boolean): void;
}

/** What the room says of this person and the keyboard. */
export interface Control {
  holdsControl: boolean;
  asksForControl: boolean;
}

const NO_CONTROL: Control = { holdsControl: false, asksForControl: false };

/** What the two buttons for the keyboard do: it is taken or given back, and asked for. */
const CONTROL = {
  take: { action: "take", label: "Take control", title: "Type in this terminal; the others watch" },
  release: { action: "release", label: "Release control", title: "Let somebody else type; the first who asked gets it" },
  ask: { action: "ask", label: "Ask for control", title: "Ask whoever has control; they are shown a yes and a no" },
  withdraw: { action: "withdraw", label: "Withdraw request", title: "You asked for control: ask no longer" },
} as const;
const PEER_TAKES = "Operators only watch then, and your window decides the size; peers type as before";

const ICONS: Record<TerminalState, string> = { connecting: "◌", live: "●", lagging: "◐", ended: "■", refused: "✕", lost: "✕" };

export class TerminalBar {
  readonly node: HTMLElement;
  readonly help: HTMLElement;
  readonly people: HTMLElement;
  readonly asks: HTMLElement;
  readonly more: HTMLElement;
  #title = element("span", { class: "pw-bar-title" });
  #state = element("span", { class: "pw-state", role: "status" });
  #role = element("span", { class: "pw-muted" });
  #list: PeopleList;
  #asks: AskList;
  #people: HTMLButtonElement;
  #size = element("span", { class: "pw-muted" });
  #raw = element("span", {
    class: "pw-muted",
    title:
      "This host has no emulator: after a join or a lag the screen is made from the newest output, and right again when a program redraws",
  });
  #hint = element("span", { class: "pw-hint", role: "status" });
  #badge = new Badge();
  #overflow: Overflow;
  #controlButton: HTMLButtonElement;
  #askButton: HTMLButtonElement;
  #above: HTMLButtonElement;
  #restart: HTMLButtonElement;
  #retry: HTMLButtonElement;
  #control: (typeof CONTROL)["take" | "release"] = CONTROL.take;
  #request: (typeof CONTROL)["ask" | "withdraw"] = CONTROL.ask;

  constructor(room: string, actions: TerminalBarActions, screenReader = false) {
    setText(this.#title, room);
    this.#controlButton = button("", "", () => actions[this.#control.action]());
    this.#askButton = button("", "", () => actions[this.#request.action]());
    this.#asks = new AskList(actions);
    this.asks = this.#asks.node;
    this.#above = button(
      "",
      "Lines above the screen were left out, for the line is slow: they may take a while, in which nothing else comes",
      () => actions.above(),
    );
    this.#restart = button("Restart", "Start the shell again", actions.restart);
    this.#restart.classList.add("pw-primary");
    this.#retry = button("Try again", "Look for the host again", actions.retry);
    this.#list = new PeopleList(actions);
    this.people = this.#list.node;
    this.#people = button("", "Who is here", () => this.#unfold(this.people.hidden));
    const reader = element("input", { type: "checkbox", checked: screenReader });
    reader.addEventListener("change", () => actions.screenReader(reader.checked));
    this.help = element(
      "div",
      { class: "pw-help", hidden: true },
      element(
        "p",
        {},
        element("kbd", {}, "Ctrl+Shift+Esc"),
        " or ",
        element("kbd", {}, "Ctrl+F6"),
        " moves the focus from the terminal to this bar; ",
        element("kbd", {}, "Tab"),
        " goes on from here.",
      ),
      element(
        "p",
        {},
        element("kbd", {}, "Ctrl+C"),
        " copies when text is selected, and interrupts otherwise; ",
        element("kbd", {}, "Ctrl+Shift+V"),
        " pastes; ",
        element("kbd", {}, "Ctrl+Shift+F"),
        " searches.",
      ),
      element(
        "p",
        {},
        element("kbd", {}, "Ctrl+Alt+="),
        ", ",
        element("kbd", {}, "Ctrl+Alt+-"),
        " and ",
        element("kbd", {}, "Ctrl+Alt+0"),
        " make the text larger, smaller and as it was. ",
        named(button("A+", "Larger text", () => actions.zoom(1))),
        named(button("A−", "Smaller text", () => actions.zoom(-1))),
      ),
      element("label", {}, reader, " Screen reader mode"),
    );
    const find = button("Find", "Search the screen and its history", actions.search);
    const copy = button("Copy", "Copy what is selected, or the screen and its history, as text", actions.copy);
    const recording = actions.recording ? [button("Recording", "Download this terminal's recording", actions.recording)] : [];
    const more = named(button("⋯", "More", () => {}));
    const help = named(
      button("?", "Keys and accessibility", () => {
        this.help.hidden = !this.help.hidden;
        help.setAttribute("aria-expanded", String(!this.help.hidden));
      }),
    );
    help.setAttribute("aria-expanded", "false");
    this.node = element(
      "div",
      { class: "pw-bar", role: "toolbar", "aria-label": `Terminal ${room}` },
      this.#title,
      this.#state,
      this.#hint,
      element("span", { class: "pw-space" }),
      this.#role,
      this.#people,
      this.#size,
      this.#raw,
      this.#badge.node,
      this.#controlButton,
      this.#askButton,
      this.#restart,
      this.#retry,
      this.#above,
      find,
      copy,
      ...recording,
      more,
      help,
    );
    const items = [this.#role, this.#size, this.#raw, this.#badge.node, ...recording, copy, find, this.#above, this.#people, help];
    this.#overflow = new Overflow(this.node, more, items);
    this.more = this.#overflow.panel;
    this.link("connecting", "", null);
  }

  /** A request for control is answered first. */
  focus(): void {
    if (this.#asks.focus()) return;
    this.node.querySelector<HTMLButtonElement>("button:not([hidden])")?.focus();
  }

  delay(transport: TransportName | null, delay: Delay, why = ""): void {
    this.#badge.show(transport, delay, why);
    this.#overflow.soon();
  }

  title(room: string, title: string): void {
    this.#title.title = title ? `${room}: ${title}` : room;
  }

  #unfold(open: boolean): void {
    this.people.hidden = !open;
    this.#people.setAttribute("aria-expanded", String(open));
  }

  /** Shows the whole of it; returns the one word that says how the terminal is. */
  link(link: LinkState, reason: string, status: TerminalStatus | null, control: Control = NO_CONTROL): TerminalState {
    const state = stateOf(link, status);
    this.#state.dataset.state = state;
    this.#state.dataset.icon = ICONS[state];
    setText(this.#state, sentence(state, reason, status));
    const live = link === "open" && status?.welcomed === true;
    const holding = live && control.holdsControl;
    const held = live && !holding && status.lease !== null;
    const asks = held && control.asksForControl;
    // Alone there is nobody to take it from.
    const shared = live && state !== "ended" && (status.people.length > 1 || !status.canType);
    const mayHold = shared && HOLDERS.includes(status.role);
    this.#controlButton.hidden = !mayHold || (held && status.role !== "moderator");
    this.#askButton.hidden = !mayHold || !held;
    this.#control = holding ? CONTROL.release : CONTROL.take;
    this.#request = asks ? CONTROL.withdraw : CONTROL.ask;
    setText(this.#controlButton, this.#control.label);
    this.#controlButton.title = !holding && status?.role === "peer" ? PEER_TAKES : this.#control.title;
    setText(this.#askButton, this.#request.label);
    this.#askButton.title = this.#request.title;
    // A moderator answers for whoever has control, and need not.
    const answers = shared && (holding || status.role === "moderator");
    const people = live ? present(status) : [];
    const mine = people.find(({ me }) => me)?.connections ?? [];
    const others = answers ? status.asking.filter(({ connection }) => !mine.includes(connection)) : [];
    this.#asks.show(others, holding ? null : (status?.lease?.name ?? null));
    // Where the host is silent nobody has to wait for its end.
    const silent = live && status.upstream === "running" && status.reason !== "";
    this.#restart.hidden = !(live && (state === "ended" || silent) && mayRestart(status));
    this.#retry.hidden = !(link === "refused" || link === "lost");
    const coming = status?.above === "coming";
    this.#above.hidden = !live || status.above === "whole";
    this.#above.disabled = coming || state === "lagging";
    setText(this.#above, coming ? "Loading history …" : "Load history");
    setText(this.#hint, live ? hint(status, holding, asks, state) : "");
    setText(this.#role, live ? status.role : "");
    setText(this.#people, `${people.length} people`);
    this.#people.hidden = people.length < 2;
    if (this.#people.hidden) this.#unfold(false);
    this.#list.show(people, live ? status.role : "", holding);
    const size = live ? status.size : null;
    setText(this.#size, size ? `${size.cols}×${size.rows}${size.by && status!.people.length > 1 ? ` by ${size.by}` : ""}` : "");
    setText(this.#raw, live && status.screenIsRaw ? "approximate screen" : "");
    this.#size.title = size?.by ? `${size.cols} columns × ${size.rows} rows, set by ${size.by}` : "";
    this.#overflow.soon();
    return state;
  }
}

function stateOf(link: LinkState, status: TerminalStatus | null): TerminalState {
  if (link !== "open") return link;
  if (!status?.welcomed) return "connecting";
  if (status.upstream === "ended" || status.upstream === "failed") return "ended";
  if (status.lagging) return "lagging";
  // Running with a reason: its connection is being made again.
  return status.upstream === "starting" || status.reason ? "connecting" : "live";
}

function sentence(state: TerminalState, reason: string, status: TerminalStatus | null): string {
  switch (state) {
    case "live":
      return "live";
    case "lagging":
      return "catching up";
    case "connecting":
      return reason || status?.reason || (status?.upstream === "starting" ? "starting the shell" : "connecting");
    case "ended": {
      const code = status?.exit?.code;
      const why = status?.exit?.reason || status?.reason || "";
      const number = typeof code === "number" && !why.includes(`code ${code}`) ? ` with code ${code}` : "";
      return `ended${number}${why ? `: ${why}` : ""}`;
    }
    default:
      return reason;
  }
}

function mayRestart({ role }: TerminalStatus): boolean {
  return role === "peer" || role === "moderator";
}

/** Why keys do nothing, or who else types. */
function hint(status: TerminalStatus, holding: boolean, asks: boolean, state: TerminalState): string {
  if (state === "ended") return mayRestart(status) ? "" : "a peer or a moderator can start it again";
  if (holding) return status.people.length > 1 ? "you have control" : "";
  if (status.lease && asks) return `you asked ${status.lease.name} for control`;
  if (status.lease && status.role === "peer") return `${status.lease.name} has control, you may type too`;
  if (status.lease) return status.canType ? `${status.lease.name} is idle: typing takes control` : `${status.lease.name} has control`;
  return status.canType ? "" : `read-only: you are ${status.role || "a viewer"}`;
}

function button(label: string, title: string, action: () => void): HTMLButtonElement {
  return element("button", { type: "button", title, onclick: action }, label);
}

/** A sign for a word: who hears the page hears what it does. */
function named(sign: HTMLButtonElement): HTMLButtonElement {
  const text = sign.textContent ?? "";
  sign.setAttribute("aria-label", /\w/.test(text) ? `${text} ${sign.title}` : sign.title);
  return sign;
}
