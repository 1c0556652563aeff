"""What a room does at an odd moment: closing before anybody is in, sending to who has left, leaving out nearly all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from partywidgets.party import Connection, ConnectionContext, Frame, Server
from partywidgets.party.resume import Asked, History

from .serving import received, running, until


async def test_a_close_before_on_connect_lets_nobody_in(tmp_path: Path) -> None:
    """In get_connection_tags: the peer reads code and reason, nobody lists it, and neither on_connect nor on_close comes."""
    log: list[Any] = []

    class Room(Server):
        def get_connection_tags(self, connection: Connection, ctx: ConnectionContext) -> list[str]:
            if connection.id == "late":
                connection.close(4003, "too late")
            return []

        def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
            log.append(("connect", connection.id))
            for other in self.get_connections():
                other.send("somebody came")

        def on_close(self, connection: Connection, code: int, reason: str, was_clean: bool) -> None:
            log.append(("close", connection.id))

    async with running(Room, tmp_path, sockets_per_subject=2) as run, run.connect(id="there") as there:
        assert await received(there) == "somebody came"
        for _ in range(3):
            async with run.connect(id="late") as late:
                with pytest.raises(ConnectionClosed):
                    await received(late)
                assert (late.close_code, late.close_reason) == (4003, "too late")
        async with run.connect(id="next") as following:
            assert await received(following) == "somebody came"
        assert log[:2] == [("connect", "there"), ("connect", "next")]
        await until(lambda: log[2:] == [("close", "next")])


@pytest.mark.parametrize("resumable", [False, True])
async def test_a_frame_for_those_of_whom_some_have_left(tmp_path: Path, resumable: bool) -> None:
    """`send_to` and `send_now` leave out who is not OPEN any more, were it the only one; the others get it."""

    class Room(Server):
        pass

    Room.resumable = resumable
    async with running(Room, tmp_path) as run, run.connect(id="a") as a, run.connect(id="b") as b:
        room = await run.host.get_server_by_name(Room, "lobby")
        both = room.get_connections()
        await a.close()
        await until(lambda: len(room.get_connections()) == 1)
        room.send_to(both[:1], "nobody")
        room.send_now(both[:1], "nobody")
        room.send_to(both, "who is there")
        room.send_now(both, "at once")
        assert [await received(b), await received(b)] == ["who is there", "at once"]


def test_who_is_left_out_is_bounded() -> None:
    """A log of broadcasts that each leave out a thousand holds a hundred of them; who asks for more is told that it does not get all."""
    history = History(max_frames=2000, max_bytes=256 * 1024, max_age=60.0)
    for number in range(2000):
        history.append(Frame("x"), frozenset(f"{number}-{index}" for index in range(1000)))
    assert len(history.since(Asked(history.epoch, 1900)) or ()) == 100
    assert history.since(Asked(history.epoch, 1899)) is None
