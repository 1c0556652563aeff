"""Three hundred peers that say whatever comes to their minds, and leave as they like."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from pathlib import Path

import pytest
from websockets.frames import Opcode

from partywidgets.party import Connection, ConnectionContext, Server
from partywidgets.transport.limits import Limits

from ..party.serving import Raw, Running, frame, running, until

CLOSES = (b"", b"\x03\xe8", b"\x03\xe8bye", b"\x0f\xa0", b"\x00")


def utterance(choose: random.Random) -> bytes:
    """A frame of any kind, whole or not, or bytes that are none."""
    kind = choose.random()
    if kind < 0.5:
        opcode = choose.choice([Opcode.TEXT, Opcode.BINARY, Opcode.PING, Opcode.PONG])
        return frame(opcode, b"a" * choose.choice([0, 1, 125]))
    if kind < 0.6:
        return frame(Opcode.TEXT, b"q" * choose.choice([126, 70_000]), fin=choose.random() < 0.5)
    if kind < 0.7:
        return frame(Opcode.CONT, b"z", fin=choose.random() < 0.5)
    if kind < 0.8:
        return frame(Opcode.CLOSE, choose.choice(CLOSES))
    return choose.randbytes(choose.randrange(1, 40))


async def visit(run: Running, choose: random.Random) -> None:
    """One peer, from its handshake to its end."""
    path = f"/parties/room/r{choose.randrange(5)}?_pk=k{choose.randrange(30)}&_pw=1"
    async with Raw.to(run, path) as raw:
        with contextlib.suppress(ConnectionError, TimeoutError):
            for _ in range(choose.randrange(12)):
                raw.writer.write(utterance(choose))
                if choose.random() < 0.3:
                    await asyncio.sleep(choose.random() * 0.02)
            if choose.random() < 0.3:
                async with asyncio.timeout(0.3):
                    await raw.reader.read()
            if choose.random() < 0.5:  # else it is reset
                raw.writer.close()
                await raw.writer.wait_closed()


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_each_leaves_once_and_nothing_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture, seed: int) -> None:
    """Rooms that close, sleep, broadcast, fail and hibernate meanwhile: on_close comes once for each on_connect, and no error is logged."""
    choose = random.Random(seed)
    came: Counter[Connection] = Counter()
    left: Counter[Connection] = Counter()

    class Room(Server):
        hibernate = True
        resumable = True

        def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
            came[connection] += 1

        async def on_message(self, connection: Connection, message: str | bytes) -> None:
            match choose.randrange(6):
                case 0:
                    connection.close(4000)
                case 1:
                    await asyncio.sleep(0.01)
                case 2:
                    self.broadcast(b"x" * len(message))
                case 3:
                    raise RuntimeError("a room's own fault")
                case 4 if connection.ready_state.name == "OPEN":
                    connection.send("y")

        async def on_close(self, connection: Connection, code: int, reason: str, was_clean: bool) -> None:
            left[connection] += 1
            if choose.random() < 0.2:
                await asyncio.sleep(0.02)

        def on_exception(self, error: Exception) -> None:
            assert str(error) == "a room's own fault"

    limits = Limits(ping_interval=0.1, ping_timeout=0.1, close_timeout=0.2, stall=0.3)
    async with running(Room, tmp_path, hibernate_after=0.05, serve_limits=limits) as run:
        for _ in range(6):
            await asyncio.gather(*(visit(run, choose) for _ in range(50)))
        await until(lambda: not any(room.occupants.present for room in run.host._rooms.values()))
        assert run.host.connection_count() == 0
        assert run.host._sockets == {}
    assert left == came
    assert set(left.values()) == {1}
    assert len(left) == 300
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
