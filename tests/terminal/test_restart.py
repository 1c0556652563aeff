"""A restart is the room's work: whoever asked for it may leave meanwhile, and another may ask for the same."""

from __future__ import annotations

import asyncio

import psutil

from partywidgets.terminal.server import TerminalServer

from .conftest import Serve
from .viewers import Viewer

WAIT = 40.0


async def shell_of(viewer: Viewer, name: str) -> int:
    """The process id of a shell with a program in its foreground that ignores a hang-up: its end takes until that is killed."""
    await viewer.running()
    await viewer.type(f"trap '' HUP; echo {name}-$((6*7))-$$.; sleep 1000\r")
    text = await viewer.until(lambda: viewer.drawn().partition(f"{name}-42-".encode())[2])
    return int(text.partition(b".")[0])


async def until_closing(room: TerminalServer, asked: int = 1) -> None:
    """Returns when so many asked for a restart."""
    async with asyncio.timeout(WAIT):
        while room.audit.counts["restart"] < asked:
            await asyncio.sleep(0.01)


async def test_who_asked_may_leave_before_it_is_done(serve: Serve) -> None:
    """A reload while the old shell ends: the others get the new one all the same."""
    async with serve() as place, place.watch(who="pia") as pia:
        room = await place.room("w1")
        async with place.watch() as ana:
            old = await shell_of(ana, "old")
            await ana.tell("restart", id="r")
            await until_closing(room)
        again = await pia.until(lambda: pia.of("welcome")[1:] and pia.of("welcome")[1])
        assert again["epoch"] != pia.of("welcome")[0]["epoch"]
        await pia.type("echo new-$((6*7))-$$.\r")
        await pia.shows(b"new-42-")
        assert not psutil.pid_exists(old)


async def test_two_ask_for_the_same(serve: Serve) -> None:
    """There is one new shell, and both are told."""
    async with serve() as place, place.watch() as ana, place.watch(who="pia") as pia:
        room = await place.room("w1")
        await shell_of(ana, "old")
        await ana.tell("restart", id="a")
        await pia.tell("restart", id="p")
        await until_closing(room, 2)
        for viewer, name in ((ana, "a"), (pia, "p")):
            assert (await viewer.message("reply", id=name))["ok"] is True
        await ana.until(lambda: len(ana.of("welcome")) > 1)
        await shell_of(ana, "new")
        assert [len(viewer.of("welcome")) for viewer in (ana, pia)] == [2, 2]


async def test_nobody_is_there_when_it_is_done(serve: Serve) -> None:
    """The shell that comes then stays no longer than one that its last viewer left."""
    async with serve(keep=0.2) as place:
        room = await place.room("w1")
        async with place.watch() as ana:
            await shell_of(ana, "old")
            await ana.tell("restart", id="r")
            await until_closing(room)
        async with asyncio.timeout(WAIT):
            while room.viewers:
                await asyncio.sleep(0.01)
            await room.session.restart()
            while room.upstream.alive:
                await asyncio.sleep(0.01)
