"""Who has not said anything yet, and bodies that end in two places."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from partywidgets.party import Connection, ConnectionContext, Server
from partywidgets.transport import entrance

from ..party.serving import received, running, until, upgrade_request


@pytest.mark.parametrize(
    "head",
    [
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        "POST {path} HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_a_body_with_two_ends_is_refused_and_nothing_behind_it_is_read(tmp_path: Path, head: str) -> None:
    """What a proxy took for the body is not answered as another request: one 400, then the end."""
    async with running(Server, tmp_path) as run, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", run.server.port)
        host = f"127.0.0.1:{run.server.port}"
        behind = f"0\r\n\r\nGET /parties/room/smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n"
        writer.write((head.format(path="/parties/room/lobby", host=host) + behind).encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1") == 1
        assert run.host.rooms("room") == []


async def test_the_silent_take_a_quarter_of_the_open_files_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that may open 80 files keeps 20 connections without a request; the others were cut, and rooms still open."""
    with monkeypatch.context() as few:
        few.setattr(resource, "getrlimit", lambda kind: (80, 80))
        serving = running(Server, tmp_path, serve_head_timeout=30.0)
        run = await serving.__aenter__()
    try:
        async with contextlib.AsyncExitStack() as stack, asyncio.timeout(20):
            silent = [await asyncio.open_connection("127.0.0.1", run.server.port) for _ in range(25)]
            for _, writer in silent:
                stack.callback(writer.transport.abort)
            async with httpx.AsyncClient() as http:
                assert (await http.get(run.url(scheme="http"))).status_code == 404
            for reader, _ in silent[:5]:
                with contextlib.suppress(ConnectionResetError):
                    assert await reader.read() == b""
    finally:
        await serving.__aexit__(None, None, None)


async def test_a_herd_is_let_in_as_it_says_what_it_wants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred at once where eight may be without a request: the others wait in the kernel, and none is turned away."""
    monkeypatch.setattr(entrance, "PATIENCE", 10.0)

    async with running(Server, tmp_path, serve_max_handshakes=8) as run, asyncio.timeout(20):
        herd = [await asyncio.open_connection("127.0.0.1", run.server.port) for _ in range(100)]
        await asyncio.sleep(0.1)  # long enough for all to be taken, if they were
        for _, writer in herd:
            writer.write(f"GET /parties/room/lobby HTTP/1.1\r\nHost: 127.0.0.1:{run.server.port}\r\n\r\n".encode())
        try:
            assert {await reader.readline() for reader, _ in herd} == {b"HTTP/1.1 404 Not Found\r\n"}
        finally:
            for _, writer in herd:
                writer.close()


async def test_five_hundred_who_never_finish_their_handshake(tmp_path: Path) -> None:
    """Each is cut, most with 408; whoever means it comes in and is answered meanwhile."""

    class Echo(Server):
        def on_message(self, connection: Connection, message: str | bytes) -> None:
            connection.send(message)

    async with running(Echo, tmp_path, serve_head_timeout=2.0) as run, contextlib.AsyncExitStack() as stack, asyncio.timeout(40):
        slow = []
        for _ in range(500):
            reader, writer = await asyncio.open_connection("127.0.0.1", run.server.port)
            stack.callback(writer.transport.abort)
            writer.write(upgrade_request(run.server.port, "/parties/room/lobby")[:-20])
            slow.append((reader, writer))
        for number in range(10):
            client = await stack.enter_async_context(run.connect(id=f"c{number}"))
            await client.send("hello")
            assert await received(client) == "hello"
        ends = []
        for reader, _ in slow:
            try:
                ends.append((await reader.read())[:12])
            except ConnectionResetError:
                ends.append(b"")
        # Under a small `ulimit -n` the oldest have made room for others before their time was up.
        assert set(ends) <= {b"HTTP/1.1 408", b""}
        assert ends.count(b"HTTP/1.1 408") >= 10
        assert run.host.connection_count() == 10
        await client.send("still")
        assert await received(client) == "still"


async def test_a_head_without_end_is_refused(tmp_path: Path) -> None:
    """A request line or a header that goes on and on is not kept: 400 after some ten kilobytes, then the end."""
    for head in (b"GET /parties/room/", b"GET / HTTP/1.1\r\nX: "):
        async with running(Server, tmp_path) as run, asyncio.timeout(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", run.server.port)
            writer.write(head)
            with contextlib.suppress(ConnectionError):
                for _ in range(1024):
                    writer.write(b"x" * 1024)
                    await writer.drain()
            seen = b""
            with contextlib.suppress(ConnectionError):
                seen = await reader.read()
            writer.transport.abort()
            assert seen[:12] in (b"HTTP/1.1 400", b"")
            assert run.host.rooms("room") == []


async def test_upgrades_that_wait_for_their_room_are_bounded(tmp_path: Path) -> None:
    """Two wait in on_connect where two may: the third is told 503 and when to come again, requests are served, and the two come in."""
    waiting = 0
    go = asyncio.Event()

    class Room(Server):
        async def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
            nonlocal waiting
            waiting += 1
            await go.wait()

    async with running(Room, tmp_path, serve_max_handshakes=2) as run, asyncio.timeout(20):
        two = [asyncio.ensure_future(run.connect(id=f"c{number}").__aenter__()) for number in range(2)]
        await until(lambda: waiting == 2)
        with pytest.raises(InvalidStatus) as refused:
            await run.connect(id="third")
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] == "1"
        async with httpx.AsyncClient() as http:
            assert (await http.get(run.url(scheme="http"))).status_code == 404
        go.set()
        clients = await asyncio.gather(*two)
        async with run.connect(id="third"):
            assert run.host.connection_count() == 3
        for client in clients:
            await client.close()
