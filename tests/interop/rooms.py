"""The rooms of partyserver/worker.ts here: what a client may ask of them is the same, word for word."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from partywidgets.exceptions import ConnectionClosedError
from partywidgets.party import Connection, ConnectionContext, PartyHost, Records, Server
from partywidgets.party.routing import Lobby
from partywidgets.transport.asgi import PartyMiddleware

LIMIT = 20.0
STORED = frozenset({"alarm?", "put", "value", "delete", "sql", "keys", "tables", "wipe", "move"})


def compact(value: Any) -> str:
    """JSON as JavaScript writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class Probe(Server):
    """Does what it is told."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.instance = secrets.token_hex(8)
        self.starts = 0
        self.held = 0
        self.released = False
        self.failing = False
        self.again = False
        self.props: Any = None

    async def on_start(self, props: Any = None) -> None:
        self.starts += 1
        self.props = props
        await asyncio.sleep(0.02)

    def get_connection_tags(self, connection: Connection, ctx: ConnectionContext) -> list[str]:
        tags = ctx.request.query_params.get("tags")
        if tags == "throw":
            raise ValueError("a secret of the room")
        return [] if tags is None else tags.split(",")

    async def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
        way = ctx.request.query_params.get("connect")
        if way == "throw":
            raise ValueError("a secret of the room")
        if way == "hello":
            connection.send("early")
            await asyncio.sleep(0.05)
            connection.send("late")
        if way == "joined":
            self.broadcast(f"joined {connection.id}")
        if way == "close":
            connection.send("early")
            connection.close(4002, "not today")
        if way == "header":
            connection.send(ctx.request.headers.get("x-probe", "null"))
        if way == "wait":
            await self.let_go()

    async def let_go(self) -> None:
        """Waits for `release`."""
        while not self.released:
            await asyncio.sleep(0.005)

    async def on_message(self, connection: Connection, message: str | bytes) -> None:
        if isinstance(message, bytes):
            connection.send(message)
            return
        word, *words = message.split(" ")
        rest = " ".join(words)
        if word in ("alarm-that-fails", "alarm-again"):
            self.failing, self.again = word == "alarm-that-fails", word == "alarm-again"
            await self.storage.set_alarm(time.time())
        elif word.endswith("alarm") or word in STORED:
            connection.send(await self.stored(word, words, rest))
        elif word == "busy":
            end = time.monotonic() + LIMIT
            while not self.released and time.monotonic() < end:
                await self.storage.get("nothing")
            connection.send("somebody came in" if self.released else "nobody came in")
        elif word == "elsewhere":
            other = await self.get_server_by_name(Memory, words[0])
            connection.send(other.called(" ".join(words[1:])))
        elif word == "bytes":
            self.broadcast(bytes([0, 1, 255]))
        elif word == "echo":
            connection.send(rest)
        elif word == "all":
            self.broadcast(rest)
        elif word == "others":
            self.broadcast(rest, [connection.id])
        elif word == "without":
            self.broadcast("to the rest", words)
        elif word == "close":
            connection.close(int(words[0]) if words else None, " ".join(words[1:]))
        elif word == "try-close":
            try:
                connection.close(int(words[0]), " ".join(words[1:]))
            except ValueError:
                connection.send("refused")
        elif word == "close-all":
            for one in self.get_connections():
                one.close(4003, "all")
        elif word == "many":
            for number in range(200):
                self.broadcast(str(number))
        elif word == "reject":
            raise ValueError("a secret of the room")
        elif word == "hold":
            self.held += 1
            await self.let_go()
            connection.send("let go")
        elif word == "close-twice":
            connection.close(4000, "first")
            connection.close(4001, "second")
        elif word == "send-late":
            connection.close(4000, "bye")
            try:
                connection.send("late")
            except ConnectionClosedError:
                self.log.append("refused")
        else:
            connection.send(self.told(connection, word, rest))

    def told(self, connection: Connection, word: str, rest: str) -> str:
        """The answer to a question."""
        if word == "list":
            return ",".join(sorted(one.id for one in self.get_connections(rest or None)))
        if word == "get":
            found = self.get_connection(rest)
            return found.id if found else "nobody"
        if word == "set":
            return compact(connection.set_state(json.loads(rest)))
        if word == "add":
            return compact(connection.set_state(lambda old: (old or 0) + 1))
        if word == "fill":
            try:
                connection.set_state("x" * int(rest))
            except ValueError:
                return "refused"
            return "kept"
        if word == "grow":
            assert connection.state is not None
            connection.state.append(2)
            return "grown"
        if word == "release":
            self.released = True
            return "released"
        answers: dict[str, Callable[[], object]] = {
            "tags": lambda: ",".join(connection.tags),
            "uri": lambda: connection.uri,
            "name": lambda: self.name,
            "state": lambda: compact(connection.state),
            "size": lambda: len(connection.state or ""),
            "instance": lambda: self.instance,
            "held": lambda: self.held,
            "log": lambda: "; ".join(self.log),
            "starts": lambda: self.starts,
            "props": lambda: compact(self.props),
        }
        return str(answers[word]())

    async def stored(self, word: str, words: list[str], rest: str) -> str:
        """What touches storage, and its answer."""
        if word == "put":
            await self.storage.put(words[0], json.loads(words[1]))
            return "put"
        if word == "value":
            return compact(await self.storage.get(rest))
        if word == "delete":
            return compact(await self.storage.delete(rest))
        if word == "sql":
            await self.sql("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)")
            await self.sql("INSERT INTO notes (text) VALUES (?)", rest)
            return compact(await self.sql("SELECT id, text FROM notes ORDER BY id"))
        if word == "keys":
            return ",".join(await self.storage.list(**json.loads(rest)))
        if word == "tables":
            found = await self.sql("SELECT name FROM sqlite_schema WHERE name IN ('notes', 'seen') ORDER BY name")
            return ",".join(row["name"] for row in found)
        if word == "wipe":
            await self.storage.delete_all()
            return "wiped"
        if word == "move":
            try:
                await self.storage.transaction(lambda kept: move(kept, rest))
            except ValueError:
                return "undone"
            return "moved"
        if word == "alarm":
            await self.storage.set_alarm(time.time() + float(rest) / 1000)
            return "set"
        if word == "alarm?":
            return "none" if await self.storage.get_alarm() is None else "some"
        await self.storage.delete_alarm()
        return "deleted"

    async def on_alarm(self) -> None:
        if self.failing:
            self.failing = False
            raise ValueError("a secret of the room")
        self.broadcast(f"alarm, {'no' if await self.storage.get_alarm() is None else 'one'} other")
        if self.again:
            self.again = False
            await self.storage.set_alarm(time.time() + 0.01)

    def called(self, text: str) -> str:
        """What another room may call."""
        self.broadcast(f"called {text}")
        return f"{self.name} has {len(self.get_connections())}"

    async def on_close(self, connection: Connection, code: int, reason: str, was_clean: bool) -> None:
        clean = compact(was_clean)
        self.log.append(f"close {connection.id} {code} {reason} {clean}")
        if reason == "answer":
            connection.send("a last word")
            await asyncio.sleep(0.02)
        if reason == "throw":
            raise ValueError("a secret of the room")
        if reason == "replace":
            connection.close(4000, "mine")
        self.broadcast(f"left {connection.id} {code} {reason} {clean} of {len(self.get_connections())}")

    def on_error(self, connection: Connection, error: Exception) -> None:
        self.log.append(f"error {connection.id}")
        self.broadcast(f"error {connection.id}")

    async def on_request(self, request: Request) -> Response:
        what = request.query_params.get("what")
        if what == "throw":
            raise ValueError("a secret of the room")
        if what == "status":
            return PlainTextResponse("made", status_code=201, headers={"X-Room": "yes", "Access-Control-Allow-Origin": "room"})
        if what == "redirect":
            return Response(status_code=302, headers={"Location": "/elsewhere"})
        if what == "empty":
            return Response(status_code=204)
        if what == "cookies":
            response = PlainTextResponse("two")
            response.headers.append("set-cookie", "a=1")
            response.headers.append("set-cookie", "b=2")
            return response
        if what == "tell":
            self.broadcast("by request")
            return PlainTextResponse("told")
        if what == "props":
            return JSONResponse(self.props)
        if what == "headers":
            names = ("cookie", "authorization", "x-partykit-room", "origin")
            return PlainTextResponse("|".join(f"{name} {request.headers.get(name, '-')}" for name in names))
        query = f"?{request.url.query}" if request.url.query else ""
        path = request.scope["raw_path"].decode()
        body = (await request.body()).decode()
        return PlainTextResponse("|".join([request.method, self.name, path, query, body, request.headers.get("x-probe", "-")]))


def move(kept: Records, how: str) -> None:
    """A transaction, one that fails on demand."""
    kept.put("moved", True)
    if how == "throw":
        raise ValueError("a secret of the room")


class Memory(Probe):
    """Stays in memory while somebody is there."""


class Sleeper(Probe):
    """Hibernates."""

    hibernate = True


class Bare(Server):
    """Overrides nothing."""


class Plain(Server):
    """Its handler is no coroutine."""

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        if message == "throw":
            raise ValueError("a secret of the room")
        connection.send(message)


class Shaky(Probe):
    """Starts at the second attempt."""

    async def on_start(self, props: Any = None) -> None:
        await super().on_start(props)
        if self.starts == 1:
            raise ValueError("a secret of the room")


class Broken(Server):
    """Never starts."""

    def on_start(self, props: Any = None) -> None:
        raise ValueError("a secret of the room")


def before(request: HTTPConnection, lobby: Lobby) -> Response | HTTPConnection | None:
    """The before-hook, as the query wants it."""
    way = request.query_params.get("before")
    if way == "deny":
        return PlainTextResponse("no entry", status_code=401, headers={"X-Why": "closed"})
    if way == "redirect":
        return Response(status_code=302, headers={"Location": "/login"})
    if way == "header":
        MutableHeaders(scope=request.scope)["x-probe"] = "from the hook"
        return request
    if way == "query":
        return type(request)({**request.scope, "query_string": b"_pk=renamed&connect=hello"})
    if way == "throw":
        raise ValueError("a secret of the hook")
    return None


async def not_ours(scope: Scope, receive: Receive, send: Send) -> None:
    """The app behind the rooms."""
    await PlainTextResponse("not ours", status_code=404)(scope, receive, send)


PARTIES: dict[str, type[Server]] = {
    "MEMORY_ROOM": Memory,
    "SleepingRoom": Sleeper,
    "HTTPServer": Bare,
    "Broken": Broken,
    "PlainRoom": Plain,
    "ShakyRoom": Shaky,
}


def app(host: PartyHost) -> ASGIApp:
    """Every way in that worker.ts has."""
    found: ASGIApp = not_ours
    custom = {"Access-Control-Allow-Origin": "https://one.example", "X-Extra": "1"}
    ways: list[dict[str, Any]] = [
        {"prefix": "given", "props": {"colour": "blue", "number": 7, "name": "Zoë"}},
        {"prefix": "bare", "cors": {}},
        {"prefix": "custom", "cors": custom},
        {"prefix": "open", "cors": True},
        {"prefix": "hooked", "on_before_connect": before, "on_before_request": before, "cors": True},
        {"prefix": "a/b"},
        {},
    ]
    for way in ways:
        found = PartyMiddleware(found, host, auth=None, **way)
    return found
