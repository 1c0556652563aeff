/** A terminal room in an element: the room on one side, an xterm on the other. What a widget adds to it is given from outside. */
import xtermStyles from "@xterm/xterm/css/xterm.css";
import type { PushedTicket, WidgetModel } from "./model.ts";
import { TERMINAL_DIALECT } from "./protocol.ts";
import { TerminalRoom, type TerminalStatus } from "./rooms/terminal-room.ts";
import { TerminalRun } from "./rooms/terminal-run.ts";
import baseStyles from "./styles/base.css";
import terminalStyles from "./styles/terminal.css";
import type { LeaseAction } from "./terminal-protocol.ts";
import { CommChannel } from "./transport/channel.ts";
import { endpointsOf, type TransportName } from "./transport/endpoint.ts";
import { type LinkState, RoomLink } from "./transport/open.ts";
import { ClipboardConsent } from "./views/clipboard-consent.ts";
import { addStyles, element, setText } from "./views/element.ts";
import { PasteQuestion } from "./views/paste-question.ts";
import { hears, keepHearing, spokenName } from "./views/screen-reader.ts";
import { SearchBox } from "./views/search-box.ts";
import { TerminalBar, type TerminalBarActions, type TerminalState } from "./views/terminal-bar.ts";
import { TerminalView, type TerminalViewOptions } from "./views/terminal-view.ts";

export interface TerminalPaneOptions {
  /** The widget's model: its endpoints, and its comm. */
  model: WidgetModel;
  /** Where it goes; must be in the page. */
  el: HTMLElement;
  signal: AbortSignal;
  party?: string;
  room: string;
  query: Record<string, string>;
  view: TerminalViewOptions;
  /** Tickets pushed for this room, and what a request for one says beside its id. */
  tickets?: PushedTicket[] | undefined;
  wanted?: Record<string, unknown>;
  /** Stands above the screen. */
  above?: HTMLElement;
  /** Saves the newest recording; rejects with a sentence. Left out: not offered. */
  recording?: () => Promise<void>;
  changed(state: TerminalState, status: TerminalStatus, reason: string): void;
  carried?(transport: TransportName | null): void;
}

export interface TerminalPane {
  root: HTMLElement;
  /** Runs a command in the shared shell, visible to all. */
  run: TerminalRun["run"];
  focus(): void;
}

/** What the bundle gives to other bundles. */
export interface TerminalBundle {
  openTerminal(options: TerminalPaneOptions): TerminalPane;
}

/** A request for control waits a minute in the room. */
const ASK_MS = 75_000;
/** A host takes messages of 1 MiB, and a program that does not read has as much waiting for it. */
const PASTE_BYTES = 1_000_000;
/** How long it is said that keys were not taken. */
const UNHEARD_MS = 20_000;

/** Opens the room and shows it, until `signal` aborts: then no socket and no element is left. */
export function openTerminal(options: TerminalPaneOptions): TerminalPane {
  const { model, el, signal, room } = options;
  addStyles(el, "base", baseStyles);
  addStyles(el, "terminal", xtermStyles + terminalStyles);
  let link: LinkState = "connecting";
  let reason = "";
  let connection: RoomLink | null = null;
  const reads = options.view.screenReader || hears();

  const view: TerminalView = new TerminalView(
    { ...options.view, screenReader: reads },
    {
      input(keys, answer) {
        // Every attached xterm answers a program's queries: the room picks one. A focus report is not a keystroke, and must not take control.
        if (answer && party.status.lease && !party.holdsControl) return;
        if (!party.type(keys) && !answer) unheard();
      },
      unheard: () => unheard(),
      fit({ cols, rows }) {
        if (link !== "open" || !party.maySize) return false;
        const { size } = party.status;
        return (size?.cols === cols && size.rows === rows) || party.tell({ type: "resize", cols, rows });
      },
      escape: () => bar.focus(),
      find: () => search.open(),
      title: (title) => bar.title(room, title),
      clipboard: (text) => consent.ask(text),
    },
    signal,
  );
  const party: TerminalRoom = new TerminalRoom(
    view,
    {
      status: () => refresh(),
      notice: (sentence) => tell(sentence),
      mark: (mark) => command.mark(mark),
    },
    (frame) => connection?.send(frame) ?? false,
  );
  const command = new TerminalRun(party, signal);
  const search = new SearchBox(view);
  const actions: TerminalBarActions = {
    take: () => {
      void lease({ action: "take" });
      view.terminal.focus();
    },
    ask: () => void ask(),
    withdraw: () => void lease({ action: "withdraw" }),
    refuse: (to) => void lease({ action: "refuse", to }),
    release: () => void lease({ action: "release" }),
    give: (to) => void lease({ action: "give", to }),
    eject: async (person) => {
      const reply = await party.ask({ type: "eject", connection: person });
      tell(reply.ok ? "" : (reply.error ?? "nobody was ejected"));
    },
    search: () => search.open(),
    copy: () => void copy(),
    recording: options.recording && (() => void save()),
    zoom: (step) => view.zoom(step),
    above: () => {
      // Pressed, it cannot be pressed again: the focus would be nowhere.
      view.terminal.focus();
      party.askAbove();
    },
    restart: async () => {
      const reply = await party.ask({ type: "restart" });
      tell(reply.ok ? "" : (reply.error ?? "the shell was not restarted"));
    },
    retry: () => connection?.restart(),
    screenReader: (on) => {
      view.setScreenReader(on);
      keepHearing(on);
      root.setAttribute("aria-label", spokenName(room, on));
    },
  };
  const bar = new TerminalBar(room, actions, reads);
  const consent = new ClipboardConsent((sentence) => tell(sentence));
  const paste = new PasteQuestion(
    (text) => (party.status.canType ? view.terminal.paste(text) : unheard()),
    () => view.terminal.focus(),
  );
  view.node.addEventListener(
    "paste",
    (event) => {
      // Before xterm's own listener.
      event.preventDefault();
      event.stopPropagation();
      const text = event.clipboardData?.getData("text/plain") ?? "";
      const size = new TextEncoder().encode(text).length;
      if (text === "") return;
      if (!party.status.canType) unheard();
      else if (size > PASTE_BYTES)
        tell(`Not pasted: the text has ${Math.ceil(size / 1000)} kB, and ${PASTE_BYTES / 1000} kB is the most: bring it over as a file`);
      else {
        tell("");
        paste.take(text, view.terminal.modes.bracketedPasteMode);
      }
    },
    { capture: true, signal },
  );
  const notice = element("div", { class: "pw-notice", role: "status" });
  const root = element(
    "div",
    {
      class: "pw pw-terminal",
      "data-lm-suppress-shortcuts": "true",
      role: "group",
      "aria-label": spokenName(room, reads),
    },
    bar.node,
    bar.more,
    bar.asks,
    bar.people,
    bar.help,
    search.node,
    notice,
    consent.node,
    paste.node,
    options.above,
    element("div", { class: "pw-live" }, view.node),
  );
  el.append(root);
  // The notebook's own shortcuts listen further up.
  root.addEventListener("keydown", (event) => event.stopPropagation());

  function tell(sentence: string): void {
    setText(notice, sentence);
  }

  let said = "";
  let forget: ReturnType<typeof setTimeout> | undefined;
  /** What was typed or pasted went nowhere: nobody should believe that it waits. */
  function unheard(): void {
    refresh();
    said = `What you type is not sent: ${party.whyUnheard(link === "open")}`;
    tell(said);
    clearTimeout(forget);
    forget = setTimeout(hush, UNHEARD_MS);
  }
  function hush(): void {
    if (said !== "" && notice.textContent === said) tell("");
    said = "";
  }

  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(view.terminal.hasSelection() ? view.terminal.getSelection() : view.text());
      tell("");
    } catch {
      tell("The browser did not allow copying: select the text and press Ctrl+C");
    }
  }

  /** The answer comes when a person gave it, or after a minute. */
  async function ask(): Promise<void> {
    tell("");
    const reply = await party.ask({ type: "ask" }, ASK_MS);
    tell(reply.ok ? "" : (reply.error ?? "control was not given"));
  }

  async function lease(action: LeaseAction): Promise<void> {
    const reply = await party.ask({ type: "lease", ...action });
    if (!reply.ok) tell(reply.error ?? "control did not change");
  }

  async function save(): Promise<void> {
    try {
      await options.recording?.();
      tell("");
    } catch (error) {
      if (!signal.aborted) tell(`No recording: ${(error as Error).message}`);
    }
  }

  let joined = "";
  let controlled = false;
  /** The PTY takes this page's size when the page joins, where that scrambles nobody, and when it takes control. */
  function settleSize(): void {
    const { connection: id, people, lease } = party.status;
    const control = lease?.connection === id && id !== "";
    if (id !== joined && people.some(({ connection: other }) => other === id)) {
      joined = id;
      if (party.sizesOnJoining) view.requestFit();
    } else if (control && !controlled) view.requestFit();
    controlled = control;
  }

  let wasTyping = false;
  function refresh(): void {
    if (signal.aborted) return;
    const { status } = party;
    const state = bar.link(link, reason, status, party);
    const typing = link === "open" && status.canType && state !== "ended";
    if (typing !== wasTyping) view.setTyping(typing);
    if (typing && !wasTyping) hush();
    wasTyping = typing;
    settleSize();
    root.dataset.state = state;
    options.changed(state, status, reason);
  }

  view.open(signal);
  const channel = new CommChannel(model, signal, options.tickets, options.wanted);
  connection = new RoomLink(
    {
      endpoints: endpointsOf(model.get("_endpoints")),
      party: options.party ?? "terminal-server",
      room,
      dialect: TERMINAL_DIALECT,
      query: () => {
        const size = view.fitted();
        return { ...options.query, ...(size ? { cols: String(size.cols), rows: String(size.rows) } : {}), ...party.resumeQuery() };
      },
    },
    channel,
    {
      state(next, why) {
        if (next !== "open" && link === "open") party.closed();
        link = next;
        reason = why;
        refresh();
      },
      opened() {
        party.opened();
        void command.back();
      },
      text: (message) => party.text(message),
      binary: (frame) => party.binary(frame),
      delay(transport, delay, why) {
        bar.delay(transport, delay, why);
        options.carried?.(transport);
      },
    },
    signal,
  );
  document.addEventListener("visibilitychange", () => party.seen(!document.hidden), { signal });
  signal.addEventListener("abort", () => {
    // Whoever waits for an answer hears that none will come.
    party.closed();
    clearTimeout(forget);
    root.remove();
  });
  return { root, run: (line, timeoutS, began) => command.run(line, timeoutS, began), focus: () => view.terminal.focus() };
}
