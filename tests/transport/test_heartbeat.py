"""Pings into silence: who is gone is found, who is busy is left alone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from websockets.frames import Opcode

from partywidgets.party import Connection
from partywidgets.transport import keepalive, silence
from partywidgets.transport.limits import Limits
from partywidgets.transport.websocket import WebSocket

from ..party.serving import Raw, Recorder, frame, is_paused, running, until
from .lit import ROOT, WAIT, Lit, lit

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when unread data came")


async def test_a_silent_peer_is_pinged_and_cut(tmp_path: Path) -> None:
    """No byte for ping_interval: a ping. None for ping_timeout after it: 1006. Any byte is a sign of life."""
    log: list[Any] = []

    class Room(Recorder):
        pass

    Room.log = log
    limits = Limits(ping_interval=0.05, ping_timeout=3.0)
    async with running(Room, tmp_path, serve_limits=limits) as run, run.connect(id="alive", ping_interval=None) as alive:
        async with Raw.to(run, "/parties/room/lobby?_pk=silent") as raw:
            assert (await raw.frame())[0] is Opcode.PING
            await until(lambda: len(log) == 1)
            assert await raw.rest() == b""
        assert log[0][:3] == ("close", "silent", 1006)
        assert run.host.connection_count() == 1
        await alive.send("x")


async def test_silence_is_counted_from_the_last_byte(tmp_path: Path) -> None:
    """However busy a peer was before: with pings 10/10 it is looked at ten seconds after its last byte, and cut after twenty."""
    limits = Limits(ping_interval=10.0, ping_timeout=10.0)
    async with running(Recorder, tmp_path, serve_limits=limits) as run, Raw.to(run, "/parties/room/lobby?_pk=busy") as raw:
        [connection] = run.host._rooms["room", "lobby"].occupants.listed()
        wire = connection.wire
        assert isinstance(wire, WebSocket)
        watch, loop = wire._keepalive, asyncio.get_running_loop()
        for pinged in (False, True):
            raw.send(Opcode.TEXT, b"x")
            before = watch.heard_at
            while watch.heard_at == before:
                await asyncio.sleep(0)
            assert watch.timer is not None
            watch.timer.cancel()
            watch.heard_at -= 4.0 if not pinged else 10.0  # as if the look came so much later
            watch.look()
            assert watch.timer.when() == pytest.approx(watch.heard_at + 10.0 if not pinged else loop.time() + 10.0, abs=1.0)
        assert (await raw.frame())[0] is Opcode.PING
        assert watch.timer is not None
        watch.timer.cancel()
        watch.heard_at -= 10.0
        watch.pinged_at -= 10.0
        watch.look()
        assert await raw.rest() == b""


class Busy(Recorder):
    """Handles nothing until it may, so that whoever sends much is paused; then sends back what came."""

    go: ClassVar[asyncio.Event]

    async def on_message(self, connection: Connection, message: str | bytes) -> None:
        await self.go.wait()
        connection.send(message)


@pytest.mark.parametrize("ending", ["reset", "leaves"])
async def test_a_dead_peer_of_a_paused_socket_is_noticed(tmp_path: Path, ending: str) -> None:
    """Its room reads nothing from it and sends it nothing: it is out of the room all the same, and on_close comes once, in its turn."""
    log: list[Any] = []

    class Room(Busy):
        pass

    Room.log, Room.go = log, asyncio.Event()
    limits = Limits(ping_interval=0.05, ping_timeout=0.05)
    async with running(Room, tmp_path, serve_limits=limits) as run:
        async with Raw.to(run, "/parties/room/lobby?_pk=me") as raw:
            [connection] = run.host._rooms["room", "lobby"].occupants.listed()
            raw.writer.write(frame(Opcode.TEXT, b"x") * 500)
            await until(lambda: is_paused(connection))
            if ending == "reset":
                raw.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await until(lambda: run.host.connection_count() == 0)
        assert log == []
        Room.go.set()
        await until(lambda: len(log) == 1)
        assert log[0][:3] == ("close", "me", 1006)
        assert not run.host._rooms["room", "lobby"].occupants.present


async def test_a_living_peer_of_a_paused_socket_is_left_alone(tmp_path: Path) -> None:
    """However many pings it gets meanwhile: when its room reads on, it is answered, every message in order."""

    class Room(Busy):
        pass

    Room.go = asyncio.Event()
    limits = Limits(ping_interval=0.1, ping_timeout=2.5)
    async with running(Room, tmp_path, serve_limits=limits) as run, Raw.to(run, "/parties/room/lobby?_pk=me") as raw:
        raw.writer.write(b"".join(frame(Opcode.TEXT, str(number).encode()) for number in range(500)))
        for _ in range(3):
            assert await raw.frame() == (Opcode.PING, b"pw")
            raw.send(Opcode.PONG, b"pw")
        Room.go.set()
        came: list[int] = []
        while len(came) < 500:
            opcode, payload = await raw.frame()
            if opcode is Opcode.PING:
                raw.send(Opcode.PONG, payload)
            else:
                came.append(int(payload))
        assert came == list(range(500))
        assert run.host.connection_count() == 1


@pytest.mark.parametrize("held_back", [False, pytest.param(True, marks=linux)], ids=["read", "held back"])
async def test_the_next_ping_follows_the_answer(tmp_path: Path, held_back: bool) -> None:
    """By ping_interval, however much longer ping_timeout is: who is gone is found when both are over, not when the longer is over twice."""

    class Room(Busy):
        pass

    Room.log, Room.go = [], asyncio.Event()
    limits = Limits(ping_interval=0.1, ping_timeout=3600.0)
    async with running(Room, tmp_path, serve_limits=limits) as run, Raw.to(run, "/parties/room/lobby?_pk=me") as raw:
        if held_back:
            [connection] = run.host._rooms["room", "lobby"].occupants.listed()
            raw.writer.write(frame(Opcode.TEXT, b"x") * 500)
            await until(lambda: is_paused(connection))
        for _ in range(3):
            assert await raw.frame() == (Opcode.PING, b"pw")
            raw.send(Opcode.PONG, b"pw")
        Room.go.set()


@contextlib.asynccontextmanager
async def hearing(beacon: Lit, count: int, size: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """A client of the beacon's room, in whose first message the room hangs, with `count` further ones of `size` bytes."""
    command = (sys.executable, "-m", "tests.transport.hearer", str(beacon.port), str(count), str(size))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(WAIT):
            while (await beacon.look())["paused"] != ["hearer"]:
                await asyncio.sleep(0.05)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@linux
async def test_a_program_that_stops_while_its_room_reads_nothing(tmp_path: Path) -> None:
    """Its machine answers in TCP, its pongs are never read: it stays for as long as it answers pings, and is cut once it is stopped."""
    # Pinged often, and given a time in which a client that lives answers on a machine that is busy as well.
    options = ("--ping", "0.5", "--ping-timeout", "5", "--period", "3600")
    async with lit(tmp_path, *options) as beacon, beacon.connect("other"), hearing(beacon, 200, 1) as hearer:
        assert hearer.stdout is not None
        for _ in range(2):
            async with asyncio.timeout(WAIT):
                assert await hearer.stdout.readline() == b"ping\n"
        assert "hearer" in (await beacon.look())["ids"]
        os.kill(hearer.pid, signal.SIGSTOP)
        await beacon.until(["other"])


@linux
async def test_a_program_that_stops_behind_a_full_buffer(tmp_path: Path) -> None:
    """No pong of it could come through: it is cut when its room has taken nothing from it for long, and the log names both."""
    log_file = tmp_path / "log"
    with log_file.open("wb") as log:
        # The other, whose process is this one, may be late with its pongs.
        options = ("--ping", "1.5", "--ping-timeout", "30", "--period", "3600", "--held-back", "2")
        async with lit(tmp_path / "rooms", *options, log=log) as beacon, beacon.connect("other"), hearing(beacon, 100, 65_536) as hearer:
            os.kill(hearer.pid, signal.SIGSTOP)
            await beacon.until(["other"])
    assert "<Connection 'hearer' of room beacon/r OPEN>: its room took nothing from it for 2 s" in log_file.read_text()


@linux
async def test_a_room_that_takes_one_after_the_other_holds_nobody_back(tmp_path: Path) -> None:
    """However long a full buffer lasts, each message that its room takes begins the time anew; without one it ends."""
    taken: list[int] = []

    class Room(Recorder):
        one = asyncio.Semaphore(0)

        async def on_message(self, connection: Connection, message: str | bytes) -> None:
            await self.one.acquire()
            taken.append(len(message))

    Room.log = []
    async with running(Room, tmp_path, serve_limits=Limits(ping_interval=0.05)) as run, Raw.to(run, "/parties/room/lobby?_pk=me") as raw:
        [connection] = run.host._rooms["room", "lobby"].occupants.listed()
        wire = connection.wire
        assert isinstance(wire, WebSocket)
        raw.writer.write(frame(Opcode.BINARY, b"x" * 65_536) * 200)
        await until(lambda: is_paused(connection))
        await until(lambda: wire._transport is not None and silence.has_room(wire._transport.get_extra_info("socket")) is False)
        watch = wire._keepalive
        for _ in range(3):
            watch.held_back_at -= keepalive.HELD_BACK - 5.0
            before, count = watch.held_back_at, len(taken)
            Room.one.release()
            await until(lambda count=count: len(taken) > count)  # type: ignore[misc]
            assert watch.held_back_at > before
            watch.look()
        assert run.host.connection_count() == 1
        watch.held_back_at -= keepalive.HELD_BACK
        await until(lambda: run.host.connection_count() == 0)
        for _ in range(200):
            Room.one.release()
        await until(lambda: len(Room.log) == 1)
