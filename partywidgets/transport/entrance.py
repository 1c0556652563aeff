"""Connections of a server that have not said what they want yet: bounded in number and in time."""

from __future__ import annotations

import asyncio
import resource
import sys
from typing import Protocol

PATIENCE = 0.25
"""Seconds that newcomers have to say what they want before one of them goes for the next: a herd that comes back needs a round trip."""


class Newcomer(Protocol):
    """A connection whose request has not come yet."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport


class Entrance:
    """Those of a server who have not said what they want yet. Past `limit`, the one that has been at it longest goes, after `PATIENCE`."""

    def __init__(self, *, limit: int, head_timeout: float) -> None:
        self.limit = limit
        self.head_timeout = head_timeout
        self.waiting: dict[Newcomer, asyncio.TimerHandle] = {}
        self.upgrading = 0

    def full(self) -> bool:
        """True while there are as many as may be, and all of them have just come."""
        if len(self.waiting) < self.limit:
            return False
        protocol, timer = next(iter(self.waiting.items()))
        return protocol.loop.time() - (timer.when() - self.head_timeout) < PATIENCE

    def enter(self, protocol: Newcomer) -> None:
        """The head's time begins; a second call changes nothing."""
        if protocol in self.waiting:
            return
        if len(self.waiting) >= self.limit:
            oldest = next(iter(self.waiting))
            self.leave(oldest)
            oldest.transport.abort()
        self.waiting[protocol] = protocol.loop.call_later(self.head_timeout, self._late, protocol)

    def leave(self, protocol: Newcomer) -> None:
        """The head is complete, or its sender gone."""
        timer = self.waiting.pop(protocol, None)
        if timer is not None:
            timer.cancel()

    def _late(self, protocol: Newcomer) -> None:
        self.waiting.pop(protocol, None)
        if not protocol.transport.is_closing():
            protocol.transport.write(b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            protocol.transport.close()


def spare_descriptors() -> int:
    """A quarter of the files that this process may open: whoever has not said anything yet never takes those of the rooms."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if soft == resource.RLIM_INFINITY else max(soft // 4, 16)


__all__ = ["Entrance", "spare_descriptors"]
