"""Hooks that end in unusual ways: cancelled by what they await, never, or while their room goes to sleep."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from websockets.exceptions import ConnectionClosed

from partywidgets.exceptions import ConnectionClosedError, StartError
from partywidgets.party import Connection, ConnectionContext, PartyHost, Server, failures

from .serving import Raw, is_paused, received, running, until


async def cancelled() -> Any:
    """What awaiting a task raises that somebody cancelled."""
    task = asyncio.ensure_future(asyncio.Event().wait())
    task.cancel()
    await task


async def test_a_hook_that_awaits_what_was_cancelled_has_failed(tmp_path: Path) -> None:
    """The message's error goes to on_exception; those that waited behind it are handled, and the socket is read again."""
    told: list[str] = []
    go = asyncio.Event()

    class Room(Server):
        async def on_message(self, connection: Connection, message: str | bytes) -> None:
            if message == "0":
                await go.wait()
                await cancelled()
            connection.send(message)

        def on_exception(self, error: Exception) -> None:
            told.append(type(error).__name__)

    async with running(Room, tmp_path) as run, run.connect() as socket:
        for number in range(200):
            await socket.send(str(number))
        connection = run.host._rooms["room", "lobby"].occupants.listed()[0]
        await until(lambda: is_paused(connection))
        go.set()
        assert [await received(socket) for _ in range(199)] == [str(number) for number in range(1, 200)]
        assert told == ["HookError"]
        await socket.send("on")
        assert await received(socket) == "on"


@pytest.mark.parametrize("hook", ["on_start", "get_connection_tags", "on_connect"])
async def test_a_cancelled_hook_on_the_way_in_is_answered(tmp_path: Path, hook: str) -> None:
    """The handshake ends with the error frame and 1011, as for any other failure; the host's own callers get a StartError."""

    class Room(Server):
        async def on_start(self, props: Any = None) -> None:
            if hook == "on_start":
                await cancelled()

        async def get_connection_tags(self, connection: Connection, ctx: ConnectionContext) -> list[str]:
            return await cancelled() if hook == "get_connection_tags" else []

        async def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
            if hook == "on_connect":
                await cancelled()

    async with running(Room, tmp_path) as run:
        async with run.connect() as socket:
            assert "error" in await received(socket)
            with pytest.raises(ConnectionClosed):
                await received(socket)
            assert socket.close_code == 1011
        assert run.host.connection_count() == 0
        if hook == "on_start":
            with pytest.raises(StartError):
                await run.host.get_server_by_name("room", "lobby")


async def test_a_cancelled_request_is_a_500(tmp_path: Path) -> None:
    """With the fixed text, as for any other failure."""

    class Room(Server):
        async def on_request(self, request: Request) -> Response:
            await cancelled()
            return Response()

    async with running(Room, tmp_path) as run, httpx.AsyncClient() as http:
        answer = await http.get(run.url(scheme="http"))
        assert answer.status_code == 500
        assert "could not answer" in answer.text


async def test_a_cancelled_close_is_answered_once(tmp_path: Path) -> None:
    """on_close that awaits what was cancelled still lets the Close be answered, and the room forgets the socket."""

    class Room(Server):
        async def on_close(self, connection: Connection, code: int, reason: str, was_clean: bool) -> None:
            await cancelled()

    async with running(Room, tmp_path) as run:
        async with run.connect() as socket:
            await socket.close(4001, "bye")
            assert (socket.close_code, socket.close_reason) == (4001, "bye")
        await until(lambda: not run.host._rooms["room", "lobby"].occupants.present)


async def test_a_cancelled_alarm_is_tried_again_with_a_delay(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It counts as failed, is not rung without a pause, and is given up after seven times like any other."""
    tries = 0

    class Room(Server):
        async def on_alarm(self) -> None:
            nonlocal tries
            tries += 1
            await cancelled()

    async with PartyHost({"room": Room}, storage=tmp_path) as host:
        assert host._alarms is not None
        host._alarms._retry_base = 0.001
        room = await host.get_server_by_name("room", "lobby")
        await room.storage.set_alarm(0.0)
        async with asyncio.timeout(20):
            while await room.storage.get_alarm() is not None or tries < 7:
                await asyncio.sleep(0.005)
        assert tries == 7


async def test_a_full_host_keeps_its_alarms(tmp_path: Path) -> None:
    """An alarm whose room cannot be made because the host has as many as it may is not counted as failed: it rings when there is room."""
    rung = asyncio.Event()

    class Room(Server):
        def on_alarm(self) -> None:
            rung.set()

    async with PartyHost({"room": Room}, storage=tmp_path, max_rooms=1, hibernate_after=60) as host:
        assert host._alarms is not None
        host._alarms._retry_base = 0.0001
        other = await host.get_server_by_name("room", "other")
        async with other.awake():
            await host._alarms.set("room", "early", 0.0)
            for _ in range(20):
                await host._alarms.get("room", "early")
                await asyncio.sleep(0.005)
            assert not rung.is_set()
            async with asyncio.timeout(20):
                while await host._alarms.get("room", "early") is None:  # in the moment of a try it is taken as rung
                    await asyncio.sleep(0)
        other._room.host.forget(other._room)
        host._alarms._changed.set()
        async with asyncio.timeout(20):
            await rung.wait()


async def test_a_message_at_the_moment_of_going_to_sleep_meets_no_stopped_instance(tmp_path: Path) -> None:
    """From the decision to drop the instance on, every event is the next one's: also one in the same turn of the loop."""
    log: list[tuple[str, int]] = []

    instances = itertools.count()

    class Room(Server):
        hibernate = True

        def on_start(self, props: Any = None) -> None:
            self.number = next(instances)

        async def on_message(self, connection: Connection, message: str | bytes) -> None:
            log.append(("message", self.number))
            await asyncio.sleep(0)
            log.append(("handled", self.number))
            connection.send(message)

        async def on_stop(self) -> None:
            log.append(("stop", self.number))

    async with running(Room, tmp_path) as run, run.connect() as socket:
        room = run.host._rooms["room", "lobby"]
        connection = room.occupants.listed()[0]
        assert room._idle_timer is not None
        room._idle_timer.cancel()
        room.touched -= 60
        room._check_idle()
        connection.message_received("at that moment")
        assert await received(socket) == "at that moment"
    assert [event for event, _ in log] == ["stop", "message", "handled", "stop"]
    assert log[0][1] != log[1][1] == log[2][1] == log[3][1]


async def test_the_end_of_a_host_with_a_hook_that_hangs(tmp_path: Path) -> None:
    """on_close comes on the instance that there is, before its on_stop; no other instance is started for it."""
    log: list[str] = []

    class Room(Server):
        def on_start(self, props: Any = None) -> None:
            log.append("start")

        async def on_message(self, connection: Connection, message: str | bytes) -> None:
            log.append("message")
            await asyncio.Event().wait()

        def on_close(self, connection: Connection, code: int, reason: str, was_clean: bool) -> None:
            log.append("close")

        async def on_stop(self) -> None:
            log.append("stop")

    async with running(Room, tmp_path) as run, Raw.to(run, "/parties/room/lobby?_pk=me") as raw:
        raw.writer.write(b"\x81\x80abcd")
        await until(lambda: "message" in log)
    assert log == ["start", "message", "close", "stop"]
    assert not [task for task in asyncio.all_tasks() if "room/lobby" in task.get_name()]


async def test_a_hook_runs_on_when_its_grant_ends(tmp_path: Path) -> None:
    """What has begun is not torn off: it cannot send to its peer any more, its broadcast reaches the others. What waited is not heard."""
    log: list[Any] = []
    going = asyncio.Event()

    class Room(Server):
        async def on_message(self, connection: Connection, message: str | bytes) -> None:
            log.append(message)
            await going.wait()
            with pytest.raises(ConnectionClosedError):
                connection.send("to you")
            self.broadcast("to all")
            await self.storage.put("kept", message)

        def on_close(self, connection: Connection, code: int, reason: str, was_clean: bool) -> None:
            log.append(("close", code))

    async with running(Room, tmp_path) as run, run.connect(id="other") as other, run.connect(id="me") as me:
        await me.send("one")
        await me.send("two")
        room = run.host._rooms["room", "lobby"]
        connection = room.occupants.newest("me")
        assert connection is not None
        await until(lambda: connection._lane is not None and len(connection._lane.jobs) == 1)
        assert run.host.revoke(connection.grant.grant_id) == 1
        await me.wait_closed()
        assert (me.close_code, log) == (4401, ["one"])
        going.set()
        assert await received(other) == "to all"
        await until(lambda: ("close", 4401) in log)
        assert await room.storage.get("kept") == "one"
    assert log[:2] == ["one", ("close", 4401)]


async def test_a_hook_that_fails_at_every_message_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One traceback with room and hook, then how often it came again; another failure has its own, and the socket stays."""
    monkeypatch.setattr(failures, "QUIET", 0.2)

    class Room(Server):
        def on_message(self, connection: Connection, message: str | bytes) -> None:
            connection.send("seen")
            if message == "other":
                raise KeyError("another")
            raise ValueError(message)

    def lines(text: str) -> list[logging.LogRecord]:
        return [record for record in caplog.records if text in record.getMessage()]

    async with running(Room, tmp_path) as run, run.connect() as socket:
        for message in (*["x"] * 500, "other"):
            await socket.send(message)
        for _ in range(501):
            await received(socket)
        told = lines("room room/lobby: on_message failed")
        whole = [record for record in told if record.exc_info]
        assert [type(record.exc_info[1]) for record in whole if record.exc_info] == [ValueError, KeyError]
        await until(lambda: sum(int(record.getMessage().split(" failed ")[1].split()[0]) for record in lines("times more")) == 499)
        assert f"ValueError at {__file__}:" in lines("times more")[0].getMessage()
        # A time without it, and it is news again.
        room = run.host._rooms["room", "lobby"]
        await until(lambda: not room.failures._timers)
        await socket.send("x")
        await until(lambda: len([record for record in lines("on_message failed") if record.exc_info]) == 3)


async def test_every_failed_connection_finds_its_id_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """However many there are: the id that a peer is told stands in a line of its own, the traceback with the first."""

    class Room(Server):
        def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
            raise ValueError("no")

    ids = []
    async with running(Room, tmp_path) as run:
        for _ in range(5):
            async with run.connect() as socket:
                ids.append(json.loads(await received(socket))["id"])
    for log_id in ids:
        [record] = [record for record in caplog.records if f"[{log_id}]" in record.getMessage()]
        assert "room room/lobby: on_connect failed" in record.getMessage()
        assert bool(record.exc_info) == (log_id == ids[0])
