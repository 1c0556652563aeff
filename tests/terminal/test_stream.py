"""How output is held for a viewer that is a moment behind, and how wide its window is."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any, cast

import pytest

from partywidgets.party import Connection, Frame
from partywidgets.terminal import protocol, viewer
from partywidgets.terminal.lease import Person
from partywidgets.terminal.stream import HELD_BYTES, LOOK_SELDOM_SECONDS, Stream
from partywidgets.terminal.viewer import NARROW_BYTES, QUICK_SECONDS, WINDOW_BYTES, PlainViewer, RichViewer, Viewer

PIECE = bytes(64 * 1024)


class Line:
    """A connection whose socket takes everything at once."""

    buffered = 0

    def __init__(self) -> None:
        self.output = b""
        self.notes: list[str] = []

    def send(self, frame: Frame) -> None:
        if frame.is_text:
            self.notes.append(frame.payload.decode())
            return
        offset, output = protocol.decode_output(frame.payload)
        assert offset == len(self.output)
        self.output += output


class Lines:
    """A room of such connections."""

    name = "test"

    def __init__(self, *lines: Line) -> None:
        self.lines = lines
        self.together: list[int] = []

    def send_now(self, connections: Collection[Connection], message: Frame) -> None:
        self.together.append(len(connections))
        for line in connections:
            line.send(message)

    def flush(self) -> None:
        """A line takes everything at once."""

    def spawn(self, coroutine: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        raise AssertionError("nobody needs a screen")


def watching(line: Line) -> RichViewer:
    """A viewer in sync that has acknowledged something."""
    seen = RichViewer(cast(Connection, line), Person("ana", "c1", "Ana", "peer"))
    seen.in_sync = True
    seen.drew(0, 0.0)
    return seen


def opened(*viewers: RichViewer, room: Lines | None = None) -> Stream:
    """A stream with these viewers."""
    lines = [cast(Line, seen.connection) for seen in viewers]
    return Stream(room or Lines(*lines), cast("dict[Any, Viewer]", dict(enumerate(viewers))), shown=lambda _: None, ring_bytes=1 << 20)


async def test_a_viewer_behind_catches_up_with_what_others_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its window a viewer is sent nothing; when it acknowledges, it gets the rest without a hole, though the ring is past it."""
    monkeypatch.setattr(viewer, "LAG_SECONDS", 60.0)
    slow, fast = watching(Line()), watching(Line())
    stream = opened(slow, fast)
    behind, ahead = cast(Line, slow.connection), cast(Line, fast.connection)
    for number in range(40):
        stream.append(bytes([number]) * len(PIECE))
        stream.drawn(fast, fast.position)
    assert len(ahead.output) == 40 * len(PIECE)
    assert NARROW_BYTES <= len(behind.output) <= NARROW_BYTES + len(PIECE)
    assert not stream.ring.holds(len(behind.output))
    while slow.position < stream.position:
        stream.drawn(slow, slow.position)
    assert behind.output == ahead.output
    assert not behind.notes
    await stream.close()


async def test_who_is_stopped_is_no_work_for_the_others() -> None:
    """Output goes in one go to those who take it, beside one whose window is full and beside one who lags; who lags is looked at seldom."""
    stopped, full, *quick = (watching(Line()) for _ in range(5))
    lines = Lines()
    stream = opened(stopped, full, *quick, room=lines)
    stream._lag(stopped)
    full.position = stream.position = NARROW_BYTES
    full.window = 1
    for seen in quick:
        seen.position = seen.consumed = stream.position
        cast(Line, seen.connection).output = bytes(stream.position)
    stream.ring.append(bytes(NARROW_BYTES))
    stream.typed()
    stream.append(b"x")
    assert lines.together == [len(quick)]
    assert all(cast(Line, seen.connection).output[-1:] == b"x" for seen in quick)
    assert not cast(Line, full.connection).output
    assert not cast(Line, stopped.connection).output
    full.window = 2 * NARROW_BYTES
    cast(Line, full.connection).output = bytes(NARROW_BYTES)
    stream.drawn(full, NARROW_BYTES)
    assert cast(Line, full.connection).output[-1:] == b"x"
    stopped.position = stream.position
    for _ in range(8):
        stream._look()
    assert stream._look_after == LOOK_SELDOM_SECONDS
    await stream.close()


async def test_an_echo_gives_way_to_its_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind an echo, once it is written, the processor is offered to whoever waits for it; output that nobody typed for keeps it."""
    seen = watching(Line())
    stream, line = opened(seen), cast(Line, seen.connection)
    written: list[bytes] = []
    monkeypatch.setattr("partywidgets.terminal.stream.give_way", lambda: written.append(line.output))
    stream.append(b"a")
    assert line.output == b"a"
    assert not written
    stream.typed()
    stream.append(b"b")
    assert written == [b"ab"]
    stream.append(bytes(len(PIECE)))
    assert written == [b"ab"]
    await stream.close()


async def test_more_than_is_held_is_a_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    """However patient, a room holds a bounded stretch for who is behind."""
    monkeypatch.setattr(viewer, "LAG_SECONDS", 60.0)
    stalled = watching(Line())
    stream = opened(stalled)
    for _ in range((HELD_BYTES + NARROW_BYTES) // len(PIECE) + 4):
        stream.append(PIECE)
    assert stalled.lagging
    assert not stalled.in_sync
    assert not stream._held
    assert '"lag"' in cast(Line, stalled.connection).notes[0]
    await stream.close()


async def test_what_is_held_is_held_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside viewers who take everything, what waits for one is its bytes alone: no frame, no text that nobody wants. It still arrives."""
    monkeypatch.setattr(viewer, "LAG_SECONDS", 60.0)
    behind, ahead = watching(Line()), watching(Line())
    stream = opened(behind, ahead)
    for _ in range(8):
        stream.append(PIECE)
        stream.drawn(ahead, ahead.position)
    assert len(stream._held) >= 4
    assert all(set(piece.__dict__) == {"epoch", "offset", "output", "text", "end", "made"} for piece in stream._held)
    assert not any(piece.text for piece in stream._held)
    while behind.position < stream.position:
        stream.drawn(behind, behind.position)
    assert cast(Line, behind.connection).output == cast(Line, ahead.connection).output
    await stream.close()


def test_window_is_as_wide_as_its_reader_is_quick() -> None:
    """A window that was drawn quickly is followed by one twice as wide, up to a bound; slow ones stay; a lag narrows it."""
    seen = watching(Line())
    now = 0.0
    for _ in range(6):
        seen.position += seen.window
        now += QUICK_SECONDS / 2
        seen.drew(seen.position, now)
    assert seen.window == WINDOW_BYTES
    seen.lagged(now)
    for _ in range(6):
        seen.position += seen.window
        now += QUICK_SECONDS * 2
        seen.drew(seen.position, now)
    assert seen.window == NARROW_BYTES


def test_what_a_host_says_of_an_end_is_text_in_a_plain_terminal() -> None:
    """A reason may come from a container or an engine far away: no control sequence of it reaches the terminals of those who watch."""
    line = Line()
    seen = PlainViewer(cast(Connection, line), Person("ana", "c1", "Ana", "peer"))
    seen.state("failed", "no such \x1b]52;c;cm0K\x07image\r\n\x9b2J\u202e", "default")
    assert line.notes == ["\r\n\x1b[0;2m[no such  ]52;c;cm0K image   2J ; press Enter to start it again]\x1b[0m\r\n"]
