"""Two people who type at the same moment."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from .conftest import Serve

PASTES, BYTES = 20, 20_000


async def test_a_paste_beside_somebody_who_types(serve: Serve, tmp_path: Path) -> None:
    """Who has control pastes again and again, and a peer presses key after key: each paste arrives whole, and every key, in its order."""
    pasted = [f"\x1b[200~{number:02d}".encode() + b"x" * BYTES + b"\x1b[201~" for number in range(PASTES)]
    keys = b"abcdefghijklmnopqrstuvw" * 20
    size = sum(map(len, pasted)) + len(keys)
    got = tmp_path / "got"
    async with serve() as place, place.watch(who="ben") as ben, place.watch(who="pia") as pia:
        await ben.running()
        await ben.tell("lease", action="take")
        await ben.type(f"stty raw -echo; echo rea''dy; head -c {size} >{got}; stty sane; echo over-$((1+1))\r")
        await ben.shows(b"ready\n")

        async def type_on() -> None:
            for key in keys:
                await pia.type(bytes([key]))
                await asyncio.sleep(0)

        typing = asyncio.create_task(type_on())
        for paste in pasted:
            await ben.type(paste)
            await asyncio.sleep(0)
        await typing
        await ben.shows(b"over-2")
        come = got.read_bytes()
        assert re.findall(rb"\x1b\[200~\d\dx+\x1b\[201~", come) == pasted
        assert re.sub(rb"\x1b\[200~\d\dx+\x1b\[201~", b"", come) == keys


async def test_a_program_s_question_has_one_answer(serve: Serve) -> None:
    """Every emulator answers it; what comes from another than the holder's goes nowhere, and is no input that takes control."""
    async with serve() as place, place.watch(who="ben") as ben, place.watch(who="pia") as pia, place.watch(who="cyd") as cyd:
        await ben.running()
        await ben.type("stty -echo; echo rea''dy; cat -v\r")
        await ben.shows(b"ready\r\n")
        await pia.type(b"\x1b[24;81R")
        await cyd.type(b"\x1b[24;82R")
        for viewer in (pia, cyd):  # what it sent has come when its next message has
            await viewer.ask("history")
        await ben.type(b"\x1b[24;80R\r")
        await ben.shows(b"^[[24;80R")
        assert b";81R" not in ben.drawn()
        assert b";82R" not in ben.drawn()
        assert ben.of("lease")[-1]["holder"]["name"] == "Ben"
