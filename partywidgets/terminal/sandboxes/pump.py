"""A process that reads a PTY while its program pours.

The kernel keeps some 12 KiB of a PTY's output, and the program stands still while nobody reads. A room that sends a piece to its viewers,
draws it and records it does not read meanwhile, and a thread of its process waits for the interpreter's lock. Another process reads on,
into a pipe of 1 MiB: `cat` to one, five and twenty viewers came 1.3, 1.4 and 1.5 times as fast (`./dev bench terminal --only cat`).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

from .pump_process import READY

log = logging.getLogger(__name__)

PIPE_BYTES = 1 << 20
"""What may wait in the pipe; the most that Linux gives to a user without rights (`/proc/sys/fs/pipe-max-size`)."""
IDLE_SECONDS = 1.0
"""A program that printed nothing for so long has stopped pouring, and the room reads for itself: an echo comes without a detour."""
START_SECONDS = 5.0
"""Seconds until it must have said that it is there, of which it needs 0.02 to 0.04 here."""
END_SECONDS = 30.0
"""Seconds that the process may take to give the PTY back, until it is killed. A room that is paused lets it wait."""

_PROGRAM = Path(__file__).with_name("pump_process.py")


class Pump:
    """It reads `master` from `begin` on, until there is silence, the program's end, or `give_back`; then `output` ends.

    Made by `start`, ended by `close`. What it has read and not written when it is killed is lost: 64 KiB at most.
    """

    most: ClassVar[int] = min(os.cpu_count() or 1, 8)
    """How many there are at once, 8 MB each: with fewer processors than processes one more reader helps nobody."""
    running: ClassVar[int] = 0

    def __init__(self, process: subprocess.Popen[bytes], output: int, control: int) -> None:
        self.output = output
        """The pipe's end for reading. It does not block."""
        self._process, self._control = process, control
        self._killing: asyncio.TimerHandle | None = None

    @classmethod
    def may_start(cls) -> bool:
        """Whether one more can be had here."""
        return sys.platform == "linux" and bool(sys.executable) and cls.running < cls.most

    @classmethod
    async def start(cls, master: int) -> Pump:
        """Starts one, which reads nothing yet. Raises OSError."""
        output, into = os.pipe()
        wanted, control = os.pipe()
        try:
            with contextlib.suppress(OSError):  # more than this user may still have in pipes: 64 KiB will do
                fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            os.set_blocking(output, False)
            numbers = (master, into, wanted)
            # Not in a thread: whoever is cancelled meanwhile would leave it to nobody; the loop stands for a millisecond.
            process = subprocess.Popen(  # noqa: ASYNC220
                [sys.executable, "-I", "-S", str(_PROGRAM), *map(str, numbers), str(int(IDLE_SECONDS * 1000))],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                pass_fds=numbers,
                start_new_session=True,  # an interrupt of a kernel is not for it
            )
        except BaseException:
            os.close(output)
            os.close(control)
            raise
        finally:
            os.close(into)
            os.close(wanted)
        cls.running += 1
        pump = cls(process, output, control)
        try:
            await pump._is_ready()
        except BaseException:
            await asyncio.shield(pump.close())
            raise
        return pump

    async def _is_ready(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self.output, ready.set)
        try:
            async with asyncio.timeout(START_SECONDS):
                await ready.wait()
        except TimeoutError:
            raise OSError(f"{_PROGRAM.name} was not ready within {START_SECONDS:g} s") from None
        finally:
            loop.remove_reader(self.output)
        if os.read(self.output, len(READY)) != READY:
            raise OSError(f"{_PROGRAM.name} ended at once")

    def begin(self) -> None:
        """It reads from now on: nobody else may."""
        with contextlib.suppress(BrokenPipeError):  # it has ended, and so does `output`
            os.write(self._control, READY)

    def give_back(self) -> None:
        """It reads what is there and ends."""
        if self._control >= 0:
            os.close(self._control)
            self._control = -1
            self._killing = asyncio.get_running_loop().call_later(END_SECONDS, self._process.kill)

    async def close(self) -> None:
        """Ends the process; what it holds is lost unless `output` has ended. Once."""
        Pump.running -= 1
        if self._killing is not None:
            self._killing.cancel()
        os.close(self.output)
        if self._control >= 0:
            os.close(self._control)
            self._control = -1
        self._process.kill()
        await asyncio.to_thread(self._process.wait)
