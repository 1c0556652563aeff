"""How long a client waits for a room: while something of it comes, a slow line is no reason to give up."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..partysocket import PartySocket

PROGRESS = 256
"""Bytes within a timeout that are more than answers to pings: what is waited for is on its way, or behind what is."""
LONGEST = 1800.0
"""Seconds after which it has ended all the same."""
SILENCE = 30.0
"""Seconds without a byte after which an answer over HTTP is given up."""


@asynccontextmanager
async def patience(socket: PartySocket, timeout: float | None, *, most: float = math.inf) -> AsyncIterator[None]:
    """As `asyncio.timeout(timeout)`, but the time begins anew while the host is heard: until `most` bytes came, or for half an hour."""
    if timeout is None:
        yield
        return
    loop, span = asyncio.get_running_loop(), timeout
    begun, first = loop.time(), socket.heard
    async with asyncio.timeout(None) as waiting:
        timers: list[asyncio.TimerHandle] = []

        def look(before: int) -> None:
            heard = socket.heard
            if heard - before < PROGRESS or heard - first > most or loop.time() - begun > LONGEST:
                waiting.reschedule(loop.time())
            else:
                timers[:] = [loop.call_later(span, look, heard)]

        timers.append(loop.call_later(span, look, first))
        try:
            yield
        finally:
            timers[0].cancel()
