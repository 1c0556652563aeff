/** The wheel over a full-screen program that takes no mouse (less, man): arrow keys, as many as the page would scroll lines. */
import type { Terminal } from "@xterm/xterm";

/** Lines that a wheel's movements come to; what is less than a line waits for the next one. */
export class WheelLines {
  #rest = 0;

  /** Positive is down; at most a screen of `rows`. `cell` is a row's height in CSS pixels. */
  take({ deltaY, deltaMode }: { deltaY: number; deltaMode: number }, cell: number, rows: number): number {
    const moved =
      deltaMode === WheelEvent.DOM_DELTA_LINE ? deltaY : deltaMode === WheelEvent.DOM_DELTA_PAGE ? deltaY * rows : deltaY / cell;
    if (moved * this.#rest < 0) this.#rest = 0;
    this.#rest += moved;
    const lines = Math.trunc(this.#rest) + 0; // never minus zero
    this.#rest -= lines;
    return Math.max(-rows, Math.min(rows, lines));
  }
}

/** xterm itself sends one arrow for each turn of the wheel, however far that is. */
export function scrollByArrows(terminal: Terminal, cell: () => number): void {
  const wheel = new WheelLines();
  terminal.attachCustomWheelEventHandler((event) => {
    const { modes, buffer, rows } = terminal;
    if (buffer.active.type !== "alternate" || modes.mouseTrackingMode !== "none" || event.deltaY === 0 || event.ctrlKey) return true;
    event.preventDefault();
    const lines = wheel.take(event, cell(), rows);
    pressArrows(terminal, lines);
    return false;
  });
}

/** Arrow keys, one a line; positive is down. */
export function pressArrows(terminal: Terminal, lines: number): void {
  const arrow = `\x1b${terminal.modes.applicationCursorKeysMode ? "O" : "["}${lines < 0 ? "A" : "B"}`;
  if (lines !== 0 && !terminal.options.disableStdin) terminal.input(arrow.repeat(Math.abs(lines)));
}
