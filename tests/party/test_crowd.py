"""Members written to past their wires: whoever falls behind, pings, leaves or comes gets exactly its messages, in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import uvloop
from websockets.frames import Opcode

from partywidgets.party import Connection, Server
from partywidgets.party.io_uring import Ring, open_ring
from partywidgets.party.sender import MANY, Sender, write_each
from partywidgets.transport.limits import Limits

from .serving import Raw, running, until

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
WriteEach = Callable[[Sequence[int], bytes], list[tuple[int, int]]]
ROUNDS = 201
LONG = b"x" * 100_000


class Hall(Server):
    """Tells everyone a number, with something long behind it; a message leaves out those that it names."""

    here: Hall

    def on_start(self, props: object = None) -> None:
        Hall.here = self

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        connection.send(message)


async def numbers(raw: Raw) -> tuple[list[int], int]:
    """All numbers up to the last, and how many pongs and echoes came between."""
    got: list[int] = []
    others = 0
    while not got or got[-1] != ROUNDS - 1:
        opcode, payload = await raw.frame()
        if opcode is Opcode.BINARY and payload.endswith(LONG):
            got.append(int(payload[:6]))
        else:
            others += 1
    return got, others


async def crowd(folder: Path) -> None:
    """Ten who read, two who do not for a while, one who pings and talks, one left out now and then, some who come and go."""
    limits = Limits(stall=30.0)
    async with running(Hall, folder, slow_consumer_cap=1 << 30, serve_limits=limits) as here, contextlib.AsyncExitStack() as stack:

        async def enter(name: str) -> Raw:
            return await stack.enter_async_context(Raw.to(here, f"/parties/room/lobby?_pk={name}"))

        quick = [await enter(f"quick{number}") for number in range(10)]
        slow = [await enter(f"slow{number}") for number in range(2)]
        talker, missing = await enter("talker"), await enter("missing")
        for raw in slow:
            assert isinstance(raw.reader, asyncio.StreamReader)
            raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
        reading = [asyncio.create_task(numbers(raw)) for raw in (*quick, talker, missing)]
        for number in range(ROUNDS):
            Hall.here.broadcast(b"%06d" % number + LONG, without=["missing"] if number % 3 == 1 else ())
            if number % 7 == 0:
                talker.send(Opcode.PING, b"p" * 100)
                talker.send(Opcode.TEXT, b"hello")
            if number % 50 == 10:
                guest = await enter(f"guest{number}")
                guest.writer.transport.abort()
            await asyncio.sleep(0)
            if number == ROUNDS // 2:
                connection = Hall.here.get_connection("slow0")
                assert connection is not None
                assert connection.buffered > 0
                for raw in slow:
                    raw.writer.transport.resume_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(30):
            late = await asyncio.gather(*map(numbers, slow))
            got = await asyncio.gather(*reading)
        everything = list(range(ROUNDS))
        assert [numbers for numbers, _ in (*got[:-1], *late)] == [everything] * 13
        assert got[-2][1] == 2 * len(range(0, ROUNDS, 7))
        assert got[-1][0] == [number for number in everything if number % 3 != 1]
        # Nobody is behind any more: all are written to directly again.
        Hall.here.broadcast(b"once more")
        await asyncio.sleep(0)
        Hall.here.broadcast(b"and again")
        await asyncio.sleep(0)
        fanout = Hall.here._room.fanout
        await until(lambda: len(fanout.members) == 14)
        fanout.flush()
        Hall.here.broadcast(b"the last")
        fanout.flush()
        assert fanout._crowd is not None
        assert len(fanout._crowd.direct) == 14


@pytest.mark.parametrize("many", [1, MANY], ids=["ring", "loop"])
@pytest.mark.parametrize("loop", LOOPS)
def test_everyone_gets_its_messages_in_order(loop: str, many: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers, stalled readers, pings between broadcasts, exclusions, guests: each gets all that is its own, once, in order."""
    monkeypatch.setattr("partywidgets.party.sender.MANY", many)
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(crowd(tmp_path))


@pytest.fixture(params=["loop", "ring"])
def writer(request: pytest.FixtureRequest) -> Iterator[WriteEach]:
    """Both ways of writing to many sockets; the second with a ring so small that it wraps."""
    if request.param == "loop":
        yield write_each
        return
    ring = open_ring()
    if ring is None:
        pytest.skip("this kernel has no io_uring for this process")
    ring.close()
    ring = Ring(16)
    yield ring.write_each
    ring.close()


def test_a_full_socket_and_a_closed_one_are_told_apart_from_the_rest(writer: WriteEach) -> None:
    """What a socket did not take is said for it alone, what it took in part is counted, an error counts as nothing taken."""
    pairs = [socket.socketpair() for _ in range(4)]
    for ours, _ in pairs:
        ours.setblocking(False)
    pairs[1][1].close()
    with contextlib.suppress(BlockingIOError):
        while True:
            pairs[2][0].send(b"x" * 65536)
    descriptors = [ours.fileno() for ours, _ in pairs]
    try:
        assert writer(descriptors, b"hello") == [(descriptors[1], 0), (descriptors[2], 0)]
        assert os.read(pairs[0][1].fileno(), 100) == b"hello"
        assert os.read(pairs[3][1].fileno(), 100) == b"hello"
        long = os.urandom(4 * 1024 * 1024)
        (again, taken), *_ = writer([descriptors[0]], long)
        assert again == descriptors[0]
        assert 0 < taken < len(long)
        got = b""
        while len(got) < taken:
            got += os.read(pairs[0][1].fileno(), 1 << 20)
        assert got == long[:taken]
    finally:
        for pair in pairs:
            for end in pair:
                end.close()


def test_many_sockets_many_times(writer: WriteEach) -> None:
    """More sockets than a ring has places, in any number, the same and others, a thousand times over: everyone gets everything."""
    choose = random.Random(7)
    pairs = [socket.socketpair() for _ in range(40)]
    for ours, _ in pairs:
        ours.setblocking(False)
    try:
        for number in range(1000):
            some = choose.sample(pairs, choose.randrange(len(pairs) + 1))
            message = str(number).encode() * choose.randrange(1, 200)
            for again in (message, message[::-1], message + b"!"):
                assert writer([ours.fileno() for ours, _ in some], again) == []
                for _, theirs in some:
                    assert theirs.recv(4096) == again
    finally:
        for pair in pairs:
            for end in pair:
                end.close()


def test_a_host_may_be_told_to_use_no_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    """By an argument, or in the environment where there is none."""
    monkeypatch.setattr("partywidgets.party.sender.MANY", 1)
    monkeypatch.setattr("partywidgets.party.io_uring.open_ring", lambda: pytest.fail("a ring was opened"))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        Sender(io_uring=False).write_each([ours.fileno()], b"a")
        monkeypatch.setenv("PARTYWIDGETS_IO_URING", "0")
        Sender().write_each([ours.fileno()], b"b")
        assert theirs.recv(10) == b"ab"


async def test_whoever_leaves_is_not_written_to_under_the_number_of_its_socket(tmp_path: Path) -> None:
    """A descriptor that the system gives to the next visitor of another room carries nothing of the room that was left."""
    async with running(Hall, tmp_path) as here, Raw.to(here, "/parties/room/one?_pk=stays") as stays:
        one = Hall.here
        for _ in range(20):
            async with Raw.to(here, "/parties/room/one?_pk=leaves") as leaves:
                one.broadcast(b"for one")
                assert (await leaves.frame())[1] == b"for one"
                assert (await stays.frame())[1] == b"for one"
            async with Raw.to(here, "/parties/room/two?_pk=other") as other:
                one.broadcast(b"for one")
                assert (await stays.frame())[1] == b"for one"
                other.send(Opcode.TEXT, b"echo")
                assert (await other.frame())[1] == b"echo"
