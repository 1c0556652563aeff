/** Actions of a terminal's bar that do nothing. */
import type { TerminalBarActions } from "../views/terminal-bar.ts";

export function silent(change: Partial<TerminalBarActions> = {}): TerminalBarActions {
  const nothing = () => {};
  return {
    take: nothing,
    ask: nothing,
    withdraw: nothing,
    refuse: nothing,
    release: nothing,
    give: nothing,
    eject: nothing,
    search: nothing,
    copy: nothing,
    recording: nothing,
    zoom: nothing,
    above: nothing,
    restart: nothing,
    retry: nothing,
    screenReader: nothing,
    ...change,
  };
}
