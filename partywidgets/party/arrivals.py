"""Arrivals: who is on the way into a room, until its on_connect has ended. A host that ends turns them away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ..exceptions import HostError

if TYPE_CHECKING:
    from .connection import Connection

CLOSING = "the host is closing: connect again when it is back"


class Arrivals:
    """Of one room. `patience`: seconds that the hooks of one connection's way in may take together."""

    def __init__(self, *, patience: float) -> None:
        self._patience = patience
        self._coming: dict[Connection, asyncio.Timeout] = {}
        self._turned_away: set[Connection] = set()

    @asynccontextmanager
    async def admit(self, connection: Connection) -> AsyncIterator[None]:
        """While its hooks run. Raises TimeoutError when they took too long, HostError when the host ended before they did."""
        try:
            async with asyncio.timeout(self._patience) as timer:
                self._coming[connection] = timer
                yield
        except TimeoutError as error:
            if connection in self._turned_away:
                raise HostError(CLOSING) from error
            raise
        finally:
            self._coming.pop(connection, None)
            self._turned_away.discard(connection)

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._coming)

    def turn_away(self, connection: Connection) -> bool:
        """Cancels the hook that lets it in; False when none does."""
        timer = self._coming.get(connection)
        if timer is not None and not timer.expired():
            self._turned_away.add(connection)
            timer.reschedule(0)
        return timer is not None


__all__ = ["CLOSING", "Arrivals"]
