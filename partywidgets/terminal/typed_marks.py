"""The marks around one command that its own line prints: for a shell that was not started with ours."""

from __future__ import annotations

from .ring import Ring
from .shell import FRESH, Mark, MarkReader, new_nonce, wrapped
from .vt import plain_text

SEEN_BYTES = 4096
"""Bytes of output in which the last line is looked for."""


class TypedMarks:
    """`prompt` is the line at which the command is typed. The nonce is this command's alone: its line shows it to everybody."""

    def __init__(self, command: str, prompt: str) -> None:
        nonce = new_nonce()
        self.keystrokes = wrapped(command, nonce)
        self._head = self.keystrokes.removeprefix(FRESH).decode().partition(nonce)[0]
        self.ending: tuple[int, int, float] | None = None
        """Once its end is marked: its code, where its output ends, and when. The next mark has the folder."""
        self.interrupted = False
        """Somebody pressed Ctrl-C since."""
        self._prompt = prompt
        self._reader = MarkReader(nonce)

    def feed(self, piece: bytes, offset: int) -> list[Mark]:
        """The marks that end in `piece`, whose first byte is at `offset`."""
        return self._reader.feed(piece, offset)

    def echoed(self, echo: str) -> None:
        """What came before its first mark; whoever typed before there was a prompt finds it here: before the line, where the shell has
        shown that again, else behind it."""
        if not self._prompt:
            self._prompt = echo.rpartition(self._head)[0].rpartition("\n")[2].strip() or echo.rpartition("\n")[2].strip()

    def prompts_again(self, line: str) -> bool:
        """True when `line` is the prompt at which the command was typed, or after a Ctrl-C one that ends like it."""
        if not line or not self._prompt:
            return False
        return line == self._prompt or (self.interrupted and line[-1] == self._prompt[-1])


def last_line(ring: Ring, start: int = 0) -> str:
    """The line that the cursor is in, without blanks around it, of what came since `start`."""
    output = ring.read(max(start, ring.base, ring.end - SEEN_BYTES)).decode("utf-8", "replace")
    return plain_text(output, erasing=True).split("\n")[-1].strip()
