"""Drawing output on an emulator: all of it, but for plain lines that no viewer can ever see again.

A flood of text is far longer than a scrollback. Of a run of lines without an escape sequence nothing lasts but the newest lines, so those
between the first and the newest are left out. Called in the emulators' threads.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from .protocol import MAX_CELLS

if TYPE_CHECKING:
    from .emulator import Emulator

Step = bytes | tuple[int, int]
"""Output, or a new size as columns and rows."""

ALONE_BYTES = 16 * 1024
"""Pieces from this size on are drawn as they are; smaller ones are joined, since each call gives the GIL back and has to get it again."""
_LINE_END = b"\r\n"


class Drawn(NamedTuple):
    """What a thread has drawn: bytes, and the seconds that it took."""

    size: int
    seconds: float


def is_plain(output: bytes) -> bool:
    """True when nothing in it lasts but its text: it begins no escape sequence and shifts no character set.

    libghostty executes no other control that outlives its line; C1 controls, raw or in UTF-8, it takes for text.
    """
    return b"\x1b" not in output and b"\x0e" not in output and b"\x0f" not in output


def draw(emulator: Emulator, steps: Iterable[Step]) -> Drawn:
    """Draws output and sizes in their order. The screen and the lines above it are those of an emulator that drew everything."""
    size, began = 0, time.monotonic()
    run: list[bytes] = []
    for step in steps:
        if isinstance(step, bytes):
            size += len(step)
            if is_plain(step):
                run.append(step)
                continue
        _draw_run(emulator, run)
        run = []
        if isinstance(step, bytes):
            emulator.feed(step)
        else:
            emulator.resize(*step)
    _draw_run(emulator, run)
    return Drawn(size, time.monotonic() - began)


def _draw_run(emulator: Emulator, run: list[bytes]) -> None:
    """Draws pieces without an escape sequence."""
    first = _begin(run, emulator.size[1])
    # As many rows as a screen may get come down from the scrollback when it grows.
    newest = _end(run, emulator.scrollback + MAX_CELLS) if first is not None else None
    if first is None or newest is None or newest <= first:
        _feed(emulator, run)
        return
    (piece, at), (last, behind) = first, newest
    # A screen's lines first: they end what came before, and leave the cursor at the left of the last row, where the newest find it.
    _feed(emulator, [*run[:piece], run[piece][:at]])
    if emulator.undisturbed:
        _feed(emulator, [run[last][behind:], *run[last + 1 :]])
    else:
        _feed(emulator, [run[piece][at:], *run[piece + 1 :]])


def _begin(run: list[bytes], lines: int) -> tuple[int, int] | None:
    """The piece, and the place in it behind a line's end, by which a run has so many lines."""
    found = 0
    for piece, output in enumerate(run):
        found += output.count(b"\n")
        if found >= lines:
            at = output.rfind(_LINE_END)
            if at >= 0:
                return piece, at + len(_LINE_END)
    return None


def _end(run: list[bytes], lines: int) -> tuple[int, int] | None:
    """The piece, and the place in it behind a line's end, behind which a run has at least so many lines."""
    found = 0
    for piece in range(len(run) - 1, -1, -1):
        if found >= lines:
            at = run[piece].rfind(_LINE_END)
            if at >= 0:
                return piece, at + len(_LINE_END)
        found += run[piece].count(b"\n")
    return None


def _feed(emulator: Emulator, pieces: list[bytes]) -> None:
    small: list[bytes] = []
    for output in pieces:
        if len(output) < ALONE_BYTES:
            small.append(output)
            continue
        if small:
            emulator.feed(b"".join(small))
            small = []
        emulator.feed(output)
    emulator.feed(b"".join(small))
