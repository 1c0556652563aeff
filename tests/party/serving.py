"""A host with its bundled server, and two clients: an ordinary one and one that writes raw frames."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame, Opcode

from partywidgets.party import Connection, PartyHost, Server
from partywidgets.transport.server import RunningServer, serve

LIMIT = 20.0


class Running:
    """A host and its server."""

    def __init__(self, host: PartyHost, server: RunningServer) -> None:
        self.host = host
        self.server = server

    def url(self, room: str = "lobby", party: str = "room", query: str = "", scheme: str = "ws") -> str:
        return f"{scheme}://127.0.0.1:{self.server.port}/parties/{party}/{room}{'?' + query if query else ''}"

    def connect(self, room: str = "lobby", *, id: str | None = None, party: str = "room", **options: Any) -> connect:
        return connect(self.url(room, party, f"_pk={id}" if id else ""), compression=None, **options)


@contextlib.asynccontextmanager
async def running(room: type[Server], storage: Path, *, auth: Any = None, **options: Any) -> AsyncIterator[Running]:
    """One class under the party `room`, open on a free port. `serve_…` options go to the server, others to the host."""
    serving = {name.removeprefix("serve_"): options.pop(name) for name in list(options) if name.startswith("serve_")}
    async with PartyHost({"room": room}, storage=storage, **options) as host, serve(host, port=0, auth=auth, **serving) as server:
        yield Running(host, server)


async def received(socket: ClientConnection) -> Any:
    """The next message, within the limit."""
    async with asyncio.timeout(LIMIT):
        return await socket.recv()


async def until(condition: Callable[[], bool]) -> None:
    """Waits for something that has no event of its own."""
    async with asyncio.timeout(LIMIT):
        while not condition():
            await asyncio.sleep(0.005)


def is_paused(connection: Connection | None) -> bool:
    """True while its socket is not read, since so much waits for its hooks."""
    return connection is not None and connection._lane is not None and connection._lane.paused


class Raw:
    """A client that says exactly what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    @contextlib.asynccontextmanager
    async def to(
        cls, running: Running, path: str, *, early: bytes = b"", headers: Iterable[str] = (), answer: bool = True
    ) -> AsyncIterator[Raw]:
        """Sends an upgrade request, and `early` in the same write. `answer`: waits for the 101."""
        reader, writer = await asyncio.open_connection("127.0.0.1", running.server.port)
        raw = cls(reader, writer)
        try:
            writer.write(upgrade_request(running.server.port, path, headers) + early)
            if answer:
                head = await raw.head()
                assert head.startswith("HTTP/1.1 101"), head
            yield raw
        finally:
            writer.transport.abort()

    async def head(self) -> str:
        """The head of a response."""
        async with asyncio.timeout(LIMIT):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")

    def send(self, opcode: Opcode, payload: bytes = b"", *, fin: bool = True) -> None:
        """Writes one masked frame."""
        self.writer.write(frame(opcode, payload, fin=fin))

    async def frame(self) -> tuple[Opcode, bytes]:
        """The next frame, which must be unfragmented and unmasked."""
        async with asyncio.timeout(LIMIT):
            first, second = await self.reader.readexactly(2)
            assert first & 0x80
            assert not second & 0x80
            length = second
            if length == 126:
                length = int.from_bytes(await self.reader.readexactly(2), "big")
            elif length == 127:
                length = int.from_bytes(await self.reader.readexactly(8), "big")
            return Opcode(first & 0x0F), await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        async with asyncio.timeout(LIMIT):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


def frame(opcode: Opcode, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """One masked frame."""
    return Frame(opcode, payload, fin).serialize(mask=True)


def upgrade_request(port: int, path: str, headers: Iterable[str] = ()) -> bytes:
    """A valid handshake."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


class Recorder(Server):
    """A room that writes down what happens in it, per test: set `log` on a subclass."""

    log: ClassVar[list[Any]] = []

    def on_close(self, connection: Connection, code: int, reason: str, was_clean: bool) -> Awaitable[None] | None:
        self.log.append(("close", connection.id, code, reason, was_clean))
        return None


class Flooding(Recorder):
    """Sends whoever speaks to it, at once, more than kernels and peers take: until 200 kB wait."""

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        while connection.buffered < 200_000:
            connection.send(b"x" * 65536)
            self._room.fanout.flush()
