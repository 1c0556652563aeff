/** Whether this browser's person hears the terminal: chosen once, in any terminal, and kept by the browser where it keeps anything. */
const KEY = "partywidgets.screen-reader";

export function hears(): boolean {
  try {
    return localStorage.getItem(KEY) === "on";
  } catch {
    return false; // a frame without storage
  }
}

export function keepHearing(on: boolean): void {
  try {
    if (on) localStorage.setItem(KEY, "on");
    else localStorage.removeItem(KEY);
  } catch {
    // It holds for this terminal then.
  }
}

/** What a screen reader says when the focus comes into a terminal. */
export function spokenName(room: string, reads: boolean): string {
  const leave = `Terminal ${room}. Ctrl+Shift+Escape or Ctrl+F6 leaves the terminal.`;
  return reads ? leave : `${leave} Its output is not read: Keys and accessibility, in its bar, turns screen reader mode on.`;
}
