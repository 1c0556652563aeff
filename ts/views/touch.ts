/** A finger over the terminal. xterm itself scrolls by the wheel, its bar and keys alone. */
import type { Terminal } from "@xterm/xterm";
import { pressArrows, WheelLines } from "./wheel.ts";

/** The page is used by fingers: what takes the focus of a field brings a keyboard up over the page. */
export function byFinger(): boolean {
  return globalThis.matchMedia?.("(pointer: coarse)").matches ?? false;
}

/**
 * One finger scrolls what was printed; in a full-screen program that takes no mouse (less, man) it presses arrow keys. Where there is
 * nothing more to scroll to, and with more fingers, the page has it.
 */
export function scrollByTouch(terminal: Terminal, node: HTMLElement, cell: () => number, signal: AbortSignal): void {
  const lines = new WheelLines();
  let last: number | null = null;
  node.addEventListener(
    "touchstart",
    ({ touches }) => {
      last = touches.length === 1 ? touches[0]!.clientY : null;
    },
    { passive: true, signal },
  );
  node.addEventListener(
    "touchmove",
    (event) => {
      const touch = event.touches[0];
      if (last === null || !touch || event.touches.length > 1 || !event.cancelable) return;
      const deltaY = last - touch.clientY;
      const { active } = terminal.buffer;
      const full = active.type === "alternate";
      const atEnd = active.viewportY === (deltaY < 0 ? 0 : active.baseY);
      if (full ? terminal.modes.mouseTrackingMode !== "none" : atEnd) return;
      event.preventDefault();
      last = touch.clientY;
      const moved = lines.take({ deltaY, deltaMode: WheelEvent.DOM_DELTA_PIXEL }, cell(), terminal.rows);
      if (full) pressArrows(terminal, moved);
      else terminal.scrollLines(moved);
    },
    { passive: false, signal },
  );
}
