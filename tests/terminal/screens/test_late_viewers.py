"""Cell by cell: whoever joins late has the screen of one who saw everything, in programs that people use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.terminal.conftest import Serve
from tests.terminal.screens.compare import SIZE, assert_same, on_screen
from tests.terminal.screens.programs import PROGRAMS, leave, need, started
from tests.terminal.screens.xterm import Xterm

pytest.importorskip("partywidgets.terminal.emulator", reason="pyghostty has no wheel here")


@pytest.mark.parametrize("program", PROGRAMS)
async def test_whoever_joins_late_has_the_exact_screen(program: str, serve: Serve, xterm: Xterm, text_home: Path) -> None:
    """After each key, a viewer that joins then has the cells, the cursor and the modes of the first one; and again after more output."""
    need(program)
    async with serve(default="local:/bin/bash") as place, place.watch(query=f"?cols={SIZE[0]}&rows={SIZE[1]}") as first:
        await first.running()
        async with started(program, place, first, text_home):
            for keystrokes, shown in [("", PROGRAMS[program][1]), *PROGRAMS[program][2]]:
                await first.type(keystrokes)
                await on_screen(place, first, shown)
                async with place.watch() as late:
                    await late.until(lambda: late.screens)
                    await assert_same(xterm, place, "w1", first, late)
            async with place.watch() as late:
                await late.until(lambda: late.screens)
                await leave(program, place, first)
                await late.until(lambda: late.offset >= first.offset)
                await assert_same(xterm, place, "w1", first, late)
