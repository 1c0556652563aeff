"""The standard gate in front of rooms in an app of one's own: what it promises holds under whatever server the app has."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from partywidgets.auth import Gate, Identity
from partywidgets.party import Connection, ConnectionContext, Grant, PartyHost, Server
from partywidgets.transport.asgi import PartyMiddleware
from partywidgets.transport.server import serve

from ..party.serving import received
from .plain_uvicorn import plain_uvicorn

TOKEN = "a-token-for-the-gate-0123456789"
BEARER = f"Authorization: Bearer {TOKEN}"
UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)
CORS = {"Access-Control-Allow-Origin": "https://ops.example.com", "Access-Control-Allow-Credentials": "true"}


class Chat(Server):
    """Greets whoever comes, and answers any request."""

    def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
        connection.send(f"{ctx.grant.subject} in {self.name}")

    def on_request(self, request: Request) -> Response:
        return PlainTextResponse(self.name)


async def page(request: Request) -> Response:
    """A route of the app's own."""
    return PlainTextResponse("page")


class App:
    """An app with rooms and a route, and what a test needs of it."""

    def __init__(self, url: str, host: PartyHost, gate: Gate) -> None:
        self.url, self.host, self.gate = url.rstrip("/"), host, gate
        self.ws = self.url.replace("http", "ws")
        self.port = int(self.url.rpartition(":")[2])

    def ticket(self, room: str) -> str:
        """One for a room of `chat`, as the app's own backend gives it."""
        grant = Grant("ana", "Ana", frozenset(), party="chat", room=room, grant_id="ana")
        return self.gate.tickets.issue(grant, party="chat", room=room)

    async def status(self, path: str, *headers: str, host: str | None = None) -> int:
        """The answer to a request written by hand: clients tidy paths and headers up."""
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                lines = (f"GET {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{self.port}'}", *headers, "", "")
                writer.write("\r\n".join(lines).encode("latin-1"))
                return int((await reader.readline()).split()[1])
            finally:
                writer.close()


@pytest.fixture(params=["bundled", "uvicorn"])
async def app(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[App]:
    """On the bundled server, which adopts sockets, and on uvicorn as it comes."""
    gate = Gate(tokens={TOKEN: Identity("owner", "owner", frozenset())})
    async with contextlib.AsyncExitStack() as stack:
        host = await stack.enter_async_context(PartyHost({"chat": Chat}, storage=tmp_path))
        asgi = PartyMiddleware(Starlette(routes=[Route("/page", page)]), host, auth=gate, cors=CORS)
        if request.param == "bundled":
            url = (await stack.enter_async_context(serve(asgi, port=0))).url
        else:
            url = await stack.enter_async_context(plain_uvicorn(asgi))
        served = App(url, host, gate)
        gate.allow(hosts=[f"127.0.0.1:{served.port}"], origins=["https://ops.example.com"])
        yield served


@pytest.mark.parametrize("upgrade", [(), UPGRADE], ids=["request", "upgrade"])
async def test_a_foreign_name_a_foreign_page_and_a_token_in_a_url_stay_out(app: App, upgrade: tuple[str, ...]) -> None:
    """Also with the right credential; a name that points here (DNS rebinding) is not ours; and no room starts."""
    path, port = "/parties/chat/lobby", app.port
    assert await app.status(path, *upgrade) == 401
    for name in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1.:{port}", f"127.0.0.1:{port}@evil.example"):
        assert await app.status(path, BEARER, *upgrade, host=name) in (400, 403), name
    for origin in ("https://evil.example", "null", "http://ops.example.com", "https://ops.example.com:444", "https://ops.example.com.evil"):
        assert await app.status(path, BEARER, f"Origin: {origin}", *upgrade) == 403, origin
    two = ("Origin: https://ops.example.com", "Origin: https://evil.example")
    assert await app.status(path, BEARER, *two, *upgrade) in (400, 403)  # uvicorn itself takes no two
    assert await app.status(path, BEARER, BEARER, *upgrade) == 400
    if not upgrade:  # an upgrade is let in to be closed with 4401
        for query in (f"token={TOKEN}", f"%74oken={TOKEN}"):
            assert await app.status(f"{path}?{query}", BEARER) == 401
    assert app.host.rooms("chat") == []
    assert await app.status(path, BEARER, "Origin: https://ops.example.com", *upgrade) == (101 if upgrade else 200)


PATHS = {
    "/parties/chat/%2e%2e": 400,
    "/parties/chat/%2e%2e/": 400,
    "/parties/chat/../x": 400,
    "/parties/chat/a%2fb": 400,
    "/parties/chat/a%5cb": 400,
    "/parties/chat/%00": 400,
    "/parties/chat/%0d%0aSet-Cookie:x": 400,
    "/parties/chat/%ff": 400,
    "/parties/chat/" + "a" * 513: 400,
    "/parties/Chat/x": 400,
    "/parties/x/%2e%2e/": 400,
    "/parties/chat": 404,
    "/PARTIES/chat/x": 404,
    "/page/../parties/chat/x": 404,
}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:30])
async def test_paths_that_play_tricks_open_no_room(app: App, path: str) -> None:
    """Encoded dots and slashes, control characters, bytes that are no UTF-8, too long, in other letters: refused with a credential too."""
    assert await app.status(path, BEARER) == PATHS[path]
    assert await app.status(path, BEARER, *UPGRADE) in (PATHS[path], 403)  # 403 is the app's own for what is not a WebSocket of its
    assert app.host.rooms("chat") == []


async def test_names_are_taken_as_they_are(app: App) -> None:
    """Decoded once, in any script, up to 512 bytes."""
    for segment, name in (("%C3%A4", "ä"), ("a%252fb", "a%2fb"), ("%EF%BC%8F", "／"), ("b" * 512, "b" * 512)):
        assert await app.status(f"/parties/chat/{segment}", BEARER) == 200
        assert name in app.host.rooms("chat")


async def gone(app: App, room: str, ticket: str, *, offered: bool = False) -> int | None:
    """Goes in with a ticket; the code with which that ends, or None for somebody who is greeted."""
    dialects = [Subprotocol("partywidgets.v1"), Subprotocol(f"partywidgets.ticket.{ticket}")] if offered else None
    url = f"{app.ws}/parties/chat/{room}" + ("" if offered else f"?ticket={ticket}")
    async with connect(url, subprotocols=dialects) as client:
        try:
            assert await received(client) == f"ana in {room}"
        except ConnectionClosed:
            return client.close_code
        assert client.subprotocol != f"partywidgets.ticket.{ticket}"
        return None


@pytest.mark.parametrize("offered", [False, True], ids=["query", "subprotocol"])
async def test_a_ticket_is_for_one_room_and_one_handshake(app: App, offered: bool) -> None:
    """A second time, in another room, and what never was one: 4401, and no room starts."""
    ticket = app.ticket("lobby")
    assert await gone(app, "lobby", ticket, offered=offered) is None
    assert await gone(app, "lobby", ticket, offered=offered) == 4401
    astray = app.ticket("lobby")
    assert await gone(app, "other", astray, offered=offered) == 4401
    assert await gone(app, "lobby", astray, offered=offered) == 4401
    assert await gone(app, "other", "never-was-one", offered=offered) == 4401
    assert "other" not in app.host.rooms("chat")


async def test_an_upgrade_on_a_plain_route_is_refused(app: App) -> None:
    """The app's route answers requests alone, with a credential too, and still does."""
    assert await app.status("/page", BEARER, *UPGRADE) == 403
    assert await app.status("/page") == 200


async def test_cors_with_credentials_names_the_allowed_page_alone(app: App) -> None:
    """Whoever asks beforehand reads which page may; another page's request is refused all the same."""
    async with httpx.AsyncClient() as http:
        for origin, status in (("https://ops.example.com", 200), ("https://evil.example", 403)):
            headers = {"Origin": origin, "Authorization": f"Bearer {TOKEN}"}
            preflight = await http.options(f"{app.url}/parties/chat/lobby", headers={"Origin": origin})
            answer = await http.get(f"{app.url}/parties/chat/lobby", headers=headers)
            assert (preflight.status_code, answer.status_code) == (200, status)
            for told in (preflight, answer):
                assert told.headers["access-control-allow-origin"] == "https://ops.example.com"


async def test_what_a_client_says_of_proxies_is_not_believed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody gets another address, name or scheme by a header: a room sees who really asks, the log as well, and the Host alone counts."""
    said = {
        "X-Forwarded-For": "203.0.113.7",
        "X-Real-IP": "203.0.113.7",
        "X-Forwarded-Host": "ops.example.com",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/elsewhere",
        "Forwarded": "for=203.0.113.7;host=ops.example.com;proto=https",
    }

    class Mirror(Server):
        def on_request(self, request: Request) -> Response:
            assert request.client is not None
            return PlainTextResponse(f"{request.client.host} {request.url}")

    caplog.set_level("INFO", logger="partywidgets.auth")
    gate = Gate(tokens={TOKEN: Identity("owner", "owner", frozenset({"peer"}))})
    async with (
        PartyHost({"mirror": Mirror}, storage=tmp_path) as host,
        serve(host, port=0, auth=gate) as server,
        httpx.AsyncClient(headers=said) as http,
    ):
        url = f"http://127.0.0.1:{server.port}/parties/mirror/one"
        owner = {"Authorization": f"Bearer {TOKEN}"}
        assert (await http.get(url, headers=owner)).text == f"127.0.0.1 {url}"
        named = {**owner, "Host": "evil.example", "X-Forwarded-Host": f"127.0.0.1:{server.port}"}
        assert (await http.get(url, headers=named)).status_code == 403
        elsewhere = {**owner, "Origin": "https://ops.example.com"}
        assert (await http.get(url, headers=elsewhere)).status_code == 403
    assert "203.0.113.7" not in caplog.text
    assert caplog.text.count("from 127.0.0.1: 403") == 2
