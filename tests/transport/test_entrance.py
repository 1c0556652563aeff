"""Who has not said anything yet, and bodies that end in two places."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from pathlib import Path

import httpx
import pytest

from partywidgets.party import Server
from partywidgets.transport import server

from ..party.serving import running


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
    async with running(Server, tmp_path) as run, asyncio.timeout(10):
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
    monkeypatch.setattr(server, "PATIENCE", 10.0)

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
