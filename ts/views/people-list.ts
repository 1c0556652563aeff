/** Who is in the terminal, opened from its bar: roles, who has control, and for those who may, hand it over and put somebody out. */

import type { TerminalStatus } from "../rooms/terminal-status.ts";
import type { Person } from "../terminal-protocol.ts";
import { element } from "./element.ts";

export interface PeopleActions {
  /** Hands control to the person of a connection. */
  give(connection: string): void;
  eject(connection: string): void;
}

/** The roles that can have control. */
export const HOLDERS = ["operator", "peer", "moderator"];
const ARMED_MS = 5000;

/** One person with all of their connections: a page, its kernel and another tab are one. */
export interface Present {
  subject: string;
  name: string;
  roles: string[];
  connections: string[];
  me: boolean;
  holds: boolean;
  asks: boolean;
}

/** Everybody there, one entry a subject, in the order in which they came. */
export function present(status: TerminalStatus): Present[] {
  const found = new Map<string, Person[]>();
  for (const person of status.people) found.set(person.subject, [...(found.get(person.subject) ?? []), person]);
  return [...found.values()].map((all) => {
    const connections = all.map(({ connection }) => connection);
    return {
      subject: all[0]!.subject,
      name: all[0]!.name,
      roles: [...new Set(all.map(({ role }) => role))],
      connections,
      me: connections.includes(status.connection),
      holds: status.lease !== null && connections.includes(status.lease.connection),
      asks: status.asking.some(({ connection }) => connections.includes(connection)),
    };
  });
}

export class PeopleList {
  readonly node = element("ul", { class: "pw-people", "aria-label": "People in this terminal", hidden: true });
  #actions: PeopleActions;
  #shown = "";

  constructor(actions: PeopleActions) {
    this.#actions = actions;
  }

  /** Draws the list anew when it changed; the focus stays on the same person's button. */
  show(people: Present[], role: string, holding: boolean): void {
    const shown = JSON.stringify([people, role, holding]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const root = this.node.getRootNode() as Document | ShadowRoot;
    const focused = root.activeElement instanceof HTMLElement && this.node.contains(root.activeElement) ? root.activeElement : null;
    const key = focused?.dataset.key;
    this.node.replaceChildren(...people.map((person) => this.#line(person, role, holding)));
    if (focused) [...this.node.querySelectorAll("button")].find((button) => button.dataset.key === key)?.focus();
  }

  #line(person: Present, role: string, holding: boolean): HTMLElement {
    const { name, roles, connections, me, holds, asks } = person;
    const words = [roles.join(", ")];
    if (connections.length > 1) words.push(`${connections.length} connections`);
    if (me) words.push("you");
    if (holds) words.push("has control");
    if (asks) words.push("asks for control");
    const may = (holding || role === "moderator") && !me && !holds && roles.some((one) => HOLDERS.includes(one));
    return element(
      "li",
      {},
      element("span", { class: "pw-person" }, name),
      element("span", { class: "pw-muted" }, words.join(" · ")),
      may && this.#hand(person),
      role === "moderator" && !me && !roles.includes("moderator") && this.#eject(person),
    );
  }

  #hand({ subject, name, connections }: Present): HTMLElement {
    return element(
      "button",
      {
        type: "button",
        "data-key": `hand ${subject}`,
        "aria-label": `Hand over control to ${name}`,
        title: `Let ${name} type; their window decides the size`,
        // The newest connection is the page that they look at now.
        onclick: () => this.#actions.give(connections.at(-1)!),
      },
      "Hand over",
    );
  }

  /** Asks once more in its own place: a person is put out by the second press. */
  #eject({ subject, name, connections }: Present): HTMLElement {
    let armed = 0;
    const button = element("button", { type: "button", "data-key": `eject ${subject}`, title: `Close ${name}'s connections for a while` });
    const say = (text: string) => {
      button.textContent = text;
      button.setAttribute("aria-label", text === "Eject" ? `Eject ${name}` : `Really eject ${name}?`);
    };
    say("Eject");
    button.addEventListener("click", () => {
      const now = performance.now();
      if (armed && now - armed < ARMED_MS) {
        armed = 0;
        say("Eject");
        this.#actions.eject(connections[0]!);
      } else {
        armed = now;
        say("Really eject?");
      }
    });
    button.addEventListener("blur", () => {
      armed = 0;
      say("Eject");
    });
    return button;
  }
}
