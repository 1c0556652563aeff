"""Cell by cell: whoever was too slow, or away, ends with the screen of one who saw everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.terminal.conftest import Serve
from tests.terminal.screens.compare import SIZE, assert_equal, assert_same, everything, on_screen
from tests.terminal.screens.programs import PROGRAMS, WIDE, leave, need, started
from tests.terminal.screens.xterm import Xterm
from tests.terminal.viewers import Place, Viewer

pytest.importorskip("partywidgets.terminal.emulator", reason="pyghostty has no wheel here")

QUERY = f"?cols={SIZE[0]}&rows={SIZE[1]}"
FLOOD = "".join(f"\x1b[3{n % 8}m{n} {WIDE}\x1b[0m\n" for n in range(7000))
PIECE = 250
"""Lines that fit into a viewer's socket (SOCKET_BYTES): nobody lags behind so few."""


async def lagging(place: Place, first: Viewer, slow: Viewer, home: Path) -> None:
    """Brings `slow`, which acknowledges nothing from now on, to lag; the shell is back at its prompt."""
    (home / "flood.txt").write_text(FLOOD, "utf-8")
    await slow.until(lambda: slow.screens)
    await slow.tell("consumed", offset=slow.offset)
    await first.type("cat flood.txt; echo floo''ded\r")
    await slow.until(lambda: [lag for lag in slow.of("lag") if lag["behind"] > 0])
    await on_screen(place, first, "\nflooded")


async def flooded(place: Place, first: Viewer, home: Path) -> None:
    """More output than a small room keeps; the first viewer has seen each piece before the next comes, and lags behind none."""
    (home / "flood.txt").write_text(FLOOD, "utf-8")
    for last in range(PIECE, 4001, PIECE):
        await first.type(f"sed -n '{last - PIECE + 1},{last}p' flood.txt; echo flo''oded-{last}\r")
        await on_screen(place, first, f"\nflooded-{last}")
    assert len(first.screens) == 1


@pytest.mark.parametrize("program", PROGRAMS)
async def test_whoever_lagged_has_the_exact_screen(program: str, serve: Serve, xterm: Xterm, text_home: Path) -> None:
    """A viewer that was too slow gets one screen, of the program that was started and used meanwhile, and follows it out again."""
    need(program)
    async with (
        serve(default="local:/bin/bash", ring_bytes=8 << 20) as place,
        place.watch(query=QUERY) as first,
        place.watch(draws=False) as slow,
    ):
        await first.running()
        await lagging(place, first, slow, text_home)
        async with started(program, place, first, text_home):
            for keystrokes, shown in PROGRAMS[program][2]:
                await first.type(keystrokes)
                await on_screen(place, first, shown)
            await slow.catch_up()
            await assert_same(xterm, place, "w1", first, slow, scrollback=False)
            await leave(program, place, first)
            await slow.until(lambda: slow.offset >= first.offset)
            await assert_same(xterm, place, "w1", first, slow, scrollback=False)


@pytest.mark.parametrize(("program", "key"), [("vim", -1), ("less", -1), ("htop", -1), ("tmux", 0)])
async def test_a_resize_during_the_lag(program: str, key: int, serve: Serve, xterm: Xterm, text_home: Path) -> None:
    """The controller's window changes while a viewer lags: its fresh screen has the new size and the cells of one who saw it happen."""
    need(program)
    async with (
        serve(default="local:/bin/bash", ring_bytes=8 << 20) as place,
        place.watch(query=QUERY) as first,
        place.watch(draws=False) as slow,
    ):
        await first.running()
        await lagging(place, first, slow, text_home)
        async with started(program, place, first, text_home):
            await first.tell("resize", cols=90, rows=24)
            for viewer in (first, slow):
                told = await viewer.message("resize", cols=90, rows=24)
            await first.until(lambda: first.offset > told["offset"])  # drawn anew: less forgets keys while it handles the signal
            keystrokes, shown = PROGRAMS[program][2][key]
            await first.type(keystrokes)
            await on_screen(place, first, shown)
            await slow.catch_up()
            assert slow.screens[-1][1:3] == (90, 24)
            await assert_same(xterm, place, "w1", first, slow, scrollback=False, only="alternate")


@pytest.mark.parametrize("program", PROGRAMS)
async def test_whoever_was_away_resumes_to_the_exact_screen(program: str, serve: Serve, xterm: Xterm, text_home: Path) -> None:
    """A page that comes back with the byte where it was gets what it missed and no screen, and has the cells of one who stayed."""
    need(program)
    async with serve(default="local:/bin/bash", ring_bytes=8 << 20) as place, place.watch(query=QUERY) as first:
        await first.running()
        async with started(program, place, first, text_home):
            async with place.watch() as away:
                await away.until(lambda: away.screens)
                epoch, offset = away.of("welcome")[-1]["epoch"], away.offset
                (_, cols, rows, drawing), more = away.screens[-1], away.output
            for keystrokes, shown in PROGRAMS[program][2]:
                await first.type(keystrokes)
                await on_screen(place, first, shown)
            async with place.watch(query=f"?epoch={epoch}&offset={offset}") as again:
                await again.until(lambda: again.offset >= first.offset)
                assert again.of("welcome")[-1]["resumed"]
                assert not again.screens
                output, end = again.output, again.offset  # as they stand together: more may come at any moment
                seen = await xterm.shows((cols, rows), [drawing, more, output])
                assert_equal(seen, await xterm.shows(*await everything(place, "w1", first, end)))


@pytest.mark.parametrize("program", PROGRAMS)
async def test_whoever_was_away_for_too_long_gets_the_exact_screen(program: str, serve: Serve, xterm: Xterm, text_home: Path) -> None:
    """A page that missed more than the room keeps, or than it replays, gets one screen, with the cells of one who stayed."""
    need(program)
    async with serve(default="local:/bin/bash", ring_bytes=256 << 10) as place, place.watch(query=QUERY) as first:
        await first.running()
        async with place.watch() as away:
            await away.until(lambda: away.screens)
            epoch, offset = away.of("welcome")[-1]["epoch"], away.offset
        await flooded(place, first, text_home)
        async with started(program, place, first, text_home), place.watch(query=f"?epoch={epoch}&offset={offset}") as again:
            await again.until(lambda: again.screens)
            assert not again.of("welcome")[-1]["resumed"]
            assert again.of("resync")[-1]["reason"] == "history"
            assert not (await place.room("w1")).stream.ring.holds(offset)
            await assert_same(xterm, place, "w1", first, again, scrollback=False)
