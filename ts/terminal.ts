/** The bundle of a terminal: a room on one side, an xterm on the other. */
import xtermStyles from "@xterm/xterm/css/xterm.css";
import { type MountOptions, option, TraitWriter } from "./model.ts";
import { TERMINAL_DIALECT } from "./protocol.ts";
import { askRecording } from "./recording-source.ts";
import { TerminalRoom } from "./rooms/terminal-room.ts";
import baseStyles from "./styles/base.css";
import terminalStyles from "./styles/terminal.css";
import { CommChannel } from "./transport/channel.ts";
import { endpointsOf } from "./transport/endpoint.ts";
import { type LinkState, RoomLink } from "./transport/open.ts";
import { ClipboardConsent } from "./views/clipboard-consent.ts";
import { addStyles, download, element, setText } from "./views/element.ts";
import { SearchBox } from "./views/search-box.ts";
import { Still } from "./views/still.ts";
import { TerminalBar } from "./views/terminal-bar.ts";
import { TerminalView } from "./views/terminal-view.ts";

export function mount({ model, el, signal, tickets }: MountOptions): void {
  addStyles(el, "base", baseStyles);
  addStyles(el, "terminal", xtermStyles + terminalStyles);
  const room = String(model.get("_room") ?? "");
  const traits = new TraitWriter(model, signal);
  let link: LinkState = "connecting";
  let reason = "";
  let connection: RoomLink | null = null;

  const view: TerminalView = new TerminalView(
    {
      fontSize: option(model, "font_size", 13),
      rows: option(model, "rows", 24),
      scrollback: option(model, "scrollback", 10_000),
      screenReader: option(model, "screen_reader", false),
      pasteWithCtrlV: option(model, "paste_with_ctrl_v", true),
    },
    {
      input(text, answer) {
        // Every attached xterm answers a program's queries: the room picks one. A focus report is no keystroke, and must not take control.
        if (answer && party.status.lease && !party.holdsControl) return;
        if (!party.type(new TextEncoder().encode(text)) && !answer) refresh();
      },
      fit({ cols, rows }) {
        if (link !== "open" || !party.maySize) return false;
        const { size } = party.status;
        return (size?.cols === cols && size.rows === rows) || party.tell({ type: "resize", cols, rows });
      },
      escape: () => bar.focus(),
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
      mark: () => {},
    },
    (frame) => connection?.send(frame) ?? false,
  );
  const search = new SearchBox(view);
  const bar = new TerminalBar(room, {
    take: () => {
      party.tell({ type: "lease", action: "take" });
      view.terminal.focus();
    },
    release: () => party.tell({ type: "lease", action: "release" }),
    search: () => search.open(),
    copy: () => void copy(),
    recording: () => void save(),
    zoom: (step) => view.zoom(step),
    restart: async () => {
      const reply = await party.ask({ type: "restart" });
      tell(reply.ok ? "" : (reply.error ?? "the shell was not restarted"));
    },
    retry: () => connection?.restart(),
    screenReader: (on) => view.setScreenReader(on),
  });
  const consent = new ClipboardConsent((sentence) => tell(sentence));
  const still = new Still(model);
  const notice = element("div", { class: "pw-notice", role: "status" });
  const root = element(
    "div",
    {
      class: "pw pw-terminal",
      "data-lm-suppress-shortcuts": "true",
      role: "group",
      "aria-label": `Terminal ${room}. Ctrl+Shift+Escape or Ctrl+F6 leaves the terminal.`,
    },
    bar.node,
    bar.help,
    search.node,
    notice,
    consent.node,
    still.node,
    element("div", { class: "pw-live" }, view.node),
  );
  still.cover(root);
  el.append(root);
  // The notebook's own shortcuts listen further up.
  root.addEventListener("keydown", (event) => event.stopPropagation());

  function tell(sentence: string): void {
    setText(notice, sentence);
  }

  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(view.terminal.hasSelection() ? view.terminal.getSelection() : view.text());
      tell("");
    } catch {
      tell("The browser did not allow copying: select the text and press Ctrl+C");
    }
  }

  async function save(): Promise<void> {
    try {
      const { recording, cast } = await askRecording(model, signal);
      download(`${room}-${recording.id}.cast`, "application/x-asciicast", cast);
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
    const { status } = party;
    if (status.connection !== "") still.end();
    const state = bar.link(link, reason, status, party.holdsControl);
    const typing = link === "open" && status.canType && state !== "ended";
    if (typing !== wasTyping) view.setTyping(typing);
    wasTyping = typing;
    settleSize();
    root.dataset.state = state;
    traits.write("state", state);
    if (status.role) traits.write("role", status.role);
  }

  view.open(signal);
  const channel = new CommChannel(model, signal, tickets);
  const query = (model.get("_query") ?? {}) as Record<string, string>;
  connection = new RoomLink(
    {
      endpoints: endpointsOf(model.get("_endpoints")),
      party: String(model.get("_party") ?? "terminal-server"),
      room,
      dialect: TERMINAL_DIALECT,
      query: () => {
        const size = view.fitted();
        return { ...query, ...(size ? { cols: String(size.cols), rows: String(size.rows) } : {}), ...party.resumeQuery() };
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
      opened: () => party.opened(),
      text: (message) => party.text(message),
      binary: (frame) => party.binary(frame),
      delay(transport, delay) {
        bar.delay(transport, delay);
        traits.write("transport", transport ?? "");
      },
    },
    signal,
  );
  signal.addEventListener("abort", () => root.remove());
}
