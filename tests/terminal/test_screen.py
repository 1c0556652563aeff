"""The exact screen: what is drawn for a late viewer equals what one who saw everything has."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from partywidgets.terminal.ring import Ring
from partywidgets.terminal.screen import RawScreen, Screen, open_screen

emulator = pytest.importorskip("partywidgets.terminal.emulator", reason="pyghostty has no wheel here")

SCENES = {
    "shell": b"$ ls\r\n\x1b[34mdir\x1b[0m  file\r\n$ \x1b[?2004h",
    "wide and combining": "中文 👍🏽 e\u0301 a\u0300\r\n".encode() * 30,
    "wrapped": b"x" * 1000,
    "wrapped far back": b"".join(b"y" * 100 + b"\r\n" for _ in range(50)),
    "cleared by Ctrl-L": b"".join(b"%d\r\n" % n for n in range(90)) + b"\x1b[H\x1b[2J$ ",
    "blank with scrollback": b"".join(b"%d\r\n" % n for n in range(90)) + b"\x1b[2J",
    "insert and no wrap": b"text\r\n" * 40 + b"\x1b[4h\x1b[?7l\x1b[3;3H",
    "coloured blanks": b"z\r\n" * 40 + b"\x1b[44m\x1b[J\x1b[K\x1b[0m",
    "colours": b"".join(b"\x1b[38;5;%dm%d \x1b[48;2;%d;0;9m*\x1b[0m\r\n" % (n, n, n) for n in range(200)),
    "full screen": b"$ vi\r\nsome text\x1b[?1049h\x1b[2J\x1b[H\x1b[7mstatus\x1b[0m\x1b[3;10r\x1b[5;5Hinside\x1b[?1000h\x1b[?1h",
    "region": b"1\r\n2\r\n3\x1b[2;4r\x1b[2;1Hedit\x1b[?25l",
    "cut sequence": b"plain \x1b[31",
    "cut character": b"half \xe4\xb8",
    "cut title": b"x\x1b]0;ti",
    "cut huge title": b"x\x1b]2;" + b"T" * 200_000,
}


async def _screen(output: bytes, cols: int = 80, rows: int = 24) -> Screen:
    screen = await open_screen(Ring(), cols, rows, room="test")
    screen.append(output)
    return screen


def _state(screen: Any) -> tuple[object, ...]:
    terminal = screen._terminal
    styles = [terminal.style(x, y) for y in range(0, 24, 5) for x in range(0, 80, 9)]
    return terminal.text(), terminal.contents(), terminal.cursor, styles, terminal.mode(2004), terminal.mode(1000), terminal.mode(25)


@pytest.mark.parametrize("scene", SCENES)
async def test_a_drawing_rebuilds_the_screen(scene: str) -> None:
    """A terminal given the drawing, then what comes next, ends as one that was given everything: cells, styles, cursor, modes."""
    output = SCENES[scene]
    more = b"m then\xad more\r\n\x1b[4mnext\x1b[0m\x07"
    screen = await _screen(output)
    capture = await screen.capture(1 << 20)
    await screen.close()
    whole, late = emulator.Emulator(80, 24), emulator.Emulator(80, 24)
    whole.feed(output)
    late.feed(capture.drawing)
    for step in (b"", more, b"\x1b[?1049l back\r\n"):
        whole.feed(step)
        late.feed(step)
        assert _state(late) == _state(whole)
    assert capture.offset == len(output)
    whole.close()
    late.close()


@pytest.mark.parametrize("start", [b"\x1b]2;", b"\x1b]52;c;", b"\x1bPq", b"\x1b_Gf=100;", b"\x1b]1337;File=inline=1:"])
async def test_the_rest_of_a_huge_sequence_is_no_text(start: bytes) -> None:
    """Whoever joins inside a sequence that is longer than what is kept of it sees nothing of its rest."""
    screen = await _screen(b"before" + start + b"A" * 100_000)
    capture = await screen.capture(1 << 20)
    await screen.close()
    late = emulator.Emulator(80, 24)
    late.feed(capture.drawing + b"A" * 100_000 + b"\x1b\\after")
    assert late.text().split() == ["beforeafter"]
    late.close()


async def test_a_full_screen_made_narrower_through_wide_characters_is_drawn() -> None:
    """A wide character cut in two by the new edge does not keep the screen from being drawn exactly; both screens are."""
    screen = await _screen(b"$ vi\r\n\x1b[?1049h" + "中文".encode() * 400 + b"\x1b[5;7H")
    screen.resize(51, 24)
    capture = await screen.capture(1 << 20)
    late = emulator.Emulator(51, 24)
    late.feed(capture.drawing)
    assert late.text() == await screen.text()
    assert late.text().strip().startswith("中文" * 12 + "中\n")
    assert late._terminal.cursor == (6, 4)
    late.feed(b"\x1b[?1049l")
    assert late.text().startswith("$ vi")
    late.close()
    await screen.close()


async def test_scrollback_is_cut_to_the_limit() -> None:
    """A drawing keeps to its limit by leaving out the oldest lines; the screen itself is always there."""
    screen = await _screen(b"".join(b"line %d\r\n" % n for n in range(9000)))
    capture = await screen.capture(20_000)
    await screen.close()
    assert len(capture.drawing) <= 20_000
    assert b"line 8999" in capture.drawing
    assert b"line 8000\r\n" in capture.drawing


async def test_a_screen_with_nothing_above_it_lacks_nothing() -> None:
    """However little of what is above it is wanted."""
    screen = await _screen(b"line\r\n" * 5)
    assert not (await screen.capture(1 << 20, 0)).short
    await screen.close()


async def test_scrollback_is_cut_to_what_is_wanted_of_it() -> None:
    """The screen is whole, links and all, however little of what is above it; the newest lines stay."""
    link = b"\x1b]8;;https://shop.example/\x1b\\shop\x1b]8;;\x1b\\ "
    for behind in (b"", b"\x1b[?1049h\x1b[Hvim"):
        screen = await _screen(b"".join(b"line %d " % n + link + b"\r\n" for n in range(9000)) + behind)
        captures = [await screen.capture(1 << 20, above) for above in (None, 0, 2000)]
        await screen.close()
        assert [capture.short for capture in captures] == [False, True, True]
        whole, none, some = [capture.drawing for capture in captures]
        assert len(none) < len(some) <= len(none) + 2000 < len(whole)
        assert b"line 8977" in none
        assert b"line 8976" not in none
        assert b"line 8970" in some
        late, full = emulator.Emulator(80, 24), emulator.Emulator(80, 24)
        late.feed(none)
        full.feed(whole)
        for step in (b"", b"\x1b[?1049l"):
            late.feed(step)
            full.feed(step)
            assert late.text() == full.text()
            assert late.html() == full.html()
            assert late.cursor == full.cursor
        late.close()
        full.close()


async def test_resizes_stand_where_they_came() -> None:
    """Output before a resize is drawn at the old width, output behind it at the new one."""
    screen = await _screen(b"a" * 30, cols=20, rows=5)
    screen.resize(40, 6)
    screen.append(b"\r\n" + b"b" * 30)
    capture = await screen.capture(10_000)
    assert (capture.cols, capture.rows) == (40, 6)
    assert await screen.text() == "a" * 30 + "\n" + "b" * 30
    await screen.close()


async def test_many_ask_while_it_is_fed() -> None:
    """Captures asked for at once, while output comes, each stand for a whole prefix of it."""
    screen = await _screen(b"")
    asked = []
    for number in range(40):
        screen.append(b"%06d\r\n" % number * 2000)
        if number % 8 == 0:
            asked.append(asyncio.ensure_future(screen.capture(2000)))
        await asyncio.sleep(0)
    for capture in await asyncio.gather(*asked):
        assert capture.offset % (8 * 2000) == 0
        assert b"%06d" % (capture.offset // 16_000 - 1) in capture.drawing
    await screen.close()


async def test_raw_replay_begins_at_a_whole_line() -> None:
    """Without an emulator, late viewers get the newest output from the first whole line that is kept."""
    ring = Ring()
    ring.append(b"first\r\nsecond\r\nthird")
    screen = RawScreen(ring, 80, 24)
    assert (await screen.capture(10)).drawing == b"third"
    assert (await screen.capture(10, 0)).drawing == b"third"
    assert (await screen.capture(1000, 0)).drawing == (await screen.capture(1000)).drawing
    assert (await screen.capture(1000)).drawing == b"first\r\nsecond\r\nthird"
    assert screen.exact is False
