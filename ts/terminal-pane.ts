/** A terminal room in an element: the room on one side, an xterm on the other. What a widget adds to it is given from outside. */
import xtermStyles from "@xterm/xterm/css/xterm.css";
import type { PushedTicket, WidgetModel } from "./model.ts";
import { TERMINAL_DIALECT } from "./protocol.ts";
import { TerminalRoom } from "./rooms/terminal-room.ts";
import { TerminalRun } from "./rooms/terminal-run.ts";
import { asksForControl, holdsControl, maySize, sizesOnJoining, type TerminalStatus, whyUnheard } from "./rooms/terminal-status.ts";
import baseStyles from "./styles/base.css";
import terminalStyles from "./styles/terminal.css";
import { terminalActions } from "./terminal-actions.ts";
import { CommChannel } from "./transport/channel.ts";
import { endpointsOf, type TransportName } from "./transport/endpoint.ts";
import { type LinkState, RoomLink } from "./transport/open.ts";
import { ClipboardConsent } from "./views/clipboard-consent.ts";
import { addStyles, element } from "./views/element.ts";
import { NoticeLine } from "./views/notice-line.ts";
import { PasteQuestion } from "./views/paste-question.ts";
import { hears, spokenName } from "./views/screen-reader.ts";
import { SearchBox } from "./views/search-box.ts";
import { TerminalBar, type TerminalState } from "./views/terminal-bar.ts";
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

/** Opens the room and shows it, until `signal` aborts: then no socket and no element is left. */
export function openTerminal(options: TerminalPaneOptions): TerminalPane {
  const { model, el, signal, room } = options;
  addStyles(el, "base", baseStyles);
  addStyles(el, "terminal", xtermStyles + terminalStyles);
  let link: LinkState = "connecting";
  let reason = "";
  let connection: RoomLink | null = null;
  const reads = options.view.screenReader || hears();
  const notice = new NoticeLine();

  const view: TerminalView = new TerminalView(
    { ...options.view, screenReader: reads },
    {
      input(keys, answer) {
        // Every attached xterm answers a program's queries: the room picks one. A focus report is not a keystroke, and must not take control.
        if (answer && party.status.lease && !holdsControl(party.status)) return;
        if (!party.type(keys) && !answer) unheard();
      },
      unheard: () => unheard(),
      fit({ cols, rows }) {
        if (link !== "open" || !maySize(party.status)) return false;
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
      notice: (sentence) => notice.tell(sentence),
      mark: (mark) => command.mark(mark),
    },
    (frame) => connection?.send(frame) ?? false,
  );
  const command = new TerminalRun(party, signal);
  const search = new SearchBox(view);
  const actions = terminalActions({
    party,
    view,
    search,
    notice,
    signal,
    retry: () => connection?.restart(),
    hears: (on) => root.setAttribute("aria-label", spokenName(room, on)),
    recording: options.recording,
  });
  const bar = new TerminalBar(room, actions, reads);
  const consent = new ClipboardConsent((sentence) => notice.tell(sentence));
  const paste = new PasteQuestion(
    (text) => (party.status.canType ? view.terminal.paste(text) : unheard()),
    () => view.terminal.focus(),
  );
  paste.listen(
    view.node,
    {
      canType: () => party.status.canType,
      unheard,
      refused: (sentence) => notice.tell(sentence),
      bracketed: () => view.terminal.modes.bracketedPasteMode,
    },
    signal,
  );
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
    notice.node,
    consent.node,
    paste.node,
    options.above,
    element("div", { class: "pw-live" }, view.node, view.keys.node),
  );
  el.append(root);
  // The notebook's own shortcuts listen further up.
  root.addEventListener("keydown", (event) => event.stopPropagation());

  function unheard(): void {
    refresh();
    notice.unheard(whyUnheard(party.status, link === "open"));
  }

  let joined = "";
  let controlled = false;
  /** The PTY takes this page's size when the page joins, where that scrambles nobody, and when it takes control. */
  function settleSize(): void {
    const { connection: id, people, lease } = party.status;
    const control = lease?.connection === id && id !== "";
    if (id !== joined && people.some(({ connection: other }) => other === id)) {
      joined = id;
      if (sizesOnJoining(party.status)) view.requestFit();
    } else if (control && !controlled) view.requestFit();
    controlled = control;
  }

  let wasTyping = false;
  function refresh(): void {
    if (signal.aborted) return;
    const { status } = party;
    const state = bar.link(link, reason, status, { holdsControl: holdsControl(status), asksForControl: asksForControl(status) });
    const typing = link === "open" && status.canType && state !== "ended";
    if (typing !== wasTyping) view.setTyping(typing);
    if (typing && !wasTyping) notice.heard();
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
    notice.stop();
    root.remove();
  });
  return { root, run: (line, timeoutS, began) => command.run(line, timeoutS, began), focus: () => view.terminal.focus() };
}
