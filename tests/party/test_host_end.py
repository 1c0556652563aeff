"""The end of a host while somebody is on the way in, something cannot be closed, or the end itself is cut short."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Opcode

from partywidgets.party import Connection, ConnectionContext, PartyHost, Server
from partywidgets.party import host as host_module
from partywidgets.transport.server import serve

from .serving import LIMIT, Raw, Recorder, Running, until


def recorded(tmp_path: Path) -> tuple[PartyHost, list[Any]]:
    """A host of one party, `room`, and what its rooms' hooks were told."""
    log: list[Any] = []

    class Room(Recorder):
        pass

    Room.log = log
    return PartyHost({"room": Room}, storage=tmp_path), log


@pytest.mark.parametrize("hook", ["on_start", "get_connection_tags", "on_connect"])
async def test_who_is_on_the_way_in_is_turned_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: str) -> None:
    """The hook is cancelled before on_stop and no on_close comes for what on_connect did not accept; the peer is told 503."""
    monkeypatch.setattr(host_module, "CLOSE_TIME", 2.2)
    log: list[str] = []

    async def hang(name: str) -> None:
        if name == hook:
            log.append("begins")
            try:
                await asyncio.Event().wait()
            finally:
                log.append("ends")

    class Room(Server):
        async def on_start(self, props: Any = None) -> None:
            await hang("on_start")

        async def get_connection_tags(self, connection: Connection, ctx: ConnectionContext) -> list[str]:
            await hang("get_connection_tags")
            return []

        async def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
            await hang("on_connect")

        def on_close(self, connection: Connection, code: int, reason: str, was_clean: bool) -> None:
            log.append("close")

        async def on_stop(self) -> None:
            log.append("stop")

    host = PartyHost({"room": Room}, storage=tmp_path)
    async with serve(host, port=0, auth=None) as server:
        async with host:
            coming = asyncio.ensure_future(Running(host, server).connect().__aenter__())
            await until(lambda: "begins" in log)
        assert log == (["begins", "ends"] if hook == "on_start" else ["begins", "ends", "stop"])
        with pytest.raises(InvalidStatus) as refused:
            await asyncio.wait_for(coming, LIMIT)
        assert refused.value.response.status_code == 503


async def test_nobody_comes_into_a_host_that_ends(tmp_path: Path) -> None:
    """While it waits for the answer to its Close, a room that is there takes nobody new: 503, and the end is not put off."""
    host, log = recorded(tmp_path)
    async with serve(host, port=0, auth=None) as server:
        await host.__aenter__()
        run = Running(host, server)
        async with Raw.to(run, "/parties/room/lobby?_pk=slow") as slow:
            ending = asyncio.ensure_future(host.__aexit__(None, None, None))
            assert (await slow.frame())[0] is Opcode.CLOSE
            with pytest.raises(InvalidStatus) as refused:
                async with run.connect(id="late"):
                    pass
            assert refused.value.response.status_code == 503
            slow.send(Opcode.CLOSE, b"\x03\xf4")
            await asyncio.wait_for(ending, LIMIT)
    assert log == [("close", "slow", 1012, "", True)]


async def test_alarms_that_cannot_be_closed_hold_nobody_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Every connection is told 1012 and the directory is free all the same; the log says where."""

    class Broken:
        def __init__(self, database: sqlite3.Connection) -> None:
            self.database = database

        def __getattr__(self, name: str) -> Any:
            return getattr(self.database, name)

        def close(self) -> None:
            self.database.close()
            raise sqlite3.OperationalError("disk I/O error")

    host, log = recorded(tmp_path)
    async with serve(host, port=0, auth=None) as server:
        async with host:
            socket = await Running(host, server).connect(id="me").__aenter__()
            alarms = host._alarms
            assert alarms is not None
            assert alarms._database is not None
            # Closed on the thread that works with it: SQLite ends the process that does otherwise.
            monkeypatch.setattr(alarms, "_database", Broken(alarms._database))
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, log) == (1012, [("close", "me", 1012, "the server stops", True)])
    assert f"the alarms of {tmp_path} could not be closed" in caplog.text
    async with recorded(tmp_path)[0] as another:
        assert another.storage_path == tmp_path


async def test_an_end_that_is_cut_short_leaves_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever cancels it has no socket open, no task of a room's running, and the directory free again."""
    caplog.set_level(logging.INFO, "partywidgets.party")
    log: list[Any] = []
    asked = asyncio.Event()

    class Room(Recorder):
        async def on_message(self, connection: Connection, message: str | bytes) -> None:
            asked.set()
            await asyncio.Event().wait()

    Room.log = log
    host = PartyHost({"room": Room}, storage=tmp_path)
    async with serve(host, port=0, auth=None) as server:
        await host.__aenter__()
        async with Raw.to(Running(host, server), "/parties/room/lobby?_pk=me") as raw:
            raw.send(Opcode.TEXT, b"hang")
            await asked.wait()
            ending = asyncio.ensure_future(host.__aexit__(None, None, None))
            assert (await raw.frame())[0] is Opcode.CLOSE
            ending.cancel()
            await asyncio.wait({ending}, timeout=LIMIT)
            assert ending.cancelled()
            assert await raw.rest() == b""
            await until(lambda: not [task for task in asyncio.all_tasks() if "room/lobby" in task.get_name()])
            assert log == [("close", "me", 1006, "the server stopped", False)]
    async with PartyHost({"room": Room}, storage=tmp_path) as another:
        assert another.storage_path == tmp_path
