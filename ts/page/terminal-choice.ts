/** Which terminal to look at: those that are open now, and a form for a new one. Asks again every few seconds while it is seen. */
import { element, setText } from "../views/element.ts";
import { NotAllowed, NotKnown } from "./credential.ts";
import { writePlace } from "./place.ts";

export interface ListedTerminal {
  room: string;
  /** An id; "" before anybody opened it. */
  sandbox: string;
  state: string;
  people: number;
}

/** The answer to `GET /api/terminals`. */
export interface TerminalList {
  role: string;
  terminals: ListedTerminal[];
  /** How many are left out. */
  more: number;
  /** In which this person may open one. */
  sandboxes: string[];
}

export interface TerminalChoiceActions {
  list(): Promise<TerminalList>;
  /** The sandbox is "" for the one that the room has, had last, or else `default`. */
  open(room: string, sandbox: string): void;
  /** What this person may do in terminals. */
  role(role: string): void;
}

const EVERY_MS = 5000;
const DEFAULT = "default";
/** A sign beside every word, so that no state is told by colour alone. */
const STATES: Record<string, [string, string]> = {
  idle: ["◌", "not opened yet"],
  starting: ["◌", "starting"],
  running: ["●", "running"],
  ended: ["■", "ended"],
  failed: ["✕", "did not open"],
};

export class TerminalChoice {
  readonly node: HTMLElement;
  #actions: TerminalChoiceActions;
  #title = element("h2", { tabindex: -1 }, "Terminals");
  #said = element("p", { class: "pw-muted", role: "status" }, "Looking which are open …");
  #open = element("ul", { class: "pw-open-terminals", "aria-label": "Open terminals", hidden: true });
  #form: HTMLFormElement;
  #sandbox = element("select", { id: "pw-sandbox" });
  #room = element("input", {
    type: "text",
    id: "pw-room",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    maxlength: 512,
    "aria-describedby": "pw-room-hint",
  });
  #terminals: ListedTerminal[] = [];
  #shown = "";
  #offered = "";
  #hasDefault = false;

  /** Follows the host until `signal` aborts. */
  constructor(actions: TerminalChoiceActions, signal: AbortSignal) {
    this.#actions = actions;
    this.#form = element(
      "form",
      { method: "post", hidden: true, "aria-labelledby": "pw-new-terminal" },
      element("h3", { id: "pw-new-terminal" }, "Open a new one"),
      element("label", { for: "pw-sandbox" }, "Sandbox"),
      this.#sandbox,
      element("label", { for: "pw-room" }, "Name"),
      this.#room,
      element("p", { class: "pw-muted", id: "pw-room-hint" }, "Left empty: the sandbox’s, which a row’s terminal has too."),
      element("button", { type: "submit", class: "pw-primary" }, "Open"),
    );
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.node = element("section", { class: "pw-choice" }, this.#title, this.#said, this.#open, this.#form);
    this.#follow(signal);
  }

  /** To its head: what is below it comes when the host has answered. */
  focus(): void {
    this.#title.focus();
  }

  #follow(signal: AbortSignal): void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let asking = false;
    const look = async () => {
      clearTimeout(timer);
      if (asking || document.hidden) return;
      asking = true;
      let draw: () => void;
      try {
        const list = await this.#actions.list();
        draw = () => this.#show(list);
      } catch (error) {
        draw = () => this.#refused(error as Error);
      }
      asking = false;
      if (signal.aborted) return;
      draw();
      timer = setTimeout(look, EVERY_MS);
    };
    document.addEventListener("visibilitychange", look, { signal });
    signal.addEventListener("abort", () => clearTimeout(timer));
    void look();
  }

  #show({ role, terminals, more, sandboxes }: TerminalList): void {
    this.#actions.role(role);
    this.#terminals = terminals;
    const watches = role === "observer";
    const count = terminals.length + more;
    const open = count === 0 ? "No terminal is open." : count === 1 ? "One terminal is open." : `${count} terminals are open.`;
    const left = more > 0 ? ` ${more} of them are not listed: open one by its address, …#terminal=NAME.` : "";
    const none = watches
      ? " You watch here: others open them."
      : sandboxes.length === 0
        ? " This host’s config has no sandbox to open one in."
        : "";
    setText(this.#said, open + left + none);
    this.#list(terminals);
    this.#form.hidden = sandboxes.length === 0;
    this.#offer(sandboxes);
  }

  #refused(error: Error): void {
    if (error instanceof NotAllowed) {
      this.#list([]);
      this.#form.hidden = true;
    }
    setText(this.#said, error instanceof NotKnown ? "You are no longer logged in here: reload the page." : error.message);
  }

  /** Draws the list anew when it changed; the focus stays on the same terminal. */
  #list(terminals: ListedTerminal[]): void {
    const shown = JSON.stringify(terminals);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const focused = document.activeElement instanceof HTMLElement && this.#open.contains(document.activeElement);
    const key = focused ? (document.activeElement as HTMLElement).dataset.key : undefined;
    this.#open.replaceChildren(...terminals.map(line));
    this.#open.hidden = terminals.length === 0;
    if (!focused) return;
    const again = [...this.#open.querySelectorAll("a")].find((link) => link.dataset.key === key);
    (again ?? this.#title).focus();
  }

  /** What is chosen stays chosen while it is there. */
  #offer(sandboxes: string[]): void {
    const offered = JSON.stringify(sandboxes);
    if (offered === this.#offered) return;
    this.#offered = offered;
    this.#hasDefault = sandboxes.includes(DEFAULT);
    const chosen = this.#sandbox.value;
    const last = `as last time${this.#hasDefault ? ", else default" : ""}`;
    const options = [element("option", { value: "" }, last), ...sandboxes.map((id) => element("option", { value: id }, id))];
    this.#sandbox.replaceChildren(...options);
    const first = this.#hasDefault ? "" : (sandboxes[0] ?? "");
    this.#sandbox.value = sandboxes.includes(chosen) ? chosen : first;
  }

  #submit(): void {
    const sandbox = this.#sandbox.value;
    const room = this.#room.value.trim() || sandbox || (this.#hasDefault ? DEFAULT : "");
    this.#room.required = room === "";
    if (!this.#room.reportValidity()) return;
    // Whoever names one that is open joins it, in whatever it is open on.
    const isOpen = this.#terminals.some((terminal) => terminal.room === room && terminal.sandbox !== "");
    this.#actions.open(room, isOpen ? "" : sandbox);
  }
}

function line({ room, sandbox, state, people }: ListedTerminal): HTMLElement {
  const [sign, word] = STATES[state] ?? ["?", state];
  const words = [
    word,
    ...(sandbox === "" ? [] : [`in ${sandbox}`]),
    people === 1 ? "1 person" : people === 0 ? "nobody watches" : `${people} people`,
  ];
  return element(
    "li",
    {},
    element(
      "a",
      { href: writePlace({ view: "terminal", room, sandbox: "" }), "data-key": room },
      element("span", { class: "pw-open-name" }, room),
      " ",
      element("span", { class: "pw-muted" }, element("span", { "aria-hidden": "true" }, `${sign} `), words.join(" · ")),
    ),
  );
}
