"""A terminal's page over a slow line: the screen first, the lines above it behind or on demand, and never a blank screen between."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from bare_page import Place, live, type_into
from conftest import SCREENSHOTS
from playwright.sync_api import Browser, Page, expect

from partywidgets import bundles
from tests.slow_line import SlowLine

LINES = (
    "for n in $(seq 1 9000); do printf '\\033[3%dm%05d \\033[1;4%dmsome coloured text\\033[0m of a log line that is long enough\\n'"
    " $((n%8)) $n $((n/40%8)); done; echo all-$((6*7))\n"
)
WATCH = """() => {
  window.shown = [];
  let without = 0;
  const look = () => {
    const text = document.querySelector(".xterm-rows")?.textContent ?? "";
    without = text.includes("all-42") ? 0 : without + 1;
    // Before a frame, in which xterm may still draw: what is missing twice was missing on the screen.
    if (without !== 1 && shown.at(-1) !== !without) shown.push(!without);
    requestAnimationFrame(look);
  };
  look();
}"""


@contextmanager
def slow(place: Place, rate: int) -> Iterator[tuple[Place, SlowLine]]:
    """The same host over a line of so many bytes a second, on a thread of its own."""
    ready, told = threading.Event(), []
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    async def listen() -> None:
        async with SlowLine.before(int(place.url.rsplit(":", 1)[1]), rate=rate, delay=0.05) as line:
            told.append(line)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(listen()))
    thread.start()
    try:
        assert ready.wait(30)
        yield place.over(told[0].port), told[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()


@pytest.fixture
def history(browser: Browser, place: Place) -> Iterator[Page]:
    """A terminal with 9,000 coloured lines above its screen."""
    page = browser.new_page(viewport={"width": 1000, "height": 500})
    place.mount(page, "terminal", "long", rows=20)
    terminal = live(page)
    type_into(terminal, LINES)
    expect(terminal.locator(".xterm-rows")).to_contain_text("all-42")
    yield page
    page.close()


@pytest.mark.parametrize(("rate", "whole"), [(20_000, False), (50_000_000, True)])
def test_the_screen_comes_first(browser: Browser, place: Place, history: Page, rate: int, whole: bool) -> None:
    """Of a history of 370 KB the page has its screen behind some KB; the rest follows where the line brings it, else the bar offers it."""
    page = browser.new_page(viewport={"width": 1000, "height": 500})
    try:
        with slow(place, rate) as (far, line):
            page.goto(f"{place.url}/healthz")
            page.evaluate(f"import('/static/{bundles.static_hash()}/terminal.js')")
            page.evaluate(WATCH)
            far.mount(page, "terminal", "long", who="obi", rows=20)
            terminal = page.locator(".pw-terminal")
            expect(terminal.locator(".xterm-rows")).to_contain_text("all-42")
            load = terminal.get_by_role("button", name="Load history")
            if whole:
                for _ in range(400):
                    if line.passed > 300_000:
                        break
                    page.wait_for_timeout(100)
                assert line.passed > 300_000
                expect(load).to_be_hidden()
            else:
                expect(load).to_be_enabled()
                assert line.passed < 120_000
                page.screenshot(path=SCREENSHOTS / "slow_line.png")
                load.click()
                expect(terminal.get_by_role("button", name=re.compile("history"))).to_be_hidden()
            expect(terminal).to_have_attribute("data-state", "live")
            assert page.evaluate("shown") == [False, True]
    finally:
        page.close()
