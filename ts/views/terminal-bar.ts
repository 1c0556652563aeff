/** The bar over a terminal: which room, its state, who is there, who types, and what can be done. */

import type { Person } from "../protocol.ts";
import type { TerminalStatus } from "../rooms/terminal-room.ts";
import type { TransportName } from "../transport/endpoint.ts";
import type { LinkState } from "../transport/open.ts";
import { Badge } from "./badge.ts";
import { element, setText } from "./element.ts";

export type TerminalState = "connecting" | "live" | "lagging" | "ended" | "refused" | "lost";

export interface TerminalBarActions {
  take(): void;
  release(): void;
  search(): void;
  copy(): void;
  /** Left out where there is no recording to be asked for. */
  recording?: (() => void) | undefined;
  zoom(step: number): void;
  restart(): void;
  retry(): void;
  screenReader(on: boolean): void;
}

const ICONS: Record<TerminalState, string> = { connecting: "◌", live: "●", lagging: "◐", ended: "■", refused: "✕", lost: "✕" };

export class TerminalBar {
  readonly node: HTMLElement;
  readonly help: HTMLElement;
  #title = element("span", { class: "pw-bar-title" });
  #state = element("span", { class: "pw-state", role: "status" });
  #role = element("span", { class: "pw-muted" });
  #people = element("span", { class: "pw-muted" });
  #size = element("span", { class: "pw-muted" });
  #hint = element("span", { class: "pw-hint" });
  #badge = new Badge();
  #control: HTMLButtonElement;
  #restart: HTMLButtonElement;
  #retry: HTMLButtonElement;
  #holding = false;

  constructor(room: string, actions: TerminalBarActions) {
    setText(this.#title, room);
    this.#control = button("Take control", "Type in this terminal; the others watch", () =>
      this.#holding ? actions.release() : actions.take(),
    );
    this.#restart = button("Restart", "Start the shell again", actions.restart);
    this.#restart.classList.add("pw-primary");
    this.#retry = button("Try again", "Look for the host again", actions.retry);
    const reader = element("input", { type: "checkbox" });
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
        " pastes.",
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
        button("A+", "Larger text", () => actions.zoom(1)),
        button("A−", "Smaller text", () => actions.zoom(-1)),
      ),
      element("label", {}, reader, " Screen reader mode"),
    );
    const help = button("?", "Keys and accessibility", () => {
      this.help.hidden = !this.help.hidden;
      help.setAttribute("aria-expanded", String(!this.help.hidden));
    });
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
      this.#badge.node,
      this.#control,
      this.#restart,
      this.#retry,
      button("Find", "Search the screen and its history", actions.search),
      button("Copy", "Copy the screen and its history as text", actions.copy),
      ...(actions.recording ? [button("Recording", "Download this terminal's recording", actions.recording)] : []),
      help,
    );
    this.link("connecting", "", null);
  }

  focus(): void {
    this.node.querySelector<HTMLButtonElement>("button:not([hidden])")?.focus();
  }

  delay(transport: TransportName | null, delay: number | "busy" | null): void {
    this.#badge.show(transport, delay);
  }

  title(room: string, title: string): void {
    this.#title.title = title ? `${room}: ${title}` : room;
  }

  /** Shows the whole of it; returns the one word that says how the terminal is. */
  link(link: LinkState, reason: string, status: TerminalStatus | null, holds = false): TerminalState {
    const state = stateOf(link, status);
    this.#state.dataset.state = state;
    this.#state.dataset.icon = ICONS[state];
    setText(this.#state, sentence(state, reason, status));
    const live = link === "open" && status !== null && status.connection !== "";
    this.#holding = live && holds;
    const mayHold = live && (status.role === "moderator" || status.role === "operator");
    // Alone there is nobody to take it from.
    this.#control.hidden = !mayHold || state === "ended" || (status.people.length < 2 && status.canType);
    setText(this.#control, this.#holding ? "Release control" : "Take control");
    this.#control.title = this.#holding ? "Let somebody else type" : "Type in this terminal; the others watch";
    this.#restart.hidden = !(live && state === "ended");
    this.#retry.hidden = !(link === "refused" || link === "lost");
    setText(this.#hint, live ? hint(status, this.#holding, state) : "");
    setText(this.#role, live ? status.role : "");
    const present = live ? bySubject(status.people) : [];
    setText(this.#people, present.length > 1 ? `${present.length} people` : "");
    this.#people.title = present.map(personLine).join("\n");
    const size = live ? status.size : null;
    setText(this.#size, size ? `${size.cols}×${size.rows}${size.by && status!.people.length > 1 ? ` by ${size.by}` : ""}` : "");
    this.#size.title = size?.by ? `${size.cols} columns × ${size.rows} rows, set by ${size.by}` : "";
    return state;
  }
}

/** One entry a subject, with all of its connections: a page, its kernel and another tab are one person. */
function bySubject(people: Person[]): Person[][] {
  const found = new Map<string, Person[]>();
  for (const person of people) found.set(person.subject, [...(found.get(person.subject) ?? []), person]);
  return [...found.values()];
}

function personLine(connections: Person[]): string {
  const roles = [...new Set(connections.map(({ role }) => role))].join(", ");
  const count = connections.length > 1 ? `, ${connections.length} connections` : "";
  return `${connections[0]!.name} (${roles})${count}`;
}

function stateOf(link: LinkState, status: TerminalStatus | null): TerminalState {
  if (link !== "open") return link;
  if (!status?.connection) return "connecting";
  if (status.upstream === "ended" || status.upstream === "failed") return "ended";
  if (status.lagging) return "lagging";
  return status.upstream === "starting" ? "connecting" : "live";
}

function sentence(state: TerminalState, reason: string, status: TerminalStatus | null): string {
  switch (state) {
    case "live":
      return "live";
    case "lagging":
      return "catching up";
    case "connecting":
      return reason || (status?.upstream === "starting" ? status.reason || "starting the shell" : "connecting");
    case "ended": {
      const code = status?.exit?.code;
      const why = status?.exit?.reason || status?.reason || "";
      return `ended${typeof code === "number" ? ` with code ${code}` : ""}${why ? `: ${why}` : ""}`;
    }
    default:
      return reason;
  }
}

/** Why keys do nothing, or who else types. */
function hint(status: TerminalStatus, holding: boolean, state: TerminalState): string {
  if (state === "ended") return "";
  if (holding) return status.people.length > 1 ? "you have control" : "";
  if (status.lease && !status.canType) return `${status.lease.name} has control`;
  return status.canType ? "" : `read-only: you are ${status.role || "a viewer"}`;
}

function button(label: string, title: string, action: () => void): HTMLButtonElement {
  return element("button", { type: "button", title, onclick: action }, label);
}
