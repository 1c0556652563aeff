/** What the buttons of a terminal's bar do. */
import type { TerminalRoom } from "./rooms/terminal-room.ts";
import type { LeaseAction } from "./terminal-protocol.ts";
import type { NoticeLine } from "./views/notice-line.ts";
import { keepHearing } from "./views/screen-reader.ts";
import type { SearchBox } from "./views/search-box.ts";
import type { TerminalBarActions } from "./views/terminal-bar.ts";
import type { TerminalView } from "./views/terminal-view.ts";

/** A request for control waits a minute in the room. */
const ASK_MS = 75_000;

/** What they act on. */
export interface TerminalActionsPlace {
  party: TerminalRoom;
  view: TerminalView;
  search: SearchBox;
  notice: NoticeLine;
  signal: AbortSignal;
  /** Looks for the host again. */
  retry(): void;
  /** A person's choice of a screen reader has changed. */
  hears(on: boolean): void;
  /** Saves the newest recording; rejects with a sentence. */
  recording: (() => Promise<void>) | undefined;
}

export function terminalActions({
  party,
  view,
  search,
  notice,
  signal,
  retry,
  hears,
  recording,
}: TerminalActionsPlace): TerminalBarActions {
  async function lease(action: LeaseAction): Promise<void> {
    const reply = await party.ask({ type: "lease", ...action });
    if (!reply.ok) notice.tell(reply.error ?? "control did not change");
  }

  /** The answer comes when a person gave it, or after a minute. */
  async function ask(): Promise<void> {
    notice.tell("");
    const reply = await party.ask({ type: "ask" }, ASK_MS);
    notice.tell(reply.ok ? "" : (reply.error ?? "control was not given"));
  }

  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(view.terminal.hasSelection() ? view.terminal.getSelection() : view.text());
      notice.tell("");
    } catch {
      notice.tell("The browser did not allow copying: select the text and press Ctrl+C");
    }
  }

  async function save(record: () => Promise<void>): Promise<void> {
    try {
      await record();
      notice.tell("");
    } catch (error) {
      if (!signal.aborted) notice.tell(`No recording: ${(error as Error).message}`);
    }
  }

  return {
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
      notice.tell(reply.ok ? "" : (reply.error ?? "nobody was ejected"));
    },
    search: () => search.open(),
    copy: () => void copy(),
    recording: recording && (() => void save(recording)),
    zoom: (step) => view.zoom(step),
    above: () => {
      // Pressed, it cannot be pressed again: the focus would be nowhere.
      view.terminal.focus();
      party.askAbove();
    },
    restart: async () => {
      const reply = await party.ask({ type: "restart" });
      notice.tell(reply.ok ? "" : (reply.error ?? "the shell was not restarted"));
    },
    retry,
    screenReader: (on) => {
      view.setScreenReader(on);
      keepHearing(on);
      hears(on);
    },
  };
}
