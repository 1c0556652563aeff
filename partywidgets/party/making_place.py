"""Making place in a full host: the rooms in which nobody is go before somebody new is refused."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Iterable
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .room import Room

SETTLED = 1.0
"""Seconds without an event after which a room in which nobody is may go: whoever got it by its name has begun with it by then."""

SHARE = 64
"""A look at all rooms takes out one in so many: a flood of new names costs one look for as many of them, not one for each."""

PAUSE = 1.0
"""Seconds until the next look when one found nothing: a host full of people is not searched for each who is refused."""

LEAVING = 64
"""Rooms that may be stopping at once in a host of fewer."""

TELL_EVERY = 60.0

logger = logging.getLogger("partywidgets.party")


class MakingPlace:
    """Puts the rooms to sleep that were idle longest: no connection, no hold, no running hook. What they stored and their alarm stay.

    Those that somebody may still resume from go last. Rooms that are stopping are held here: as many as the host may
    have at most, or 64 in a small one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, max_rooms: int) -> None:
        self._loop = loop
        self._max_rooms = max_rooms
        self._settled = SETTLED
        self._not_before = 0.0
        self._told = float("-inf")
        self.leaving: set[Room] = set()
        """Whose on_stop runs, or whose file is being closed."""

    def take_out(self, rooms: Iterable[Room]) -> list[Room]:
        """The rooms that go for others, their stop begun; empty when there are none."""
        now = self._loop.time()
        if now < self._not_before or len(self.leaving) >= max(self._max_rooms, LEAVING):
            return []
        long_ago = now - self._settled
        idle = [room for room in rooms if room.touched <= long_ago and room.vacant]
        lost_to_nobody = [room for room in idle if not room.recoverable]
        going = heapq.nsmallest(max(1, self._max_rooms // SHARE), lost_to_nobody or idle, key=attrgetter("touched"))
        if not going:
            self._not_before = now + PAUSE
            return []
        if now >= self._told + TELL_EVERY:
            self._told = now
            logger.warning(
                "this host has %d rooms, which is its limit: those in which nobody is are put to sleep for new ones, %r of %r first",
                self._max_rooms,
                going[0].name[:80],
                going[0].party,
            )
        for room in going:
            self.leaving.add(room)
            room.vacate().add_done_callback(partial(self._left, room))
        return going

    def _left(self, room: Room, _: asyncio.Task[None]) -> None:
        self.leaving.discard(room)


__all__ = ["MakingPlace"]
