"""What stands in front of a room: the authoriser and the before-hooks, and what they see of a request."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from partywidgets.auth import Gate, Identity, Refusal
from partywidgets.party import Connection, ConnectionContext, Grant, Lobby, PartyHost, Server
from partywidgets.transport.asgi import PartyMiddleware
from partywidgets.transport.scope import clean
from partywidgets.transport.server import serve

from ..party.serving import received
from .mirror import Mirror, serving

TOKEN = "a-token-that-is-long-enough"


async def test_before_hooks_answer_change_or_let_pass(tmp_path: Path) -> None:
    """A response is an HTTP status on the upgrade too; a changed request moves the id, query and uri but not the room; None goes on."""
    seen: list[Any] = []

    async def hook(request: HTTPConnection, lobby: Lobby) -> Response | HTTPConnection | None:
        seen.append((lobby.party, lobby.room, lobby.server_class is Mirror))
        match request.query_params.get("do"):
            case "deny":
                return PlainTextResponse("no", status_code=401, headers={"X-Why": "because"})
            case "move":
                return RedirectResponse("/elsewhere")
            case "change":
                headers = MutableHeaders(raw=list(request.scope["headers"]))
                headers["x-added"] = "yes"
                return HTTPConnection(
                    {**request.scope, "query_string": b"_pk=changed", "path": "/parties/room/other", "headers": headers.raw}
                )
            case "raise":
                raise RuntimeError("secret detail")
        return None

    async with serving(tmp_path, on_before_connect=hook, on_before_request=hook) as run, httpx.AsyncClient() as http:
        url = "/parties/room/a%20b"
        for do, status in (("deny", 401), ("move", 307), ("raise", 500)):
            answer = await http.get(f"{run.http}{url}?do={do}")
            assert answer.status_code == status
            assert "secret" not in answer.text
            if do == "move":
                continue  # this client would follow it
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"{run.ws}{url}?do={do}")
            assert refused.value.response.status_code == status
        denied = await http.get(f"{run.http}{url}?do=deny")
        assert (denied.text, denied.headers["x-why"]) == ("no", "because")
        assert Mirror.started == []
        async with connect(f"{run.ws}{url}?do=change&_pk=mine") as client:
            id_, uri, _, headers, _ = json.loads(await received(client))
        assert (id_, headers["x-added"]) == ("changed", "yes")
        assert uri.endswith("/parties/room/other?_pk=changed")
        assert Mirror.started == ["a b"]
        name, _, headers, _ = (await http.get(f"{run.http}{url}?do=change")).json()
        assert (name, headers["x-added"]) == ("a b", "yes")
    assert set(seen) == {("room", "a b", True)}


async def test_no_hook_sees_a_credential(tmp_path: Path) -> None:
    """Cookie, Authorization, the ticket's subprotocol, ticket and token queries are gone, also from uri, and x-partykit headers."""
    seen: list[Any] = []

    def hook(request: HTTPConnection, lobby: Lobby) -> None:
        seen.append((str(request.url), dict(request.headers), list(request.scope.get("subprotocols", ()))))

    gate = Gate(tokens={TOKEN: Identity("me", "Me", frozenset({"admin"}))}, hosts=None)
    async with serving(tmp_path, auth=gate, on_before_connect=hook, on_before_request=hook) as run, httpx.AsyncClient() as http:
        secret = {
            "Authorization": f"Bearer {TOKEN}",
            "Cookie": "c=secret",
            "X-PartyKit-Props": "{}",
            "X-PartyKit-Room": "other",
            "X-Mine": "1",
        }
        url = "/parties/room/x?a=1&tick%65t=secret&b=%20&ticket=secret&c"
        offers = [Subprotocol("first"), Subprotocol("partywidgets.ticket.secret")]
        async with connect(run.ws + url, additional_headers=secret, subprotocols=offers) as client:
            _, uri, subprotocol, headers, subject = json.loads(await received(client))
        assert uri == f"{run.http}/parties/room/x?a=1&b=%20&c"
        assert (subprotocol, client.subprotocol, subject) == ("first", "first", "me")
        assert headers["sec-websocket-protocol"] == "first"
        answer = await http.get(run.http + url, headers=secret)
        assert answer.status_code == 200
        seen.append((uri, headers, []))
        seen.append((answer.json()[1], answer.json()[2], []))
    assert len(seen) == 4
    for told, headers, offers_seen in seen:
        text = json.dumps([told, headers, offers_seen])
        assert "secret" not in text
        assert TOKEN not in text
        assert not {"cookie", "authorization"} & set(headers)
        assert not any(name.startswith("x-partykit") for name in headers)
        assert headers["x-mine"] == "1"


def test_clean_leaves_everything_else() -> None:
    """Order, repetition and spelling of the query stay; an offer of a ticket alone leaves no subprotocol header."""
    scope = {
        "type": "websocket",
        "query_string": b"a=1&token=x&a=2&=&ticketx=1&TICKET=1",
        "headers": [(b"sec-websocket-protocol", b"partywidgets.ticket.x"), (b"x", b"1")],
        "subprotocols": ["partywidgets.ticket.x"],
    }
    cleaned = clean(scope)
    assert cleaned["query_string"] == b"a=1&a=2&=&ticketx=1&TICKET=1"
    assert cleaned["headers"] == [(b"x", b"1")]
    assert cleaned["subprotocols"] == []
    assert scope["query_string"] == b"a=1&token=x&a=2&=&ticketx=1&TICKET=1"


async def test_the_authoriser_stands_before_everything(tmp_path: Path) -> None:
    """Refused by status or by close code: no hook, no room, over HTTP and WebSocket; one that fails refuses; an async one is awaited."""
    hooked: list[str] = []

    def hook(request: HTTPConnection, lobby: Lobby) -> None:
        hooked.append(lobby.room)

    async def auth(request: HTTPConnection, lobby: Lobby | None) -> Grant | Refusal:
        assert lobby is not None
        match request.query_params.get("as"):
            case "nobody":
                return Refusal(403, "not you")
            case "later":
                return Refusal(401, "come back with a ticket", 4401)
            case "broken":
                raise RuntimeError("secret detail")
        return Grant("me", "Me", frozenset())

    async with serving(tmp_path, auth=auth, on_before_connect=hook, on_before_request=hook) as run, httpx.AsyncClient() as http:
        url = "/parties/room/x?as="
        for who, status in (("nobody", 403), ("later", 401), ("broken", 500)):
            for method in ("GET", "POST", "OPTIONS", "DELETE"):
                answer = await http.request(method, run.http + url + who)
                assert answer.status_code == status
                assert "secret" not in answer.text
        for who, status in (("nobody", 403), ("broken", 500)):
            with pytest.raises(InvalidStatus) as refused:
                await connect(run.ws + url + who)
            assert refused.value.response.status_code == status
        async with connect(run.ws + url + "later") as client:
            with pytest.raises(ConnectionClosed):
                await received(client)
            assert (client.close_code, client.close_reason) == (4401, "come back with a ticket")
        assert (hooked, Mirror.started, run.host.rooms("room")) == ([], [], [])
        async with connect(run.ws + url + "me") as client:
            assert json.loads(await received(client))[4] == "me"


async def test_on_error_is_told_what_stands_in_front_of_a_room_raised(tmp_path: Path) -> None:
    """The authoriser's and a before-hook's error, without a credential; the answer is a 500, also when on_error fails."""
    told: list[Any] = []

    def auth(request: HTTPConnection, lobby: Lobby | None) -> Grant | Refusal:
        if request.query_params.get("in") == "auth":
            raise RuntimeError("in auth")
        return Grant("me", "Me", frozenset())

    def hook(request: HTTPConnection, lobby: Lobby) -> None:
        raise RuntimeError("in the hook")

    async def on_error(error: Exception, request: HTTPConnection) -> None:
        told.append((str(error), request.scope["type"], request.headers.get("authorization")))
        if len(told) == 4:
            raise RuntimeError("in on_error")

    options: dict[str, Any] = {"auth": auth, "on_before_connect": hook, "on_before_request": hook, "on_error": on_error}
    async with serving(tmp_path, **options) as run, httpx.AsyncClient() as http:
        for query in ("?in=auth", ""):
            answer = await http.get(run.http + "/parties/room/x" + query, headers={"Authorization": "Bearer secret"})
            assert answer.status_code == 500
            with pytest.raises(InvalidStatus) as refused:
                await connect(run.ws + "/parties/room/x" + query)
            assert refused.value.response.status_code == 500
    assert told == [(where, kind, None) for where in ("in auth", "in the hook") for kind in ("http", "websocket")]


async def test_what_stands_in_front_of_a_room_and_hangs_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An authoriser or a before-hook that waits for ever, or for a task that was cancelled: a 500, and on_error is told."""
    monkeypatch.setattr("partywidgets.transport.asgi.HOOK_TIME", 0.1)
    told: list[str] = []

    async def hang(how: str | None) -> None:
        if how == "waits":
            await asyncio.Event().wait()
        if how == "cancelled":
            gone = asyncio.ensure_future(asyncio.Event().wait())
            gone.cancel()
            await gone

    async def auth(request: HTTPConnection, lobby: Lobby | None) -> Grant | Refusal:
        await hang(request.query_params.get("auth"))
        return Grant("me", "Me", frozenset())

    async def hook(request: HTTPConnection, lobby: Lobby) -> None:
        await hang(request.query_params.get("hook"))

    def on_error(error: Exception, request: HTTPConnection) -> None:
        told.append(type(error).__name__)

    options: dict[str, Any] = {"auth": auth, "on_before_connect": hook, "on_before_request": hook, "on_error": on_error}
    async with serving(tmp_path, **options) as run, httpx.AsyncClient() as http:
        for query in ("?auth=waits", "?auth=cancelled", "?hook=waits", "?hook=cancelled"):
            assert (await http.get(run.http + "/parties/room/x" + query)).status_code == 500
            with pytest.raises(InvalidStatus) as refused:
                await connect(run.ws + "/parties/room/x" + query)
            assert refused.value.response.status_code == 500
        assert (await http.get(run.http + "/parties/room/x")).status_code == 200
    assert told == ["TimeoutError", "TimeoutError", "HookError", "HookError"] * 2


async def test_before_hooks_get_the_apps_context(tmp_path: Path) -> None:
    """A hook reaches the app around it, what its lifespan made and what a middleware in front put into the request; so does the room."""
    seen: list[Any] = []
    pool = object()

    class Room(Server):
        def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
            connection.send(f"{ctx.request.state.pool is pool} {ctx.request.scope['user']}")

        def on_request(self, request: Request) -> Response:
            return PlainTextResponse(f"{request.state.pool is pool} {request.scope['user']}")

    def hook(request: HTTPConnection, lobby: Lobby) -> None:
        seen.append((request.scope["type"], request.app is app, request.app.state.name, request.state.pool is pool, request.user))

    class Naming:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app({**scope, "user": "ana"} if scope["type"] != "lifespan" else scope, receive, send)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Any]]:
        yield {"pool": pool}

    async with PartyHost({"room": Room}, storage=tmp_path) as host:
        rooms = Middleware(PartyMiddleware, host, auth=None, on_before_connect=hook, on_before_request=hook)
        app = Starlette(middleware=[Middleware(Naming), rooms], lifespan=lifespan)
        app.state.name = "ours"
        async with serve(app, port=0) as server, httpx.AsyncClient() as http:
            assert (await http.get(server.url + "parties/room/x")).text == "True ana"
            async with connect(server.url.replace("http", "ws") + "parties/room/y") as client:
                assert await received(client) == "True ana"
    assert seen == [("http", True, "ours", True, "ana"), ("websocket", True, "ours", True, "ana")]


async def test_what_a_hook_puts_into_a_header_ends_no_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A value that a client sent, reflected with its line's end, is a 500 by HTTP and on an upgrade, and no header of the client's."""

    class Reflecting(Server):
        async def on_request(self, request: Request) -> Response:
            return Response("go", headers={"X-Next": request.query_params["next"]})

    def reflect(request: HTTPConnection, lobby: Lobby) -> Response | None:
        return Response("go", status_code=302, headers={"Location": request.query_params["next"]}) if lobby.room == "hook" else None

    async with (
        PartyHost({"room": Reflecting}, storage=tmp_path / "state") as host,
        serve(host, port=0, auth=None, on_before_connect=reflect, on_before_request=reflect) as server,
    ):
        upgrade = (
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        )
        for room, kind in (("hook", "Connection: close\r\n"), ("hook", upgrade), ("own", "Connection: close\r\n")):
            for value in ("/a%0d%0aSet-Cookie:%20evil=1", "/a%0aSet-Cookie:%20evil=1", "/a%00", "/plain"):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                head = f"GET /parties/room/{room}?next={value} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{kind}\r\n"
                writer.write(head.encode())
                async with asyncio.timeout(20):
                    answer = await reader.read()
                writer.close()
                status = int(answer.split(b" ")[1])
                assert b"evil" not in answer
                assert (b"/plain\r\n" in answer, status) == ((True, 302 if room == "hook" else 200) if value == "/plain" else (False, 500))
    assert "control character" in caplog.text
