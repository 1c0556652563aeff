"""A room starts once, and what fails on the way into it leaves nothing."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from websockets.exceptions import ConnectionClosed

from partywidgets.exceptions import StartError
from partywidgets.party import Connection, ConnectionContext, Environment, PartyHost, Server

from .serving import Recorder, received, running, until


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


async def test_a_start_that_takes_too_long_is_given_up_and_tried_again(tmp_path: Path) -> None:
    """on_start past the host's start_timeout fails the event that caused it; the next one starts the same instance."""
    started: list[int] = []

    class Room(Server):
        async def on_start(self, props: Any = None) -> None:
            started.append(id(self))
            if len(started) == 1:
                await asyncio.Event().wait()

        def on_request(self, request: Request) -> Response:
            return PlainTextResponse(f"start {len(started)}")

    async with running(Room, tmp_path, start_timeout=1.0) as run, httpx.AsyncClient() as http:
        assert (await http.get(run.url(scheme="http"))).status_code == 500
        assert (await http.get(run.url(scheme="http"))).text == "start 2"
    assert started[0] == started[1]


async def test_a_room_knows_its_place_before_its_own_constructor_runs(tmp_path: Path) -> None:
    """Name, party, storage and environment are there in __init__."""

    class Room(Server):
        def __init__(self) -> None:
            self.told = (self.name, self.party, self.env[str], self.storage.exists)

    async with PartyHost({"MyRoom": Room}, storage=tmp_path, env=Environment("lent")) as host:
        room = await host.get_server_by_name("MyRoom", "lobby")
        assert isinstance(room, Room)
        assert room.told == ("lobby", "my-room", "lent", False)
        with pytest.raises(TypeError, match="env is asked by type, got 'KEY': PartyHost"):
            room.env["KEY"]  # type: ignore[index]
        assert room is await host.get_server_by_name("my-room", "lobby")


async def test_a_room_that_starts_while_its_host_ends_is_stopped(tmp_path: Path) -> None:
    """Its on_start ends while the host waits for another room's on_stop: its own ends what it began, and whoever waited has the room."""
    log: list[str] = []
    starting, stopping = asyncio.Event(), asyncio.Event()

    class Room(Server):
        async def on_start(self, props: Any = None) -> None:
            if self.name == "late":
                starting.set()
                await stopping.wait()
                log.append("late has started")

        async def on_stop(self) -> None:
            if self.name == "early":
                stopping.set()
                await until(lambda: bool(log))
            log.append(f"{self.name} has stopped")

    async with PartyHost({"room": Room}, storage=tmp_path) as host:
        await host.get_server_by_name("room", "early")
        late = asyncio.create_task(host.get_server_by_name("room", "late"))
        await starting.wait()
    assert (await late).name == "late"
    assert log == ["late has started", "early has stopped", "late has stopped"]


async def test_whoever_waits_for_a_start_that_the_end_of_the_host_cuts_off_is_told(tmp_path: Path) -> None:
    """A StartError; a CancelledError would end a task that nobody cancelled without a word."""
    starting = asyncio.Event()

    class Room(Server):
        async def on_start(self, props: Any = None) -> None:
            starting.set()
            await asyncio.Event().wait()

    async with PartyHost({"room": Room}, storage=tmp_path) as host:
        waiting = asyncio.create_task(host.get_server_by_name("room", "lobby"))
        await starting.wait()
    with pytest.raises(StartError, match="room room/lobby could not start: its host has ended"):
        await waiting
