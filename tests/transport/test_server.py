"""The bundled server: its handshake and its bounds."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode

from partywidgets.auth import Gate
from partywidgets.party import Connection, ConnectionContext, PartyHost, Server
from partywidgets.party.nobody import Nobody
from partywidgets.transport import handshake
from partywidgets.transport.asgi import PartyMiddleware, not_found
from partywidgets.transport.detached import enter_by_socket
from partywidgets.transport.handshake import adopt_socket
from partywidgets.transport.limits import Limits
from partywidgets.transport.server import serve

from ..party.serving import Flooding, Raw, Recorder, Running, frame, received, running, until, upgrade_request
from .echo import Echo


@contextlib.asynccontextmanager
async def tcp(run: Running) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection to the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", run.server.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def answer(run: Running, request: bytes) -> str:
    """The head of what a raw request is answered with."""
    async with tcp(run) as (reader, writer):
        writer.write(request)
        async with asyncio.timeout(20):
            return (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")


async def test_the_101_has_nothing_more_than_it_needs(tmp_path: Path) -> None:
    """Connection, Upgrade, Sec-WebSocket-Accept (RFC 6455's own example); no extension, although one is offered."""
    async with running(Echo, tmp_path) as run:
        offer = b"Sec-WebSocket-Extensions: permessage-deflate"
        head = await answer(run, upgrade_request(run.server.port, "/parties/room/lobby", [offer.decode()]))
    lines = head.strip().split("\r\n")
    assert lines[0] == "HTTP/1.1 101 Switching Protocols"
    assert sorted(lines[1:]) == ["Connection: Upgrade", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Upgrade: websocket"]


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 8", 426),
        (b"Sec-WebSocket-Version: 13\r\n", b"", 426),
        (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b"", 400),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"short", 400),
        (b"GET ", b"POST ", 405),
        (b" HTTP/1.1", b" HTTP/1.0", 505),
        (b"Host: ", b"Host: a\r\nHost: ", 400),
        (b"Host: ", b"Content-Length: 6\r\nHost: ", 400),
        (b"Host: ", b"Transfer-Encoding: chunked\r\nHost: ", 400),
    ],
)
async def test_a_bad_handshake_starts_no_room(tmp_path: Path, old: bytes, new: bytes, status: int) -> None:
    """Refused before any hook: the original runs on_connect first."""
    Echo.started = 0
    async with running(Echo, tmp_path) as run:
        head = await answer(run, upgrade_request(run.server.port, "/parties/room/lobby").replace(old, new, 1))
        assert head.startswith(f"HTTP/1.1 {status} ")
        assert ("\r\nsec-websocket-version: 13\r\n" in head.lower()) == (status == 426)
        assert run.host.rooms("room") == []
    assert Echo.started == 0


async def test_what_does_not_ask_for_a_websocket_is_a_request(tmp_path: Path) -> None:
    """Without `Connection: Upgrade`, or with an upgrade to something else, the room's on_request answers."""
    async with running(Echo, tmp_path) as run:
        request = upgrade_request(run.server.port, "/parties/room/lobby")
        for old, new in ((b"Connection: Upgrade\r\n", b""), (b"Upgrade: websocket", b"Upgrade: h2c")):
            assert (await answer(run, request.replace(old, new, 1))).startswith("HTTP/1.1 200 ")


async def test_messages_of_every_kind_and_size(tmp_path: Path) -> None:
    """Text, bytes, empty ones, the header's length forms, fragments with a ping between them, byte by byte."""
    async with running(Echo, tmp_path) as run, run.connect(max_size=None) as client:
        for message in ("", b"", "é日🎉", b"\x00\xff", "x" * 125, "x" * 126, b"x" * 65535, "x" * 65536, b"x" * 1024 * 1024):
            await client.send(message)
            assert await received(client) == message
        await client.send(["a", "é", "b"])
        assert await received(client) == "aéb"
        async with Raw.to(run, "/parties/room/lobby") as raw:
            raw.send(Opcode.TEXT, "é".encode()[:1], fin=False)
            raw.send(Opcode.PING, b"now")
            raw.send(Opcode.CONT, "é".encode()[1:])
            raw.send(Opcode.PONG, b"unasked")
            assert await raw.frame() == (Opcode.PONG, b"now")
            assert await raw.frame() == (Opcode.TEXT, "é".encode())
            for byte in frame(Opcode.BINARY, b"slow"):
                raw.writer.write(bytes((byte,)))
                await raw.writer.drain()
            assert await raw.frame() == (Opcode.BINARY, b"slow")


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (frame(Opcode.TEXT, b"x" * 1025), 1009),
        (frame(Opcode.TEXT, b"x" * 600, fin=False) + frame(Opcode.CONT, b"x" * 600), 1009),
        (frame(Opcode.TEXT, b"", fin=False) + frame(Opcode.CONT, b"", fin=False) * 10, 1009),
        (frame(Opcode.TEXT, b"\xff"), 1007),
        (frame(Opcode.CONT, b"stray"), 1002),
        (frame(Opcode.TEXT, b"a", fin=False) + frame(Opcode.TEXT, b"b"), 1002),
        (b"\x81\x01x", 1002),
        (b"\xc1\x80\x00\x00\x00\x00", 1002),
        (frame(Opcode.CLOSE, b"\x03\xed"), 1002),
    ],
)
async def test_what_a_peer_may_not_send(tmp_path: Path, frames: bytes, code: int) -> None:
    """Oversize whole and in fragments, too many fragments, bad UTF-8, strays, no mask, RSV1, a code that may not be sent."""
    async with (
        running(Echo, tmp_path, serve_limits=Limits(max_size=1024, max_fragments=8)) as run,
        Raw.to(run, "/parties/room/lobby") as raw,
    ):
        raw.writer.write(frames)
        opcode, payload = await raw.frame()
        assert (opcode, int.from_bytes(payload[:2], "big")) == (Opcode.CLOSE, code)
        assert await raw.rest() == b""
        raw.writer.close()
        await until(lambda: run.host.connection_count() == 0)


async def test_a_stalled_reader_is_cut_and_the_others_go_on(tmp_path: Path) -> None:
    """One of three never reads: its buffer stays below the cap, it leaves with 1006, the others get everything."""
    log: list[Any] = []
    peak = 0

    class Room(Recorder):
        def on_message(self, connection: Connection, message: str | bytes) -> None:
            nonlocal peak
            self.broadcast(message)
            stalled = self.get_connection("stalled")
            if stalled is not None:
                peak = max(peak, stalled.buffered)

    Room.log = log
    cap = 256 * 1024
    async with (
        running(Room, tmp_path, slow_consumer_cap=cap) as run,
        Raw.to(run, "/parties/room/lobby?_pk=stalled"),
        run.connect(id="a", max_size=None) as a,
        run.connect(id="b", max_size=None) as b,
    ):
        message = b"x" * 64 * 1024
        count = 0
        while not log:
            await a.send(message)
            assert await received(a) == message
            assert await received(b) == message
            count += 1
            assert count < 2000
        assert log[0][:3] == ("close", "stalled", 1006)
        assert 0 < peak <= cap


async def test_a_reader_that_takes_nothing_is_cut_after_the_stall(tmp_path: Path) -> None:
    """Below the cap too: what waits for it may not wait for ever."""
    log: list[Any] = []

    class Room(Flooding):
        """Of this test alone."""

    Room.log = log
    async with running(Room, tmp_path, serve_limits=Limits(stall=0.2)) as run, Raw.to(run, "/parties/room/lobby?_pk=me") as raw:
        raw.send(Opcode.TEXT, b"go")
        await until(lambda: len(log) == 1)
    assert log[0][:3] == ("close", "me", 1006)


async def test_a_ping_flood_ends(tmp_path: Path) -> None:
    """A peer that pings and never reads is no longer read, then cut; what it could leave behind is bounded."""
    log: list[Any] = []

    class Room(Recorder):
        pass

    Room.log = log
    async with running(Room, tmp_path, serve_limits=Limits(stall=0.3)) as run, Raw.to(run, "/parties/room/lobby?_pk=me") as raw:
        connection = run.host._rooms["room", "lobby"].occupants.listed()[0]
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
        flood = frame(Opcode.PING, b"x" * 125) * 1000
        peak = 0
        async with asyncio.timeout(30):
            while not log:
                raw.writer.write(flood)
                with contextlib.suppress(TimeoutError, ConnectionError):
                    async with asyncio.timeout(0.05):
                        await raw.writer.drain()
                peak = max(peak, connection.buffered)
    assert log[0][:3] == ("close", "me", 1006)
    assert 0 < peak < 512 * 1024


async def test_a_flood_of_tiny_frames_lets_others_in(tmp_path: Path) -> None:
    """50,000 empty messages to a slow room: few are queued at a time, another socket is answered meanwhile, all are handled."""
    seen = 0
    most = 0

    class Room(Server):
        async def on_message(self, connection: Connection, message: str | bytes) -> None:
            nonlocal seen, most
            if message:
                connection.send(message)
                return
            seen += 1
            if connection._lane is not None:
                most = max(most, len(connection._lane.jobs))
            if seen % 100 == 0:
                await asyncio.sleep(0)

    async with running(Room, tmp_path) as run, Raw.to(run, "/parties/room/lobby?_pk=me") as raw, run.connect(id="you") as you:
        raw.writer.write(frame(Opcode.TEXT) * 50_000)
        await you.send("hello")
        assert await received(you) == "hello"
        async with asyncio.timeout(30):
            while seen < 50_000:
                await asyncio.sleep(0.01)
    assert most < 64 + 682


async def test_a_close_that_is_not_answered_ends(tmp_path: Path) -> None:
    """By the peer: cut after close_timeout. By the room, whose on_close hangs: the Close is answered without it."""
    log: list[Any] = []

    class Room(Server):
        def on_message(self, connection: Connection, message: str | bytes) -> None:
            connection.close(4000)

        async def on_close(self, connection: Connection, code: int, reason: str, was_clean: bool) -> None:
            log.append((connection.id, code))
            if connection.id == "hung":
                await asyncio.Event().wait()

    async with running(Room, tmp_path, serve_limits=Limits(close_timeout=0.1)) as run:
        async with Raw.to(run, "/parties/room/lobby?_pk=mute") as raw:
            raw.send(Opcode.TEXT, b"x")
            assert (await raw.frame())[0] is Opcode.CLOSE
            assert await raw.rest() == b""
        async with Raw.to(run, "/parties/room/lobby?_pk=hung") as raw:
            raw.send(Opcode.CLOSE, b"\x03\xe8")
            assert await raw.frame() == (Opcode.CLOSE, b"\x03\xe8")
            assert await raw.rest() == b""
    assert log == [("mute", 1006), ("hung", 1000)]


async def test_a_client_that_leaves_during_on_connect_is_not_left_behind(tmp_path: Path) -> None:
    """on_connect ends, then on_close comes with 1006, and nothing is listed: the original keeps it for good."""
    log: list[Any] = []
    connecting, go = asyncio.Event(), asyncio.Event()

    class Room(Recorder):
        async def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
            connecting.set()
            await go.wait()

    Room.log = log
    async with running(Room, tmp_path) as run:
        async with Raw.to(run, "/parties/room/lobby?_pk=me", answer=False):
            await connecting.wait()
            assert run.host.connection_count() == 1
        go.set()
        await until(lambda: len(log) == 1)
        assert run.host.connection_count() == 0
    assert log[0][:3] == ("close", "me", 1006)


async def test_a_request_head_has_a_time_limit(tmp_path: Path) -> None:
    """A partial head is answered 408 and cut, also the second one of a kept connection; others are served meanwhile."""
    async with running(Echo, tmp_path, serve_head_timeout=1.0) as run:
        async with tcp(run) as (reader, writer):
            writer.write(b"GET /parties/room/lobby HTTP/1.1\r\nHost:")
            async with httpx.AsyncClient() as http:
                assert (await http.get(run.url(scheme="http"))).status_code == 200
            async with asyncio.timeout(20):
                assert (await reader.read()).startswith(b"HTTP/1.1 408")
        async with tcp(run) as (reader, writer):
            whole = f"GET /parties/room/lobby HTTP/1.1\r\nHost: 127.0.0.1:{run.server.port}\r\n\r\n".encode()
            writer.write(whole)
            async with asyncio.timeout(20):
                await reader.readuntil(b"\r\n\r\n")
                assert await reader.readexactly(1) == b"0"
                writer.write(whole[:-10])
                assert (await reader.read()).startswith(b"HTTP/1.1 408")


async def test_handshakes_begun_are_bounded(tmp_path: Path) -> None:
    """Past the limit the one that has been at it longest goes, so newcomers are served."""
    async with running(Echo, tmp_path, serve_max_handshakes=3, serve_head_timeout=30.0) as run, contextlib.AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(tcp(run)) for _ in range(3)]
        for _, writer in slow:
            writer.write(b"GET / HTTP/1.1\r\n")
        async with httpx.AsyncClient() as http:
            assert (await http.get(run.url(scheme="http"))).status_code == 200
        async with asyncio.timeout(20):
            with contextlib.suppress(ConnectionResetError):
                assert await slow[0][0].read() == b""


async def test_a_spent_ticket_is_closed_4401_without_a_room(tmp_path: Path) -> None:
    """The handshake is finished, so that a browser sees the code; no room is touched."""
    gate = Gate(tokens={}, hosts=None)
    async with running(Echo, tmp_path, auth=gate) as run:
        offers = ["partywidgets.v1", "partywidgets.ticket.spent"]
        async with run.connect(subprotocols=offers) as client:
            with pytest.raises(ConnectionClosed):
                await received(client)
            assert client.close_code == 4401
            assert client.subprotocol == "partywidgets.v1"
        assert run.host.rooms("room") == []


async def test_a_socket_of_another_server_is_adopted(tmp_path: Path) -> None:
    """A connected socket, its request's headers and what came behind it: the room loop answers the 101 and keeps the socket."""
    ours, theirs = socket.socketpair()
    request = upgrade_request(1, "/parties/room/lobby?_pk=me").split(b"\r\n")
    headers = [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in request[1:-2])]
    scope: dict[str, Any] = {
        "type": "websocket",
        "path": "/parties/room/lobby",
        "query_string": b"_pk=me",
        "headers": headers,
        "subprotocols": [],
    }
    scope.update(scheme="ws", server=None)
    async with PartyHost({"room": Echo}, storage=tmp_path) as host:
        reader, writer = await asyncio.open_connection(sock=theirs)
        raw = Raw(reader, writer)
        await enter_by_socket(PartyMiddleware(not_found, host, auth=None), scope, ours, frame(Opcode.TEXT, b"early"))
        assert (await raw.head()).startswith("HTTP/1.1 101")
        assert await raw.frame() == (Opcode.TEXT, b"early")
        raw.send(Opcode.CLOSE, b"\x03\xe8")
        assert await raw.frame() == (Opcode.CLOSE, b"\x03\xe8")
        assert await raw.rest() == b""
        writer.transport.abort()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the platform has no TCP_USER_TIMEOUT")
async def test_an_answer_that_nobody_reads_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel ends a connection whose peer takes nothing of an HTTP answer, and the app hears of it."""
    monkeypatch.setattr(handshake, "USER_TIMEOUT", 1.0)
    ended: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 64 * 1024 * 1024, "more_body": True})
        ended.set_result(await receive())

    async with serve(app, port=0) as server, asyncio.timeout(50):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert (await ended)["type"] == "http.disconnect"


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the platform has no TCP_USER_TIMEOUT")
async def test_accepted_and_adopted_sockets_have_the_kernels_bound() -> None:
    """Both the bundled server's connections and those that another server gave away."""
    accepted: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            wire = scope["extensions"]["partywidgets.adopt"](Nobody())
            accepted.append(bound_of(wire._transport.get_extra_info("socket")))
            wire.close(1000)

    def bound_of(taken: Any) -> int:
        return int(taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))

    async with serve(app, port=0) as server, asyncio.timeout(30), connect(f"ws://127.0.0.1:{server.port}/") as client:
        await client.wait_closed()
    assert accepted == [60_000]
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as peer:
        taken, _ = listening.accept()
        adopted = await adopt_socket(taken, headers=None)
        assert bound_of(taken) == 60_000
        adopted.abort()
        peer.close()
