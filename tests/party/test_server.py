"""The hooks of a room: order, broadcasts, tags, ids, requests."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Opcode

from partywidgets.exceptions import ConnectionClosedError, RoomNameError, StartError, UnknownPartyError
from partywidgets.party import Connection, ConnectionContext, Server, grant_of

from .serving import Raw, Recorder, frame, is_paused, received, running, until


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


async def test_much_sent_with_the_upgrade_waits_in_the_senders_window(tmp_path: Path) -> None:
    """A room that takes its time in on_connect holds some of 32 MiB that came early; all of it is heard then, in order."""
    go = asyncio.Event()
    heard = 0

    class Room(Server):
        async def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
            await go.wait()

        def on_message(self, connection: Connection, message: str | bytes) -> None:
            nonlocal heard
            assert int.from_bytes(bytes(message[:4]), "big") == heard  # type: ignore[arg-type]
            heard += 1

    count, size = 512, 65536
    early = b"".join(frame(Opcode.BINARY, number.to_bytes(4, "big").ljust(size, b".")) for number in range(count))
    async with running(Room, tmp_path) as run, Raw.to(run, "/parties/room/lobby", early=early, answer=False) as raw:
        transport = raw.writer.transport
        await until(lambda: run.host.connection_count() == 1)
        before = -1
        while before != (before := transport.get_write_buffer_size()):
            await asyncio.sleep(0.1)
        assert before > count * size // 2
        go.set()
        assert (await raw.head()).startswith("HTTP/1.1 101")
        await until(lambda: heard == count)


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
        await until(lambda: is_paused(connection))
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
            await until(lambda: is_paused(connection))
            assert connection._lane is not None
            assert len(connection._lane.jobs) <= 4
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


async def test_a_frame_for_some_connections_and_none_of_their_twins(tmp_path: Path) -> None:
    """`send_to` means connections, not ids, keeps the order with everything else, and `flush` writes before the tick has ended."""
    buffered: list[tuple[int, int]] = []

    class Room(Server):
        def on_message(self, connection: Connection, message: str | bytes) -> None:
            others = [other for other in self.get_connections() if other.id != connection.id]
            connection.send("first")
            self.send_to([connection, *others], "for some")
            self.send_to([connection], "for one")
            before = len(self._room.fanout._log)
            self.flush()
            buffered.append((before, len(self._room.fanout._log)))
            self.broadcast("for all")

    async with (
        running(Room, tmp_path) as run,
        run.connect(id="me") as twin,
        run.connect(id="you") as you,
        run.connect(id="them") as them,
        run.connect(id="me") as me,
    ):
        await me.send("go")
        assert [await received(me) for _ in range(4)] == ["first", "for some", "for one", "for all"]
        assert [await received(you) for _ in range(2)] == [await received(them) for _ in range(2)] == ["for some", "for all"]
        assert await received(twin) == "for all"
    assert buffered == [(1, 0)]


async def test_a_frame_that_is_written_at_once(tmp_path: Path) -> None:
    """`send_now` writes before the hook goes on, behind what was queued, to one as to many; what is sent after it follows."""
    queued: list[int] = []

    class Room(Server):
        def on_message(self, connection: Connection, message: str | bytes) -> None:
            members = self.get_connections()
            self.broadcast("for all")
            connection.send("mine")
            self.send_now([connection], "now")
            self.send_now(members, "now, all")
            self.send_now([], "nobody")
            queued.append(len(self._room.fanout._log) + len(self._room.fanout._dirty))
            connection.send("later")
            gone = next(other for other in members if other.id == "gone")
            gone.close()
            with pytest.raises(ConnectionClosedError):
                self.send_now([gone], "too late")

    async with (
        running(Room, tmp_path) as run,
        run.connect(id="gone") as gone,
        run.connect(id="you") as you,
        run.connect(id="me") as me,
    ):
        await me.send("go")
        assert [await received(me) for _ in range(5)] == ["for all", "mine", "now", "now, all", "later"]
        assert [await received(you) for _ in range(2)] == ["for all", "now, all"]
        assert [await received(gone) for _ in range(2)] == ["for all", "now, all"]
    assert queued == [0]


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
    """A value, or what a function makes of the present one; per socket, and from get_connection_tags on."""

    class Room(Server):
        def get_connection_tags(self, connection: Connection, ctx: ConnectionContext) -> list[str]:
            assert connection.state is None
            connection.set_state(10)
            return []

        def on_message(self, connection: Connection, message: str | bytes) -> None:
            connection.send(str(connection.set_state(lambda count: (count or 0) + 1)))

    async with running(Room, tmp_path) as run:
        for _ in range(2):
            async with run.connect(id="me") as socket:
                await socket.send("x")
                await socket.send("x")
                assert [await received(socket), await received(socket)] == ["11", "12"]


@pytest.mark.parametrize("asleep", [False, True], ids=["awake", "asleep"])
async def test_revoke_closes_4401(tmp_path: Path, asleep: bool) -> None:
    """Every connection that stands on the grant, and no other; also in a room that hibernates."""

    class Room(Server):
        hibernate = asleep

    async with running(Room, tmp_path, hibernate_after=0.05) as run, run.connect(id="a") as a, run.connect(id="b") as b:
        room = run.host._rooms["room", "lobby"]
        if asleep:
            await until(lambda: room.instance is None)
        connection = room.occupants.newest("a")
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


async def test_what_cannot_be_sent_is_refused_where_it_is_sent(tmp_path: Path) -> None:
    """Anything but text and bytes is a TypeError, for one and for all; so is a single id where a list of them belongs. Views are bytes."""
    async with running(Server, tmp_path) as run, run.connect(id="me") as client:
        room = await run.host.get_server_by_name("room", "lobby")
        connection = room.get_connection("me")
        assert connection is not None
        for wrong in (42, None, {"a": 1}):
            with pytest.raises(TypeError, match="encode it first"):
                connection.send(wrong)  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="encode it first"):
                room.broadcast(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="put it into a list"):
            room.broadcast("x", without="me")
        for given in (b"ab", bytearray(b"ab"), memoryview(b"xaby")[1:3]):
            connection.send(given)
            assert await received(client) == b"ab"
