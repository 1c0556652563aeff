"""Pane: a room's screen in a window of another size. What stands around the cursor is shown, cell by cell, as tmux shows a larger window.

A terminal that is given the output of a wider one wraps its lines elsewhere, and what moves the cursor lands in the wrong place. So an
emulator of the room's size follows the output, and what is to be seen of it is drawn.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..terminal.emulator import Emulator

RESET = b"\x1bc"
"""A room's screen begins with it."""
_SHOWN = 25
_KEYS = {1: (b"\x1b[?1h", b"\x1b[?1l"), 66: (b"\x1b=", b"\x1b>"), 2004: (b"\x1b[?2004h", b"\x1b[?2004l")}
"""What makes a terminal send other keys: cursor keys, keypad, marks around what is pasted. Mouse reports are left off: their cells are the
window's."""


class Pane:
    """Draws a part of a screen. Not safe for two threads at once; no call is to run on a loop."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._left = self._top = 0
        self._rows: list[bytes] = []
        """What stands in the window."""
        self._modes = b""
        self._window = (0, 0)

    @staticmethod
    def possible() -> bool:
        """Whether there is an emulator to follow a room: pyghostty has no wheel for every machine."""
        return find_spec("pyghostty") is not None

    @classmethod
    def of(cls, cols: int, rows: int) -> Pane:
        """One for a room of that size."""
        from ..terminal.emulator import Emulator

        return cls(Emulator(cols, rows, scrollback=0))

    @property
    def size(self) -> tuple[int, int]:
        """The room's columns and rows."""
        return self._emulator.size

    def feed(self, output: bytes) -> None:
        """The room's output, cut anywhere; a reset makes the next drawing a whole one."""
        if output.startswith(RESET):
            self._window = (0, 0)
        self._emulator.feed(output)

    def draw(self, columns: int, lines: int) -> bytes:
        """What makes a window of that size show the screen as it is now; empty when it does already."""
        cols, rows = self._emulator.size
        column, row = self._emulator.cursor
        self._left = _follow(self._left, column, columns, cols)
        self._top = _follow(self._top, row, lines, rows)
        drawn: list[bytes] = []
        if self._window != (columns, lines):
            self._window, self._rows, self._modes = (columns, lines), [b""] * lines, b""
            drawn.append(RESET)
        last = min(self._left + columns, cols) - 1
        for y in range(lines):
            shown = self._emulator.part(self._top + y, self._left, last) if self._top + y < rows else b""
            if shown != self._rows[y]:
                self._rows[y] = shown
                drawn.append(b"\x1b[%d;1H\x1b[0m\x1b[2K%s" % (y + 1, shown))
        modes = b"".join(ways[not self._emulator.mode(mode)] for mode, ways in _KEYS.items())
        at = b"\x1b[0m\x1b[%d;%dH\x1b[?25%c" % (row - self._top + 1, column - self._left + 1, b"lh"[self._emulator.mode(_SHOWN)])
        if drawn or modes + at != self._modes:
            drawn.append(modes + at)
            self._modes = modes + at
        return (b"\x1b[?25l" if len(drawn) > 1 else b"") + b"".join(drawn)

    def leave(self) -> bytes:
        """Puts the cursor below what was drawn."""
        return b"\x1b[%d;1H" % max(self._window[1], 1)

    def close(self) -> None:
        """Frees the emulator."""
        self._emulator.close()


def _follow(start: int, at: int, shown: int, whole: int) -> int:
    """The first of `shown` columns or rows of `whole`, so that `at` is among them: unmoved where it is, else with a quarter beyond it."""
    if at < start:
        start = 0 if at < shown * 3 // 4 else at - shown // 4
    elif at >= start + shown:
        start = at - shown * 3 // 4
    return max(min(start, whole - shown), 0)
