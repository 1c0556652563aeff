"""Viewers that read slowly, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from partywidgets.client import terminal as client
from partywidgets.client.terminal import TerminalClient
from partywidgets.terminal import emulator
from partywidgets.terminal.viewer import THIN_BYTES
from partywidgets.transport.limits import Limits

from ..slow_line import SlowLine
from .conftest import Serve
from .viewers import Place

BURST = "head -c 6000000 /dev/zero | tr '\\0' 'x' | fold -w 79; echo burst-$((6*7))"


@asynccontextmanager
async def far_from(place: Place, *, rate: int) -> AsyncIterator[tuple[Place, SlowLine]]:
    """The same place behind a line of `rate` bytes a second, and the line."""
    async with SlowLine.before(int(place.url.rsplit(":", 1)[1]), rate=rate) as line:
        yield Place(f"http://127.0.0.1:{line.port}", place.host, place.settings, place.gate), line


def screen(drawn: bytes) -> str:
    """What 80 columns and 24 lines show of all that was drawn on them."""
    cells = emulator.Emulator(80, 24)
    cells.feed(drawn)
    text = cells.text()
    cells.close()
    return text


async def test_stalled_viewer_disturbs_nobody_and_gets_one_fresh_screen(serve: Serve) -> None:
    """While one does not read, another sees the whole burst; the stalled one costs at most 1 MiB, stays, and then sees the end."""
    limits = Limits(stall=90.0, ping_interval=None)  # a burst may take longer here than the server waits for a peer that takes nothing
    async with (
        serve(limits=limits) as place,
        place.watch(who="pia") as pia,
        place.watch(who="obi", dialect=None, read=False) as obi,
    ):
        await pia.running()
        obi.socket.transport.pause_reading()
        await pia.type(f"{BURST}\r")
        await pia.until(lambda: b"burst-42" in pia.drawn(), 60)
        room = await place.room("w1")
        stalled = next(viewer for viewer in room.viewers.values() if viewer.person.subject == "obi")
        assert stalled.connection.buffered <= 1 << 20
        async with asyncio.timeout(20):
            while not stalled.lagging:
                await asyncio.sleep(0.01)
        obi.socket.transport.resume_reading()
        reading = asyncio.ensure_future(obi.read())
        await obi.until(lambda: "burst-42" in obi.text, 60)
        assert obi.text.count("\x1bc") == 2
        assert not stalled.lagging
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def test_a_viewer_that_stops_drawing_is_told_that_it_lags(serve: Serve) -> None:
    """A rich viewer that acknowledges nothing gets no more than half a MiB, a `lag`, and a screen when it catches up."""
    async with serve() as place, place.watch(who="pia") as pia, place.watch(who="ana", draws=False) as ana:
        await pia.running()
        await ana.until(lambda: ana.screens)
        await ana.tell("consumed", offset=ana.offset)
        at = ana.offset
        await pia.type(f"{BURST}\r")
        lag = await ana.message("lag")
        assert lag["behind"] > 0
        await pia.shows(b"burst-42")
        assert ana.offset - at < 1 << 20
        await ana.catch_up()
        await ana.message("resync", reason="lagged")
        await ana.shows(b"burst-42")
        await ana.message("lag", behind=0)


async def test_output_goes_on_while_nobody_watches(serve: Serve) -> None:
    """The shell is drained without viewers: a burst ends, and who comes back sees its last screen."""
    async with serve() as place:
        async with place.watch(who="pia") as pia:
            await pia.running()
            await pia.type(f"sleep 0.3; {BURST}\r")
            await pia.shows(b"sleep 0.3")
        async with place.watch(who="pia") as pia:
            await pia.shows(b"burst-42")


async def test_no_newline_and_broken_utf8(serve: Serve) -> None:
    """A stream without any newline, and bytes that are no UTF-8, reach plain viewers as text, and the room goes on."""
    async with serve() as place, place.watch(who="pia", dialect=None) as pia:
        await pia.until(lambda: "633;B;" in pia.text)
        # Bytes that mean something to a terminal are left out: they would swallow the line that the test waits for.
        await pia.type("head -c 3000000 /dev/urandom | tr -dc 'A-Za-z\\300-\\377'; printf '\\nover-%s\\n' $((1+1))\r")
        await pia.until(lambda: "over-2" in pia.text)
        assert all(isinstance(frame, str) for frame in pia.frames)


async def test_a_viewer_on_a_slow_line_gets_its_screen_first(serve: Serve) -> None:
    """Beside 10,000 lines of history: after a lag it is sent the screen and little above it, and shows what a quick viewer shows."""
    async with serve(cols=80, rows=24) as place, place.watch(who="pia", query="?cols=80&rows=24") as pia:
        await pia.running()
        await pia.type("seq -f %070g 1 9000; echo all-$((6*7))\r")
        await pia.shows(b"all-42")
        async with far_from(place, rate=60_000) as (far, _), far.watch(who="ana", query="?scrollback=0", draws=False) as ana:
            resync = await ana.message("resync", reason="joined")
            await ana.until(lambda: ana.screens)
            assert resync["short"]
            assert len(ana.screens[0][3]) < 8_000
            await ana.tell("consumed", offset=ana.offset)
            await ana.tell("resync")
            await ana.until(lambda: len(ana.screens) == 2)
            assert len(ana.screens[1][3]) > 300_000
            assert "short" not in ana.of("resync")[1]
            await ana.tell("consumed", offset=ana.offset)
            await pia.type(f"{BURST}\r")
            await ana.message("lag")
            await pia.shows(b"burst-42")
            await ana.catch_up()
            assert (await ana.message("resync", reason="lagged"))["short"]
            await ana.shows(b"burst-42")
            assert len(ana.screens[-1][3]) < 80_000
            assert screen(ana.drawn()) == screen(pia.drawn())


async def test_the_screen_comes_first_and_the_lines_above_it_behind(serve: Serve) -> None:
    """Of 9,000 lines 8 KiB come with the first screen; then, as the viewer says how fast that came, the rest or what its line brings."""
    async with serve(cols=80, rows=24) as place, place.watch(who="pia", query="?cols=80&rows=24") as pia:
        await pia.running()
        await pia.type("seq -f %070g 1 9000; echo all-$((6*7))\r")
        await pia.shows(b"all-42")
        for rate, screens, last, short in ((10**8, 3, 300_000, False), (60_000, 2, 30_000, True), (5_000, 1, 8_000, True)):
            async with place.watch(who="ana", query="?first=8192", draws=False) as ana:
                while len(ana.screens) < screens:
                    before = len(ana.screens)
                    await ana.until(lambda: len(ana.screens) > before)  # noqa: B023  # awaited here
                    await ana.tell("consumed", offset=ana.offset, rate=rate)
                assert len(ana.screens[0][3]) < 16_000
                assert b"all-42" in ana.screens[0][3]
                await ana.ask("screen", format="text")
                assert [message["reason"] for message in ana.of("resync")] == ["joined", "above", "above"][:screens]
                assert len(ana.screens[-1][3]) > last
                assert ana.of("resync")[-1].get("short", False) is short
                assert screen(ana.drawn()) == screen(pia.drawn())


async def test_whoever_missed_more_than_they_want_gets_a_screen(serve: Serve) -> None:
    """A page that comes back is sent at most `missed` bytes before it has the present screen. A rate that means nothing is refused."""
    async with serve(cols=80, rows=24) as place, place.watch(who="pia", query="?cols=80&rows=24") as pia:
        await pia.running()
        await pia.until(lambda: pia.screens)
        epoch, offset = pia.of("welcome")[0]["epoch"], pia.offset
        await pia.type("seq -f %070g 1 900; echo all-$((6*7))\r")
        await pia.shows(b"all-42")
        where = f"?epoch={epoch}&offset={offset}"
        async with place.watch(query=where) as all_of_it, place.watch(query=f"{where}&first=8192&missed=32768") as ana:
            assert (await all_of_it.message("welcome"))["resumed"]
            assert not (await ana.message("welcome"))["resumed"]
            assert (await ana.message("resync"))["reason"] == "history"
            for rate in (0, -1, True, "1", 1e30):
                await ana.tell("consumed", offset=ana.offset, rate=rate)
                await ana.message("error")
                ana.control.clear()
            await ana.shows(b"all-42")


async def test_little_is_under_way_on_a_thin_line(serve: Serve) -> None:
    """While a program pours, it gets one screen after another; the one after Ctrl-C comes behind less than it brings in two seconds."""
    async with (
        serve(cols=80, rows=24) as place,
        far_from(place, rate=32_000) as (far, line),
        far.watch(who="ana", query="?scrollback=0&cols=80&rows=24", draws=False) as ana,
    ):
        await ana.running()
        await ana.tell("consumed", offset=ana.offset)
        room = await place.room("w1")
        async with asyncio.timeout(20):
            while not all(viewer.heard for viewer in room.viewers.values()):
                await asyncio.sleep(0.01)
        await ana.type("yes 'one line after the other, for as long as nobody stops it'\r")
        for _ in range(4):
            await ana.catch_up()
        assert len(ana.of("lag")) >= 3
        before = line.passed
        await ana.type("\x03")
        await ana.draws(lambda: b"^C" in ana.drawn())
        assert line.passed - before < 64_000
        await ana.type("echo now-$((6*7))\r")
        await ana.shows(b"now-42")
        async with place.watch(who="pia") as pia:
            await pia.shows(b"now-42")
            assert screen(ana.drawn()) == screen(pia.drawn())


async def test_little_is_sent_before_the_first_acknowledgement(serve: Serve) -> None:
    """Who joins over a thin line while a program pours is sent a screen and little more: it is told that it lags when that has come, and
    the prompt after its Ctrl-C comes with the next screen."""
    async with serve(cols=80, rows=24) as place, place.watch(who="pia", query="?cols=80&rows=24") as pia:
        await pia.running()
        await pia.type("yes 'one line after the other, for as long as nobody stops it'\r")
        await pia.shows(b"nobody stops it\r\n")
        async with far_from(place, rate=100_000) as (far, line), far.watch(who="ana", query="?scrollback=0", draws=False) as ana:
            await ana.message("resync", reason="joined")
            await ana.message("lag")
            assert ana.screens
            assert len(ana.output) <= THIN_BYTES
            before = line.passed
            await ana.type("\x03")
            await ana.draws(lambda: b"^C" in ana.drawn())
            assert line.passed - before < 300_000
            await ana.type("echo now-$((6*7))\r")
            await ana.draws(lambda: b"now-42" in ana.drawn())
            await pia.shows(b"now-42")
            await ana.draws(lambda: ana.offset >= pia.offset)
            assert screen(ana.drawn()) == screen(pia.drawn())


async def test_a_client_whose_screen_never_came_asks_for_a_small_one(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that is cut again and again before a whole history has come: it does not go on behind a screen that it never had."""
    monkeypatch.setattr(client, "THIN_AFTER", 0.0)
    async with serve() as place, place.watch(who="pia") as pia:
        await pia.running()
        await pia.type("seq -f %070g 1 9000; echo all-$((6*7))\r")
        await pia.shows(b"all-42")
        async with SlowLine.before(int(place.url.rsplit(":", 1)[1]), rate=30_000) as line:
            url, token = f"http://127.0.0.1:{line.port}", "ana-token-for-the-tests"
            term = TerminalClient(url, "w1", token=token, timeout=40, min_reconnection_delay=0.01)
            entering = asyncio.ensure_future(term.__aenter__())
            async with asyncio.timeout(40):
                while term.epoch is None:
                    await asyncio.sleep(0.01)
                await line.cut()
                await entering
            try:
                assert "all-42" in await term.screen()
                room = await place.room("w1")
                [ana] = [viewer for viewer in room.viewers.values() if viewer.person.subject == "ana"]
                assert ana.scrollback == 0
            finally:
                await term.close()


async def test_a_python_client_on_a_slow_line_gets_its_screen_first(serve: Serve) -> None:
    """Who reads along has the screen before the lines above it, and on a quick line these too; who only runs commands gets none of them."""
    async with serve() as place, place.watch() as ana:
        await ana.running()
        await ana.type("for i in $(seq 8000); do echo $i-of-many-coloured-lines-that-stand-above; done; echo last-$((40+2))\r")
        await ana.shows(b"last-42")
        token = "pia-token-for-the-tests"
        async with far_from(place, rate=20_000) as (far, line):
            before = line.passed
            async with TerminalClient(far.url, "w1", token=token) as runner:
                assert line.passed - before < 16_000
                assert (await runner.run("echo ran-$((1+1))", timeout=40)).output == "ran-2"
            slow = TerminalClient(far.url, "w1", token=token)
            before = line.passed
            with slow.reading() as output:
                async with slow:
                    first = await anext(output)
                    assert b"ran-2" in first
                    assert line.passed - before < 32_000
        quick = TerminalClient(place.url, "w1", token=token)
        with quick.reading() as output:
            async with quick, asyncio.timeout(30):
                async for screen in output:
                    if b"5000-of-many" in screen:
                        break
