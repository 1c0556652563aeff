"""Instances go when idle; sockets, ids, tags, grants, uri and state stay."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from partywidgets.party import Connection, ConnectionContext, PartyHost, Server

from .serving import Running, received, running, until

IDLE = 0.05


class Sleeper(Server):
    """A room that knows what it was."""

    hibernate = True
    log: ClassVar[list[Any]] = []

    def __init__(self) -> None:
        self.messages = 0

    def on_start(self, props: Any = None) -> None:
        self.log.append(("start", props))

    async def on_stop(self) -> None:
        self.log.append("stop")

    def get_connection_tags(self, connection: Connection, ctx: ConnectionContext) -> list[str]:
        return ["red"]

    def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
        connection.set_state({"since": [1]})

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        self.messages += 1
        connection.send(
            json.dumps([self.messages, connection.id, connection.tags, connection.state, connection.grant.subject, connection.uri])
        )

    def on_close(self, connection: Connection, code: int, reason: str, was_clean: bool) -> None:
        self.log.append(("close", code))

    def on_request(self, request: Request) -> Response:
        self.broadcast("from a request")
        return PlainTextResponse(str(len(self.get_connections())))

    def on_alarm(self) -> None:
        self.broadcast("from an alarm")


def asleep(run: Running, name: str = "lobby") -> bool:
    """True when the room has sockets and no instance."""
    room = run.host._rooms.get(("room", name))
    return room is not None and room.instance is None and room._stopping is None


async def test_a_message_wakes_a_room_with_everything_of_its_connections(tmp_path: Path) -> None:
    """on_start runs again with the same props, on_connect does not, on_close was not called; the instance is new."""

    class Room(Sleeper):
        log: ClassVar[list[Any]] = []

    async with running(Room, tmp_path, hibernate_after=IDLE, serve_props={"x": 1}) as run:
        async with run.connect(id="me") as socket:
            await socket.send("x")
            before = json.loads(await received(socket))
            await until(lambda: asleep(run))
            assert run.host.connection_count() == 1
            assert run.host.rooms("room") == ["lobby"]
            await socket.send("y")
            after = json.loads(await received(socket))
        assert before == after == [1, "me", ["me", "red"], {"since": [1]}, "anyone", run.url(scheme="http", query="_pk=me")]
        await until(lambda: ("close", 1000) in Room.log)
    # On a slow machine it may have slept between two steps as well.
    lives, rest = divmod(Room.log.index(("close", 1000)), 2)
    assert (lives >= 1, rest) == (True, 1)
    assert Room.log[: 2 * lives + 1] == [("start", {"x": 1}), "stop"] * lives + [("start", {"x": 1})]


async def test_a_request_an_alarm_and_a_close_wake_a_room(tmp_path: Path) -> None:
    """Each reaches the sleeping room's sockets."""

    class Room(Sleeper):
        log: ClassVar[list[Any]] = []

    async with running(Room, tmp_path, hibernate_after=IDLE) as run, httpx.AsyncClient() as http:
        async with run.connect(id="me") as socket:
            await until(lambda: asleep(run))
            assert (await http.get(run.url(scheme="http"))).text == "1"
            assert await received(socket) == "from a request"
            room = await run.host.get_server_by_name("room", "lobby")
            await until(lambda: asleep(run))
            await room.storage.set_alarm(0)
            assert await received(socket) == "from an alarm"
            await until(lambda: asleep(run))
        await until(lambda: ("close", 1000) in Room.log)


async def test_state_is_a_copy_of_at_most_16_kib(tmp_path: Path) -> None:
    """What is not JSON or too large is refused and the old state stays; changing what state returned changes nothing."""
    seen: list[Any] = []

    class Room(Server):
        hibernate = True

        def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
            connection.set_state({"x": 1})
            for value in (object(), "x" * 16_385, float("nan")):
                with pytest.raises(ValueError, match="hibernating connection"):
                    connection.set_state(value)
            assert connection.state is not None
            connection.state["x"] = 2
            seen.append(connection.state)
            assert connection.set_state("x" * 16_000) == "x" * 16_000

    async with running(Room, tmp_path) as run, run.connect():
        assert seen == [{"x": 1}]


async def test_a_hold_and_a_running_hook_keep_the_instance(tmp_path: Path) -> None:
    """`async with self.awake()` and an async hook: no on_stop until they end."""
    release = asyncio.Event()

    class Room(Sleeper):
        log: ClassVar[list[Any]] = []

        async def hold(self) -> None:
            async with self.awake():
                await release.wait()

        def on_start(self, props: Any = None) -> None:
            super().on_start(props)
            self.spawn(self.hold(), name="hold")

    async with running(Room, tmp_path, hibernate_after=0.01) as run, run.connect():
        room = run.host._rooms["room", "lobby"]
        checks = 0
        check = room._check_idle

        def counted() -> None:
            nonlocal checks
            checks += 1
            check()

        room._check_idle = counted  # type: ignore[method-assign]
        await until(lambda: checks >= 3)
        assert room.instance is not None
        release.set()
        await until(lambda: asleep(run))


async def test_a_class_that_does_not_hibernate_goes_when_nobody_is_there(tmp_path: Path) -> None:
    """With a socket it stays; without one it is dropped, and its room is no longer counted."""

    class Room(Sleeper):
        hibernate = False
        log: ClassVar[list[Any]] = []

    async with running(Room, tmp_path, hibernate_after=IDLE) as run:
        async with run.connect(id="me") as socket:
            room = run.host._rooms["room", "lobby"]
            await asyncio.sleep(IDLE * 3)
            assert room.instance is not None
            await socket.send("x")
            assert json.loads(await received(socket))[0] == 1
        await until(lambda: run.host.rooms("room") == [])
        await until(lambda: run.host._rooms == {})
    assert Room.log == [("start", None), ("close", 1000), "stop"]


async def test_a_start_that_fails_on_waking_loses_that_message_alone(tmp_path: Path) -> None:
    """The socket stays; the next message starts the room."""

    class Room(Server):
        hibernate = True
        fail = False

        def on_start(self, props: Any = None) -> None:
            if Room.fail:
                Room.fail = False
                raise RuntimeError

        def on_message(self, connection: Connection, message: str | bytes) -> None:
            connection.send(message)

    async with running(Room, tmp_path, hibernate_after=IDLE) as run, run.connect() as socket:
        await until(lambda: asleep(run))
        Room.fail = True
        await socket.send("lost")
        await until(lambda: not Room.fail)
        await socket.send("kept")
        assert await received(socket) == "kept"


async def test_messages_during_on_stop_wait_for_the_next_instance(tmp_path: Path) -> None:
    """A message that comes while the instance is being dropped is handled by the next one, in order."""
    stopping, release = asyncio.Event(), asyncio.Event()

    class Room(Server):
        hibernate = True

        def on_message(self, connection: Connection, message: str | bytes) -> None:
            connection.send(message)

        async def on_stop(self) -> None:
            stopping.set()
            await release.wait()

    async with running(Room, tmp_path, hibernate_after=IDLE) as run, run.connect() as socket:
        async with asyncio.timeout(20):
            await stopping.wait()
        await socket.send("1")
        await socket.send("2")
        connection = run.host._rooms["room", "lobby"].occupants.listed()[0]
        await until(lambda: connection._lane is not None)
        release.set()
        assert [await received(socket), await received(socket)] == ["1", "2"]


async def test_an_instance_held_in_python_keeps_its_room(tmp_path: Path) -> None:
    """Whoever got the instance by name can still broadcast through it after the room was dropped and came again."""
    async with running(Server, tmp_path, hibernate_after=IDLE) as run:
        held = await run.host.get_server_by_name("room", "lobby")
        await until(lambda: run.host._rooms == {})
        async with run.connect() as socket:
            held.broadcast("still here")
            assert await received(socket) == "still here"


async def test_the_number_of_rooms_is_bounded(tmp_path: Path) -> None:
    """Past max_rooms an upgrade and a request are a 503; the other rooms go on."""
    from websockets.exceptions import InvalidStatus

    async with running(Server, tmp_path, max_rooms=1) as run, run.connect("one"), httpx.AsyncClient() as http:
        assert (await http.get(run.url("two", scheme="http"))).status_code == 503
        with pytest.raises(InvalidStatus) as refused:
            await run.connect("two")
        assert refused.value.response.status_code == 503


async def test_five_hundred_sockets_of_a_hundred_rooms_are_held_asleep(tmp_path: Path) -> None:
    """All rooms sleep with their sockets open; each wakes for itself."""

    class Room(Sleeper):
        log: ClassVar[list[Any]] = []

    async with running(Room, tmp_path, hibernate_after=0.3) as run:
        sockets = [await run.connect(f"room{number % 100}", id=str(number)) for number in range(500)]
        await until(lambda: all(asleep(run, f"room{number}") for number in range(100)))
        assert run.host.connection_count() == 500
        starts = Room.log.count(("start", None))
        await sockets[123].send("x")
        assert json.loads(await received(sockets[123]))[1] == "123"
        assert Room.log.count(("start", None)) == starts + 1
        for socket in sockets:
            socket.transport.abort()


async def test_a_host_says_who_it_is(tmp_path: Path) -> None:
    """Each PartyHost has a random id."""
    ids = set()
    for _ in range(2):
        async with PartyHost({"room": Server}, storage=tmp_path) as host:
            ids.add(host.host_id)
    assert len(ids) == 2


async def test_a_room_whose_hook_has_just_been_called_stays_awake(tmp_path: Path) -> None:
    """Also on a loop that was held up for so long that the room looks idle before the hook's task has its first turn."""
    release = asyncio.Event()
    log: list[str] = []

    class Room(Server):
        hibernate = True

        async def on_message(self, connection: Connection, message: str | bytes) -> None:
            await release.wait()
            raise RuntimeError("of its own")

        def on_exception(self, error: Exception) -> None:
            log.append(str(error))

        async def on_stop(self) -> None:
            log.append("stop")

    async with running(Room, tmp_path) as run, run.connect(id="me"):
        room = run.host._rooms["room", "lobby"]
        (connection,) = room.occupants.listed()
        connection.message_received("x")
        room.touched = -run.host.hibernate_after
        room._check_idle()
        for _ in range(5):
            await asyncio.sleep(0)
        release.set()
        await until(lambda: bool(log))
        assert log == ["of its own"]
    assert log == ["of its own", "stop"]
