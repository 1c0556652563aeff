"""A grant that was ended opens nothing more, whatever was under way at that moment."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response, StreamingResponse
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Opcode

from partywidgets.auth import Gate, Identity, TicketBook, new_token
from partywidgets.config import Config, parse_config
from partywidgets.party import Connection, ConnectionContext, Grant, Lobby, PartyHost, Server, grant_of
from partywidgets.party.grant import GUEST_ROLES, OWNER_ROLES
from partywidgets.transport.server import serve

from .party import serving
from .running_app import Running, running


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Running]:
    """An app on a real port, where the owner may map sandboxes."""
    async with running(tmp_path, owner_addresses=True) as started:
        yield started


def grant_id(gate: Gate, subject: str) -> str:
    """The id that everything of a token shares."""
    return next(held[1] for held in gate._tokens.values() if held[0].subject == subject)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/tickets", json.dumps({"party": "terminal-server", "room": "w1"})),
        ("PUT", "/api/sandboxes/mine", json.dumps({"address": "local:"})),
        ("PUT", "/api/ops/config/mine.yaml", "sandboxes: {mine: 'local:'}"),
        ("POST", "/api/ops/scans", json.dumps({"report": {"scan_id": "mine", "results": []}})),
    ],
)
async def test_a_request_whose_body_comes_after_the_end_does_nothing(app: Running, method: str, path: str, body: str) -> None:
    """It was let in by its head; its sender held the body back until the grant was ended."""
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{app.port}\r\n"
            f"Authorization: Bearer {app.owner}\r\nContent-Length: {len(body)}\r\n"
        )
        writer.write((head + "Expect: 100-continue\r\n\r\n").encode())
        assert b"100 Continue" in await reader.readuntil(b"\r\n\r\n"), "the head was let in"
        app.app.revoke(grant_id(app.app.gate, "owner"))
        writer.write(body.encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 401"), answer
    assert "mine" not in app.app.terminals.sandboxes


async def test_a_config_that_takes_long_to_read_is_not_loaded_after_the_end(app: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its grant was ended while its text was read: nothing of it is loaded."""
    loop = asyncio.get_running_loop()

    async def end() -> None:
        app.app.revoke(grant_id(app.app.gate, "owner"))

    def slowly(text: str, *, path: str) -> Config:
        config = parse_config(text, path=path)
        asyncio.run_coroutine_threadsafe(end(), loop).result(20)
        return config

    monkeypatch.setattr("partywidgets.routes.parse_config", slowly)
    status, answer = await app.json("PUT", "/api/ops/config/mine.yaml", data="checks: [{id: mine, type: file, path: /}]")
    assert (status, answer) == (401, {"error": "the grant was revoked"})
    assert "mine" not in app.app.service.registry.checks
    assert len(app.app.gate.tickets) == 0
    assert await app.app.service.history.scans() == []


async def test_a_list_that_takes_long_is_not_told_after_the_end(app: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was recorded in this host is read from its files; the grant was ended meanwhile."""

    async def slowly(read: Callable[[], Any]) -> Any:
        app.app.revoke(grant_id(app.app.gate, "owner"))
        return await asyncio.to_thread(read)

    monkeypatch.setattr("partywidgets.routes.off_loop", slowly)
    assert await app.json("GET", "/api/terminals/recordings") == (401, {"error": "the grant was revoked"})


def test_an_ended_grant_gets_no_ticket_that_opens() -> None:
    """Neither a ticket nor a resume ticket, also when it is made after the end."""
    book = TicketBook()
    grant = Grant("ana", "Ana", OWNER_ROLES)
    before = book.issue(grant, party="chat", room="a")
    assert book.revoke(grant.grant_id) == 1
    for ticket in (before, book.issue(grant, party="chat", room="a"), book.issue_resume(grant, party="chat", room="a")):
        assert book.redeem(ticket, party="chat", room="a") is None
    assert len(book) == 0
    other = Grant("ana", "Ana", OWNER_ROLES)
    assert book.redeem(book.issue(other, party="chat", room="a"), party="chat", room="a") is not None


async def meets_the_end(server: Any, slow: Any, end: Callable[[], None]) -> None:
    """Somebody comes while a hook of the party `slow` waits; the grant ends, the hook goes on, and all that comes is a Close with 4401."""
    coming = asyncio.ensure_future(connect(f"ws://127.0.0.1:{server.port}/parties/slow/one").__aenter__())
    await slow.begun.wait()
    end()
    slow.going.set()
    with pytest.raises(ConnectionClosed) as caught:
        raise AssertionError(await (await coming).recv())
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4401


class SlowToStart(Server):
    """A room whose start waits for the test."""

    begun: ClassVar[asyncio.Event]
    going: ClassVar[asyncio.Event]
    seen: ClassVar[list[str]] = []
    tagged: ClassVar[list[str]] = []

    @classmethod
    def begin(cls) -> None:
        """Nothing was seen, and nobody may start."""
        cls.begun, cls.going = asyncio.Event(), asyncio.Event()
        cls.seen.clear()
        cls.tagged.clear()

    async def on_start(self, props: Any = None) -> None:
        type(self).begun.set()
        await type(self).going.wait()

    def get_connection_tags(self, connection: Connection, ctx: ConnectionContext) -> list[str]:
        self.tagged.append(connection.grant.subject)
        return []

    def on_request(self, request: Request) -> Response:
        self.seen.append(grant_of(request).subject)
        return Response(b"done")

    def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
        self.seen.append(connection.grant.subject)


async def test_a_socket_on_its_way_into_a_room_is_closed_when_its_grant_ends(tmp_path: Path) -> None:
    """Its room was still starting, so it was in no list; it closes with 4401 and no hook hears of it."""
    SlowToStart.begin()
    token = new_token()
    gate = Gate(tokens={token: Identity("ada", "Ada", GUEST_ROLES)})
    async with PartyHost({"slow": SlowToStart}, storage=tmp_path) as host, serve(host, port=0, auth=gate) as server, asyncio.timeout(20):
        url = f"ws://127.0.0.1:{server.port}/parties/slow/one"
        coming = asyncio.ensure_future(connect(url, additional_headers={"Authorization": f"Bearer {token}"}).__aenter__())
        await SlowToStart.begun.wait()
        doomed = grant_id(gate, "ada")
        gate.revoke(doomed)
        assert host.revoke(doomed) == 0
        SlowToStart.going.set()
        socket = await coming
        with pytest.raises(ConnectionClosed) as caught:
            await socket.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 4401
        assert SlowToStart.seen == SlowToStart.tagged == []
        assert host.connection_count() == 0


class Feed(Server):
    """Answers with a stream that has no end, and writes down what bodies it got."""

    bodies: ClassVar[list[bytes]] = []
    going: ClassVar[asyncio.Event]
    closed: ClassVar[asyncio.Event]

    async def on_request(self, request: Request) -> Response:
        if request.method == "POST":
            self.bodies.append(await request.body())
            return Response(b"kept")

        async def lines() -> AsyncIterator[str]:
            try:
                yield "data: 0\n\n"
                await type(self).going.wait()
                while True:
                    yield "data: more\n\n"
                    await asyncio.sleep(0.01)
            finally:
                type(self).closed.set()

        return StreamingResponse(lines(), media_type="text/event-stream")


Ended = Callable[[PartyHost], None]


@pytest.fixture(params=["revoked", "expired"])
def ending(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[Grant, Ended]:
    """A grant, and what ends it: the host, or its own time."""
    grant = Grant("ada", "Ada", GUEST_ROLES, expires_at=time.time() + 3600 if request.param == "expired" else None)

    def end(host: PartyHost) -> None:
        if request.param == "revoked":
            host.revoke(grant.grant_id)
        else:
            now = time.time
            monkeypatch.setattr("partywidgets.party.grant.time.time", lambda: now() + 7200)

    return grant, end


async def test_a_stream_ends_with_its_grant(tmp_path: Path, ending: tuple[Grant, Ended]) -> None:
    """An answer that goes on for ever is cut there, as a socket is."""
    grant, end = ending
    Feed.going, Feed.closed = asyncio.Event(), asyncio.Event()
    async with (
        PartyHost({"feed": Feed}, storage=tmp_path) as host,
        serve(host, port=0, auth=lambda request, lobby: grant) as server,
        httpx.AsyncClient() as http,
        asyncio.timeout(20),
        http.stream("GET", f"http://127.0.0.1:{server.port}/parties/feed/one") as answer,
    ):
        lines = answer.aiter_lines()
        assert await anext(lines) == "data: 0"
        end(host)
        Feed.going.set()
        assert [line async for line in lines] == [""]
        await Feed.closed.wait()


async def test_a_body_that_comes_after_the_end_reaches_no_room(tmp_path: Path, ending: tuple[Grant, Ended]) -> None:
    """Its sender held it back until then."""
    grant, end = ending
    Feed.bodies = []
    async with (
        PartyHost({"feed": Feed}, storage=tmp_path) as host,
        serve(host, port=0, auth=lambda request, lobby: grant) as server,
        asyncio.timeout(20),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        head = f"POST /parties/feed/one HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        writer.write(head.encode())
        assert b"100 Continue" in await reader.readuntil(b"\r\n\r\n")
        end(host)
        writer.write(b"mine")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 401")
        writer.close()
        await writer.wait_closed()
    assert Feed.bodies == []


async def test_a_grant_that_expires_while_its_room_starts_enters_nowhere(tmp_path: Path, ending: tuple[Grant, Ended]) -> None:
    """No hook hears of it, as of one that was revoked then; the socket closes with 4401."""
    grant, end = ending
    SlowToStart.begin()
    async with (
        PartyHost({"slow": SlowToStart}, storage=tmp_path) as host,
        serve(host, port=0, auth=lambda request, lobby: grant) as server,
        asyncio.timeout(20),
    ):
        await meets_the_end(server, SlowToStart, lambda: end(host))
    assert SlowToStart.seen == SlowToStart.tagged == []


async def test_a_request_on_its_way_into_a_room_is_refused_when_its_grant_ends(tmp_path: Path, ending: tuple[Grant, Ended]) -> None:
    """Its room was still starting: on_request, which may do anything, does not hear of it."""
    grant, end = ending
    SlowToStart.begin()
    async with (
        PartyHost({"slow": SlowToStart}, storage=tmp_path) as host,
        serve(host, port=0, auth=lambda request, lobby: grant) as server,
        httpx.AsyncClient() as http,
        asyncio.timeout(20),
    ):
        coming = asyncio.ensure_future(http.delete(f"http://127.0.0.1:{server.port}/parties/slow/one"))
        await SlowToStart.begun.wait()
        end(host)
        SlowToStart.going.set()
        answer = await coming
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert SlowToStart.seen == []


async def test_a_before_hook_that_outlives_the_grant_answers_nobody(tmp_path: Path, ending: tuple[Grant, Ended]) -> None:
    """What it answered in the room's place is not told either."""
    grant, end = ending

    async def before(request: HTTPConnection, lobby: Lobby) -> Response:
        end(host)
        return Response(b"the secret")

    async with (
        PartyHost({"slow": SlowToStart}, storage=tmp_path) as host,
        serve(host, port=0, auth=lambda request, lobby: grant, on_before_request=before) as server,
        httpx.AsyncClient() as http,
    ):
        answer = await http.get(f"http://127.0.0.1:{server.port}/parties/slow/one")
    assert answer.status_code == 401
    assert b"secret" not in answer.content


class SlowToGreet(Server):
    """Says something when somebody comes, and something more when the test lets it."""

    begun: ClassVar[asyncio.Event]
    going: ClassVar[asyncio.Event]
    more: ClassVar[bool]

    async def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
        connection.send("the secret")
        type(self).begun.set()
        await type(self).going.wait()
        if self.more:
            connection.send("and more of it")


@pytest.mark.parametrize("more", [False, True])
async def test_what_a_room_says_before_the_handshake_is_done_is_not_told_after_the_end(
    tmp_path: Path, ending: tuple[Grant, Ended], more: bool
) -> None:
    """It waits for on_connect to end; the grant has ended before that, so its holder is told so and nothing else."""
    grant, end = ending
    SlowToGreet.begun, SlowToGreet.going, SlowToGreet.more = asyncio.Event(), asyncio.Event(), more
    async with (
        PartyHost({"slow": SlowToGreet}, storage=tmp_path) as host,
        serve(host, port=0, auth=lambda request, lobby: grant) as server,
        asyncio.timeout(20),
    ):
        await meets_the_end(server, SlowToGreet, lambda: end(host))


class SlowToPart(Server):
    """Tells whoever leaves something, when the test lets it."""

    begun: ClassVar[asyncio.Event]
    going: ClassVar[asyncio.Event]

    async def on_close(self, connection: Connection, code: int, reason: str, was_clean: bool) -> None:
        type(self).begun.set()
        await type(self).going.wait()
        connection.send("the secret")


async def test_a_last_word_is_not_told_after_the_end(tmp_path: Path, ending: tuple[Grant, Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who said Close hears what on_close sends, before it is answered; but not when the grant ended meanwhile."""
    monkeypatch.setattr("partywidgets.party.connection.LONGEST_SLEEP", 0.02)
    grant, end = ending
    SlowToPart.begun, SlowToPart.going = asyncio.Event(), asyncio.Event()
    async with (
        serving.running(SlowToPart, tmp_path, auth=lambda request, lobby: grant) as run,
        serving.Raw.to(run, "/parties/room/lobby") as raw,
        asyncio.timeout(40),
    ):
        [connection] = run.host._rooms["room", "lobby"].occupants.listed()
        raw.send(Opcode.CLOSE, b"\x03\xe8bye")
        await SlowToPart.begun.wait()
        end(run.host)
        await serving.until(lambda: connection._closed)
        SlowToPart.going.set()
        opcode, payload = await raw.frame()
        assert (opcode, payload[:2]) == (Opcode.CLOSE, (4401).to_bytes(2, "big"))


async def test_two_people_with_one_connection_id_at_the_same_moment(tmp_path: Path) -> None:
    """While the room starts neither is registered; only the first gets the id, the other one is told 409."""
    SlowToStart.begin()
    tokens = {new_token(): Identity(name, name, GUEST_ROLES) for name in ("ada", "eve")}
    async with (
        PartyHost({"slow": SlowToStart}, storage=tmp_path) as host,
        serve(host, port=0, auth=Gate(tokens=tokens)) as server,
        asyncio.timeout(20),
    ):
        url = f"ws://127.0.0.1:{server.port}/parties/slow/one?_pk=same"
        coming = [
            asyncio.ensure_future(connect(url, additional_headers={"Authorization": f"Bearer {token}"}).__aenter__()) for token in tokens
        ]
        await SlowToStart.begun.wait()
        room = host._room("slow", "one")
        while room._running < 3:  # on_start, and two who wait for it
            await asyncio.sleep(0.005)
        SlowToStart.going.set()
        came = await asyncio.gather(*coming, return_exceptions=True)
        (refused,) = [one for one in came if isinstance(one, InvalidStatus)]
        (socket,) = [one for one in came if not isinstance(one, BaseException)]
        assert refused.response.status_code == 409
        assert len(SlowToStart.seen) == 1
        assert host.connection_count() == 1
        await socket.close()
