"""Pings into silence: a peer that is gone is found, one that is busy is left alone."""

from __future__ import annotations

import asyncio
import logging
from enum import Enum, auto
from typing import Any, Protocol

from .draining import Draining
from .limits import Limits
from .silence import acknowledged, has_room, last_heard, under_way

logger = logging.getLogger("partywidgets.transport")

HELD_BACK = 300.0
"""Seconds that a room may take nothing at all from a peer who has filled the kernel's buffer, before that peer is cut: it could not answer
a ping, so nobody knows whether it is there."""
LOOKS = 4
"""In how many parts of `ping_timeout` it is looked how far a ping has come that waits behind other output."""


class Hearing(Enum):
    """Whether what a peer says is read now."""

    FREELY = auto()
    HELD_BACK = auto()
    """The room has enough for now, and nothing else is in the way."""
    TIMED = auto()
    """Not, or no more than the answer to a Close: what is waited for has a timer of its own."""


class Pinged(Protocol):
    """The socket whose peer is looked after."""

    @property
    def hearing(self) -> Hearing: ...

    @property
    def label(self) -> object:
        """What its log lines call it."""

    @property
    def socket(self) -> Any: ...

    @property
    def buffered(self) -> int:
        """Bytes that wait in our own buffer."""

    def ping(self) -> None: ...

    def abort(self) -> None: ...


class Keepalive:
    """Any byte from the peer is a sign of life; a ping is sent only into silence. So a peer that is gone is cut `ping_interval` and
    `ping_timeout` after its last byte, however busy it was before.

    A ping cannot be answered before it is there. On a slow line it waits behind what was sent before it, most of which the kernel holds:
    for as long as the peer's machine acknowledges that (see `draining`) the time for the answer has not begun. It begins when the ping has
    come through, so that a program which hangs on a machine that takes everything is found as any other is.

    `heard_at` is set by the socket with each byte, `held_back_at` when its room takes no more. Both are of the loop's clock.
    """

    __slots__ = ("_ahead", "_draining", "_limits", "_loop", "_pinged", "heard_at", "held_back_at", "pinged_at", "timer")

    def __init__(self, pinged: Pinged, limits: Limits, loop: asyncio.AbstractEventLoop) -> None:
        self._pinged = pinged
        self._limits = limits
        self._loop = loop
        self.heard_at = loop.time()
        self.held_back_at = 0.0
        self.pinged_at = 0.0
        self._draining: Draining | None = None
        """Of what was sent before the ping, until it has come through or nothing is known of it."""
        self._ahead = 0
        """How many bytes the peer's machine will have acknowledged when that has come through."""
        self.timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Looks after the peer from now on, unless its limits have no pings."""
        if self._limits.ping_interval is not None:
            self.timer = self._loop.call_later(self._limits.ping_interval, self.look)

    def stop(self) -> None:
        """The peer is gone."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def look(self) -> None:
        """Pings or cuts, when it is time to, and sets the next look's time."""
        limits, now = self._limits, self._loop.time()
        assert limits.ping_interval is not None
        if not self._hear(now):
            return
        due = self.heard_at + limits.ping_interval
        if due <= now:
            if self.pinged_at <= self.heard_at:
                self._ping(now)
            elif self._waits_behind_output(now):
                self.pinged_at = now
            due = self.pinged_at + limits.ping_timeout
            if due <= now:
                logger.info("%r: silent for %g s after a ping, and cut", self._pinged.label, limits.ping_timeout)
                self._pinged.abort()
                return
            # An answer is found when it is looked for, and the next ping is due `ping_interval` after it.
            due = min(due, now + limits.ping_interval)
            if self._draining is not None:
                due = min(due, now + limits.ping_timeout / LOOKS)
        self.timer = self._loop.call_at(due, self.look)

    def _ping(self, now: float) -> None:
        sock, buffered = self._pinged.socket, self._pinged.buffered
        got, queued = acknowledged(sock), under_way(sock)
        self._draining = None
        if got is not None and queued is not None and queued + buffered:
            self._draining, self._ahead = Draining(now, 0, got), got + queued + buffered
        self.pinged_at = now
        self._pinged.ping()

    def _waits_behind_output(self, now: float) -> bool:
        """True when the peer's machine has taken some of what was sent before the ping, and the ping has not come through."""
        if self._draining is None:
            return False
        got = acknowledged(self._pinged.socket)
        if got is None or got > self._ahead:
            self._draining = None
            return False
        return self._draining.moved(now, 0, got)

    def _hear(self, now: float) -> bool:
        """Finds out when a peer that is not read from was last heard. False: it was cut.

        Output that waits and a Close have timers of their own. Where a room has paused the peer, the kernel says when its last data came,
        its pongs among it, so that one which hangs is found as any other is. Where the peer has filled the kernel's buffer no pong comes
        through: it is pinged at every interval, so that the kernel's error for a machine that is gone comes back (a reset at once, or
        what `bound_silence` set), and it is cut when its room took nothing for `HELD_BACK`. Where the kernel tells nothing (not Linux)
        there is the ping alone.
        """
        hearing = self._pinged.hearing
        if hearing is Hearing.FREELY:
            return True
        if hearing is Hearing.TIMED:
            self.heard_at = now
            return True
        sock = self._pinged.socket
        room, silent = has_room(sock), last_heard(sock)
        if room and silent is not None:
            self.heard_at = max(self.heard_at, now - silent)
            return True
        if room is False and now - self.held_back_at >= HELD_BACK:
            logger.warning(
                "%r: its room took nothing from it for %g s, and whether it is still there cannot be known: it was cut",
                self._pinged.label,
                HELD_BACK,
            )
            self._pinged.abort()
            return False
        self.heard_at = now
        self._pinged.ping()
        return True


__all__ = ["HELD_BACK", "Hearing", "Keepalive", "Pinged"]
