"""The bundled server in front of any ASGI app, which adopts no socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from partywidgets.exceptions import ConfigError
from partywidgets.transport.server import serve

from ..party.serving import received, until


async def test_an_app_of_your_own() -> None:
    """serve takes any ASGI app: plain HTTP, plain WebSockets with accept, send, receive, denial and close, and its lifespan."""
    events: list[str] = []

    async def page(request: Request) -> Response:
        return PlainTextResponse("page")

    async def chat(websocket: WebSocket) -> None:
        if websocket.query_params.get("deny"):
            await websocket.send_denial_response(PlainTextResponse("not you", status_code=418))
            return
        await websocket.accept(subprotocol="b", headers=[(b"x-own", b"1")])
        try:
            while True:
                text = await websocket.receive_text()
                if text == "close":
                    await websocket.close(4002, "asked")
                    return
                await websocket.send_text(text.upper())
        except WebSocketDisconnect as left:
            events.append(f"left {left.code}")

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        events.append("up")
        yield
        events.append("down")

    app = Starlette(routes=[Route("/", page), WebSocketRoute("/chat", chat)], lifespan=lifespan)
    async with serve(app, port=0) as server, httpx.AsyncClient() as http:
        assert (await http.get(server.url)).text == "page"
        url = server.url.replace("http", "ws") + "chat"
        async with connect(url, subprotocols=[Subprotocol("a"), Subprotocol("b")]) as client:
            assert client.subprotocol == "b"
            assert client.response is not None
            assert client.response.headers["x-own"] == "1"
            await client.send("x")
            assert await received(client) == "X"
        async with connect(url, subprotocols=[Subprotocol("b")]) as client:
            await client.send("close")
            with pytest.raises(ConnectionClosed):
                await received(client)
            assert (client.close_code, client.close_reason) == (4002, "asked")
        with pytest.raises(InvalidStatus) as denied:
            await connect(url + "?deny=1")
        assert (denied.value.response.status_code, denied.value.response.body) == (418, b"not you")
        await until(lambda: "left 1000" in events)
    assert events == ["up", "left 1000", "down"]
    with pytest.raises(ConfigError, match="PartyMiddleware"):
        async with serve(app, port=0, auth=None):
            pass


async def test_a_close_of_an_app_can_be_read(caplog: pytest.LogCaptureFixture) -> None:
    """A long reason ends with a whole character; a code that no Close may carry is the app's error, and its peer gets 1011."""

    async def long(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close(4000, "ä" * 100)

    async def wrong(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close(1006)

    app = Starlette(routes=[WebSocketRoute("/long", long), WebSocketRoute("/wrong", wrong)])
    async with serve(app, port=0) as server:
        for path, code, reason in (("long", 4000, "ä" * 61), ("wrong", 1011, "")):
            async with connect(server.url.replace("http", "ws") + path) as client:
                with pytest.raises(ConnectionClosed):
                    await received(client)
                assert (client.close_code, client.close_reason) == (code, reason)
    assert "close code 1006 cannot be sent" in caplog.text


async def test_an_app_that_takes_its_time_holds_little() -> None:
    """Large messages to one that does not receive wait at their sender; all arrive, in order, once it does."""
    go = asyncio.Event()
    sizes: list[int] = []

    async def slow(websocket: WebSocket) -> None:
        await websocket.accept()
        await go.wait()
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                sizes.append(len(await websocket.receive_bytes()))

    app = Starlette(routes=[WebSocketRoute("/", slow)])
    async with serve(app, port=0) as server, asyncio.timeout(30), connect(server.url.replace("http", "ws"), compression=None) as client:
        sent = 0

        async def send() -> None:
            nonlocal sent
            for number in range(60):
                await client.send(bytes(1_000_000 + number))
                sent += 1

        sending = asyncio.ensure_future(send())
        before = -1
        while before != (before := sent):
            await asyncio.sleep(0.3)
        assert sent < 40
        go.set()
        await sending
        while len(sizes) < 60:
            await asyncio.sleep(0.01)
    assert sizes == [1_000_000 + number for number in range(60)]


async def test_an_app_that_accepts_with_what_no_header_may_hold() -> None:
    """Its peer is answered 500 at once, as when the app fails otherwise."""

    async def chat(websocket: WebSocket) -> None:
        await websocket.accept(subprotocol="€")

    async with serve(Starlette(routes=[WebSocketRoute("/chat", chat)]), port=0) as server:
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.url.replace("http", "ws") + "chat", open_timeout=20)
        assert refused.value.response.status_code == 500


@pytest.mark.parametrize("way", ["denial", "accept", "name", "subprotocol"])
async def test_no_header_of_an_app_ends_its_line(way: str) -> None:
    """Whatever an app puts into the answer to an upgrade, with a line's end in it: a 500, and nothing of it."""
    bad = "a\r\nSet-Cookie: evil=1"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if way == "denial":
            await send({"type": "websocket.http.response.start", "status": 403, "headers": [(b"x-own", bad.encode())]})
            await send({"type": "websocket.http.response.body", "body": b""})
        else:
            headers = {"accept": [(b"x-own", bad.encode())], "name": [(bad.encode(), b"1")]}.get(way, [])
            await send({"type": "websocket.accept", "headers": headers, "subprotocol": bad if way == "subprotocol" else None})

    async with serve(app, port=0) as server:
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.url.replace("http", "ws"))
    assert refused.value.response.status_code == 500
    assert "Set-Cookie" not in refused.value.response.headers
