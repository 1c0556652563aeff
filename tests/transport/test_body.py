"""Request bodies have a bound, and whoever is over it is told so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from partywidgets.party import Server
from partywidgets.transport import body

from ..party.serving import running


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
