"""Fan-out: a frame is encoded once, the frames of one loop tick are joined once, and each socket gets one write a tick.

A room keeps one log of the frames broadcast in this tick. A peer that got the same as all others needs nothing of its own:
at the end of the tick the log becomes one `Batch` and every such peer writes the same bytes. A peer that got something else in
this tick (a unicast, an exclusion, or it joined in the middle) carries *edits* of the log, so that a broadcast costs the same
however many peers differ.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from .crowd import Crowd
from .sender import Sender
from .wire import Batch, Frame, Wire

FLUSH_BYTES = 256 * 1024
"""More than this is not held back for the end of the tick."""

DEFAULT_CAP = 1024 * 1024
"""Bytes that one socket may have unread before it is cut."""

logger = logging.getLogger("partywidgets.party")


class Held:
    """The wire of a connection whose handshake is not finished: keeps what the room sends, for the real one."""

    __slots__ = ("buffered", "close_args", "frames")

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.buffered = 0
        self.close_args: tuple[int | None, str] | None = None

    def write(self, batch: Batch) -> None:
        if self.close_args is None:
            self.frames.extend(batch.frames)
            self.buffered += sum(len(frame) for frame in batch.frames)

    @property
    def descriptor(self) -> int:
        return -1

    def follow(self, encoded: bytes, taken: int) -> None:
        raise AssertionError("nothing is written past a wire that is not open")

    def pause(self) -> None:
        """Nothing is read yet."""

    def resume(self) -> None:
        """Nothing is read yet."""

    def close(self, code: int | None = None, reason: str = "") -> None:
        if self.close_args is None:
            self.close_args = (code, reason)

    def abort(self) -> None:
        self.close(1011, "too much was sent before the connection was open")


class Outlet:
    """One member of a fan-out: its wire, and how its part of this tick differs from the log."""

    __slots__ = ("_edits", "_private_bytes", "_start", "wire")

    def __init__(self, wire: Wire) -> None:
        self.wire: Wire = wire
        # Index into the log, and the frame to insert before it, or None to leave out the frame there. Ascending. None: same as the log.
        self._edits: list[tuple[int, Frame | None]] | None = None
        self._start = 0
        self._private_bytes = 0


class Fanout:
    """The members of one room and the frames of this tick. Everything here runs on the room loop.

    `cap` is in bytes: a wire that would hold more than `cap` unread is aborted, unless it holds nothing (one large frame may always
    be tried). So a peer that does not read costs at most the larger of `cap` and one flush.
    """

    __slots__ = ("_crowd", "_dirty", "_log", "_log_bytes", "_loop", "_scheduled", "_sender", "cap", "members", "place")

    def __init__(self, loop: asyncio.AbstractEventLoop, *, place: str, cap: int = DEFAULT_CAP, sender: Sender | None = None) -> None:
        self.members: dict[Outlet, None] = {}
        self.place = place
        self.cap = cap
        self._loop = loop
        self._sender = sender or Sender(io_uring=False)
        self._log: list[Frame] = []
        self._log_bytes = 0
        self._dirty: dict[Outlet, None] = {}
        self._scheduled = False
        self._crowd: Crowd | None = None
        """None: to be gathered anew before the next use."""

    def add(self, outlet: Outlet) -> None:
        """Lets `outlet` in; it gets what is broadcast from now on."""
        self.members[outlet] = None
        self._crowd = None
        if self._log:
            outlet._start = len(self._log)
            self._differ(outlet)

    def remove(self, outlet: Outlet) -> None:
        """Lets `outlet` go, after writing what is queued for it."""
        if outlet in self.members:
            self.flush_one(outlet)
            del self.members[outlet]
            self._crowd = None
            self._dirty.pop(outlet, None)
            outlet._edits, outlet._start = None, 0

    def detour(self) -> None:
        """A member's wire has no descriptor any more: the next flush looks at all of them again."""
        self._crowd = None

    def broadcast(self, frame: Frame, without: Iterable[Outlet] = ()) -> None:
        """Queues `frame` to all members that are not in `without`."""
        log = self._log
        for outlet in without:
            if outlet in self.members:
                self._differ(outlet).append((len(log), None))
        log.append(frame)
        self._log_bytes += len(frame.payload)
        if self._log_bytes > FLUSH_BYTES:
            self.flush()
        elif not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._tick)

    def send(self, outlet: Outlet, frame: Frame) -> None:
        """Queues `frame` to one member, in order with the broadcasts; to a former member it is written at once."""
        if outlet not in self.members:
            outlet.wire.write(Batch((frame,)))
            return
        self._differ(outlet).append((len(self._log), frame))
        outlet._private_bytes += len(frame.payload)
        if outlet._private_bytes > FLUSH_BYTES:
            self.flush_one(outlet)
        elif not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._tick)

    def write(self, outlet: Outlet, frame: Frame) -> None:
        """Writes one frame to one member now, behind what is queued."""
        if self._log or self._dirty:
            self.flush()
        if outlet in self.members:
            self._write(outlet, Batch((frame,)))

    def flush_one(self, outlet: Outlet) -> None:
        """Writes what is queued for one member now."""
        pending = self._pending(outlet, self._log)
        if self._log:
            self._differ(outlet).clear()
            outlet._start = len(self._log)
        else:
            outlet._edits, outlet._start = None, 0
            self._dirty.pop(outlet, None)
        outlet._private_bytes = 0
        if pending:
            self._write(outlet, Batch(pending))

    def flush(self) -> None:
        """Writes what is queued for everyone now."""
        log, dirty = self._log, self._dirty
        self._log, self._dirty, self._log_bytes = [], {}, 0
        if log:
            batch = Batch(log)
            crowd = self._crowd
            if crowd is None:
                crowd = self._crowd = Crowd(self.members)
            crowd.write(batch.encoded, dirty, self._sender)
            for outlet in crowd.others:
                if outlet._edits is None:
                    self._write(outlet, batch)
                    if outlet.wire.descriptor >= 0:
                        self._crowd = None
        for outlet in dirty:
            pending = self._pending(outlet, log)
            outlet._edits, outlet._start, outlet._private_bytes = None, 0, 0
            if pending:
                self._write(outlet, Batch(pending))

    def _tick(self) -> None:
        self._scheduled = False
        self.flush()

    def _differ(self, outlet: Outlet) -> list[tuple[int, Frame | None]]:
        edits = outlet._edits
        if edits is None:
            edits = outlet._edits = []
            self._dirty[outlet] = None
        return edits

    @staticmethod
    def _pending(outlet: Outlet, log: list[Frame]) -> list[Frame]:
        start = outlet._start
        frames: list[Frame] = []
        for index, frame in outlet._edits or ():
            frames += log[start:index]
            if frame is None:
                start = index + 1
            else:
                frames.append(frame)
                start = index
        frames += log[start:]
        return frames

    def _write(self, outlet: Outlet, batch: Batch) -> None:
        buffered = outlet.wire.buffered
        if buffered and buffered + len(batch.encoded) > self.cap:
            self._cut(outlet, len(batch.encoded))
        else:
            outlet.wire.write(batch)

    def _cut(self, outlet: Outlet, size: int) -> None:
        logger.warning(
            "%s: a peer that does not read was cut, with %d bytes unread and %d more to send", self.place, outlet.wire.buffered, size
        )
        outlet.wire.abort()
