"""A PartySocket whose peer is silent, gone, or takes nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.utils import accept_key

from partywidgets.exceptions import HostError
from partywidgets.partysocket import CloseEvent, PartySocket

from .conftest import WAIT, echo, peer


async def test_a_silent_server_times_out(fast: dict[str, Any]) -> None:
    """A server that takes the connection and says nothing costs connection_timeout, and is tried again."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    try:
        port = silent.sockets[0].getsockname()[1]
        events: list[CloseEvent] = []
        async with PartySocket(
            host=f"127.0.0.1:{port}", room="r", connection_timeout=0.05, max_retries=1, on_close=events.append, **fast
        ) as socket:
            with pytest.raises(HostError):
                await socket.opened(WAIT)
        assert [event.reason for event in events] == ["no answer within 0.05 s"] * 2
    finally:
        silent.close()


def first_stalls() -> Callable[[ServerConnection], Awaitable[None]]:
    """A peer whose first connection reads nothing; those behind it echo."""
    stalled = asyncio.Event()

    async def serve(connection: ServerConnection) -> None:
        if not stalled.is_set():
            stalled.set()
            connection.transport.pause_reading()
            await connection.wait_closed()
        else:
            await echo(connection)

    return serve


async def test_half_open_is_found(fast: dict[str, Any]) -> None:
    """A peer that stops answering pings is left, and the next connection works."""
    async with (
        peer(first_stalls(), ping_interval=None) as server,
        PartySocket(host=server.host, room="r", ping_interval=0.05, ping_timeout=2.0, close_timeout=0.1, **fast) as socket,
    ):
        first = await server.arrival()
        await server.arrival()
        socket.send("alive")
        assert await asyncio.wait_for(socket.receive(), WAIT) == "alive"
        first.transport.abort()
        await asyncio.wait_for(first.wait_closed(), WAIT)


async def test_a_peer_that_takes_nothing_is_left(fast: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """What it does not take fills every buffer, and pings wait behind that: it is left all the same, and the next connection works."""
    caplog.set_level(logging.WARNING)
    async with (
        peer(first_stalls(), ping_interval=None) as server,
        PartySocket(host=server.host, room="r", ping_interval=1.0, ping_timeout=1.0, close_timeout=0.1, **fast) as socket,
        asyncio.timeout(3 * WAIT),
    ):
        first = await server.arrival()
        await socket.opened()
        while socket.send(b"x" * 262_144):  # until no more is queued: the kernel has all that it takes
            await asyncio.sleep(0)
        await server.arrival()
        socket.drain_queued_messages()
        socket.send("alive")
        assert await socket.receive() == "alive"
        assert "took nothing of what it was sent for 2 s" in caplog.text
        first.transport.abort()
        await first.wait_closed()


class Fallible(PartySocket):
    """A client with a fault: it fails over its first message."""

    fails = True

    async def _taken(self, frame: str | bytes) -> str | bytes | None:
        if self.fails:
            self.fails = False
            raise ZeroDivisionError
        return frame


async def test_a_fault_of_its_own_is_in_the_log(fast: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """A connection that ends by a fault of this client says so with the room's name, and the next one works."""
    async with peer() as server, Fallible(host=server.host, party="chat", room="r", **fast) as socket, asyncio.timeout(WAIT):
        await socket.opened()
        socket.send("first")
        await server.arrival()
        await server.arrival()
        await socket.opened()
        socket.send("second")
        assert await socket.receive() == "second"
    assert "chat/r: this connection failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_a_thin_line_is_no_dead_one() -> None:
    """While a message comes in byte by byte, for longer than a pong may take, the connection stays: the pong can only come behind it."""
    connections, over = 0, asyncio.Event()

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line.partition(": ")[2] for line in request.splitlines() if line.lower().startswith("sec-websocket-key"))
        writer.write(
            f"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept_key(key)}\r\n\r\n".encode()
        )
        for byte in b"\x81\x28" + 40 * b"x":
            writer.write(bytes([byte]))
            await asyncio.sleep(0.1)
        await reader.read()
        writer.close()
        await writer.wait_closed()
        over.set()

    server = await asyncio.start_server(trickle, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        asyncio.timeout(30),
        PartySocket(host=f"http://127.0.0.1:{port}", room="r", ping_interval=0.5, ping_timeout=1.0) as socket,
    ):
        assert await socket.receive() == 40 * "x"
        assert connections == 1
        await socket.close()
        await over.wait()
