"""PartyMiddleware: the order in front of a room, what hooks see, CORS, and an ASGI server that is not ours."""

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
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from partywidgets.auth import Gate, Identity, Refusal
from partywidgets.party import Alias, Connection, ConnectionContext, Grant, Lobby, PartyHost, Server
from partywidgets.transport.asgi import PartyMiddleware, clean, not_found
from partywidgets.transport.server import serve

from ..party.serving import Recorder, received, until
from .plain_uvicorn import plain_uvicorn

TOKEN = "a-token-that-is-long-enough"


class Mirror(Server):
    """Tells what it sees of a request."""

    subprotocols = ("second", "first")
    started: list[str]

    def on_start(self, props: Any = None) -> None:
        self.started.append(self.name)

    def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
        connection.send(json.dumps([connection.id, connection.uri, connection.subprotocol, dict(ctx.request.headers), ctx.grant.subject]))

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        self.broadcast(message)

    def on_request(self, request: Request) -> Response:
        return JSONResponse(
            [self.name, str(request.url), dict(request.headers), request.scope["partywidgets.rest"]],
            headers={"X-Room": "1", "Vary": "Cookie"},
        )


class App:
    """A middleware on our server, with what a test needs to reach it."""

    def __init__(self, url: str, host: PartyHost) -> None:
        self.http = url.rstrip("/")
        self.ws = self.http.replace("http", "ws")
        self.host = host


@contextlib.asynccontextmanager
async def serving(
    tmp_path: Path, room: type[Server] = Mirror, app: Any = not_found, auth: Any = None, **options: Any
) -> AsyncIterator[App]:
    """PartyMiddleware around `app`, on the bundled server."""
    Mirror.started = []
    async with (
        PartyHost({"Room": room}, storage=tmp_path) as host,
        serve(PartyMiddleware(app, host, auth=auth, **options), port=0) as server,
    ):
        yield App(server.url, host)


async def test_what_is_not_a_room_falls_through(tmp_path: Path) -> None:
    """No match: the app. An unknown party: 400 `Invalid request`, for upgrades too; a bad name: 400. No hook runs for either."""
    hooked: list[str] = []

    def hook(request: HTTPConnection, lobby: Lobby) -> None:
        hooked.append(lobby.room)

    async def page(request: Request) -> Response:
        return PlainTextResponse("page")

    app = Starlette(routes=[Route("/parties/room", page), Route("/", page)])
    async with serving(tmp_path, app=app, on_before_request=hook, on_before_connect=hook, cors=True) as run, httpx.AsyncClient() as http:
        for path in ("/", "/parties/room"):
            assert (await http.get(run.http + path)).text == "page"
        unknown = await http.get(run.http + "/parties/main/x")
        assert (unknown.status_code, unknown.text) == (400, "Invalid request")
        assert "access-control-allow-origin" not in unknown.headers
        for name in ("%2e%2e", "a%2fb", "x" * 10_000, "a%00"):
            assert (await http.get(f"{run.http}/parties/room/{name}")).status_code == 400
        for path in ("/parties/main/x", "/parties/__class__/x", "/parties/room/a%5Cb"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(run.ws + path)
            assert refused.value.response.status_code == 400
    assert hooked == []
    assert Mirror.started == []


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


@pytest.mark.parametrize(
    ("offered", "selected"),
    [([], None), (["first"], "first"), (["first", "second"], "second"), (["other"], None), (["partywidgets.ticket.x", "first"], "first")],
)
async def test_the_subprotocol_is_the_class_first_choice(tmp_path: Path, offered: list[str], selected: str | None) -> None:
    """The first of the class' own that was offered; never the ticket's; none offered is fine."""
    async with (
        serving(tmp_path) as run,
        connect(run.ws + "/parties/room/x", subprotocols=[Subprotocol(offer) for offer in offered] or None) as client,
    ):
        assert client.subprotocol == selected
        assert json.loads(await received(client))[2] == selected


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


async def test_cors(tmp_path: Path) -> None:
    """True: everyone's preflight is a 200 without the room; its headers overwrite the room's own on every answer of a room."""
    async with serving(tmp_path, cors=True) as run, httpx.AsyncClient() as http:
        preflight = await http.options(run.http + "/parties/room/x")
        assert (preflight.status_code, preflight.text) == (200, "")
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert preflight.headers["access-control-allow-methods"] == "GET, POST, HEAD, OPTIONS"
        assert preflight.headers["access-control-max-age"] == "86400"
        assert Mirror.started == []
        answer = await http.get(run.http + "/parties/room/x")
        assert (answer.headers["access-control-allow-origin"], answer.headers["x-room"], answer.headers["vary"]) == ("*", "1", "Cookie")
    async with serving(tmp_path, cors={"X-Room": "2"}) as run, httpx.AsyncClient() as http:
        answer = await http.get(run.http + "/parties/room/x")
        assert answer.headers.get_list("x-room") == ["2"]
        assert "access-control-allow-origin" not in answer.headers
    async with serving(tmp_path) as run, httpx.AsyncClient() as http:
        assert (await http.options(run.http + "/parties/room/x")).json()[0] == "x"


@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
async def test_no_room_sees_a_connect_or_a_trace(tmp_path: Path, method: str, caplog: pytest.LogCaptureFixture) -> None:
    """Who is let in gets 501, and no room starts: an answer of 200 to a CONNECT would be a tunnel, and was an error of the server."""
    async with serving(tmp_path) as run, asyncio.timeout(20):
        port = int(run.http.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{method} /parties/room/x HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert answer.startswith(b"HTTP/1.1 501 ")
        assert answer.endswith(f"a room takes no {method}".encode())
        assert Mirror.started == []
    assert "Traceback" not in caplog.text


async def test_cors_is_on_every_answer_of_a_party(tmp_path: Path) -> None:
    """Refusals, hooks' answers, errors of hooks and of rooms have the headers; what is no room's has none."""

    class Room(Server):
        def on_request(self, request: Request) -> Response:
            raise RuntimeError("secret detail")

    def auth(request: HTTPConnection, lobby: Lobby | None) -> Grant | Refusal:
        return Refusal(403, "no") if request.query_params.get("do") == "refuse" else Grant("me", "Me", frozenset())

    def hook(request: HTTPConnection, lobby: Lobby) -> Response | None:
        if request.query_params.get("do") == "raise":
            raise RuntimeError("secret detail")
        return PlainTextResponse("by the hook", status_code=418) if request.query_params.get("do") == "answer" else None

    async with serving(tmp_path, Room, auth=auth, cors=True, on_before_request=hook) as run, httpx.AsyncClient() as http:
        for do, status in (("refuse", 403), ("answer", 418), ("raise", 500), ("", 500)):
            answer = await http.get(f"{run.http}/parties/room/x?do={do}")
            assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (status, "*")
            assert "secret" not in answer.text
        assert (await http.options(run.http + "/parties/room/x?do=refuse")).status_code == 200
        for path, status in (("/parties/nothing/x", 400), ("/elsewhere", 404)):
            answer = await http.get(run.http + path)
            assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (status, None)
    async with serving(tmp_path, Room, cors={}) as run, httpx.AsyncClient() as http:
        preflight = await http.options(run.http + "/parties/room/x")
        assert (preflight.status_code, preflight.text) == (200, "")
        assert "access-control-allow-origin" not in preflight.headers
    async with serving(tmp_path, Room, cors=False) as run, httpx.AsyncClient() as http:
        assert (await http.options(run.http + "/parties/room/x")).status_code == 500


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


async def test_props_reach_rooms_that_requests_start(tmp_path: Path) -> None:
    """Through serve and the middleware; a client's header is not believed, and later props change nothing."""

    class Room(Server):
        def on_start(self, props: Any = None) -> None:
            self.props = props

        def on_request(self, request: Request) -> Response:
            return JSONResponse(self.props)

    async with PartyHost({"room": Room}, storage=tmp_path) as host:
        forged = {"x-partykit-props": "eyJieSI6ImNsaWVudCJ9"}
        async with serve(host, port=0, auth=None, props={"n": 1}) as server, httpx.AsyncClient() as http:
            assert (await http.get(server.url + "parties/room/x", headers=forged)).json() == {"n": 1}
            await host.get_server_by_name("room", "x", props={"n": 2})
            assert (await http.get(server.url + "parties/room/x")).json() == {"n": 1}
        async with serve(host, port=0, auth=None) as server, httpx.AsyncClient() as http:
            assert (await http.get(server.url + "parties/room/y", headers=forged)).json() is None


async def test_aliases_prefix_and_rest(tmp_path: Path) -> None:
    """A prefix of several segments, patterns beside it; the room finds the rest of the path in the scope."""
    aliases = (Alias("/api/workers/{room}/terminal", "room"), Alias("/api/ops/{rest:path}", "room", room="main"))
    async with serving(tmp_path, prefix="/a/b/", aliases=aliases) as run, httpx.AsyncClient() as http:
        for path, name, rest in (
            ("/a/b/room/x/y/z", "x", "y/z"),
            ("/api/workers/w%201/terminal?sandboxId=web", "w 1", ""),
            ("/api/ops/scans/latest", "main", "scans/latest"),
        ):
            answer = (await http.get(run.http + path)).json()
            assert (answer[0], answer[3]) == (name, rest)
            async with connect(run.ws + path) as client:
                assert json.loads(await received(client))[1] == run.http + path
        assert (await http.get(run.http + "/parties/room/x")).status_code == 404


async def test_below_a_mount(tmp_path: Path) -> None:
    """In a Starlette app's Mount the prefix is relative to it."""
    async with PartyHost({"room": Mirror}, storage=tmp_path) as host:
        Mirror.started = []
        inner = Starlette(middleware=[Middleware(PartyMiddleware, host, auth=None)])
        async with serve(Starlette(routes=[Mount("/sub", app=inner)]), port=0) as server, httpx.AsyncClient() as http:
            assert (await http.get(server.url + "sub/parties/room/x")).json()[0] == "x"
            async with connect(server.url.replace("http", "ws") + "sub/parties/room/y") as client:
                assert json.loads(await received(client))[1] == server.url + "sub/parties/room/y"


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


async def test_under_plain_uvicorn(tmp_path: Path) -> None:
    """Without the adopt extension: the same rooms over receive and send, denials with their status, 4401, close codes, on_close once."""
    log: list[Any] = []

    class Room(Recorder):
        subprotocols = ("first",)

        def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
            connection.send("hello")

        def on_message(self, connection: Connection, message: str | bytes) -> None:
            if message == "kick":
                connection.close(4000, "out")
            else:
                self.broadcast(message)

    def auth(request: HTTPConnection, lobby: Lobby | None) -> Grant | Refusal:
        match request.query_params.get("as"):
            case "nobody":
                return Refusal(418, "not you")
            case "later":
                return Refusal(401, "later", 4401)
        return Grant("me", "Me", frozenset())

    Room.log = log
    async with (
        PartyHost({"room": Room}, storage=tmp_path) as host,
        plain_uvicorn(PartyMiddleware(not_found, host, auth=auth)) as url,
        httpx.AsyncClient() as http,
    ):
        ws = url.replace("http", "ws") + "/parties/room/x"
        assert (await http.get(url + "/parties/room/x")).status_code == 404
        with pytest.raises(InvalidStatus) as refused:
            await connect(ws + "?as=nobody")
        assert refused.value.response.status_code == 418
        async with connect(ws + "?as=later") as client:
            with pytest.raises(ConnectionClosed):
                await received(client)
            assert client.close_code == 4401
        async with (
            connect(ws + "?_pk=a", subprotocols=[Subprotocol("first")]) as a,
            connect(ws + "?_pk=b") as b,
            connect(ws + "?_pk=c") as c,
        ):
            assert a.subprotocol == "first"
            assert [await received(client) for client in (a, b, c)] == ["hello"] * 3
            for message in ("é", b"\x00\xff", "x" * 100_000):
                await a.send(message)
                assert [await received(client) for client in (a, b, c)] == [message] * 3
            await b.send("kick")
            with pytest.raises(ConnectionClosed):
                await received(b)
            assert (b.close_code, b.close_reason) == (4000, "out")
            await a.close(4001, "bye")
            await until(lambda: len(log) == 2)
            c.transport.abort()
            await until(lambda: len(log) == 3)
        assert host.connection_count() == 0
    assert sorted(entry[1] for entry in log) == ["a", "b", "c"]
    assert next(entry for entry in log if entry[1] == "a")[2:] == (4001, "bye", True)


async def test_other_scopes_reach_the_app(tmp_path: Path) -> None:
    """Lifespan and whatever else is none of ours."""
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        middleware = PartyMiddleware(app, host, auth=None)
        await middleware({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
    assert seen == ["lifespan"]


async def test_a_hook_that_looks_for_a_credential(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A before-hook as PartyServer's guides write it finds no token, and the log says once where to read it; else nothing."""

    def only_with_a_token(request: HTTPConnection, lobby: Lobby) -> Response | None:
        return None if "token" in request.query_params else PlainTextResponse("who are you?", status_code=401)

    hooks: Any = {"on_before_connect": only_with_a_token, "on_before_request": only_with_a_token}
    async with PartyHost({"room": Mirror}, storage=tmp_path) as host:
        app = PartyMiddleware(not_found, host, auth=None, **hooks)
        async with serve(app, port=0) as server, httpx.AsyncClient(base_url=server.url) as http:
            assert (await http.get("parties/room/x")).status_code == 401
            assert "credential" not in caplog.text
            assert (await http.get("parties/room/x?token=abc")).status_code == 401
            assert "on_before_request answered a request that came with a credential: no hook sees token" in caplog.text
            for _ in range(2):
                with pytest.raises(InvalidStatus, match="401"):
                    await connect(server.url.replace("http", "ws") + "parties/room/x", additional_headers={"Cookie": "a=b"})
            assert caplog.text.count("on_before_connect answered a request that came with a credential") == 1


async def test_a_page_of_elsewhere_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who serves rooms by themselves reads once, as a warning, why a development server's page is refused, and what lets it in."""
    page = "http://localhost:5173"
    async with PartyHost({"room": Mirror}, storage=tmp_path) as host:
        Mirror.started = []
        async with serve(host, port=0, auth=None) as server:
            for _ in range(2):
                with pytest.raises(InvalidStatus, match="403"):
                    await connect(server.url.replace("http", "ws") + "parties/room/x", additional_headers={"Origin": page})
        warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        (line,) = (line for line in warned if "Origin" in line)
        assert f"the Origin '{page}' is not allowed: add it to auth.origins in the config (in Python: serve(origins=…))" in line
        async with (
            serve(host, port=0, auth=None, origins=[page]) as server,
            connect(server.url.replace("http", "ws") + "parties/room/x", additional_headers={"Origin": page}) as socket,
        ):
            assert json.loads(await received(socket))[4] == "anyone"
