"""The output of a terminal room as one client follows it: up to which byte, what `expect` searches, and who reads along."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..terminal.protocol import OUTPUT, SNAPSHOT, decode_output, decode_snapshot
from .stream import Reader, Tail

ACK_AFTER = 0.05
"""Seconds after which what was taken is acknowledged, so that a burst costs one `consumed`."""
ACK_BYTES = 64 * 1024
"""Bytes after which it is acknowledged at once: a room takes whoever has 512 KiB unread for slow."""

FIRST_BYTES = 8192
"""Bytes of the lines above that come with a first screen for a reader: the rest follows, as far as the line brings it in a moment."""
MAX_RATE = 1_000_000_000
"""Bytes a second: the most that a room is told."""

logger = logging.getLogger(__name__)


class Following:
    """Takes a room's binary frames. `tell(kind, **fields)` sends it a message: that output was consumed, that a screen is wanted."""

    def __init__(self, room: str, tell: Callable[..., object]) -> None:
        self._room, self._tell = room, tell
        self.offset = 0
        """Behind the last byte that came."""
        self._tail = Tail()
        self._searched = 0
        self._readers: list[Reader] = []
        self._met = False
        """The room has ever let us in."""
        self.screen_comes = False
        """True from a welcome until its screen: what comes in between is on the screen, and no output."""
        self.more_comes = False
        """Lines above the newest screen may follow by themselves, with a screen in its place."""
        self._announced: float | None = None
        """The loop's time at which a first screen without all of them was announced."""
        self._rate: int | None = None
        """Bytes a second in which that came."""
        self._acknowledged = 0
        self._ack: asyncio.TimerHandle | None = None

    def welcomed(self, offset: int, *, resumed: bool) -> None:
        """The room let us in: it goes on where we were (`resumed`), or a screen comes."""
        self._met = True
        self.screen_comes = not resumed
        if not resumed:
            self._tail.reset(offset)
            self._searched = self.offset = self._acknowledged = offset
        elif any(reader.stale for reader in self._readers):
            self._tell("resync")

    @property
    def wanted(self) -> dict[str, int]:
        """What the query says of the lines above a screen: who reads along gets them behind it, else nobody needs any."""
        return {"first": FIRST_BYTES} if self._readers else {"scrollback": 0}

    def announced(self, reason: str, *, short: bool) -> None:
        """A screen comes. Of one that more may follow the room is told how fast it came: behind its announcement that is what the line
        is, however long the way."""
        follows = short and reason not in ("lagged", "asked")
        self._announced = asyncio.get_running_loop().time() if follows else None

    def take(self, frame: bytes) -> tuple[int, int] | None:
        """A frame came; the columns and rows of the screen when it is one. Raises ValueError for a frame that is cut."""
        size: tuple[int, int] | None = None
        if frame[:1] == bytes([OUTPUT]):
            self._output(*decode_output(frame))
        elif frame[:1] == bytes([SNAPSHOT]):
            self.offset, cols, rows, screen = decode_snapshot(frame)
            size = cols, rows
            self.screen_comes = False
            self._acknowledged = min(self._acknowledged, self.offset)
            self._tail.reset(self.offset)
            self._searched = min(self._searched, self.offset)
            for reader in self._readers:
                reader.restart(screen)
            self.more_comes = self._announced is not None
            if self._announced is not None:
                took = asyncio.get_running_loop().time() - self._announced
                self._rate, self._announced = min(MAX_RATE, math.ceil(len(frame) / max(took, 1e-6))), None
                self._acknowledge()
        else:
            logger.warning("terminal %s: a binary frame of unknown kind %r", self._room, frame[:1])
            return None
        if self.offset - self._acknowledged >= ACK_BYTES:
            self._acknowledge()
        elif self._ack is None:
            self._ack = asyncio.get_running_loop().call_later(ACK_AFTER, self._acknowledge)
        return size

    def _output(self, offset: int, output: bytes) -> None:
        if offset > self.offset:
            logger.warning("terminal %s: output from %d to %d is missing, asking for a snapshot", self._room, self.offset, offset)
            self._tell("resync")
            self.offset = offset
        fresh = output[self.offset - offset :]
        self.offset += len(fresh)
        self._tail.append(fresh)
        for reader in self._readers:
            if not reader.give(fresh):
                self._tell("resync")

    def _acknowledge(self) -> None:
        self.close()
        self._acknowledged = self.offset
        told = {} if self._rate is None else {"rate": self._rate}
        self._rate = None
        self._tell("consumed", offset=self.offset, **told)

    def search_from_here(self) -> None:
        """The next search begins behind what has come."""
        self._searched = self.offset

    def search(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """The first match since the last one, or since `search_from_here`."""
        found = self._tail.search(pattern, self._searched)
        if found is None:
            return None
        match, self._searched = found
        return match

    @contextmanager
    def reading(self, limit: int) -> Iterator[Reader]:
        """A reader of all that comes from now on, behind a screen; at most `limit` bytes wait for it."""
        reader = Reader(limit)
        self._readers.append(reader)
        try:
            if self._met and not self.screen_comes:
                self._tell("resync")
            yield reader
        finally:
            self._readers.remove(reader)

    def close(self) -> None:
        """Acknowledges nothing more by itself."""
        if self._ack is not None:
            self._ack.cancel()
            self._ack = None
