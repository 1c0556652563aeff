"""A plain WebSocket server whose handler each test gives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request

WAIT = 20.0
"""Seconds that anything here may take at most."""

Handler = Callable[[ServerConnection], Awaitable[None]]


@dataclass
class Peer:
    """A server, and what it saw."""

    server: Server
    requests: list[Request] = field(default_factory=list)
    arrivals: asyncio.Queue[ServerConnection] = field(default_factory=asyncio.Queue)

    @property
    def port(self) -> int:
        return int(next(iter(self.server.sockets)).getsockname()[1])

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def arrival(self) -> ServerConnection:
        """The next connection that came."""
        async with asyncio.timeout(20):
            return await self.arrivals.get()


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@asynccontextmanager
async def peer(handler: Handler = echo, *, port: int = 0, **options: Any) -> AsyncIterator[Peer]:
    found: Peer

    async def handle(connection: ServerConnection) -> None:
        assert connection.request is not None
        found.requests.append(connection.request)
        found.arrivals.put_nowait(connection)
        await handler(connection)

    async with serve(handle, "127.0.0.1", port, compression=None, close_timeout=1, **options) as server:
        found = Peer(server)
        yield found


FAST: dict[str, Any] = {"min_reconnection_delay": 0.01, "max_reconnection_delay": 0.05, "jitter": 0.0}


@pytest.fixture
def fast() -> dict[str, Any]:
    """Options that make a test's reconnects quick."""
    return dict(FAST)


async def soon(awaitable: Any) -> Any:
    """An await with a limit, so that a broken test ends."""
    async with asyncio.timeout(WAIT):
        return await awaitable
