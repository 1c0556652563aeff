"""A terminal's output as a client follows it: by offset, without holes. No I/O."""

from __future__ import annotations

import re
from collections import deque

ESCAPES = re.compile(
    rb"\x1b\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)"  # OSC, ended by BEL or ST
    rb"|\x1b[P^_X][^\x1b]{0,4096}\x1b\\"  # DCS, PM, APC, SOS
    rb"|\x1b\[[0-?]*[ -/]*[@-~]"  # CSI (ECMA-48 §5.4)
    rb"|\x1b[ -/]*[0-~]"  # other escape sequences
    rb"|\r+"
)


class Tail:
    """The last bytes of output, in which `expect` searches. `limit` is in bytes."""

    def __init__(self, limit: int = 256 * 1024) -> None:
        self.limit = limit
        self._bytes = bytearray()
        self._base = 0

    def reset(self, offset: int) -> None:
        """The stream goes on at `offset`; what was before is not in it."""
        self._bytes.clear()
        self._base = offset

    def append(self, output: bytes) -> None:
        """More output."""
        self._bytes += output
        if (surplus := len(self._bytes) - self.limit) > 0:
            del self._bytes[:surplus]
            self._base += surplus

    def search(self, pattern: re.Pattern[str], since: int) -> tuple[re.Match[str], int] | None:
        """The first match in the text at and behind offset `since`, escape sequences left out, and the offset behind it."""
        start = max(since - self._base, 0)
        raw = bytes(self._bytes[start:])
        text, kept, position = bytearray(), [], 0
        for escape in ESCAPES.finditer(raw):
            kept.append((len(text), position))
            text += raw[position : escape.start()]
            position = escape.end()
            if raw[escape.start()] == 0x0D and bytes(text[-1:]) not in (b"", b"\n") and raw[position : position + 1] != b"\n":
                position = escape.start()  # a return in the middle of a line, which it writes anew, stays
        kept.append((len(text), position))
        text += raw[position:]
        # surrogateescape keeps every byte, so that a place in the text is a place in the stream
        found = pattern.search(text.decode("utf-8", "surrogateescape"))
        if found is None:
            return None
        end = len(found.string[: found.end()].encode("utf-8", "surrogateescape"))
        if end == 0:
            return found, self._base + start
        # the stretch that its last character is in, not one behind an escape sequence that follows
        at_text, at_raw = max(pair for pair in kept if pair[0] < end)
        return found, self._base + start + at_raw + end - at_text


class Reader:
    """One follower's share of the output: at most `limit` bytes wait for it, then it must begin again from a snapshot."""

    def __init__(self, limit: int = 4 * 1024 * 1024) -> None:
        self.limit = limit
        self.stale = True
        self._waiting: deque[bytes] = deque()
        self._size = 0

    def give(self, output: bytes) -> bool:
        """Adds output; False when there was too much and everything that waited is dropped (`stale` until `restart`)."""
        if self.stale:
            return True
        if self._size + len(output) > self.limit:
            self.stale = True
            self._waiting.clear()
            self._size = 0
            return False
        self._waiting.append(output)
        self._size += len(output)
        return True

    def restart(self, screen: bytes) -> None:
        """What waits is replaced by a screen, to be written after a reset."""
        self.stale = False
        self._waiting = deque([b"\x1bc" + screen])
        self._size = len(screen) + 2

    def take(self) -> bytes:
        """Everything that waits, b"" when nothing does."""
        taken = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        return taken
