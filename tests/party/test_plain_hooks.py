"""Plain hooks that raise CancelledError, as `future.result()` does: failed, like any other, and nobody's cancelling."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from websockets.exceptions import ConnectionClosed

from partywidgets.exceptions import HookError, StartError
from partywidgets.party import Connection, ConnectionContext, PartyHost, Server

from .serving import received, running, until


def result() -> Any:
    """Of a future that somebody cancelled."""
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    return future.result()


async def test_messages_and_closes(tmp_path: Path) -> None:
    """on_message's goes to on_exception and the socket stays; with on_close's the Close is answered, and nobody is left in the room."""
    errors: list[Exception] = []

    class Room(Server):
        def on_message(self, connection: Connection, message: str | bytes) -> None:
            if message == "fail":
                result()
            connection.send(message)

        def on_close(self, connection: Connection, code: int, reason: str, was_clean: bool) -> None:
            result()

        def on_exception(self, error: Exception) -> None:
            errors.append(error)
            result()

    async with running(Room, tmp_path, sockets_per_subject=1) as run:
        for _ in range(2):
            async with run.connect() as socket:
                await socket.send("fail")
                await socket.send("well")
                assert await received(socket) == "well"
            assert socket.close_code == 1000
            await until(lambda: not run.host._sockets)
    assert [type(error) for error in errors] == [HookError] * 4


@pytest.mark.parametrize("hook", ["on_start", "get_connection_tags", "on_connect"])
async def test_the_way_in(tmp_path: Path, hook: str) -> None:
    """The peer gets the error frame and 1011; a caller of the host a StartError that names the failure."""

    class Room(Server):
        def on_start(self, props: Any = None) -> None:
            if hook == "on_start":
                result()

        def get_connection_tags(self, connection: Connection, ctx: ConnectionContext) -> list[str]:
            return list(result()) if hook == "get_connection_tags" else []

        def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
            result()

    async with running(Room, tmp_path) as run:
        async with run.connect() as socket:
            assert "could not let this connection in" in await received(socket)
            with pytest.raises(ConnectionClosed):
                await received(socket)
            assert socket.close_code == 1011
        if hook == "on_start":
            with pytest.raises(StartError, match="HookError"):
                await run.host.get_server_by_name(Room, "other")


async def test_a_request(tmp_path: Path) -> None:
    """A 500 with the fixed text."""

    class Room(Server):
        def on_request(self, request: Request) -> Response:
            response: Response = result()
            return response

    async with running(Room, tmp_path) as run, httpx.AsyncClient() as http:
        answer = await http.get(run.url(scheme="http"))
    assert (answer.status_code, "log id" in answer.text) == (500, True)


async def test_an_alarm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It counts as failed and is tried again with a delay, not at once."""
    rang = 0

    class Room(Server):
        def on_alarm(self) -> None:
            nonlocal rang
            rang += 1
            result()

    async with PartyHost({"room": Room}, storage=tmp_path) as host:
        room = await host.get_server_by_name(Room, "lobby")
        await room.storage.set_alarm(0)
        await until(lambda: "on_alarm failed, again in 2 s" in caplog.text)
        assert rang == 1


async def test_an_alarm_whose_end_cannot_be_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """On a disk that takes nothing more it rings again, being due, but with a pause: not as fast as the host can."""
    caplog.set_level(logging.ERROR)
    rang = 0

    class Room(Server):
        def on_alarm(self) -> None:
            nonlocal rang
            rang += 1

    async with PartyHost({"room": Room}, storage=tmp_path) as host:
        room = await host.get_server_by_name(Room, "lobby")
        await room.storage.set_alarm(0)
        assert host._alarms is not None
        database = host._alarms._database
        assert database is not None
        database.execute("PRAGMA query_only = 1")
        await until(lambda: "could not be kept" in caplog.text)
        for _ in range(50):
            await host._alarms.get("room", "lobby")
        assert rang == 1
        database.execute("PRAGMA query_only = 0")
