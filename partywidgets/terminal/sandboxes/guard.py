"""The guard of a shell that an engine's exec started: a second exec beside it, which ends it when our connection is gone.

An engine tells a program in a container nothing of a client that is gone while the program has a terminal; the input of one without a
terminal ends. So the shells of a host that was killed do not stay. The guard stands beside one process for its life, which it knows by its
number and the time of its start: it ends no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Protocol

from ...exceptions import EngineError
from ..shell import guard_command

log = logging.getLogger(__name__)

REPLACED_WITHIN = 10
"""Seconds that a guard whose connection ended leaves the shell: a connection may break that is not the terminal's own."""
BEAT = 20.0
"""Seconds between two lines that say nothing: what stands in between cuts a connection that is silent for long."""
END_TIMEOUT = 3.0
"""Seconds for a guard that was told to end its shell."""
AGAIN, AGAIN_AT_MOST = 1.0, 60.0
"""Seconds until a guard that is gone is put up again, twice as long each time; one that stood for longer than the second is at once."""
_STANDS = re.compile(rb"(\d+) (\d+)\n")


class Attached(Protocol):
    """A command without a terminal, attached."""

    async def hear(self) -> bytes:
        """Its next output; b"" at its end, and at that of the connection."""

    async def send(self, keystrokes: bytes) -> None:
        """Input."""

    async def close(self) -> None:
        """Lets go of it."""


class Guard:
    """Keeps a guard beside the process `pid` that began at `born`, in the kernel's ticks since its start. `execute` starts a command where
    that process is."""

    def __init__(self, name: str, pid: int, born: str, execute: Callable[[list[str]], Awaitable[Attached]]) -> None:
        self._name, self._pid, self._born, self._execute = name, pid, born, execute
        self._job: Attached | None = None
        self._left = asyncio.Event()
        """The guard that stands is gone, and its connection closed."""
        self._standing = self._gone = ("", "")
        self._keeping = asyncio.create_task(self._keep(), name=f"guard of {name}")

    async def _keep(self) -> None:
        loop, wait = asyncio.get_running_loop(), AGAIN
        while True:
            begun, self._standing = loop.time(), ("", "")
            try:
                await self._stand()
            except (EngineError, OSError, RuntimeError, TimeoutError) as error:
                log.info("%s: its shell has no guard now: %s", self._name, error or type(error).__name__)
            else:
                if not self._standing[0]:
                    return  # it has ended, or there is no /proc
            finally:
                self._gone = self._standing if self._standing[0] else self._gone
            wait = AGAIN if loop.time() - begun > AGAIN_AT_MOST else min(2 * wait, AGAIN_AT_MOST)
            await asyncio.sleep(wait / 2)

    async def _stand(self) -> None:
        """One guard, until it or its connection is gone."""
        job = await self._execute(guard_command(self._pid, self._born, *self._gone, REPLACED_WITHIN))
        left = self._left = asyncio.Event()
        beats = asyncio.create_task(self._beat(job), name=f"beats to the guard of {self._name}")
        try:
            told = b""
            while piece := await job.hear():
                told = (told + piece)[:256]
                if not self._standing[0] and (found := _STANDS.match(told)):
                    self._standing = found[1].decode(), found[2].decode()
                    self._job = job
        finally:
            self._job = None
            beats.cancel()
            await asyncio.gather(beats, return_exceptions=True)
            with contextlib.suppress(OSError, RuntimeError, TimeoutError):
                await job.close()
            left.set()

    async def _beat(self, job: Attached) -> None:
        while True:
            await asyncio.sleep(BEAT)
            await job.send(b"\n")

    async def end_shell(self) -> bool:
        """Hangs the shell up, kills it after 2 s; False where no guard could be told, or it did not come to an end."""
        job, left = self._job, self._left
        if job is None:
            return False
        try:
            async with asyncio.timeout(END_TIMEOUT):
                await job.send(b"end\n")
                await left.wait()
        except (OSError, RuntimeError, TimeoutError, AssertionError) as error:
            log.info("%s: its guard did not end its shell: %s", self._name, error or type(error).__name__)
            return False
        return True

    async def close(self) -> None:
        """The shell is over: its guard goes."""
        job = self._job
        if job is not None:
            with contextlib.suppress(OSError, RuntimeError, TimeoutError, AssertionError):
                async with asyncio.timeout(END_TIMEOUT):
                    await job.send(b"over\n")
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)
