"""Cases of the wire: each talks to a server by bytes and tells what came back. None knows which server it is."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from websockets.frames import Opcode

from tests.party.serving import frame, upgrade_request

LIMIT = 20.0
SILENCE = 2.0
"""Seconds after which a server that is known to say nothing is believed."""

_numbers = itertools.count(1)


class Client:
    """One WebSocket by bytes. `status` is the handshake's answer."""

    def __init__(self, server: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server, self.reader, self.writer = server, reader, writer
        self.status = 0
        self.head: dict[str, str] = {}

    def send(self, text: str) -> None:
        self.writer.write(frame(Opcode.TEXT, text.encode()))

    def raw(self, opcode: Opcode, payload: bytes = b"", *, fin: bool = True) -> None:
        self.writer.write(frame(opcode, payload, fin=fin))

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.raw(Opcode.CLOSE, code.to_bytes(2, "big") + reason.encode())

    async def next(self, limit: float = LIMIT) -> str:
        """The next frame as one line; `end` when the connection ended, `silence` when nothing came."""
        try:
            async with asyncio.timeout(limit):
                first, length = await self.reader.readexactly(2)
                if length >= 126:
                    length = int.from_bytes(await self.reader.readexactly(2 if length == 126 else 8), "big")
                payload = await self.reader.readexactly(length)
        except TimeoutError:
            return "silence"
        except (asyncio.IncompleteReadError, ConnectionError):
            return "end"
        assert first & 0x70 == 0
        kind = Opcode(first & 0x0F).name.lower() + ("" if first & 0x80 else " (part)")
        if kind == "close":
            return f"close {int.from_bytes(payload[:2], 'big')} {payload[2:].decode()}".rstrip() if payload else "close"
        if kind == "text":
            return f"text {payload.decode()}" if length < 400 else f"text of {length}"
        return f"{kind} {payload.hex()}" if length < 40 else f"{kind} of {length}"

    async def answered(self, limit: float = LIMIT) -> bool:
        """Waits for the handshake's answer; False when none came."""
        if not self.status:
            try:
                self.status, self.head = await head(self.reader, limit)
            except TimeoutError:
                return False
        return True

    async def several(self, count: int) -> list[str]:
        return [await self.next() for _ in range(count)]

    async def ask(self, text: str) -> str:
        """Says something and returns the next frame."""
        self.send(text)
        return await self.next()

    async def gone(self) -> str:
        """The frames up to the end; the echo of a Close is sent."""
        seen = [await self.next()]
        if seen[0].startswith("close"):
            parts = seen[0].split(" ", 2)
            self.raw(Opcode.CLOSE, int(parts[1]).to_bytes(2, "big") if len(parts) > 1 else b"")
        return seen[0]


@dataclass
class Wire:
    """A server to talk to, one party and one room of its own for each case."""

    port: int
    party: str = "memory-room"
    patient: bool = True
    room: str = field(default_factory=lambda: f"room-{next(_numbers)}")

    @property
    def silence(self) -> float:
        """How long something is waited for that may never come: of ours all comes."""
        return LIMIT if self.patient else SILENCE

    def path(self, query: str = "", *, prefix: str = "parties", rest: str = "") -> str:
        return f"/{prefix}/{self.party}/{self.room}{rest}{'?' + query if query else ''}"

    @asynccontextmanager
    async def client(
        self,
        query: str = "",
        *,
        prefix: str = "parties",
        path: str = "",
        early: bytes = b"",
        headers: tuple[str, ...] = (),
        answered: bool = True,
    ) -> AsyncIterator[Client]:
        """A client that has sent its upgrade request, and `early` with it; `answered`: and has the answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22)
        client = Client(self, reader, writer)
        try:
            writer.write(upgrade_request(self.port, path or self.path(query, prefix=prefix), headers) + early)
            if answered:
                assert await client.answered(), "no answer to the upgrade"
            yield client
        finally:
            writer.transport.abort()

    async def http(
        self,
        query: str = "",
        *,
        method: str = "GET",
        prefix: str = "parties",
        path: str = "",
        body: bytes = b"",
        headers: tuple[str, ...] = (),
        connection: str = "close",
    ) -> list[str]:
        """Status, the headers of interest and the body of an answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            lines = [f"{method} {path or self.path(query, prefix=prefix)} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *headers]
            lines += [f"Content-Length: {len(body)}"] if body else []
            writer.write("\r\n".join([*lines, f"Connection: {connection}", "", ""]).encode() + body)
            status, found = await head(reader)
            size = int(found.get("content-length", "0"))
            async with asyncio.timeout(LIMIT):
                if found.get("transfer-encoding") == "chunked":
                    text = b""
                    while length := int(await reader.readline(), 16):
                        text += await reader.readexactly(length)
                        await reader.readline()
                else:
                    text = b"" if method == "HEAD" or status in (204, 304) else await reader.readexactly(size)
        finally:
            writer.transport.abort()
        wanted = ("location", "x-room", "x-extra", "x-why", "set-cookie")
        kept = [f"{name}: {value}" for name, value in sorted(found.items()) if name in wanted or name.startswith("access-control")]
        return [str(status), *kept, text.decode()]


async def head(reader: asyncio.StreamReader, limit: float = LIMIT) -> tuple[int, dict[str, str]]:
    """Status and headers of an answer; several of a name are joined."""
    async with asyncio.timeout(limit):
        text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = text.rstrip("\r\n").split("\r\n")
    found: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name = name.lower()
        found[name] = f"{found[name]}, {value.strip()}" if name in found else value.strip()
    return int(first.split(" ")[1]), found


Case = Callable[[Wire], Awaitable[list[str]]]
CASES: dict[str, Case] = {}
ONCE: set[str] = set()
"""Cases in which it does not matter whether the room hibernates."""


def case(*, once: bool = False) -> Callable[[Case], Case]:
    """Registers a case under its function's name, with hyphens."""

    def register(function: Case) -> Case:
        name = getattr(function, "__name__", "").replace("_", "-")
        CASES[name] = function
        if once:
            ONCE.add(name)
        return function

    return register


def plain(text: str) -> str:
    """An error frame without what is in it: only whether the room's secret is."""
    if not text.startswith('text {"error"') and not text.startswith("text of"):
        return text
    return f"error frame{' with the exception' if 'secret' in text or 'of ' in text[:8] else ''}"


def answer(lines: list[str]) -> list[str]:
    """An HTTP error without what is in it: only whether the secret is."""
    return [line if "secret" not in line else "the exception" for line in lines]


__all__ = ["CASES", "LIMIT", "ONCE", "Client", "Wire", "answer", "case", "plain"]
