"""The hooks of a room: order, failure, broadcasts, tags, ids, close."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Opcode

from partywidgets.exceptions import ConnectionClosedError, RoomNameError, StartError, UnknownPartyError
from partywidgets.party import Connection, ConnectionContext, ReadyState, Server, grant_of

from .serving import Raw, Recorder, frame, received, running, until


async def test_concurrent_first_requests_share_one_start(tmp_path: Path) -> None:
    """Two upgrades and a GET to a cold room wait for one on_start, which comes before everything else."""
    log: list[str] = []
    go = asyncio.Event()

    class Room(Server):
        async def on_start(self, props: Any = None) -> None:
            log.append("start")
            await go.wait()
            log.append("started")

        def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
            log.append("connect")

        def on_request(self, request: Request) -> Response:
            log.append("request")
            return Response("ok")

    async with running(Room, tmp_path) as run, httpx.AsyncClient() as http:

        async def upgrade() -> None:
            async with run.connect():
                pass

        async with asyncio.TaskGroup() as tasks:
            for wait in (upgrade(), upgrade(), http.get(run.url(scheme="http"))):
                tasks.create_task(wait)
            await until(lambda: log == ["start"])
            go.set()
    assert log[:2] == ["start", "started"]
    assert sorted(log[2:]) == ["connect", "connect", "request"]


async def test_failed_start_is_told_by_id_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """on_start raises: error frame with a fixed text and an id of the log, 1011, nothing registered; the next upgrade starts it."""

    class Room(Server):
        tries = 0

        def on_start(self, props: Any = None) -> None:
            self.tries += 1
            if self.tries == 1:
                raise RuntimeError("secret detail")

        def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
            connection.send(f"try {self.tries}")

    async with running(Room, tmp_path) as run:
        async with run.connect() as failed:
            message = json.loads(await received(failed))
            with pytest.raises(ConnectionClosed):
                await received(failed)
            assert (failed.close_code, failed.close_reason) == (1011, "Uncaught exception during session setup")
        assert set(message) == {"error", "id"}
        assert "secret" not in message["error"]
        assert any(message["id"] in record.getMessage() for record in caplog.records)
        assert run.host.connection_count() == 0
        async with run.connect() as opened:
            assert await received(opened) == "try 2"


async def test_failed_start_of_a_request_is_a_500_without_its_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A GET to a room that cannot start gets a fixed text with an id of the log."""

    class Room(Server):
        def on_start(self, props: Any = None) -> None:
            raise RuntimeError("secret detail")

    async with running(Room, tmp_path) as run, httpx.AsyncClient() as http:
        response = await http.get(run.url(scheme="http"))
    assert response.status_code == 500
    assert "secret" not in response.text
    found = re.search(r"log id (\w+)", response.text)
    assert found
    assert found[1] in caplog.text


@pytest.mark.parametrize("where", ["tags", "connect", "late connect"])
async def test_failed_setup_leaves_nothing_registered(tmp_path: Path, where: str) -> None:
    """Tags or on_connect raise: error frame, 1011, what was sent before is lost, no on_close, nothing listed."""
    log: list[Any] = []

    class Room(Recorder):
        def get_connection_tags(self, connection: Connection, ctx: ConnectionContext) -> list[str]:
            if where == "tags":
                raise RuntimeError
            return []

        async def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
            connection.send("early")
            if where == "late connect":
                await asyncio.sleep(0)
            raise RuntimeError

    Room.log = log
    async with running(Room, tmp_path) as run:
        async with run.connect() as failed:
            assert "error" in json.loads(await received(failed))
            with pytest.raises(ConnectionClosed):
                await received(failed)
            assert failed.close_code == 1011
        room = await run.host.get_server_by_name("room", "lobby")
        assert room.get_connections() == []
    assert log == []


async def test_a_slow_on_connect_is_given_up(tmp_path: Path) -> None:
    """on_connect past the host's connect_timeout ends like a failed one."""

    class Room(Server):
        async def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
            await asyncio.Event().wait()

    async with running(Room, tmp_path, connect_timeout=0.05) as run, run.connect() as failed:
        assert "error" in json.loads(await received(failed))
        with pytest.raises(ConnectionClosed):
            await received(failed)
        assert failed.close_code == 1011


async def test_frames_sent_with_the_upgrade_wait_for_on_connect(tmp_path: Path) -> None:
    """What a client sends before the 101 reaches on_message after on_connect, in order, its Close too."""
    log: list[Any] = []

    class Room(Recorder):
        async def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
            connection.send("early")
            await asyncio.sleep(0.01)
            log.append("connected")

        def on_message(self, connection: Connection, message: str | bytes) -> None:
            log.append(message)

    Room.log = log
    early = frame(Opcode.TEXT, b"one") + frame(Opcode.TEXT, b"two") + frame(Opcode.CLOSE, b"\x03\xe8")
    async with running(Room, tmp_path) as run, Raw.to(run, "/parties/room/lobby?_pk=me", early=early) as raw:
        assert await raw.frame() == (Opcode.TEXT, b"early")
        assert await raw.frame() == (Opcode.CLOSE, b"\x03\xe8")
        assert await raw.rest() == b""
    assert log == ["connected", "one", "two", ("close", "me", 1000, "", True)]


async def test_messages_of_one_connection_are_handled_in_order(tmp_path: Path) -> None:
    """A slow async on_message holds back the later ones of its connection, not those of others."""
    release = asyncio.Event()

    class Room(Server):
        async def on_message(self, connection: Connection, message: str | bytes) -> None:
            if message == "slow":
                await release.wait()
            self.broadcast(f"{connection.id}:{message!s}")

    async with running(Room, tmp_path) as run, run.connect(id="a") as a, run.connect(id="b") as b:
        await a.send("slow")
        await a.send("fast")
        await b.send("x")
        assert await received(b) == "b:x"
        release.set()
        assert [await received(b), await received(b)] == ["a:slow", "a:fast"]


async def test_a_slow_hook_stops_the_reading_of_its_socket_alone(tmp_path: Path) -> None:
    """More than 64 waiting messages pause the wire; all arrive, in order, once the hook goes on."""
    release = asyncio.Event()
    seen: list[str | bytes] = []

    class Room(Server):
        async def on_message(self, connection: Connection, message: str | bytes) -> None:
            await release.wait()
            seen.append(message)

    async with running(Room, tmp_path) as run, run.connect(id="a") as a:
        for number in range(1000):
            await a.send(str(number))
        room = await run.host.get_server_by_name("room", "lobby")
        connection = room.get_connection("a")
        assert connection is not None
        await until(lambda: connection._paused)
        release.set()
        await until(lambda: len(seen) == 1000)
    assert seen == [str(number) for number in range(1000)]


async def test_large_messages_pause_sooner(tmp_path: Path) -> None:
    """A slow hook never has more than about two mebibytes waiting, however few messages that is."""
    release = asyncio.Event()
    seen = 0

    class Room(Server):
        async def on_message(self, connection: Connection, message: str | bytes) -> None:
            nonlocal seen
            await release.wait()
            seen += 1

    async with running(Room, tmp_path) as run, run.connect(id="a") as a:
        room = await run.host.get_server_by_name("room", "lobby")
        connection = room.get_connection("a")
        assert connection is not None

        async def send() -> None:
            for _ in range(30):
                await a.send(b"x" * 500_000)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(send())
            await until(lambda: connection._paused)
            assert connection._jobs is not None
            assert len(connection._jobs) <= 4
            release.set()
            await until(lambda: seen == 30)


async def test_broadcast_reaches_all_but_the_excluded(tmp_path: Path) -> None:
    """`without` leaves out every connection with that id; unicasts and broadcasts of one tick keep their order for everyone."""

    class Room(Server):
        def on_message(self, connection: Connection, message: str | bytes) -> None:
            self.broadcast("1")
            connection.send("2 to you")
            self.broadcast("3 not you", without=[connection.id, "unknown"])
            self.broadcast(b"4")

    async with running(Room, tmp_path) as run, run.connect(id="a") as a, run.connect(id="b") as b:
        await a.send("go")
        assert [await received(a) for _ in range(3)] == ["1", "2 to you", b"4"]
        assert [await received(b) for _ in range(3)] == ["1", "3 not you", b"4"]


async def test_one_id_in_two_sockets_of_one_subject(tmp_path: Path) -> None:
    """Both are listed, reached and excluded together; get_connection gives the newest; the older's leaving takes nothing from it."""

    class Room(Server):
        def on_message(self, connection: Connection, message: str | bytes) -> None:
            if message == "all":
                self.broadcast("all")
            else:
                self.broadcast("others", without=["me"])

    async with running(Room, tmp_path) as run, run.connect(id="me") as old, run.connect(id="me") as new, run.connect(id="you") as you:
        room = await run.host.get_server_by_name("room", "lobby")
        assert [connection.id for connection in room.get_connections()] == ["me", "me", "you"]
        assert room.get_connection("me") is room.get_connections()[1]
        await new.send("without me")
        await new.send("all")
        assert [await received(you), await received(you)] == ["others", "all"]
        assert [await received(old), await received(new)] == ["all", "all"]
        await old.close()
        await until(lambda: len(room.get_connections()) == 2)
        assert room.get_connection("me") is not None
        await you.send("all")
        assert await received(new) == "all"


async def test_an_id_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """`_pk` over 128 characters is a 400 before any hook."""
    async with running(Server, tmp_path) as run:
        with pytest.raises(InvalidStatus) as refused:
            await run.connect(id="x" * 129)
        assert refused.value.response.status_code == 400
        assert run.host.rooms("room") == []
        async with run.connect(id="x" * 128):
            assert run.host.connection_count() == 1


async def test_tags(tmp_path: Path) -> None:
    """The id is the first tag; get_connections(tag) filters; a bad tag is a failed setup."""

    class Room(Server):
        async def get_connection_tags(self, connection: Connection, ctx: ConnectionContext) -> list[str]:
            return ctx.request.query_params.getlist("tag")

        def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
            connection.send(json.dumps(connection.tags))

    async with running(Room, tmp_path) as run:
        from websockets.asyncio.client import connect

        def tagged(id: str, *tags: str) -> connect:
            return connect(run.url(query="&".join([f"_pk={id}", *(f"tag={tag}" for tag in tags)])))

        async with tagged("a", "red", "a", "red") as a, tagged("b", "red", "blue") as b, tagged("red") as named:
            assert json.loads(await received(a)) == ["a", "red", "red"]
            await received(b), await received(named)
            room = await run.host.get_server_by_name("room", "lobby")
            assert [connection.id for connection in room.get_connections("red")] == ["a", "b", "red"]
            assert [connection.id for connection in room.get_connections("blue")] == ["b"]
            assert room.get_connections("") == []
        for tags in ([""], ["x" * 257], [str(number) for number in range(10)]):
            async with tagged("c", *tags) as failed:
                assert "error" in json.loads(await received(failed))


async def test_a_close_without_a_code_is_answered(tmp_path: Path) -> None:
    """The original never answers it; here the answer has no code either, and on_close sees 1005."""
    log: list[Any] = []

    class Room(Recorder):
        pass

    Room.log = log
    async with running(Room, tmp_path) as run, Raw.to(run, "/parties/room/lobby?_pk=me") as raw:
        raw.send(Opcode.CLOSE)
        assert await raw.frame() == (Opcode.CLOSE, b"")
        assert await raw.rest() == b""
    assert log == [("close", "me", 1005, "", True)]


async def test_on_close_comes_before_the_close_reply(tmp_path: Path) -> None:
    """The leaver is out of the lists, sends still arrive before the reply, and the same code and reason are echoed."""
    seen: list[Any] = []

    class Room(Server):
        async def on_close(self, connection: Connection, code: int, reason: str, was_clean: bool) -> None:
            await asyncio.sleep(0.01)
            seen.append((code, reason, was_clean, connection.ready_state, self.get_connections(), self.get_connection("me")))
            connection.send("last")

    async with running(Room, tmp_path) as run, Raw.to(run, "/parties/room/lobby?_pk=me") as raw:
        raw.send(Opcode.CLOSE, b"\x0f\xa0bye")
        assert await raw.frame() == (Opcode.TEXT, b"last")
        assert await raw.frame() == (Opcode.CLOSE, b"\x0f\xa0bye")
    assert seen == [(4000, "bye", True, ReadyState.CLOSING, [], None)]


async def test_close_in_on_close_replaces_the_echo(tmp_path: Path) -> None:
    """connection.close(4001) in on_close is what the peer gets; on_close that raises still answers."""

    class Room(Server):
        def on_close(self, connection: Connection, code: int, reason: str, was_clean: bool) -> None:
            if reason == "raise":
                raise RuntimeError
            connection.close(4001, "mine")

    async with running(Room, tmp_path) as run:
        async with Raw.to(run, "/parties/room/lobby") as raw:
            raw.send(Opcode.CLOSE, b"\x03\xe8")
            assert await raw.frame() == (Opcode.CLOSE, b"\x0f\xa1mine")
        async with Raw.to(run, "/parties/room/lobby") as raw:
            raw.send(Opcode.CLOSE, b"\x03\xe8raise")
            assert await raw.frame() == (Opcode.CLOSE, b"\x03\xe8raise")


async def test_on_close_comes_once_when_the_socket_is_cut(tmp_path: Path) -> None:
    """A drop is 1006 and not clean, also while a hook of that connection runs, and also after a server's own close."""
    log: list[Any] = []
    release = asyncio.Event()

    class Room(Recorder):
        async def on_message(self, connection: Connection, message: str | bytes) -> None:
            if message == "kick":
                connection.close(4000, "out")
            else:
                await release.wait()

    Room.log = log
    async with running(Room, tmp_path) as run:
        async with Raw.to(run, "/parties/room/lobby?_pk=idle"):
            await until(lambda: run.host.connection_count() == 1)
        await until(lambda: len(log) == 1)
        async with Raw.to(run, "/parties/room/lobby?_pk=busy") as raw:
            raw.send(Opcode.TEXT, b"wait")
            await until(lambda: run.host.connection_count() == 1)
        await until(lambda: run.host.connection_count() == 0)
        assert len(log) == 1
        release.set()
        await until(lambda: len(log) == 2)
        async with Raw.to(run, "/parties/room/lobby?_pk=kicked") as raw:
            raw.send(Opcode.TEXT, b"kick")
            assert await raw.frame() == (Opcode.CLOSE, b"\x0f\xa0out")
        await until(lambda: len(log) == 3)
    assert [entry[1:3] + entry[4:] for entry in log] == [("idle", 1006, False), ("busy", 1006, False), ("kicked", 1006, False)]


async def test_a_server_close_is_reported_with_the_echo(tmp_path: Path) -> None:
    """After close() nothing is sent, listed or heard; on_close has the code of the peer's answer."""
    log: list[Any] = []

    class Room(Recorder):
        def on_message(self, connection: Connection, message: str | bytes) -> None:
            log.append(message)
            connection.send("before")
            connection.close(4000, "out")
            connection.close(4001, "again")
            with pytest.raises(ConnectionClosedError):
                connection.send("after")
            assert self.get_connections() == []
            self.broadcast("nobody")

    Room.log = log
    async with running(Room, tmp_path) as run, Raw.to(run, "/parties/room/lobby?_pk=me") as raw:
        raw.send(Opcode.TEXT, b"x")
        assert await raw.frame() == (Opcode.TEXT, b"before")
        assert await raw.frame() == (Opcode.CLOSE, b"\x0f\xa0out")
        raw.send(Opcode.TEXT, b"late")
        raw.send(Opcode.CLOSE, b"\x0f\xa0")
        assert await raw.rest() == b""
        await until(lambda: len(log) == 2)
    assert log == ["x", ("close", "me", 4000, "", True)]


async def test_close_in_on_connect(tmp_path: Path) -> None:
    """101, what was sent, the Close; then on_close, since on_connect had accepted."""
    log: list[Any] = []

    class Room(Recorder):
        def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
            connection.send("sorry")
            connection.close(4003, "full")

    Room.log = log
    async with running(Room, tmp_path) as run:
        async with run.connect(id="me") as socket:
            assert await received(socket) == "sorry"
            with pytest.raises(ConnectionClosed):
                await received(socket)
            assert (socket.close_code, socket.close_reason) == (4003, "full")
        await until(lambda: len(log) == 1)
    assert log == [("close", "me", 4003, "full", True)]


def test_close_codes_are_checked() -> None:
    """The limits of a Close frame, in sentences."""
    from partywidgets.party.connection import check_close

    for code, reason in ((999, ""), (1005, ""), (1006, ""), (5000, ""), (1000, "x" * 124), (1000, "é" * 62), (None, "why")):
        with pytest.raises(ValueError, match=r"close (code|reason)"):
            check_close(code, reason)
    for code, reason in ((1000, "x" * 123), (1016, ""), (2999, ""), (4999, "é" * 61), (None, "")):
        check_close(code, reason)


async def test_a_protocol_error_is_on_error_then_on_close(tmp_path: Path) -> None:
    """A reserved opcode is answered with 1002; the room hears of it once, then the connection has left."""
    log: list[Any] = []

    class Room(Recorder):
        def on_error(self, connection: Connection, error: Exception) -> None:
            log.append(("error", connection.id))

    Room.log = log
    async with running(Room, tmp_path) as run, Raw.to(run, "/parties/room/lobby?_pk=me") as raw:
        raw.writer.write(b"\x83\x80\x00\x00\x00\x00")
        opcode, payload = await raw.frame()
        assert (opcode, payload[:2]) == (Opcode.CLOSE, b"\x03\xea")
        assert await raw.rest() == b""
        raw.writer.close()
        await until(lambda: len(log) == 2)
    assert [entry[:3] for entry in log] == [("error", "me"), ("close", "me", 1006)]


async def test_an_error_in_a_hook_ends_nothing(tmp_path: Path) -> None:
    """on_message raises, plain or async: on_exception gets it, the socket goes on."""
    seen: list[str] = []

    class Room(Server):
        def on_message(self, connection: Connection, message: str | bytes) -> Any:
            if message == "plain":
                raise RuntimeError("plain")
            if message == "async":
                return self.fail()
            connection.send("alive")
            return None

        async def fail(self) -> None:
            raise RuntimeError("async")

        def on_exception(self, error: Exception) -> None:
            seen.append(str(error))

    async with running(Room, tmp_path) as run, run.connect() as socket:
        for message in ("plain", "async", "x"):
            await socket.send(message)
        assert await received(socket) == "alive"
    assert seen == ["plain", "async"]


async def test_request_bodies_reach_on_request(tmp_path: Path) -> None:
    """POST with a length and chunked, any method, any path behind the room; the grant is on the request."""

    class Room(Server):
        async def on_request(self, request: Request) -> Response:
            body = await request.body()
            assert grant_of(request).subject == "anyone"
            return JSONResponse([request.method, request.url.path, len(body)], status_code=202)

    async def chunks() -> Any:
        for _ in range(10):
            yield b"x" * 10_000

    async with running(Room, tmp_path) as run, httpx.AsyncClient() as http:
        url = run.url(scheme="http")
        assert (await http.post(url, content=b"x" * 300_000)).json() == ["POST", "/parties/room/lobby", 300_000]
        assert (await http.put(url + "/a/b%20c?x=1", content=chunks())).json() == ["PUT", "/parties/room/lobby/a/b c", 100_000]
        assert (await http.delete(url)).json() == ["DELETE", "/parties/room/lobby", 0]
        assert (await http.options(url)).status_code == 202


async def test_a_room_without_hooks(tmp_path: Path) -> None:
    """GET is 404 `Not implemented`, messages are ignored, close is answered."""
    async with running(Server, tmp_path) as run, httpx.AsyncClient() as http, run.connect() as socket:
        response = await http.get(run.url(scheme="http"))
        assert (response.status_code, response.text) == (404, "Not implemented")
        await socket.send("x")
        await socket.close()
        assert socket.close_code == 1000


async def test_on_request_that_raises_is_a_500(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Also one that returns something else than a response; the room lives on."""

    class Room(Server):
        def on_request(self, request: Request) -> Any:
            if request.method == "GET":
                raise RuntimeError("secret detail")
            return "text" if request.method == "PUT" else Response("fine")

    async with running(Room, tmp_path) as run, httpx.AsyncClient() as http:
        url = run.url(scheme="http")
        for response in (await http.get(url), await http.put(url)):
            assert response.status_code == 500
            assert "secret" not in response.text
        assert (await http.post(url)).text == "fine"
    assert "secret detail" in caplog.text


async def test_get_server_by_name(tmp_path: Path) -> None:
    """The live instance after on_start, with the first props; what on_start raises is raised; unknown parties and bad names are refused."""

    class Room(Server):
        def on_start(self, props: Any = None) -> None:
            if props == "fail":
                raise RuntimeError("no")
            self.props = props

    async with running(Room, tmp_path) as run:
        room = await run.host.get_server_by_name("room", "a b/".rstrip("/"), props={"x": 1})
        assert isinstance(room, Room)
        assert room.props == {"x": 1}
        assert (room.name, room.party) == ("a b", "room")
        assert await run.host.get_server_by_name("room", "a b", props={"x": 2}) is room
        assert room.props == {"x": 1}
        with pytest.raises(StartError):
            await run.host.get_server_by_name("room", "other", props="fail")
        with pytest.raises(UnknownPartyError):
            await run.host.get_server_by_name("nope", "x")
        with pytest.raises(RoomNameError):
            await run.host.get_server_by_name("room", "")


async def test_set_state(tmp_path: Path) -> None:
    """A value, or what a function makes of the present one; per socket."""

    class Room(Server):
        def on_message(self, connection: Connection, message: str | bytes) -> None:
            connection.send(str(connection.set_state(lambda count: (count or 0) + 1)))

    async with running(Room, tmp_path) as run:
        for _ in range(2):
            async with run.connect(id="me") as socket:
                await socket.send("x")
                await socket.send("x")
                assert [await received(socket), await received(socket)] == ["1", "2"]


async def test_revoke_closes_4401(tmp_path: Path) -> None:
    """Every connection that stands on the grant, and no other."""
    async with running(Server, tmp_path) as run, run.connect(id="a") as a, run.connect(id="b") as b:
        room = await run.host.get_server_by_name("room", "lobby")
        connection = room.get_connection("a")
        assert connection is not None
        assert run.host.revoke(connection.grant.grant_id) == 1
        with pytest.raises(ConnectionClosed):
            await received(a)
        assert a.close_code == 4401
        assert run.host.connection_count() == 1
        await b.ping()


async def test_spawned_tasks_end_with_the_room(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """spawn: cancelled when the host stops; an error is logged with the room's name."""
    ended = asyncio.Event()

    class Room(Server):
        def on_start(self, props: Any = None) -> None:
            self.spawn(self.forever(), name="forever")
            self.spawn(self.fail(), name="fail")

        async def forever(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        async def fail(self) -> None:
            raise RuntimeError("spawned")

    with caplog.at_level(logging.ERROR):
        async with running(Room, tmp_path) as run:
            await run.host.get_server_by_name("room", "lobby")
            await until(lambda: "room room/lobby" in caplog.text)
    assert ended.is_set()
