"""Frames of one tick: encoded once, joined once, written once a socket; and never more than the cap for one that does not read."""

from __future__ import annotations

import asyncio
import random

from partywidgets.party.fanout import FLUSH_BYTES, Fanout, Held, Outlet
from partywidgets.party.wire import Batch, Frame


class Recorded:
    """A wire that keeps what it was given."""

    def __init__(self, buffered: int = 0) -> None:
        self.batches: list[Batch] = []
        self.buffered = buffered
        self.aborted = False

    @property
    def payloads(self) -> list[bytes]:
        return [frame.payload for batch in self.batches for frame in batch.frames]

    def write(self, batch: Batch) -> None:
        self.batches.append(batch)

    @property
    def descriptor(self) -> int:
        return -1

    def follow(self, encoded: bytes, taken: int) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def close(self, code: int | None = None, reason: str = "") -> None: ...

    def abort(self) -> None:
        self.aborted = True


async def test_one_batch_is_shared_by_all_with_the_same_frames() -> None:
    """Three broadcasts of a tick are one write of the same bytes object for everyone."""
    fanout = Fanout(asyncio.get_running_loop(), place="room")
    wires = [Recorded() for _ in range(3)]
    for wire in wires:
        fanout.add(Outlet(wire))
    for text in ("a", "b", "c"):
        fanout.broadcast(Frame(text))
    assert wires[0].batches == []
    await asyncio.sleep(0)
    assert all(len(wire.batches) == 1 for wire in wires)
    assert wires[0].batches[0] is wires[1].batches[0] is wires[2].batches[0]
    assert wires[0].batches[0].encoded == b"\x81\x01a\x81\x01b\x81\x01c"


async def test_random_ticks_against_a_plain_model() -> None:
    """Any mix of broadcasts, exclusions, unicasts, joins and leaves gives each member exactly its frames, in order."""
    choose = random.Random(20261123)
    for _ in range(300):
        fanout = Fanout(asyncio.get_running_loop(), place="room", cap=1 << 40)
        expected: dict[Outlet, list[bytes]] = {}
        wires: dict[Outlet, Recorded] = {}
        present: list[Outlet] = []
        for step in range(choose.randrange(1, 40)):
            kind = choose.choice(["join", "broadcast", "broadcast", "without", "send", "leave", "tick", "one"])
            if kind == "join" or not present:
                wire = Recorded()
                outlet = Outlet(wire)
                wires[outlet], expected[outlet] = wire, []
                present.append(outlet)
                fanout.add(outlet)
                continue
            some = choose.choice(present)
            payload = str(step).encode() * choose.choice([1, 1, 1, FLUSH_BYTES])
            if kind == "leave":
                fanout.remove(some)
                present.remove(some)
                assert wires[some].payloads == expected[some]
            elif kind == "tick":
                await asyncio.sleep(0)
            elif kind == "one":
                fanout.flush_one(some)
            elif kind == "send":
                fanout.send(some, Frame(payload))
                expected[some].append(payload)
            else:
                without = choose.sample(present, choose.randrange(1, len(present) + 1)) if kind == "without" else []
                fanout.broadcast(Frame(payload), without)
                for outlet in present:
                    if outlet not in without:
                        expected[outlet].append(payload)
        await asyncio.sleep(0)
        assert {outlet: wire.payloads for outlet, wire in wires.items()} == expected


async def test_a_member_over_its_cap_is_cut_and_the_others_are_not() -> None:
    """A wire that would hold more than the cap unread is aborted; an empty one may take a frame larger than it."""
    fanout = Fanout(asyncio.get_running_loop(), place="room", cap=1000)
    full, fine, empty = Recorded(buffered=600), Recorded(buffered=400), Recorded()
    for wire in (full, fine, empty):
        fanout.add(Outlet(wire))
    fanout.broadcast(Frame(b"x" * 500))
    await asyncio.sleep(0)
    assert (full.aborted, fine.aborted, empty.aborted) == (True, False, False)
    assert (len(full.batches), len(fine.batches), len(empty.batches)) == (0, 1, 1)
    fine.buffered = 0
    fanout.broadcast(Frame(b"x" * 5000))
    await asyncio.sleep(0)
    assert not fine.aborted
    assert len(fine.batches) == 2


async def test_much_is_not_held_back_for_the_end_of_the_tick() -> None:
    """Beyond 256 KiB a flush is at once."""
    fanout = Fanout(asyncio.get_running_loop(), place="room", cap=1 << 40)
    wire = Recorded()
    outlet = Outlet(wire)
    fanout.add(outlet)
    fanout.broadcast(Frame(b"x" * (FLUSH_BYTES + 1)))
    assert len(wire.batches) == 1
    fanout.send(outlet, Frame(b"x" * (FLUSH_BYTES + 1)))
    assert len(wire.batches) == 2


def test_a_held_wire_keeps_frames_until_it_is_closed() -> None:
    """What was sent before the handshake was done, and how it is to end."""
    held = Held()
    held.write(Batch((Frame("a"), Frame(b"bc"))))
    assert (held.buffered, len(held.frames)) == (3, 2)
    held.close(4000, "x")
    held.close(4001, "y")
    held.write(Batch((Frame("late"),)))
    assert (held.close_args, len(held.frames)) == ((4000, "x"), 2)
