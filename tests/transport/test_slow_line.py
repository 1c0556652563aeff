"""A peer on a slow line is left alone for as long as its machine takes what was sent to it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from partywidgets.party import Connection
from partywidgets.transport import silence
from partywidgets.transport.draining import FLOOR, Draining
from partywidgets.transport.limits import Limits
from partywidgets.transport.websocket import WebSocket

from ..party.serving import Recorder, running
from ..slow_line import SlowLine
from .lit import lit
from .test_stopped_viewer import viewer

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a peer has acknowledged")
MESSAGE = bytes(160_000)


@linux
async def test_the_kernel_counts_what_was_acknowledged() -> None:
    """Both numbers together are what was sent: the one grows as the peer takes it, of the other what it cannot take is left."""
    near, far = await asyncio.to_thread(_pair)
    with near, far:
        near.setblocking(False)
        before = silence.acknowledged(near)
        assert before is not None
        sent = near.send(bytes(8 << 20))

        def counted() -> tuple[int, int]:
            got, left = silence.acknowledged(near), silence.under_way(near)
            assert got is not None
            assert left is not None
            return got - before, left

        async with asyncio.timeout(20):
            while sum(counted()) != sent or not all(counted()):
                await asyncio.sleep(0.01)
            left = sent
            while left:
                left -= len(far.recv(1 << 20))
            while counted() != (sent, 0):
                await asyncio.sleep(0.01)
    assert silence.acknowledged(near) is None
    unix, other = socket.socketpair()
    with unix, other:
        assert silence.acknowledged(unix) is None
        assert silence.under_way(unix) is None


def _pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        return near, listening.accept()[0]


def test_progress_is_what_the_kernel_takes_or_enough_that_is_acknowledged() -> None:
    """Any byte that left our buffer counts; of what is acknowledged `FLOOR` bytes for each second since the last progress."""
    draining = Draining(100.0, 1000, 5000)
    assert not draining.moved(101.0, 1000, 5000)
    assert draining.moved(102.0, 1001, 5000)
    assert draining.since == 102.0
    assert not draining.moved(103.0, 1001, 5000 + FLOOR - 1)
    assert not draining.moved(104.0, 1001, 5000 + 2 * FLOOR - 1)
    assert draining.moved(105.0, 1001, 5000 + 3 * FLOOR)
    assert draining.since == 105.0
    assert not draining.moved(105.0, 1001, 5000 + 3 * FLOOR)


def test_a_byte_now_and_then_is_no_progress() -> None:
    """Who acknowledges less than the floor holds what waits for it no longer than who takes nothing."""
    draining = Draining(0.0, 0, 0)
    assert not any(draining.moved(second, 0, second * (FLOOR - 1)) for second in range(1, 3600))
    assert draining.since == 0.0


def test_without_the_kernel_s_word_only_our_buffer_counts() -> None:
    """Where it tells nothing, or not always, it is as if nothing was acknowledged."""
    for first, later in ((None, None), (None, 1 << 20), (0, None)):
        draining = Draining(0.0, 0, first)
        assert not draining.moved(1.0, 0, later)
        assert draining.moved(2.0, 1, later)


class Telling(Recorder):
    """Tells much at once to whoever asks."""

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        wire = connection.wire
        assert isinstance(wire, WebSocket)
        # What the kernel takes of it stays far behind what the line brings in `stall`.
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 50_000)
        connection.send(MESSAGE)


@linux
async def test_a_message_over_a_slow_line_comes_in(tmp_path: Path) -> None:
    """Though our buffer is as full as before for longer than `stall`, and a ping waits behind the message for longer than its time."""
    Telling.log = []
    limits = Limits(stall=1.0, ping_interval=0.5, ping_timeout=1.0)
    async with running(Telling, tmp_path, serve_limits=limits) as run, SlowLine.before(run.server.port, rate=20_000) as line:
        over = run.connect(host="127.0.0.1", port=line.port, ping_interval=None, proxy=None)
        async with asyncio.timeout(60), over as client:
            await client.send("tell")
            assert await client.recv() == MESSAGE
        assert [entry for entry in Telling.log if entry[0] == "close" and entry[2] == 1006] == []


@linux
async def test_a_program_that_stops_on_a_machine_that_takes_everything(tmp_path: Path) -> None:
    """Its kernel acknowledges what the room goes on telling, and the ping with it: it is cut all the same."""
    async with lit(tmp_path, "--ping", "1.5", "--period", "0.02", "--size", "1000") as beacon, beacon.connect("other") as other:
        reading = asyncio.ensure_future(_read(other))
        async with viewer(beacon, "stopped") as process:
            await beacon.until(["other", "stopped"])
            os.kill(process.pid, signal.SIGSTOP)
            await beacon.until(["other"])
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _read(client: ClientConnection) -> None:
    with suppress(ConnectionClosed):
        async for _ in client:
            pass
