"""An answer of a room ends with the grant that it is made for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send
from tornado.web import HTTPError

from partywidgets.party import Grant, PartyHost, Server
from partywidgets.party.grant import GUEST_ROLES
from partywidgets.transport.asgi_answer import answer
from partywidgets.transport.server import serve
from partywidgets.transport.standing import PIECE, Standing

LONG = 64 * 1024 * 1024
"""Bytes of an answer: more than kernels hold between two programs."""


class Events(Response):
    """A response with a way of its own to go on for ever, as packages for server-sent events have one."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"data: more\n\n", "more_body": True})
            await asyncio.sleep(0)


class Library(Server):
    """Answers with much, in each of the ways that there are beside a stream."""

    book: ClassVar[Path]

    def on_request(self, request: Request) -> Response:
        kind = request.query_params["kind"]
        return FileResponse(self.book) if kind == "file" else Events() if kind == "events" else Response(bytes(LONG))


@pytest.mark.parametrize("kind", ["file", "whole", "events"])
async def test_every_kind_of_answer_ends_with_its_grant(tmp_path: Path, kind: str) -> None:
    """Where it says how long it is, the connection ends in the middle of it; else it is complete."""
    grant = Grant("ada", "Ada", GUEST_ROLES)
    Library.book = tmp_path / "book"
    with Library.book.open("wb") as book:
        book.truncate(LONG)
    async with (
        PartyHost({"library": Library}, storage=tmp_path / "rooms") as host,
        serve(host, port=0, auth=lambda request, lobby: grant) as server,
        asyncio.timeout(60),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        path = f"/parties/library/one?kind={kind}"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        host.revoke(grant.grant_id)
        count, tail = 0, b""
        while piece := await reader.read(65536):
            count, tail = count + len(piece), (tail + piece)[-5:]
        writer.close()
        await writer.wait_closed()
    assert (b"content-length: %d\r\n" % LONG in head.lower()) == (kind != "events")
    assert count < LONG
    assert kind != "events" or tail == b"0\r\n\r\n"


async def messages_of(response: Response) -> list[Message]:
    """What an ASGI server is sent."""
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await response({"type": "http", "method": "GET", "path": "/", "headers": [], "asgi": {"spec_version": "2.4"}}, receive, send)
    return sent


async def test_a_long_body_goes_in_pieces() -> None:
    """Whole, with the length that it said, and complete with the last one."""
    body = bytes(range(256)) * (PIECE * 2 // 256) + b"end"
    start, *pieces = await messages_of(Standing(Response(body), lambda: ""))
    assert (b"content-length", str(len(body)).encode()) in start["headers"]
    assert b"".join(piece["body"] for piece in pieces) == body
    assert [piece["more_body"] for piece in pieces] == [True, True, False]


async def test_an_answer_that_has_not_begun_is_a_401() -> None:
    """A file looks at its size first, and the grant may end meanwhile."""
    start, body = await messages_of(Standing(FileResponse(__file__), lambda: "the grant was revoked"))
    assert (start["status"], body["body"]) == (401, b"the grant was revoked")


async def test_what_a_stream_holds_is_let_go() -> None:
    """Cut or not: its generator's `finally` has run when the answer is over."""
    log: list[Any] = []

    async def pieces(ended: list[str]) -> AsyncIterator[bytes]:
        try:
            yield b"a"
            ended.append("the grant was revoked")
            yield b"b"
            yield b"c"
        finally:
            log.append("let go")

    ended: list[str] = []
    told = await messages_of(Standing(StreamingResponse(pieces(ended)), lambda: ended[0] if ended else ""))
    assert [message.get("body") for message in told] == [None, b"a", b""]
    assert log == ["let go"]
    told = await messages_of(Standing(StreamingResponse(pieces([])), lambda: ""))
    assert [message.get("body") for message in told] == [None, b"a", b"b", b"c", b""]
    assert log == ["let go", "let go"]


async def test_an_error_of_its_maker_is_told() -> None:
    """Only what comes of the cut is not."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"a"
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        await messages_of(Standing(StreamingResponse(broken()), lambda: ""))


async def test_a_part_is_not_taken_for_the_whole_under_jupyter() -> None:
    """There an answer goes on when all of it is there: one that was cut is an error."""
    ended: list[str] = []

    class Cut(Response):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
            ended.append("the grant was revoked")
            await send({"type": "http.response.body", "body": b"b"})

    with pytest.raises(HTTPError):
        await answer(Standing(Cut(), lambda: ended[0] if ended else ""), {"type": "http", "method": "GET", "path": "/"}, b"")
