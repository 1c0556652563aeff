"""Output drawn with plain lines left out: nobody can tell it from an emulator that drew everything."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partywidgets.terminal.drawing import Step, draw, is_plain
from partywidgets.terminal.screen import EmulatedScreen

emulator = pytest.importorskip("partywidgets.terminal.emulator", reason="pyghostty has no wheel here")

COLS, ROWS, SCROLLBACK = 24, 6, 40
BEFORE = [
    b"",
    b"$ ",
    b"\x1b[31mred\r\n",
    b"\x1b[2;4r",
    b"\x1b[2;4r\x1b[6;1H",
    b"\x1b[?69h\x1b[3;9s\x1b[2;5H",
    b"\x1b[?1049h\x1b[2J",
    b"\x1b[?1049h\x1b[2;3r\x1b[1;1H",
    b"\x1b[4h\x1b[?7l",
    b"\x1b[20h",
    b"\x1b(0\x0e",
    b"\x1b[?6h\x1b[3;5r",
    b"half \xe4\xb8",
    b"\x1b[3",
    b"\x1b]2;ti",
    b"\x1bPq",
    b"\x1b]133;A\x07$ \x1b]133;C\x07",
    b"\x1b[5;9H\x1b7",
    b"\x1b[3g",
    b"x\x1b[?5W\x1b[4m\x1b[K",
]
BETWEEN = st.sampled_from([*BEFORE, b"\x1b[r", b"\x1b[?1049l", b"\x07", b"\x1b\\", b"\x0f", b"\x1b[0m", b"\x1b8", b"\x1bc", b"\x1b[5b"])
LINE = st.one_of(
    st.text("ab 中é\t\u0301\x85\x9b", max_size=70).map(str.encode),
    st.binary(max_size=9).filter(is_plain),
    st.sampled_from([b"", b"\x08\x08x", b"\x0bdown", b"over\rit", b"\xff\x9b31m"]),
)
END = st.sampled_from([b"\r\n"] * 8 + [b"\n", b"", b"\n\r"])
RUN = st.builds(
    lambda lines, times, size: _cut(b"".join(line + end for line, end in lines) * times, size),
    st.lists(st.tuples(LINE, END), min_size=1, max_size=12),
    st.sampled_from([1, 20, 300]),
    st.sampled_from([7, 100, 5000]),
)
SIZES = st.tuples(st.integers(2, 40), st.integers(1, 12))


def _cut(output: bytes, size: int) -> list[bytes]:
    return [output[at : at + size] for at in range(0, len(output), size)]


def _same(steps: list[Step]) -> int:
    """Compares both ways to draw; returns how many bytes the shorter one left out."""
    whole, ours = (emulator.Emulator(COLS, ROWS, scrollback=SCROLLBACK) for _ in range(2))
    fed: list[int] = []
    feed = ours.feed

    def counted(output: bytes) -> None:
        fed.append(len(output))
        feed(output)

    ours.feed = counted
    try:
        for step in steps:
            if isinstance(step, bytes):
                whole.feed(step)
            else:
                whole.resize(*step)
        draw(ours, steps)
        for more in (b"", b"\x1b[5bnext\tline\x1b8\r\n"):
            whole.feed(more)
            feed(more)
            assert ours.alternate == whole.alternate
            assert ours._terminal.cursor == whole._terminal.cursor
            assert ours.drawing(1 << 20) == whole.drawing(1 << 20)
            assert ours.html() == whole.html()
        for size in ((COLS * 3, ROWS), (COLS // 2, ROWS + 3)):
            whole.resize(*size)
            ours.resize(*size)
            assert ours.drawing(1 << 20) == whole.drawing(1 << 20)
    finally:
        whole.close()
        ours.close()
    return sum(len(step) for step in steps if isinstance(step, bytes)) - sum(fed)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(BETWEEN.map(lambda output: [output]), RUN, SIZES.map(lambda size: [size])), max_size=8))
def test_left_out_lines_change_nothing(parts: list[list[Step]]) -> None:
    """Any mixture of sequences, sizes and runs of lines ends in the same screens, cursor, modes and lines above, resized or not."""
    _same([step for part in parts for step in part])


@pytest.mark.parametrize("before", BEFORE)
def test_each_state_survives_a_flood(before: bytes) -> None:
    """A flood of lines in each state that a program may leave behind ends as if all of it had been drawn."""
    flood = b"".join(b"%d %s\r\n" % (n, b"w" * (n % 60)) for n in range(400))
    _same([before, *_cut(flood, 512), b"\x1b[0m$ "])


def test_most_of_a_flood_is_left_out() -> None:
    """Of many thousand plain lines only about a screen and a scrollback are drawn."""
    flood = b"".join(b"line %d\r\n" % n for n in range(20_000))
    assert _same([b"$ cat file\r\n", *_cut(flood, 4096), b"$ "]) > len(flood) * 0.9


@pytest.mark.parametrize("before", [b"\x1b[2;4r", b"\x1b[?69h\x1b[3;9s", b"\x1b]2;ti", b"\x1bPq"])
def test_nothing_is_left_out_of_what_is_not_seen_to_scroll(before: bytes) -> None:
    """Within a region, or inside an unfinished string, every byte is drawn."""
    assert _same([before, *_cut(b"text\r\n" * 5000, 4096)]) == 0


async def test_a_flood_that_rests_is_drawn_and_freed() -> None:
    """A run of plain lines waits to become long; when nothing follows it is drawn, so that a quiet room holds no more than a batch."""
    screen = EmulatedScreen(emulator.Emulator(80, 24), room="test")
    try:
        for _ in range(40):
            screen.append(b"plain line\r\n" * 2000)
        assert screen.behind > 512 * 1024
        async with asyncio.timeout(10):
            while screen.behind:
                await asyncio.sleep(0.01)
        assert "plain line" in await screen.text()
    finally:
        await screen.close()
