"""PartyMiddleware: which requests reach a room, CORS, and an ASGI server that is not ours."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from partywidgets.auth import Refusal
from partywidgets.party import Alias, Connection, ConnectionContext, Grant, Lobby, PartyHost, Server
from partywidgets.transport.asgi import PartyMiddleware, not_found
from partywidgets.transport.server import serve

from ..party.serving import Recorder, received, until
from .mirror import Mirror, serving
from .plain_uvicorn import plain_uvicorn


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
