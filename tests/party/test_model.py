"""A room against a model of it: whatever happens in whatever order, frames are in order, none is lost, on_close comes once."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test
from starlette.requests import HTTPConnection

from partywidgets.exceptions import ConnectionIdError
from partywidgets.party import Batch, Connection, ConnectionContext, Grant, PartyHost, Receiver, Server

IDS = st.sampled_from(["a", "b", "c"])


class Peer:
    """A fake socket: a wire on one side, what its client expects to have seen on the other."""

    def __init__(self, id: str, tag: str) -> None:
        self.id, self.tag = id, tag
        self.receiver: Receiver | None = None
        self.got: list[bytes] = []
        self.expected: list[bytes] = []
        self.closed: tuple[int | None, str] | None = None
        self.gone = False

    buffered = 0

    def write(self, batch: Batch) -> None:
        assert self.closed is None, "a frame after the Close"
        if not self.gone:
            self.got += [frame.payload for frame in batch.frames]

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
    starts: ClassVar[int] = 0
    closed: ClassVar[list[str]] = []

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
        Room.closed.append(connection.state["key"])


class Model(RuleBasedStateMachine):
    """Peers come, talk, leave in every way; the room sleeps and wakes."""

    peers = Bundle("peers")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.host = PartyHost({"room": Room}, storage=Path(self.folder.name), hibernate_after=3600)
        self.run(self.host.__aenter__())
        self.everyone: dict[str, Peer] = {}
        self.present: dict[str, Peer] = {}
        self.left: list[str] = []
        self.count = 0
        self.in_tick = False
        Room.closed = []

    def run(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(awaitable)

    async def settled(self) -> None:
        self.in_tick = False
        for _ in range(20):
            await asyncio.sleep(0)

    @rule(target=peers, id=IDS, tag=st.sampled_from(["red", "blue"]), other=st.booleans())
    def join(self, id: str, tag: str, other: bool) -> Any:
        key = f"{len(self.everyone)}"
        peer = Peer(id, tag)
        self.everyone[key] = peer
        subject = "other" if other and id == "c" else "me"
        taken = [known for known in self.present.values() if known.id == id and getattr(known, "subject", subject) != subject]
        peer.subject = subject  # type: ignore[attr-defined]

        def accept(receiver: Receiver) -> Peer:
            peer.receiver = receiver
            return peer

        scope = {"type": "websocket", "path": "/", "headers": [], "query_string": f"tag={tag}&key={key}".encode(), "scheme": "ws"}
        self.run(self.settled())
        connect = self.host.connect(
            "room", "x", request=HTTPConnection(scope), grant=Grant(subject, subject, frozenset()), accept=accept, connection_id=id
        )
        try:
            self.run(connect)
        except ConnectionIdError:
            assert taken, "refused although the id was free"
            return key
        assert not taken, "an id of another subject was let in"
        self.present[key] = peer
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
        for other in self.present.values():
            if kind in ("all", "late") or (kind == "others" and other.id != peer.id) or (kind == "me" and other is peer):
                other.expected.append(text.encode())

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
            for other in self.present.values():
                other.expected.append(str(self.count).encode())
        for _ in range(number // 5 + 1):
            self.run(self.settled())

    @rule(key=consumes(peers), how=st.sampled_from(["close", "drop", "kick", "error", "close and drop"]))
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
    def sleep(self) -> None:
        room = self.host._rooms.get(("room", "x"))
        if room is not None and room.instance is not None and room.present:
            self.run(self.settled())
            self.run(room.sleep())

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
            return
        assert [connection.id for connection in room.get_connections(None)] == [peer.id for peer in self.present.values()]
        for tag in ("red", "blue", "a"):
            expected = [peer.id for peer in self.present.values() if tag in (peer.tag, peer.id)]
            assert [connection.id for connection in room.get_connections(tag)] == expected
        assert all(connection.state is not None for connection in room.get_connections(None))

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


def test_the_room_keeps_its_promises() -> None:
    """100 runs of up to 50 steps."""
    run_state_machine_as_test(
        Model,
        settings=settings(max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)),
    )
