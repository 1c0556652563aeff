"""The process behind a room, where its end takes long or fails."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from partywidgets.terminal.sandboxes import parse_address
from partywidgets.terminal.sandboxes.local import LocalSandbox
from partywidgets.terminal.upstream import Upstream

from .conftest import Serve


class Watched:
    """An upstream of a real shell, and each state that it told."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self.output = b""
        self.upstream = Upstream(
            "terminal-server/r",
            changed=self._changed.set,
            wavered=lambda: None,
            output=self._came,
            clear=lambda: True,
            ready=self._ready,
        )

    async def _ready(self) -> None: ...

    def _came(self, piece: bytes) -> None:
        self.output += piece
        self._changed.set()

    def start(self) -> asyncio.Task[None]:
        """Starts a shell."""
        self.upstream.starting("default")
        return asyncio.create_task(self.upstream.run(parse_address("local:/bin/sh"), cols=80, rows=24, nonce="n0nce"))

    async def until(self, state: str) -> None:
        """Waits for a state."""
        async with asyncio.timeout(20):
            while self.upstream.state != state:
                self._changed.clear()
                await self._changed.wait()

    async def shows(self, pattern: bytes) -> re.Match[bytes]:
        """Waits for output."""
        async with asyncio.timeout(20):
            while (found := re.search(pattern, self.output)) is None:
                self._changed.clear()
                await self._changed.wait()
        return found


async def ended(task: asyncio.Task[None]) -> None:
    """Waits for the end of a run, whatever it is."""
    _, late = await asyncio.wait({task}, timeout=20)
    assert not late


def closing_by(monkeypatch: pytest.MonkeyPatch, before: Callable[[], asyncio.Future[None]]) -> None:
    """Has a shell's close wait for `before` first."""
    close = LocalSandbox.close

    async def closed(self: LocalSandbox) -> None:
        try:
            await before()
        finally:
            await close(self)

    monkeypatch.setattr(LocalSandbox, "close", closed)


async def test_an_end_that_takes_long_says_nothing_of_the_next_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell that is started while the one before it still closes runs on, and takes keys, when that has closed."""
    held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    closing = asyncio.Event()

    def hold() -> asyncio.Future[None]:
        closing.set()
        return held

    closing_by(monkeypatch, hold)
    watched = Watched()
    first = watched.start()
    await watched.until("running")
    first.cancel()
    async with asyncio.timeout(20):
        await closing.wait()
    second = watched.start()
    await watched.until("running")
    held.set_result(None)
    await ended(first)
    assert watched.upstream.state == "running"
    watched.upstream.write(b"exit 7\r")
    await ended(second)
    assert (watched.upstream.state, watched.upstream.exit and watched.upstream.exit.code) == ("ended", 7)


async def test_a_close_that_fails_ends_all_the_same(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """What goes wrong while a sandbox is closed stands in the log, and the room knows that its process has ended."""
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    failed.set_exception(RuntimeError("the engine went away"))
    closing_by(monkeypatch, lambda: failed)
    watched = Watched()
    life = watched.start()
    await watched.until("running")
    watched.upstream.write(b"exit 3\r")
    await ended(life)
    assert life.exception() is None
    assert (watched.upstream.state, watched.upstream.exit and watched.upstream.exit.code) == ("ended", 3)
    assert "could not be closed" in caplog.text


async def test_a_close_that_is_given_up_kills_what_takes_no_hang_up() -> None:
    """Whoever waits for the end of a terminal and is cancelled meanwhile, as by a second restart, leaves no shell behind."""
    watched = Watched()
    life = watched.start()
    await watched.until("running")
    watched.upstream.write(b"trap '' HUP; echo pid-$$-$((6*7))\r")
    pid = int((await watched.shows(rb"pid-(\d+)-42"))[1])
    life.cancel()
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        while watched.upstream.sandbox is not None:
            await asyncio.sleep(0)
    life.cancel()
    await ended(life)
    assert not psutil.pid_exists(pid)


async def test_a_shell_that_shows_nothing(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a start file hangs, everybody is told why the screen is empty; with the prompt the terminal is live."""
    monkeypatch.setattr("partywidgets.terminal.upstream.BLANK_SECONDS", 0.2)
    os.mkfifo(tmp_path / "slow")
    (tmp_path / ".bashrc").write_text("PS1='up$ '\nread -r _ <~/slow\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    async with serve() as place, place.watch() as ana:
        told = await ana.until(lambda: next((m for m in ana.of("upstream") if m["reason"]), None))
        assert (told["state"], told["reason"].partition(":")[0]) == ("running", "the shell has shown nothing for 5 s")
        await ana.type("echo goes-$((1+1))-on\r")
        async with place.watch(who="pia") as pia:
            assert (await pia.message("welcome"))["reason"] == told["reason"]
            (tmp_path / "slow").write_text("on\n")
            await ana.until(lambda: ana.of("upstream")[-1]["reason"] == "")
            await pia.message("upstream", reason="")
        await ana.shows(b"goes-2-on")
