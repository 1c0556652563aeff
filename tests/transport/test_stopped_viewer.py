"""One of a hundred viewers is stopped by SIGSTOP while its room tells a quarter of a megabyte a second to each."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .lit import ROOT, WAIT, Lit, Watch, lit

OTHERS = 99
MIB = 1024 * 1024
TELLS = ("--period", "0.2", "--size", "50000", "--head-timeout", "60", "--kernel", "65536")
"""No more than what this one process, which reads for the ninety-nine others, keeps up with on a busy machine. What the kernels keep for
the one that is stopped is no megabytes, which would only have to be waited for."""


@contextlib.asynccontextmanager
async def viewer(beacon: Lit, id: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A viewer that can be stopped, once it sees something."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.transport.viewer", f"ws://{beacon.place}?_pk={id}", cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(WAIT):
            assert await process.stdout.readline() == b"sees\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("options", "cap", "words"),
    [
        # One of the two is far off, so that it is the other one that cuts. A moment of a busy machine is not a stall of the ninety-nine.
        (("--stall", "100"), MIB, b"a peer that does not read was cut"),
        (("--cap", str(32 * MIB)), 32 * MIB, b"took nothing of"),
    ],
    ids=["cap", "stall"],
)
async def test_one_of_a_hundred_viewers_is_stopped(tmp_path: Path, options: tuple[str, ...], cap: int, words: bytes) -> None:
    """It costs the room its cap at most and is cut; the others miss nothing and keep order meanwhile and after; it may come back."""
    log_file = tmp_path / "log"
    async with contextlib.AsyncExitStack() as stack:
        log = stack.enter_context(log_file.open("wb"))
        beacon = await stack.enter_async_context(lit(tmp_path / "storage", *TELLS, *options, log=log))
        others = [Watch(await stack.enter_async_context(beacon.connect(f"viewer{number}"))) for number in range(OTHERS)]
        process = await stack.enter_async_context(viewer(beacon, "stopped"))
        await asyncio.gather(*(watch.reach(5) for watch in others))
        assert len((await beacon.look())["ids"]) == OTHERS + 1
        process.send_signal(signal.SIGSTOP)
        await beacon.until([f"viewer{number}" for number in range(OTHERS)])
        assert words in log_file.read_bytes()
        peaks = (await beacon.look())["peaks"]
        assert 0 < peaks["stopped"] <= cap
        await asyncio.gather(*(watch.reach(5) for watch in others))
        # Awake again, it finds what the kernel had kept for it, in order, and then the end.
        process.send_signal(signal.SIGCONT)
        async with asyncio.timeout(WAIT):
            out, _ = await process.communicate()
        saw = json.loads(out)
        first, last = saw["numbers"][0], saw["numbers"][-1]
        assert saw["numbers"] == list(range(first, last + 1))
        assert saw["code"] is None
        assert all(last < watch.last for watch in others)
        back = Watch(await stack.enter_async_context(beacon.connect("stopped")))
        await asyncio.gather(*(watch.reach(5) for watch in (back, *others)))
        assert log_file.read_bytes().count(b"was cut") == 1
