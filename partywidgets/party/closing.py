"""How the rooms of a host end: everybody is asked to leave, on_stop follows, and what still runs is cancelled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from .connection import Connection, ReadyState

if TYPE_CHECKING:
    from .room import Room

LAST_TURN = 0.5
"""Seconds that on_close has for those who were given up."""

logger = logging.getLogger("partywidgets.party")


async def close_connections(rooms: Collection[Room], deadline: float) -> None:
    """Asks all to leave; those that have not by `deadline` (of the loop's clock) are given up."""
    loop = asyncio.get_running_loop()
    for connection in list(_remaining(rooms)):
        if connection.ready_state is not ReadyState.CONNECTING:
            connection.close(1012, "the server stops")
    while _anybody(rooms) and loop.time() < deadline:
        await asyncio.sleep(0.02)
    late = sum(1 for _ in _remaining(rooms))
    if late:
        logger.warning("%d connections did not answer the close and were dropped", late)
    await give_up_connections(rooms)


async def give_up_connections(rooms: Collection[Room]) -> None:
    """Drops all. Every on_close has its turn."""
    loop = asyncio.get_running_loop()
    end = loop.time() + LAST_TURN
    for connection in list(_remaining(rooms)):
        connection.give_up()
    while _anybody(rooms) and loop.time() < end:
        await asyncio.sleep(0.02)


async def end_rooms(rooms: Collection[Room], deadline: float) -> None:
    """on_stop of every instance, also of those whose on_start ends meanwhile; then what still runs for the rooms is cancelled."""
    clock = asyncio.get_running_loop().time
    stops = [room.stop() for room in rooms]
    while stops:
        await asyncio.wait(stops, timeout=max(0.1, deadline - clock()))
        stops = [room.stop() for room in rooms if room.instance is not None] if clock() < deadline else []
    await asyncio.gather(*(room.end() for room in rooms))


def _remaining(rooms: Collection[Room]) -> Iterator[Connection]:
    """Who is in a room, or on the way into one."""
    for room in rooms:
        yield from room.occupants.present
        for connection in room.arrivals:
            if connection not in room.occupants.present:
                yield connection


def _anybody(rooms: Collection[Room]) -> bool:
    return next(_remaining(rooms), None) is not None


__all__ = ["close_connections", "end_rooms", "give_up_connections"]
