"""Whoever comes back on another connection hears how many keystrokes the one before has swallowed."""

from __future__ import annotations

import asyncio

import pytest

from partywidgets.client.terminal import TerminalClient
from partywidgets.terminal import returning
from partywidgets.terminal.lease import Person

from ..slow_line import SlowLine
from .conftest import Serve


async def test_who_comes_back_hears_what_came(serve: Serve) -> None:
    """Of a connection that is gone and of one that the room still believes in, which is closed; of nobody else's, and of none."""
    async with serve() as place:
        async with place.watch(who="pia") as pia:
            await pia.running()
            first = pia.of("welcome")[-1]
            assert first["taken"] is None
            for key in "echo":
                await pia.type(key)
            await pia.shows(b"echo")
        async with place.watch(who="pia", query=f"?after={first['socket']}") as pia:
            second = await pia.message("welcome")
            assert second["taken"] == 4
            assert second["socket"] != first["socket"]
            async with place.watch(who="ana", query=f"?after={second['socket']}") as ana:
                assert (await ana.message("welcome"))["taken"] is None
            await pia.type(" here")
            await pia.shows(b"here")
            async with place.watch(who="pia", query=f"?after={second['socket']}") as again:
                assert (await again.message("welcome"))["taken"] == 1
                assert await pia.gone() == (1000, "this viewer came back on another connection")
                await again.type("-and-there\r")
                await again.shows(b"here-and-there\r\n")
        async with place.watch(who="pia", query="?after=nobody") as pia:
            assert (await pia.message("welcome"))["taken"] is None


async def test_only_the_newest_are_remembered(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many come and go."""
    monkeypatch.setattr(returning, "REMEMBERED", 2)
    async with serve() as place:
        room = await place.room("w1")
        sockets = []
        for _ in range(3):
            async with place.watch(who="pia") as pia:
                sockets.append((await pia.message("welcome"))["socket"])
            async with asyncio.timeout(20):
                while room.viewers:
                    await asyncio.sleep(0.01)
        pia_there = Person("pia", "c1", "Pia", "peer")
        assert [room.returning.taken(pia_there, socket) for socket in sockets] == [None, 0, 0]


async def test_keys_that_a_lost_connection_swallowed_are_told(serve: Serve) -> None:
    """The client types into a line that is cut before they have come through: how many, once there is another; the others came once."""
    async with serve() as place, SlowLine.before(int(place.url.rsplit(":", 1)[1]), rate=1_000_000, delay=0.3) as line:
        term = TerminalClient(
            f"http://127.0.0.1:{line.port}", "w1", token="pia-token-for-the-tests", timeout=40, min_reconnection_delay=0.01
        )
        async with term:
            await term.run("true", 40)
            for key in b"echo seen-":
                assert term.write(bytes([key]))
            await term.expect("echo seen-")
            for key in b"lost":
                assert term.write(bytes([key]))
            await line.cut()
            async with asyncio.timeout(40):
                while not term.last_error:
                    await term.changed()
            assert term.last_error == "your last 4 keystrokes were lost with the connection"
            assert term.resumed
            term.last_error = ""
            assert term.write(b"there\r")
            await term.expect("\nseen-there\n")
            await line.cut()
            async with asyncio.timeout(40):
                for live in (True, False):
                    while (term.state == "live") is live:
                        await term.changed()
            assert not term.last_error
            assert term.write(b"# a text that somebody pasted, and not a key")
            await line.cut()
            async with asyncio.timeout(40):
                while not term.last_error:
                    await term.changed()
            assert term.last_error == "the text that you pasted last was lost with the connection"
