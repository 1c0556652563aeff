"""Every way in which a connection ends: once, with its code."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import HTTPConnection
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode

from partywidgets.exceptions import ConnectionClosedError
from partywidgets.party import Connection, ConnectionContext, Grant, Lobby, PartyHost, ReadyState, Server, lane
from partywidgets.party import connection as connection_module
from partywidgets.party import host as host_module
from partywidgets.transport.server import serve

from .serving import Raw, Recorder, Running, received, running, until


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


async def test_on_close_is_owed_while_the_room_cannot_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A hibernating room that fails to wake for a Close: the peer is answered, and on_close comes once, when the room starts again."""
    monkeypatch.setattr(lane, "WAKE_RETRIES", (0.01, *[0.02] * 1000))
    log: list[Any] = []
    may_start = True

    class Room(Recorder):
        hibernate = True

        def on_start(self, props: Any = None) -> None:
            log.append("start")
            if not may_start:
                raise RuntimeError("the disk is full")

    Room.log = log
    async with running(Room, tmp_path, hibernate_after=0.05) as run:
        async with Raw.to(run, "/parties/room/lobby?_pk=me") as raw:
            room = run.host._rooms["room", "lobby"]
            await until(lambda: room.instance is None)
            may_start = False
            raw.send(Opcode.CLOSE, b"\x03\xe8bye")
            assert await raw.frame() == (Opcode.CLOSE, b"\x03\xe8bye")
            await until(lambda: log.count("start") >= 3)
            assert run.host.connection_count() == 0
            may_start = True
        await until(lambda: len(log) > 3 and log[-1] != "start")
        await until(lambda: not room.occupants.present)
    assert [entry for entry in log if entry != "start"] == [("close", "me", 1000, "bye", True)]
    assert "on_close of 'me' has to wait 0.01 s" in caplog.text


async def test_on_close_is_given_up_when_the_room_never_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After its attempts the log says so, and nothing of the connection is left."""
    monkeypatch.setattr(lane, "WAKE_RETRIES", (0.01, 0.01))
    starts = 0

    class Room(Server):
        hibernate = True

        def on_start(self, props: Any = None) -> None:
            nonlocal starts
            starts += 1
            if starts > 1:
                raise RuntimeError("never again")

    async with running(Room, tmp_path, hibernate_after=0.05) as run:
        async with Raw.to(run, "/parties/room/lobby?_pk=me") as raw:
            await until(lambda: run.host._rooms["room", "lobby"].instance is None)
            raw.writer.close()
        await until(lambda: run.host._rooms == {})
    assert starts == 4
    assert "room room/lobby: on_close failed" in caplog.text


async def test_a_connection_ends_with_its_grant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """4401 when it expires by the clock on the wall, which may jump as after a suspended night; also in a room that hibernates."""
    monkeypatch.setattr(connection_module, "LONGEST_SLEEP", 0.02)
    ahead, real = 0.0, time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead)
    began = real()

    class Room(Server):
        hibernate = True

    def auth(request: HTTPConnection, lobby: Lobby | None) -> Grant:
        return Grant("me", "Me", frozenset(), expires_at=began + float(request.query_params["for"]))

    async with (
        running(Room, tmp_path, auth=auth, hibernate_after=0.05) as run,
        connect(run.url(query="for=3600&_pk=short")) as short,
        connect(run.url(query="for=7200&_pk=long")) as long,
    ):
        await until(lambda: run.host._rooms["room", "lobby"].instance is None)
        assert run.host.connection_count() == 2
        ahead = 3601.0
        with pytest.raises(ConnectionClosed):
            await received(short)
        assert (short.close_code, short.close_reason) == (4401, "the grant expired")
        await (await long.ping())
        assert run.host.connection_count() == 1


@pytest.mark.parametrize("hibernate", [False, True])
@pytest.mark.parametrize("busy", [False, True])
async def test_a_host_that_ends_before_a_peer_answers_still_calls_on_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hibernate: bool, busy: bool
) -> None:
    """Whoever says nothing to the 1012 is dropped. An on_close that awaits runs whole, in a room that slept and behind a hook that hung."""
    monkeypatch.setattr(host_module, "CLOSE_TIME", 2.2)
    log: list[Any] = []
    asked = asyncio.Event()

    class Room(Server):
        async def on_message(self, connection: Connection, message: str | bytes) -> None:
            asked.set()
            await asyncio.Event().wait()

        async def on_close(self, connection: Connection, code: int, reason: str, was_clean: bool) -> None:
            await self.storage.put("left", connection.id)
            log.append((connection.id, code, reason, await self.storage.get("left")))

    Room.hibernate = hibernate
    host = PartyHost({"room": Room}, storage=tmp_path, hibernate_after=0.05)
    async with contextlib.AsyncExitStack() as peer, serve(host, port=0, auth=None) as server:
        async with host:
            raw = await peer.enter_async_context(Raw.to(Running(host, server), "/parties/room/lobby?_pk=me"))
            if busy:
                raw.send(Opcode.TEXT, b"hang")
                await asked.wait()
            elif hibernate:
                await until(lambda: host._rooms["room", "lobby"].instance is None)
        assert log == [("me", 1006, "the server stopped", "me")]


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


async def test_a_hook_that_goes_on_without_its_peer_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log names the on_close that waits and the hook it waits for; that is not cut short, and on_close comes behind it."""
    log: list[Any] = []
    release, answer = asyncio.Event(), asyncio.Event()

    class Room(Recorder):
        async def on_message(self, connection: Connection, message: str | bytes) -> None:
            await {"slow": release, "quick": answer}[str(message)].wait()
            log.append(message)

    Room.log = log
    monkeypatch.setattr(lane, "OVERDUE", 0.05)
    async with running(Room, tmp_path) as run:
        async with run.connect(id="quick") as quick, run.connect(id="slow") as slow:
            await quick.send("quick")
            await slow.send("slow")
            answer.set()
            await until(lambda: log == ["quick"])
            slow.transport.abort()
            await until(lambda: "not ended" in caplog.text)
        release.set()
        await until(lambda: len(log) == 4)
    assert [line.message for line in caplog.records if "not ended" in line.message] == [
        "room room/lobby: on_close of 'slow' waits for its on_message, which has not ended 0.05 s after the peer left: "
        "give what that awaits a timeout"
    ]
    assert log.index("slow") < log.index(("close", "slow", 1006, "", False))
