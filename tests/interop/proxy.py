"""A TCP proxy that fails as networks do: it cuts connections anywhere, falls silent on them, or lets nobody in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Proxy:
    """Passes bytes to a port of this machine. Its own is `port`."""

    def __init__(self, to: int) -> None:
        self.to = to
        self.port = 0
        self.open = True
        self.arrivals = 0
        self._pairs: list[Pair] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def before(cls, to: int) -> AsyncIterator[Proxy]:
        """Listens on a free port."""
        proxy = cls(to)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(proxy._arrived, "127.0.0.1", 0)
        proxy.port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            server.close()
            proxy.cut(*proxy._pairs)
            await server.wait_closed()

    @property
    def pairs(self) -> list[Pair]:
        """Connections that both ends hold, oldest first."""
        return [pair for pair in self._pairs if pair.far is not None]

    def cut(self, *pairs: Pair) -> None:
        """Resets both ends of these connections; what was under way is lost."""
        for pair in pairs:
            pair.end()

    def shut(self) -> None:
        """Lets nobody in any more, and resets whatever there is, also what is only being connected."""
        self.open = False
        self.cut(*self._pairs)

    def silence(self) -> None:
        """Nothing passes any more on the connections that there are, and they stay open. Later ones work."""
        for pair in self._pairs:
            pair.silent = True

    def _arrived(self) -> Pair:
        return Pair(self)


class Pair(asyncio.Protocol):
    """The near end of one connection, and the far one beside it."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.silent = False
        self.near: asyncio.Transport | None = None
        self.far: asyncio.Transport | None = None
        self._early = b""
        self._dialling: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.near = transport
        self.proxy.arrivals += 1
        if not self.proxy.open:
            transport.abort()
            return
        self.proxy._pairs.append(self)
        self._dialling = asyncio.get_running_loop().create_task(self._dial(), name="proxy")

    async def _dial(self) -> None:
        try:
            self.far, _ = await asyncio.get_running_loop().create_connection(lambda: FarEnd(self), "127.0.0.1", self.proxy.to)
        except OSError:
            self.end()
            return
        self.far.write(self._early)
        if self.near is None:
            self.end()

    def data_received(self, data: bytes) -> None:
        if self.silent:
            return
        if self.far is None:
            self._early += data
        else:
            self.far.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.near = None
        if not self.silent:
            self.end()

    def end(self) -> None:
        """Resets what is left of it."""
        if self in self.proxy._pairs:
            self.proxy._pairs.remove(self)
        for transport in (self.near, self.far):
            if transport is not None:
                transport.abort()


class FarEnd(asyncio.Protocol):
    """The end at the server."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair

    def data_received(self, data: bytes) -> None:
        if not self.pair.silent and self.pair.near is not None:
            self.pair.near.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.pair.far = None
        if not self.pair.silent:
            self.pair.end()
