"""How `attach` comes into a room: a host that is not there is said at once, or waited for."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ..exceptions import ConnectionClosedError, HostError
from ..partysocket import CloseEvent, reconnects

if TYPE_CHECKING:
    from ..client.terminal import TerminalClient

STARTING = frozenset({429, 502, 503, 504})
"""What a proxy, or a server with its hands full, answers before the host is there."""


class Arrival:
    """Decides whether an attempt follows one that failed. In the room once, the client comes back as often as it takes.

    Before that a host that refuses, has no address or is something else ends it; one that is only slow, or just starts, is tried again for
    as long as the client waits for its welcome. `waits`: whatever it is, it is tried again.
    """

    def __init__(self, url: str, *, waits: bool) -> None:
        self._url, self._waits = url, waits
        self._there = False
        self._error: Exception | None = None
        self._said = ""

    def failed(self, error: Exception) -> None:
        """What kept the attempt from becoming a connection."""
        self._error = error

    def goes_on(self, event: CloseEvent) -> bool:
        """See PartySocket's `should_reconnect_on_close`."""
        error, self._error = self._error, None
        if self._there or not reconnects(event):
            return reconnects(event)
        if self._waits:
            if (why := str(event)) != self._said:
                self._said = why
                print(f"waiting for {self._url}: {why} (Ctrl-C ends it)", file=sys.stderr)
            return True
        return error is None or isinstance(error, TimeoutError) or event.status in STARTING

    @asynccontextmanager
    async def entered(self, terminal: TerminalClient) -> AsyncIterator[None]:
        """In the block the client is in the room. Raises RefusedError or HostError when it does not come there."""
        terminal.start()
        try:
            try:
                await terminal.ready(None if self._waits else terminal.timeout)
            except ConnectionClosedError:
                raise HostError(f"no host at {self._url}: {terminal.socket.last_close} (--wait tries until there is one)") from None
            self._there = True
            yield
        finally:
            await terminal.close()
