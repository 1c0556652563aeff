"""Resume: all that was missed, or a no."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect

from partywidgets.party import Connection, ConnectionContext, Frame, Server, resume
from partywidgets.party.resume import Asked, History, asked_by

from .serving import Running, received, running, until


def test_the_query() -> None:
    """Only `_pw=1` counts; a bad offset is one that nothing can be resumed from."""
    assert asked_by("_pk=1") is None
    assert asked_by("_pw=2&_e=x&_o=1") is None
    assert asked_by("_pw=1") == Asked(None, None)
    assert asked_by("_pw=1&_e=x&_o=12") == Asked("x", 12)
    for offset in ("-1", "1.5", "x", "²", "9" * 40):
        assert asked_by(f"_pw=1&_e=x&_o={offset}") == Asked("x", None)


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(-3, 70), st.integers(1, 20), st.integers(1, 300))
def test_never_a_part(sizes: list[int], offset: int, max_frames: int, max_bytes: int) -> None:
    """Whatever the bounds: exactly the frames after the offset, or None."""
    history = History(max_frames=max_frames, max_bytes=max_bytes)
    frames = [Frame(bytes([size]) * size) for size in sizes]
    for frame in frames:
        history.append(frame)
    got = history.since(Asked(history.epoch, offset))
    if got is not None:
        assert [logged.frame for logged in got] == frames[offset:]
        assert 0 <= offset <= len(frames)
    else:
        kept = frames[-max_frames:]
        assert offset < 0 or offset > len(frames) or len(frames) - offset > max_frames or sum(map(len, kept)) > max_bytes


def test_age_and_epoch() -> None:
    """What is older than max_age is gone; another epoch is a no; being up to date is a yes without frames."""
    now = 0.0
    history = History(max_age=10, clock=lambda: now)
    history.append(Frame("a"))
    now = 5.0
    history.append(Frame("b"))
    assert history.since(Asked("other", 1)) is None
    assert len(history.since(Asked(history.epoch, 0)) or ()) == 2
    now = 11.0
    assert history.since(Asked(history.epoch, 0)) is None
    assert len(history.since(Asked(history.epoch, 1)) or ()) == 1
    assert history.since(Asked(history.epoch, 2)) == []
    assert history.since(Asked(history.epoch, 3)) is None
    now = 16.0
    assert not history.fresh()


VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "resume.json").read_text())
WRITERS: dict[str, Callable[[dict[str, Any]], Frame]] = {
    "resumed": lambda fields: resume.resumed(fields["epoch"], fields["offset"], recovered=fields["recovered"]),
    "direct": lambda fields: resume.direct(Frame(fields["text"] if "text" in fields else bytes.fromhex(fields["hex"]))),
    "skip": lambda fields: resume.skip(fields["count"]),
    "heartbeat": lambda fields: resume.heartbeat(fields["top"]),
}


@pytest.mark.parametrize("vector", VECTORS["frames"], ids=lambda vector: vector["kind"])
def test_control_frames(vector: dict[str, Any]) -> None:
    """Byte by byte those of the vectors, which the clients are tested against."""
    frame = WRITERS[vector["kind"]](vector["fields"])
    assert frame.is_text
    assert frame.payload.decode() == vector["frame"]


class Room(Server):
    """Broadcasts what it hears, and greets."""

    resumable = True

    def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
        connection.send("again" if connection.resumed else "snapshot")

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        if message == "others":
            self.broadcast("to others", without=["c"])
        elif message == "bytes":
            connection.send(b"\x00\xff")
        else:
            self.broadcast(message)


def control(message: Any) -> Any:
    """The fields of a control frame."""
    assert isinstance(message, str)
    assert message.startswith("\x1e")
    return json.loads(message[1:])


def counting(run: Running, epoch: str = "", offset: int | str = "") -> connect:
    """A client `c` that counts."""
    return connect(run.url(query=f"_pk=c&_pw=1&_e={epoch}&_o={offset}"))


async def first(client: ClientConnection) -> Any:
    """`resumed`, which comes before all else."""
    frame = control(await received(client))
    assert frame["type"] == "resumed"
    return frame


async def test_a_client_gets_all_it_missed(tmp_path: Path) -> None:
    """Broadcasts of the gap, in order, then the live ones; those that left it out are skipped; a plain client sees none of it."""
    async with running(Room, tmp_path) as run, connect(run.url(query="_pk=plain")) as plain:
        assert await received(plain) == "snapshot"
        async with counting(run) as client:
            hello = await first(client)
            assert (hello["o"], hello["rec"], hello["hb"]) == (0, False, 10)
            assert control(await received(client)) == {"type": "direct", "text": "snapshot"}
            await plain.send("one")
            assert await received(client) == "one"
            await client.send("bytes")
            assert control(await received(client)) == {"type": "direct", "base64": "AP8="}
        for text in ("two", "others", "three"):
            await plain.send(text)
        assert [await received(plain) for _ in range(4)] == ["one", "two", "to others", "three"]
        async with counting(run, hello["e"], 1) as client:
            again = await first(client)
            assert (again["e"], again["o"], again["rec"]) == (hello["e"], 1, True)
            assert await received(client) == "two"
            assert control(await received(client)) == {"type": "skip", "n": 1}
            assert await received(client) == "three"
            assert control(await received(client)) == {"type": "direct", "text": "again"}
            await client.send("others")
            assert control(await received(client)) == {"type": "skip", "n": 1}
            await client.send("four")
            assert await received(client) == "four"


async def test_a_gap_that_cannot_be_filled_is_said(tmp_path: Path) -> None:
    """Another epoch or an offset ahead: rec is false, counting begins at the top."""
    async with running(Room, tmp_path) as run, connect(run.url(query="_pk=plain")) as plain:
        await plain.send("one")
        assert [await received(plain), await received(plain)] == ["snapshot", "one"]
        for epoch, offset in (("other", 0), (None, 2), (None, "x")):
            own = run.host._rooms["room", "lobby"].history
            assert own is not None
            async with counting(run, epoch or own.epoch, offset) as client:
                hello = await first(client)
                assert (hello["e"], hello["o"], hello["rec"]) == (own.epoch, 1, False)
                assert control(await received(client))["text"] == "snapshot"


async def test_heartbeats_tell_the_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who count get the number of broadcasts at intervals; others get nothing."""
    monkeypatch.setattr(resume, "HEARTBEAT", 0.05)
    async with running(Room, tmp_path) as run, counting(run) as client, connect(run.url(query="_pk=plain")) as plain:
        await plain.send("one")
        seen: list[Any] = []
        while {"type": "hb", "o": 1} not in seen:
            message = await received(client)
            seen.append(control(message) if message != "one" else message)
        assert "one" in seen
        assert [await received(plain), await received(plain)] == ["snapshot", "one"]
        await plain.send("two")
        assert await received(plain) == "two"


async def test_a_broadcast_that_reads_as_control_is_refused(tmp_path: Path) -> None:
    """Only in resumable rooms, and only as text."""
    async with running(Room, tmp_path) as run:
        room = await run.host.get_server_by_name("room", "lobby")
        with pytest.raises(ValueError, match=r"U\+001E"):
            room.broadcast("\x1e{}")
        room.broadcast(b"\x1e{}")


async def test_the_log_outlives_the_last_socket(tmp_path: Path) -> None:
    """A room is kept for those who may come back, its instance is not."""
    async with running(Room, tmp_path, hibernate_after=0.02) as run:
        async with counting(run) as client:
            hello = await first(client)
            await client.send("one")
            await client.send("two")
            assert [await received(client) for _ in range(3)][1:] == ["one", "two"]
        await until(lambda: run.host._rooms["room", "lobby"].instance is None)
        async with counting(run, hello["e"], 1) as client:
            assert (await first(client))["rec"]
            assert await received(client) == "two"


async def test_who_resumes_below_a_small_cap_is_not_cut_for_it(tmp_path: Path) -> None:
    """A host's cap below the log's usual size: the log keeps less, and what it says that follows does follow."""
    async with running(Room, tmp_path, slow_consumer_cap=64 * 1024) as run, connect(run.url(query="_pk=plain")) as plain:
        assert await received(plain) == "snapshot"
        async with counting(run) as client:
            epoch = (await first(client))["e"]
        room = await run.host.get_server_by_name("room", "lobby")
        for number in range(300):
            room.broadcast(f"{number:03}" + "x" * 1000)
            await received(plain)
        async with counting(run, epoch, 0) as client:
            assert not (await first(client))["rec"]
            assert control(await received(client))["text"] == "snapshot"
        log = run.host._rooms["room", "lobby"].history
        assert log is not None
        there = len(log._log)
        assert 40 <= there < 64
        async with counting(run, epoch, 300 - there) as client:
            assert (await first(client))["rec"]
            for number in range(300 - there, 300):
                assert (await received(client))[:3] == f"{number:03}"
