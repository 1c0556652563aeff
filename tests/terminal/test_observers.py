"""Who only looks on costs nothing: no process, no file, and no choice that others are left with."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

from .conftest import Serve

HEADERS = {"Authorization": "Bearer obi-token-for-the-tests"}


async def test_an_observer_opens_no_terminal(serve: Serve) -> None:
    """It is told what it waits for; a sandbox that it names is not opened, and sees the one that somebody who may type opens."""
    async with serve(default="local:/bin/bash", other="local:/bin/sh") as place, place.watch(who="obi", query="?sandboxId=other") as obi:
        welcome = await obi.message("welcome")
        assert (welcome["state"], welcome["can_type"]) == ("starting", False)
        assert "nobody who may type" in welcome["reason"]
        await obi.tell("restart", id="r")
        assert (await obi.message("reply", id="r"))["ok"] is False
        room = await place.room("w1")
        assert (room.upstream.state, room.upstream.sandbox) == ("idle", None)
        async with place.watch(who="ben") as ben:
            await ben.running()
            assert room.upstream.sandbox_id == "default"
            await ben.type("echo $((40+2))-seen\r")
            await obi.shows(b"42-seen")
            assert obi.of("welcome")[-1]["state"] in ("starting", "running")


async def test_an_observer_brings_no_ended_terminal_back(serve: Serve) -> None:
    """Coming into an empty room whose shell has ended starts nothing; the next who may type does."""
    async with serve() as place:
        async with place.watch(who="ben") as ben:
            await ben.running()
            await ben.type("exit\r")
            await ben.message("exit")
        async with place.watch(who="obi") as obi:
            await obi.message("welcome", state="ended")
            room = await place.room("w1")
            assert not room.upstream.alive
            async with place.watch(who="ben") as again:
                await again.running()
                await obi.message("upstream", state="running")


async def test_looking_into_rooms_leaves_no_file(serve: Serve, tmp_path: Path) -> None:
    """Requests and sockets of an observer for names that it made up: no database, so neither disk nor descriptors run out."""
    async with serve() as place, aiohttp.ClientSession(headers=HEADERS) as http, asyncio.timeout(30):
        for number in range(20):
            async with http.get(f"{place.url}/parties/terminal-server/made-up-{number}") as answer:
                assert (answer.status, (await answer.json())["screen"].strip()) == (200, "")
        async with place.watch("made-up", who="obi") as obi:
            assert (await obi.ask("history"))["result"] == {"commands": []}
        assert [file.name for file in (tmp_path / "rooms").rglob("*.sqlite3") if file.name != "host.sqlite3"] == []
