"""A slow line: a TCP proxy that lets through so many bytes a second towards the client, some time late, and can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

STEP = 0.05
"""Seconds between two portions."""
WINDOW = 4096
"""What its kernel may hold of the server's, so that the server's kernel is told of every portion as it is on a line of that speed."""


class SlowLine:
    """Passes bytes to a port of this machine, `rate` a second towards the client, all of them `delay` seconds late. Its own is `port`."""

    def __init__(self, to: int, rate: int, delay: float) -> None:
        self.to, self.rate, self.delay = to, rate, delay
        self.port = 0
        self.passed = 0
        """Bytes that have come to clients."""
        self._lines: set[asyncio.Task[None]] = set()

    @classmethod
    @contextlib.asynccontextmanager
    async def before(cls, to: int, *, rate: int, delay: float = 0.0) -> AsyncIterator[SlowLine]:
        """Listens on a free port."""
        line = cls(to, rate, delay)
        server = await asyncio.start_server(line._arrived, "127.0.0.1", 0)
        line.port = server.sockets[0].getsockname()[1]
        try:
            yield line
        finally:
            server.close()
            await line.cut()
            await server.wait_closed()

    async def cut(self) -> None:
        """Resets every connection that there is; later ones work."""
        lines = list(self._lines)
        for task in lines:
            task.cancel()
        await asyncio.gather(*lines, return_exceptions=True)

    async def _arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        far = socket.socket()
        far.setblocking(False)
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(far, ("127.0.0.1", self.to))
            async with asyncio.TaskGroup() as both:
                both.create_task(self._up(reader, far))
                both.create_task(self._down(far, writer))
        except* (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            self._lines.discard(task)
            far.close()
            writer.transport.abort()

    async def _up(self, reader: asyncio.StreamReader, far: socket.socket) -> None:
        loop, late = asyncio.get_running_loop(), Late(self.delay)

        async def pour() -> None:
            while True:
                await loop.sock_sendall(far, await late.get())

        async with asyncio.TaskGroup() as both:
            both.create_task(pour())
            while came := await reader.read(65536):
                late.put(came)
            raise EOFError

    async def _down(self, far: socket.socket, writer: asyncio.StreamWriter) -> None:
        loop, late = asyncio.get_running_loop(), Late(self.delay)

        async def pour() -> None:
            while True:
                portion = await late.get()
                writer.write(portion)
                self.passed += len(portion)

        async with asyncio.TaskGroup() as both:
            both.create_task(pour())
            while came := await loop.sock_recv(far, max(1, int(self.rate * STEP))):
                late.put(came)
                await asyncio.sleep(len(came) / self.rate)
            raise EOFError


class Late:
    """A queue whose pieces come out `delay` seconds after they went in."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    def put(self, piece: bytes) -> None:
        """Takes a piece."""
        self._pieces.put_nowait((asyncio.get_running_loop().time() + self._delay, piece))

    async def get(self) -> bytes:
        """The next one, when it is due."""
        due, piece = await self._pieces.get()
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        return piece
