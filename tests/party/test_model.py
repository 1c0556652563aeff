"""A room against a model of it: whatever happens in whatever order, frames are in order, none is lost unsaid, on_close comes once."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test
from starlette.requests import HTTPConnection

from partywidgets.exceptions import ConnectionIdError
from partywidgets.party import Batch, Connection, ConnectionContext, Grant, PartyHost, Receiver, Server, resume
from partywidgets.partysocket.resume import Count

IDS = st.sampled_from(["a", "b", "c"])

MAX_FRAMES, MAX_BYTES, MAX_AGE = 60, 200, 120.0
"""Of the room's log of broadcasts: small, so that it is outrun."""


class Peer:
    """A fake socket: a wire on one side, what its client expects to have seen on the other.

    With a count it is a client that resumes; `raw` is then what came on the wire, and `began` where it was before.
    """

    def __init__(self, id: str, tag: str, subject: str, count: Count | None) -> None:
        self.id, self.tag, self.subject, self.count = id, tag, subject, count
        self.query = count.query() if count is not None else {}
        self.began = (count.epoch, count.offset) if count is not None else (None, 0)
        self.raw: list[str | bytes] = []
        self.receiver: Receiver | None = None
        self.got: list[bytes] = []
        self.expected: list[bytes] = []
        self.closed: tuple[int | None, str] | None = None
        self.gone = False

    buffered = 0
    descriptor = -1

    def follow(self, encoded: bytes, taken: int) -> None:
        raise AssertionError("there is no descriptor to follow")

    def write(self, batch: Batch) -> None:
        assert self.closed is None, "a frame after the Close"
        if self.gone:
            return
        for frame in batch.frames:
            if self.count is None:
                self.got.append(frame.payload)
                continue
            sent = frame.payload.decode() if frame.is_text else frame.payload
            self.raw.append(sent)
            message = self.count.take(sent)
            if message is not None:
                self.got.append(message.encode() if isinstance(message, str) else message)

    def seen(self, number: int) -> Count:
        """Where its client is when the first so many frames reached it."""
        count = Count(*self.began)
        count.query()
        for frame in self.raw[:number]:
            count.take(frame)
        return count

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def close(self, code: int | None = None, reason: str = "") -> None:
        assert self.closed is None, "two Closes"
        self.closed = (code, reason)

    def abort(self) -> None:
        self.gone = True


class Room(Server):
    """Does what its messages say; some hooks are plain, some yield."""

    hibernate = True
    resumable = True
    starts: ClassVar[int] = 0
    closed: ClassVar[list[str]] = []
    rings: ClassVar[list[str]] = []
    failures: ClassVar[int] = 0
    now: ClassVar[float] = 0.0

    def on_start(self, props: Any = None) -> None:
        Room.starts += 1

    def get_connection_tags(self, connection: Connection, ctx: ConnectionContext) -> list[str]:
        return [ctx.request.query_params["tag"]]

    async def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
        connection.set_state({"key": ctx.request.query_params["key"]})
        await asyncio.sleep(0)
        connection.send("hello")

    def on_message(self, connection: Connection, message: str | bytes) -> Any:
        assert isinstance(message, str)
        kind, _, text = message.partition(" ")
        if kind == "late":
            return self.later(text)
        if kind == "all":
            self.broadcast(text)
        elif kind == "others":
            self.broadcast(text, without=[connection.id])
        elif kind == "me":
            connection.send(text)
        elif kind == "kick":
            connection.close(4000, "out")
        return None

    async def later(self, text: str) -> None:
        await asyncio.sleep(0)
        self.broadcast(text)

    async def on_close(self, connection: Connection, code: int, reason: str, was_clean: bool) -> None:
        await asyncio.sleep(0)
        assert connection.state is not None
        Room.closed.append(connection.state["key"])

    async def on_alarm(self) -> None:
        await asyncio.sleep(0)
        Room.rings.append(f"alarm {len(Room.rings)}")
        self.broadcast(Room.rings[-1])
        if Room.failures:
            Room.failures -= 1
            raise RuntimeError("not this time")


class Model(RuleBasedStateMachine):
    """Peers come, talk, leave in every way and come back; the room sleeps, wakes and rings; its host ends and another begins."""

    peers = Bundle("peers")
    departed = Bundle("departed")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.open()
        self.everyone: dict[str, Peer] = {}
        self.present: dict[str, Peer] = {}
        self.left: list[str] = []
        self.count = 0
        self.in_tick = False
        self.alarm: float | None = None
        self.epoch: str | None = None
        self.log: list[tuple[str, str | None, float]] = []
        """The broadcasts of the epoch: text, the id left out, when."""
        Room.closed, Room.rings, Room.failures, Room.now = [], [], 0, 0.0

    def open(self) -> None:
        self.host = PartyHost({"room": Room}, storage=Path(self.folder.name), hibernate_after=3600)
        self.run(self.host.__aenter__())
        assert self.host._alarms is not None
        self.host._alarms._retry_base = 0.001

    def run(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(awaitable)

    async def settled(self) -> None:
        self.in_tick = False
        for _ in range(20):
            await asyncio.sleep(0)

    def broadcast(self, text: str, without: str | None = None) -> None:
        """What a broadcast means for everyone who is there, and for those who come back."""
        self.log.append((text, without, Room.now))
        for other in self.present.values():
            if other.id != without:
                other.expected.append(text.encode())

    def kept(self) -> int:
        """How many broadcasts a client may have missed."""
        number = size = 0
        for text, _, at in reversed(self.log):
            size += len(text)
            if number == MAX_FRAMES or size > MAX_BYTES or at < Room.now - MAX_AGE:
                break
            number += 1
        return number

    def look_at_epoch(self) -> None:
        """A new epoch may begin only when nobody could know the old one's broadcasts."""
        room = self.host._rooms.get(("room", "x"))
        if room is not None and room.history is not None and room.history.epoch != self.epoch:
            assert self.epoch is None or (not self.present and not self.kept()), "the log went while it was of use"
            self.epoch, self.log = room.history.epoch, []

    @rule(target=peers, id=IDS, tag=st.sampled_from(["red", "blue"]), other=st.booleans(), counts=st.booleans())
    def join(self, id: str, tag: str, other: bool, counts: bool) -> Any:
        return self.connect(Peer(id, tag, "other" if other and id == "c" else "me", Count() if counts else None))

    @rule(target=peers, key=consumes(departed), unseen=st.integers(0, 5))
    def return_later(self, key: str, unseen: int) -> Any:
        return self.come_back(key, unseen)

    def come_back(self, key: str, unseen: int) -> Any:
        """A client that counts returns; the last frames may have been lost on the way."""
        before = self.everyone[key]
        if before.count is None:
            return key
        return self.connect(Peer(before.id, before.tag, before.subject, before.seen(max(0, len(before.raw) - unseen))))

    @rule(
        target=peers,
        key=consumes(peers),
        number=st.integers(0, 2 * MAX_FRAMES),
        without=st.one_of(st.none(), IDS),
        sleeps=st.booleans(),
        unseen=st.integers(0, 3),
    )
    def be_away(self, key: str, number: int, without: str | None, sleeps: bool, unseen: int) -> Any:
        """A lost connection, broadcasts of the room itself meanwhile, a return."""
        if key not in self.present:
            return key
        self.run(self.settled())
        self.leave(key, "drop")
        instance = self.run(self.host.get_server_by_name("room", "x"))
        self.look_at_epoch()
        for index in range(number):
            self.count += 1
            left_out = without if index % 2 else None
            instance.broadcast(f"{self.count}", [left_out] if left_out else [])
            self.broadcast(f"{self.count}", left_out)
        self.run(self.settled())
        del instance
        if sleeps:
            self.sleep()
        return self.come_back(key, unseen)

    def connect(self, peer: Peer) -> str:
        key = f"{len(self.everyone)}"
        self.everyone[key] = peer
        taken = [known for known in self.present.values() if known.id == peer.id and known.subject != peer.subject]

        def accept(receiver: Receiver) -> Peer:
            peer.receiver = receiver
            return peer

        query = "&".join([f"tag={peer.tag}&key={key}", *(f"{name}={value}" for name, value in peer.query.items() if value is not None)])
        scope = {"type": "websocket", "path": "/", "headers": [], "query_string": query.encode(), "scheme": "ws"}
        self.run(self.settled())
        grant = Grant(peer.subject, peer.subject, frozenset())
        connect = self.host.connect("room", "x", request=HTTPConnection(scope), grant=grant, accept=accept, connection_id=peer.id)
        try:
            self.run(connect)
        except ConnectionIdError:
            assert taken, "refused although the id was free"
            return key
        assert not taken, "an id of another subject was let in"
        self.look_at_epoch()
        self.present[key] = peer
        if peer.count is not None:
            epoch, offset = peer.began
            missed = len(self.log) - offset if epoch == self.epoch else -1
            told = 0 <= missed <= self.kept()
            assert (peer.count.epoch, peer.count.recovered, peer.count.offset) == (self.epoch, told, len(self.log))
            peer.expected += [text.encode() for text, without, _ in self.log[offset:] if told and without != peer.id]
        peer.expected.append(b"hello")
        return key

    @rule(key=peers, kind=st.sampled_from(["all", "late", "others", "me"]), wait=st.booleans())
    def talk(self, key: str, kind: str, wait: bool) -> None:
        peer = self.present.get(key)
        if peer is None:
            return
        self.count += 1
        text = str(self.count)
        assert peer.receiver is not None
        peer.receiver.message_received(f"{kind} {text}")
        # One at a time: between connections the order of async hooks is nobody's promise. Plain ones may stay within one tick.
        asleep = self.host._rooms["room", "x"].instance is None
        self.in_tick = not wait and kind != "late" and not asleep
        if not self.in_tick:
            self.run(self.settled())
        if kind == "me":
            peer.expected.append(text.encode())
        else:
            self.broadcast(text, peer.id if kind == "others" else None)

    @rule(key=peers, number=st.integers(2, 100))
    def talk_fast(self, key: str, number: int) -> None:
        peer = self.present.get(key)
        if peer is None:
            return
        assert peer.receiver is not None
        self.run(self.settled())
        for index in range(number):
            self.count += 1
            peer.receiver.message_received(f"{'late' if index % 3 == 0 else 'all'} {self.count}")
            self.broadcast(str(self.count))
        for _ in range(number // 5 + 1):
            self.run(self.settled())

    @rule(target=departed, key=consumes(peers), how=st.sampled_from(["close", "drop", "kick", "error", "close and drop"]))
    def depart(self, key: str, how: str) -> Any:
        self.leave(key, how)
        return key

    def leave(self, key: str, how: str) -> None:
        peer = self.present.pop(key, None)
        if peer is None:
            return
        receiver = peer.receiver
        assert receiver is not None
        self.left.append(key)
        if how == "kick":
            receiver.message_received("kick")
            self.run(self.settled())
            assert peer.closed == (4000, "out")
            receiver.message_received("all never")
            receiver.lost(4000, "")
        elif how == "drop":
            peer.gone = True
            receiver.lost(1006, "")
        elif how == "error":
            receiver.failed(ValueError("opcode"))
            receiver.lost(1006, "")
        else:
            receiver.close_received(1000, "bye")
            if how == "close":
                self.run(self.settled())
                assert peer.closed == (1000, "bye")
            receiver.lost(1000, "bye")
        self.run(self.settled())
        self.run(self.settled())

    @rule()
    def doze(self) -> None:
        self.sleep()

    def sleep(self) -> None:
        room = self.host._rooms.get(("room", "x"))
        if room is not None and room.instance is not None:
            self.run(self.settled())
            self.run(room.sleep())

    @rule(seconds=st.sampled_from([50.0, 121.0]))
    def time_passes(self, seconds: float) -> None:
        self.run(self.settled())
        Room.now += seconds

    @rule(failures=st.integers(0, 2))
    def ring(self, failures: int) -> None:
        """An alarm that is due rings at once, awake or asleep, until its hook succeeds."""
        self.run(self.settled())
        Room.failures, before = failures, len(Room.rings)
        self.run(self.host.room_storage("room", "x").set_alarm(0.0))
        self.rung(before, failures + 1)

    @rule(set=st.booleans())
    def set_or_delete_alarm(self, set: bool) -> None:
        self.run(self.settled())
        storage = self.host.room_storage("room", "x")
        self.alarm = time.time() + 3600 if set else None
        self.run(storage.delete_alarm() if self.alarm is None else storage.set_alarm(self.alarm))
        assert self.run(storage.get_alarm()) == self.alarm

    @rule(due=st.booleans())
    def restart(self, due: bool) -> None:
        """Another host on the same files: sockets and broadcasts are gone, an alarm that came due meanwhile rings."""
        for key in list(self.present):
            self.left.append(key)
            self._drop(key)
        self.run(self.host.__aexit__(None, None, None))
        self.epoch, self.log = None, []
        before = len(Room.rings)
        due = due and self.alarm is not None
        if due:
            with contextlib.closing(sqlite3.connect(Path(self.folder.name) / "host.sqlite3")) as database, database:
                database.execute("UPDATE alarms SET due = 0")
        self.open()
        if due:
            self.rung(before, 1)
        assert self.run(self.host.room_storage("room", "x").get_alarm()) == self.alarm

    def rung(self, before: int, times: int) -> None:
        """Waits for so many attempts, and the end of the alarm."""
        alarms = self.host._alarms
        assert alarms is not None

        async def wait() -> None:
            async with asyncio.timeout(30):
                while len(Room.rings) < before + times or alarms._ringing:
                    await asyncio.sleep(0.0005)
            await self.settled()

        self.run(wait())
        self.alarm = None
        assert self.run(self.host.room_storage("room", "x").get_alarm()) is None
        assert len(Room.rings) == before + times
        self.look_at_epoch()
        for text in Room.rings[before:]:
            self.broadcast(text)

    @invariant()
    def frames_are_as_expected(self) -> None:
        for key, peer in self.everyone.items():
            if not peer.gone and (key in self.present or key in self.left):
                assert peer.got == (peer.expected[: len(peer.got)] if self.in_tick else peer.expected)

    @invariant()
    def on_close_came_once(self) -> None:
        assert sorted(Room.closed) == sorted(self.left)

    @invariant()
    def lists_are_right(self) -> None:
        room = self.host._rooms.get(("room", "x"))
        if room is None:
            assert not self.present
            return
        assert [connection.id for connection in room.occupants.listed()] == [peer.id for peer in self.present.values()]
        for tag in ("red", "blue", "a"):
            expected = [peer.id for peer in self.present.values() if tag in (peer.tag, peer.id)]
            assert [connection.id for connection in room.occupants.listed(tag)] == expected
        assert all(connection.state is not None for connection in room.occupants.listed())

    def teardown(self) -> None:
        for key in list(self.present):
            self._drop(key)
        self.run(self.host.__aexit__(None, None, None))
        self.loop.close()
        self.folder.cleanup()

    def _drop(self, key: str) -> None:
        peer = self.present.pop(key)
        assert peer.receiver is not None
        peer.gone = True
        peer.receiver.lost(1006, "")
        self.run(self.settled())


def kept(monkeypatch: pytest.MonkeyPatch, examples: int) -> None:
    """So many runs of up to 50 steps, on a clock of their own."""
    small = functools.partial(resume.History, max_frames=MAX_FRAMES, max_bytes=MAX_BYTES, max_age=MAX_AGE, clock=lambda: Room.now)
    monkeypatch.setattr(resume, "History", small)
    run_state_machine_as_test(
        Model,
        settings=settings(max_examples=examples, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)),
    )


def test_the_room_keeps_its_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    """50 runs of up to 50 steps."""
    kept(monkeypatch, 50)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_room_keeps_its_promises_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """200 runs of up to 50 steps."""
    kept(monkeypatch, 200)
