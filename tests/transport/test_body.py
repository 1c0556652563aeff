"""Request bodies have a bound, and whoever is over it is told so."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from partywidgets.auth import Gate, Identity
from partywidgets.party import Server
from partywidgets.party.grant import OPEN_ROLES
from partywidgets.transport import body
from partywidgets.transport.body import Pace
from partywidgets.transport.server import serve

from ..party.serving import running, until


class Echo(Server):
    """Says how long a body was."""

    async def on_request(self, request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))


async def test_bodies_are_bounded(tmp_path: Path) -> None:
    """413 by the length said, and by the bytes that come."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    async with running(Echo, tmp_path, serve_max_body=1000) as run, httpx.AsyncClient() as http:
        url = run.url(scheme="http")
        assert (await http.post(url, content=b"x" * 1000)).text == "1000"
        assert (await http.post(url, content=b"x" * 1001)).status_code == 413
        assert (await http.post(url, content=chunks())).status_code == 413


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_a_refusal_reaches_a_client_that_still_sends(tmp_path: Path, chunked: bool) -> None:
    """An HTTP client that sends a whole body before it reads gets the 413 instead of a reset."""
    size = 2 * 1024 * 1024
    async with running(Echo, tmp_path, serve_max_body=1000) as run, asyncio.timeout(30):
        address = urlsplit(run.url(scheme="http"))
        reader, writer = await asyncio.open_connection("127.0.0.1", run.server.port)
        writer.write(f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n".encode())
        if chunked:
            writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
            for _ in range(size // 65536):
                writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                await writer.drain()
            writer.write(b"0\r\n\r\n")
        else:
            writer.write(f"Content-Length: {size}\r\n\r\n".encode() + b"x" * size)
        await writer.drain()
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        assert b"larger than 1000 bytes" in await reader.read()
        writer.close()


async def test_who_asks_first_is_refused_before_it_sends(tmp_path: Path) -> None:
    """With `Expect: 100-continue` the 413 comes instead of the 100."""
    async with running(Echo, tmp_path, serve_max_body=1000) as run, asyncio.timeout(30):
        address = urlsplit(run.url(scheme="http"))
        reader, writer = await asyncio.open_connection("127.0.0.1", run.server.port)
        head = f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 9999\r\nExpect: 100-continue\r\n\r\n"
        writer.write(head.encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        writer.close()


async def test_a_refused_sender_is_read_for_a_while_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is discarded for a refusal's sake is bounded: then the answer goes out, and the connection ends."""
    monkeypatch.setattr(body, "DISCARD", 100_000)
    async with running(Echo, tmp_path, serve_max_body=1000) as run, asyncio.timeout(30):
        address = urlsplit(run.url(scheme="http"))
        _, writer = await asyncio.open_connection("127.0.0.1", run.server.port)
        writer.write(f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 900000000\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        writer.close()


async def _trickle(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "options",
    [
        {"body_timeout": 1.0, "body_rate": 1_000_000, "body_deadline": 300.0},
        {"body_timeout": 60.0, "body_rate": 1, "body_deadline": 0.5},
        {"body_timeout": 0.2, "body_rate": 1_000_000, "body_deadline": 0.5},
    ],
    ids=["rate", "deadline", "both"],
)
async def test_a_trickle_holds_no_request(tmp_path: Path, options: dict[str, float]) -> None:
    """A byte at a time, without a pause, is answered 408 and its connection ended."""
    given: dict[str, Any] = {f"serve_{name}": value for name, value in options.items()}
    async with running(Echo, tmp_path, **given) as run, asyncio.timeout(40), asyncio.TaskGroup() as group:
        address = urlsplit(run.url(scheme="http"))
        reader, writer = await asyncio.open_connection("127.0.0.1", run.server.port)
        writer.write(f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 1000000\r\n\r\n".encode())
        sending = group.create_task(_trickle(writer))
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        sending.cancel()
        writer.close()


async def test_whoever_is_refused_does_not_keep_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong credential's body is read for a while only; then the answer goes out and the connection ends, however long it trickles."""
    monkeypatch.setattr(body, "DISCARD_TIME", 0.3)
    gate = Gate(tokens={"the-right-token-of-this-test": Identity("ana", "ana", OPEN_ROLES)}, hosts=None)
    async with running(Echo, tmp_path, auth=gate) as run, asyncio.timeout(40), asyncio.TaskGroup() as group:
        address = urlsplit(run.url(scheme="http"))
        reader, writer = await asyncio.open_connection("127.0.0.1", run.server.port)
        writer.write(f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 1000000\r\n\r\n".encode())
        sending = group.create_task(_trickle(writer))
        assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        sending.cancel()
        writer.close()


@pytest.mark.parametrize("answered", ["before", "at once", "meanwhile", "never"])
async def test_a_body_that_turns_to_garbage_is_no_error_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture, answered: str) -> None:
    """A chunk that is none: 400 or the end of the answer, whatever the room was doing; no traceback, and others are served."""
    began, go = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    class Room(Server):
        async def on_request(self, request: Request) -> Response:
            if request.method == "GET":
                return PlainTextResponse("fine")
            began.set()
            if answered in ("before", "at once"):
                return PlainTextResponse("early")
            try:
                if answered == "never":
                    await request.body()
                await go.wait()
            except ClientDisconnect:
                seen.append("left")
                raise
            return PlainTextResponse("late")

    async with running(Room, tmp_path) as run, httpx.AsyncClient() as http, asyncio.timeout(20):
        assert (await http.get(run.url(scheme="http"))).text == "fine"  # the room is there
        reader, writer = await asyncio.open_connection("127.0.0.1", run.server.port)
        host = f"127.0.0.1:{run.server.port}"
        begin = f"POST /parties/room/lobby HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".encode()
        if answered == "at once":
            writer.write(begin + b"garbage\r\n")
        else:
            writer.write(begin)
            await began.wait()
            if answered == "before":
                await reader.readuntil(b"early")
            writer.write(b"garbage\r\n")
        rest = await reader.read()
        go.set()
        assert rest[:12] == (b"" if answered == "before" else b"HTTP/1.1 400")
        assert (await http.get(run.url(scheme="http"))).text == "fine"
        writer.close()
        await writer.wait_closed()
    assert seen == (["left"] if answered == "never" else [])
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_pace_leaves_less_time_to_the_slow() -> None:
    """The pause bounds each wait, the rate earns more of them, the deadline ends all."""
    pace = Pace(pause=30, rate=1000, total=100)
    assert pace.left(0, 0) == 30
    assert pace.left(1, 29) == pytest.approx(1.001)
    assert pace.left(50_000, 40) == 30
    assert pace.left(60_000, 90) == 0
    assert pace.left(10**9, 99) == 1
    assert pace.left(10**9, 101) < 0


@pytest.mark.parametrize("ends", ["leaves", "sends garbage"])
async def test_who_leaves_in_the_middle_of_a_body_is_no_error_of_the_app(ends: str, caplog: pytest.LogCaptureFixture) -> None:
    """An app that reads it and knows nothing of that: one line, without a traceback, and whoever sent garbage is told."""
    caplog.set_level(logging.INFO)
    reading = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async for _ in Request(scope, receive).stream():
            reading.set()

    async with serve(app, port=0) as server, asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"POST /x HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n".encode())
        await reading.wait()
        if ends == "sends garbage":
            writer.write(b"0x2\r\ncd\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()
        await until(lambda: "a client left in the middle of its request to '/x'" in caplog.text)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
