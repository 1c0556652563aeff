"""Sockets that a Jupyter Server hands over to the room loop, plain and encrypted by its own TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import trustme
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from partywidgets.auth import Gate, Identity
from partywidgets.party import Connection, ConnectionContext, PartyHost, Server
from partywidgets.party.grant import GUEST_ROLES, OWNER_ROLES
from partywidgets.room_thread import RoomThread
from partywidgets.transport.asgi import PartyMiddleware
from partywidgets.transport.body import Pace
from partywidgets.transport.detached import enter_by_socket
from partywidgets.transport.handshake import check_handshake
from partywidgets.transport.limits import Limits
from partywidgets.transport.tornado import SETTING, Mount, RoomsHandler, enter_by_stream
from partywidgets.transport.tornado_stream import StreamTransport
from partywidgets.transport.websocket import WebSocket

from ..slow_line import SlowLine

KEY = "AAAAAAAAAAAAAAAAAAAAAA=="


class Echo(Server):
    """Says everything back; `flood N` sends N frames of 64 KiB, `bye` closes with a code of its own, `slowly` tells much to a peer that may
    take nothing for a second only."""

    def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
        connection.send("welcome")

    async def on_message(self, connection: Connection, message: str | bytes) -> None:
        if isinstance(message, str) and message.startswith("flood "):
            for _ in range(int(message.split()[1])):
                connection.send(b"x" * 65536)
                while connection.buffered > 512 * 1024:
                    await asyncio.sleep(0.002)
            connection.send("flood is over")
        elif message == "slowly":
            wire = connection.wire
            assert isinstance(wire, WebSocket)
            wire._limits = Limits(stall=1.0)
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 50_000)
            connection.send(bytes(160_000))
        elif message == "bye":
            connection.close(4321, "as you wish")
        else:
            connection.send(message)


class Handing(RequestHandler):
    """What RoomsHandler does with an upgrade, without Jupyter around it."""

    def get(self, path: str) -> None:
        app, thread = self.settings["app"], self.settings["thread"]
        headers = [(name.lower().encode(), value.encode()) for name, value in self.request.headers.get_all()]
        scope: dict[str, Any] = {
            "type": "websocket",
            "http_version": "1.1",
            "method": "GET",
            "scheme": "ws",
            "path": "/" + path,
            "raw_path": ("/" + path).encode(),
            "query_string": self.request.query.encode(),
            "root_path": "",
            "headers": headers,
            "subprotocols": [],
            "client": ("127.0.0.1", 0),
            "server": None,
            "partywidgets.identity": Identity("owner", "owner", OWNER_ROLES),
        }
        check_handshake("GET", "1.1", headers)
        stream = self.detach()
        leftover = bytes(stream._read_buffer)
        if self.settings["secure"]:
            thread.submit(enter_by_stream(app, scope, StreamTransport(stream, asyncio.get_running_loop()), leftover))
        else:
            import os

            taken = socket.socket(fileno=os.dup(stream.socket.fileno()))
            stream.close()
            thread.submit(enter_by_socket(app, scope, taken, leftover))


@contextlib.asynccontextmanager
async def serving(tmp_path: Path, authority: trustme.CA | None) -> AsyncIterator[tuple[str, PartyHost, RoomThread]]:
    """A Tornado server on this loop, its rooms on a thread of their own."""
    thread = RoomThread("test-rooms")
    stack = contextlib.AsyncExitStack()

    async def start() -> tuple[PartyHost, Any]:
        host = await stack.enter_async_context(PartyHost({"echo": Echo}, storage=tmp_path))

        async def nothing(*_: Any) -> None:
            raise AssertionError

        return host, PartyMiddleware(nothing, host, auth=Gate(hosts=None, same_origin=True))

    host, app = await asyncio.wrap_future(thread.submit(start()))
    context = None
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
    server = HTTPServer(Application([("/(.*)", Handing)], app=app, thread=thread, secure=authority is not None), ssl_options=context)
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    try:
        yield f"{'wss' if authority else 'ws'}://127.0.0.1:{sockets[0].getsockname()[1]}/", host, thread
    finally:
        server.stop()
        await asyncio.wrap_future(thread.submit(stack.aclose()))
        await server.close_all_connections()
        await asyncio.to_thread(thread.stop)


@pytest.fixture(params=["plain", "tls"])
async def room(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[str, dict[str, Any], PartyHost]]:
    authority = trustme.CA() if request.param == "tls" else None
    options: dict[str, Any] = {"proxy": None, "max_size": None}
    if authority is not None:
        options["ssl"] = ssl.create_default_context()
        authority.configure_trust(options["ssl"])
    async with serving(tmp_path, authority) as (url, host, _):
        yield url + "parties/echo/lobby", options, host


async def hear(connection: ClientConnection) -> str | bytes:
    async with asyncio.timeout(20):
        return await connection.recv()


async def test_messages_go_both_ways(room: tuple[str, dict[str, Any], PartyHost]) -> None:
    """Small and large messages, text and bytes, arrive whole and in order."""
    url, options, _ = room
    async with connect(url, **options) as connection:
        assert await hear(connection) == "welcome"
        large = bytes(range(256)) * 3000
        await connection.send("grüße")
        await connection.send(large)
        assert await hear(connection) == "grüße"
        assert await hear(connection) == large


async def test_a_flood_goes_at_the_readers_pace(room: tuple[str, dict[str, Any], PartyHost]) -> None:
    """Eight megabytes arrive complete although the room writes faster than the peer reads, and others are served meanwhile."""
    url, options, _ = room
    async with connect(url, **options, max_queue=2) as slow, connect(url, **options) as other:
        assert await hear(slow) == "welcome"
        assert await hear(other) == "welcome"
        await slow.send("flood 128")
        await other.send("still there?")
        assert await hear(other) == "still there?"
        received = 0
        while (message := await hear(slow)) != "flood is over":
            received += len(message)
        assert received == 128 * 65536


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a peer has acknowledged")
async def test_a_slow_line_behind_tls(tmp_path: Path) -> None:
    """Of a large message nothing is told before Tornado has written all of it: what the peer's machine takes of it counts."""
    authority, trusting = trustme.CA(), ssl.create_default_context()
    authority.configure_trust(trusting)
    async with serving(tmp_path, authority) as (url, _, _), SlowLine.before(int(url.split(":")[2].strip("/")), rate=20_000) as line:
        over = connect(url + "parties/echo/lobby", ssl=trusting, host="127.0.0.1", port=line.port, proxy=None, ping_interval=None)
        async with over as connection, asyncio.timeout(60):
            assert await connection.recv() == "welcome"
            await connection.send("slowly")
            assert await connection.recv() == bytes(160_000)


async def test_closing_from_either_side(room: tuple[str, dict[str, Any], PartyHost]) -> None:
    """The room's close code reaches the peer; a peer's Close, and a drop, empty the room."""
    url, options, host = room
    async with connect(url, **options) as connection:
        assert await hear(connection) == "welcome"
        await connection.send("bye")
        await asyncio.wait_for(connection.wait_closed(), 20)
        assert (connection.close_code, connection.close_reason) == (4321, "as you wish")
    async with connect(url, **options) as connection:
        assert await hear(connection) == "welcome"
    assert connection.close_code == 1000
    connection = await connect(url, **options)
    assert await hear(connection) == "welcome"
    connection.transport.abort()
    async with asyncio.timeout(20):
        while host.connection_count():
            await asyncio.sleep(0.01)


async def test_a_revoked_grant_is_closed(room: tuple[str, dict[str, Any], PartyHost]) -> None:
    """A socket that a Jupyter Server gave away ends as any other, and what its peer had said too late reaches no hook."""
    url, options, host = room
    async with connect(url, **options) as doomed, connect(url, **options) as other:
        assert await hear(doomed) == await hear(other) == "welcome"
        kept = host._rooms["echo", "lobby"]
        first, _ = kept.occupants.listed()

        async def revoke() -> int:
            return host.revoke(first.grant.grant_id)

        assert await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(revoke(), kept.loop)) == 1
        with contextlib.suppress(ConnectionClosed):  # its own side may have read the Close by now
            await doomed.send("too late")
        with pytest.raises(ConnectionClosed) as closed:
            raise AssertionError(await hear(doomed))
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4401
        await other.send("still here")
        assert await hear(other) == "still here"


async def test_what_comes_right_behind_the_handshake_is_not_lost(tmp_path: Path) -> None:
    """Frames sent in the same packet as the upgrade request reach the room."""
    async with serving(tmp_path, None) as (url, _, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1].rstrip("/")))
        head = (
            "GET /parties/echo/lobby HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
        )
        writer.write(head.encode() + b"\x81\x82\x00\x00\x00\x00hi")
        async with asyncio.timeout(20):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
            assert await reader.readexactly(9) == b"\x81\x07welcome"
            assert await reader.readexactly(4) == b"\x81\x02hi"
        writer.close()
        await writer.wait_closed()


async def test_a_refusal_is_an_http_answer(tmp_path: Path) -> None:
    """An unknown party is answered 400 on the detached socket, and the socket ends."""
    async with serving(tmp_path, None) as (url, _, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1].rstrip("/")))
        head = (
            "GET /parties/nobody/lobby HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
        )
        writer.write(head.encode())
        async with asyncio.timeout(20):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 400")
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("connection", ["", "Connection: keep-alive\r\n"], ids=["none", "another"])
async def test_an_upgrade_that_connection_does_not_name_is_an_ordinary_request_under_jupyter(connection: str) -> None:
    """As at the bundled server: a proxy in front has passed on a request, and what follows is not the room's to read as frames."""
    async with handling(Pace()) as port, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{connection}"
        writer.write(f"GET /partywidgets/static/x HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()


class Told:
    """An app that says how long the body was that reached it."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        length = len((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(length).encode()})


async def linked(scope: Any, receive: Any, send: Any) -> None:
    """An app whose answer names two links, and for HEAD a length without a body."""
    headers = [(b"link", b"</a>"), (b"link", b"</b>"), (b"content-length", b"5"), (b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else b"hello"})


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_an_answers_headers_are_the_rooms_under_jupyter(method: str) -> None:
    """All lines of one that stands twice; HEAD tells the length that GET would have, and no other ETag than the room's."""
    async with handling(Pace(), linked) as port, httpx.AsyncClient(trust_env=False) as http:
        answer = await http.request(method, f"http://127.0.0.1:{port}/partywidgets/static/x", timeout=30)
        assert answer.headers.get_list("link") == ["</a>", "</b>"]
        assert (answer.headers["content-length"], answer.headers["content-type"]) == ("5", "text/plain")
        assert "etag" not in answer.headers


@contextlib.asynccontextmanager
async def handling(pace: Pace, app: Any = None) -> AsyncIterator[int]:
    """A Tornado server with the handler that Jupyter gets; yields its port."""
    thread = RoomThread("test-rooms")
    mount = Mount(app or Told(), Gate(hosts=None, same_origin=True), thread, "the-secret-of-kernels", pace=pace)
    settings: dict[str, Any] = {SETTING: mount, "allow_remote_access": True, "base_url": "/"}
    server = HTTPServer(Application([("/partywidgets/(.*)", RoomsHandler)], **settings))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    try:
        yield sockets[0].getsockname()[1]
    finally:
        server.stop()
        await server.close_all_connections()
        await asyncio.to_thread(thread.stop)


@pytest.mark.parametrize("known", [True, False], ids=["kernel", "stranger"])
@pytest.mark.parametrize("pace", [Pace(1.0, 10**6, 300.0), Pace(60.0, 1, 0.5)], ids=["rate", "deadline"])
async def test_a_trickling_body_is_cut_under_jupyter(known: bool, pace: Pace) -> None:
    """A byte at a time is answered 408 and its connection ended, with a credential and without."""
    async with handling(pace) as port, asyncio.timeout(40):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        credential = "Authorization: Bearer the-secret-of-kernels\r\n" if known else ""
        route = "tickets" if known else "static/x"
        writer.write(f"POST /partywidgets/{route} HTTP/1.1\r\nHost: 127.0.0.1\r\n{credential}Content-Length: 1000000\r\n\r\n".encode())
        answer = asyncio.ensure_future(reader.readline())
        with contextlib.suppress(ConnectionError):
            while not answer.done():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        assert (await answer).startswith(b"HTTP/1.1 408 ")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()


@pytest.mark.parametrize(("known", "length"), [(True, 300_000), (False, 0)], ids=["kernel", "stranger"])
async def test_a_strangers_body_is_not_kept(known: bool, length: int) -> None:
    """Whoever shows no credential is answered without his body; others' arrive whole."""
    async with handling(Pace()) as port, httpx.AsyncClient(trust_env=False) as http:
        headers = {"Authorization": "Bearer the-secret-of-kernels"} if known else {}
        answer = await http.post(f"http://127.0.0.1:{port}/partywidgets/static/x", content=b"x" * 300_000, headers=headers, timeout=30)
        assert (answer.status_code, answer.text) == (200, str(length))


def test_nobody_can_be_called_as_a_servers_own_kernel() -> None:
    """A login named like the kernels' subject is somebody else, whatever it is named; the server's own user is the same as the kernels."""

    def mount(**options: Any) -> Mount:
        return Mount(Told(), Gate(), cast(Any, None), "the-secret-of-kernels", **options)

    shared = mount(owners=frozenset({"ana"}))
    names = ["owner", "login:owner", "login:login:owner", "anyone", "ana", "Owner"]
    subjects = [shared.kernel().subject, *(shared.person(name, "").subject for name in names)]
    assert len(set(subjects)) == len(subjects)
    assert shared.person("owner", "").roles == GUEST_ROLES
    for hub in (mount(owner="ana"), mount(owner="owner"), mount()):
        assert hub.kernel().subject == hub.person(hub.owner or "ana", "").subject
    assert mount(owner="ana").person("owner", "").subject != "owner"
