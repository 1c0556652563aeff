"""Every way in which a connection ends: once, with its code."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode

from partywidgets.exceptions import ConnectionClosedError
from partywidgets.party import Connection, ConnectionContext, ReadyState, Server

from .serving import Raw, Recorder, received, running, until


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
