"""Hostile output, cell by cell: whoever joins behind it sees what the others see, and nobody's emulator speaks for the one who types."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.terminal.conftest import Serve
from tests.terminal.hostile import BAD_UTF8, CORPUS, MANY_LINKS
from tests.terminal.screens.compare import SIZE, assert_same, everything, on_screen
from tests.terminal.screens.xterm import Xterm

pytest.importorskip("partywidgets.terminal.emulator", reason="pyghostty has no wheel here")

COMPARED = [*(attack for attack in CORPUS[:-1] if attack != MANY_LINKS), *BAD_UTF8]
"""All but more links than the emulator keeps, and the reset at the end, after which nothing is left to compare."""
SHARE = 30
KEPT = 16 << 20
"""Bytes that a room keeps here: more than all attacks together, so that who saw them come is known whatever it was given in their place."""


@pytest.mark.parametrize("begin", range(0, len(COMPARED), SHARE))
async def test_whoever_joins_behind_an_attack_sees_the_same(begin: int, serve: Serve, xterm: Xterm, text_home: Path) -> None:
    """Cells, cursor and modes after some thirty hostile sequences equal those of one who saw them come."""
    (text_home / "attack").write_bytes(b"\r\n".join(COMPARED[begin : begin + SHARE]) + b"\r\n")
    async with serve(ring_bytes=KEPT) as place, place.watch(query=f"?cols={SIZE[0]}&rows={SIZE[1]}") as first:
        await first.running()
        await first.type("cat attack; echo sho''wn\r")
        await on_screen(place, first, "shown")
        async with place.watch(who="obi") as late:
            await late.until(lambda: late.screens)
            await assert_same(xterm, place, "w1", first, late)


async def test_no_answer_of_who_looks_on_is_typed(serve: Serve, xterm: Xterm, text_home: Path) -> None:
    """What a real xterm answers reaches the shell from the holder's page alone: of an observer and an operator, nothing does."""
    assert len(CORPUS) >= 200
    (text_home / "attack").write_bytes(b"\r\n".join(CORPUS))
    async with (
        serve(ring_bytes=KEPT, idle_after=3600.0) as place,
        place.watch(query=f"?cols={SIZE[0]}&rows={SIZE[1]}") as ana,
        place.watch(who="obi") as obi,
        place.watch(who="ben") as ben,
        place.watch(who="obi", dialect=None) as plain,
    ):
        await ana.running()
        await ana.type("cat attack; echo sho''wn; for n in 1 2; do read -rs got; printf 'got-%q-%s\\n' \"$got\" $n; done\r")
        await on_screen(place, ana, "shown")
        size, steps = await everything(place, "w1", ana, ana.offset)
        answers = (await xterm.shows(size, steps))["answers"]
        assert {"\x1b[?1;2c", "\x1b[0n"} <= set(answers)
        for answer in answers:
            for viewer in (obi, ben, plain):
                await viewer.type(answer)
        for viewer in (obi, ben):
            await viewer.ask("screen")  # answered behind what was typed
        await ana.type("mine\r")
        await on_screen(place, ana, "got-mine-1")
        await ana.type(next(answer for answer in answers if answer.startswith("\x1b[?")))
        await ana.type("\r")
        await ana.until(lambda: re.search(rb"got-\$'\\E\[\?[^\n]*'-2\r\n", ana.drawn()))
