"""Sandboxes as a room opens them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from partywidgets.terminal.sandboxes import Sandbox, open_sandbox
from partywidgets.terminal.shell import Mark, MarkReader, behind_echo, keystrokes

NONCE = "0123456789abcdef"


class Shell:
    """A sandbox whose output a test reads in steps."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox, self.output, self.marks = sandbox, b"", list[Mark]()
        self._reader = MarkReader(NONCE)

    async def until(self, seen: Callable[[], object]) -> None:
        """Reads until `seen()`; fails at the end of output, and after 20 s."""
        async with asyncio.timeout(20):
            while not seen():
                piece = await self.sandbox.read()
                assert piece, f"the output ended: {self.output[-500:]!r}"
                self.marks += self._reader.feed(piece, len(self.output))
                self.output += piece

    async def prompt(self, count: int = 1) -> None:
        """Reads until the shell showed its prompt so many times."""
        await self.until(lambda: sum(mark.kind == "B" for mark in self.marks) >= count)

    async def command(self, line: str) -> tuple[int, str]:
        """Types a line at the prompt; its exit code and everything printed until it ended."""
        at, seen = len(self.output), len(self.marks)
        self.sandbox.write(keystrokes(line, bracketed_paste=b"\x1b[?2004h" in self.output))

        def ends() -> list[Mark]:
            fresh = self.marks[seen:]
            marked = any(mark.kind == "C" for mark in fresh)
            found = [mark for mark in fresh if mark.kind == "D" and mark.fields[0].isdecimal()]
            # A busybox ash shows its prompt again when the size changes.
            return [mark for mark in found if marked or behind_echo(self.output[at : mark.start], line) is not None]

        await self.until(ends)
        end = ends()[0]
        await self.until(lambda: any(mark.kind == "B" and mark.start > end.start for mark in self.marks))
        return int(end.fields[0]), self.output[at : end.start].decode("utf-8", "replace")

    async def rest(self) -> bytes:
        """Reads to the end."""
        async with asyncio.timeout(20):
            while piece := await self.sandbox.read():
                self.output += piece
        return self.output


Open = Callable[..., AbstractAsyncContextManager[Shell]]


@pytest.fixture
def opened() -> Open:
    """`async with opened("local:/bin/bash") as shell`."""

    @asynccontextmanager
    async def start(address: str, cols: int = 80, rows: int = 24) -> AsyncIterator[Shell]:
        sandbox = await open_sandbox(address, cols=cols, rows=rows, nonce=NONCE)
        try:
            yield Shell(sandbox)
        finally:
            await sandbox.close()

    return start
