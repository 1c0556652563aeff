"""One terminal in windows of different sizes: it has the size of whoever has control, and the others see all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from bare_page import Place, live, token_of, type_into
from conftest import SCREENSHOTS
from playwright.sync_api import Browser, Locator, Page, expect

from partywidgets.client.terminal import TerminalClient

FONT = "node => parseFloat(getComputedStyle(node.querySelector('.xterm-rows')).fontSize)"
OVERFLOW = """node => {
    const screen = node.querySelector('.pw-screen');
    return [screen.scrollWidth - screen.clientWidth, screen.clientWidth, node.querySelector('.xterm-screen').offsetWidth];
}"""

WITH_OVERFLOW = f"() => {{ const [over, room, drawn] = ({OVERFLOW})(document.querySelector('.pw-terminal'));"


@pytest.fixture
def enter(browser: Browser, place: Place) -> Iterator[Callable[..., Locator]]:
    """`enter(room, who, width)`: somebody's page of a width on a terminal."""
    pages: list[Page] = []

    def open_page(room: str, who: str, width: int) -> Locator:
        pages.append(browser.new_context(viewport={"width": width, "height": 420}).new_page())
        place.mount(pages[-1], "terminal", room, who=who, rows=10)
        return live(pages[-1])

    yield open_page
    for page in pages:
        page.context.close()


def test_who_looks_on_sees_all_of_it_and_changes_nothing(enter: Callable[..., Locator]) -> None:
    """A narrow window scales the text, a very narrow one scrolls; the size stays the controller's, and goes with control."""
    ana = enter("sizes", "ana", 1000)
    type_into(ana, "clear; stty size\n")
    expect(ana.locator(".xterm-rows")).to_contain_text("10 ")
    size = ana.locator(".xterm-rows").inner_text().split()
    wide = next(f"{columns}×10" for rows, columns in pairwise(size) if rows == "10" and columns.isdecimal())
    ben, obi = enter("sizes", "ben", 640), enter("sizes", "obi", 320)
    expect(obi.locator(".xterm-rows")).to_contain_text("10 ")
    for page in (ana, ben):
        expect(page.locator(".pw-bar, .pw-more").filter(has_text=wide)).to_have_count(1)
    ana.page.wait_for_function(f"() => ({FONT})(document.querySelector('.pw-terminal')) === 13")
    ben.page.wait_for_function(f"() => {{ const size = ({FONT})(document.querySelector('.pw-terminal')); return 6 <= size && size < 13; }}")
    # Once the font is what it will be, a narrow one shows all of it, and the narrowest scrolls to what has no room.
    ben.page.wait_for_function(f"{WITH_OVERFLOW} return over <= 0 && drawn <= room; }}")
    obi.page.wait_for_function(f"{WITH_OVERFLOW} return over > 0 || drawn <= room; }}")
    SCREENSHOTS.mkdir(exist_ok=True)
    for name, page in (("ana", ana), ("ben", ben), ("obi", obi)):
        page.screenshot(path=SCREENSHOTS / f"size_{name}.png")
    ben.get_by_role("button", name="Ask for control").click()
    ana.get_by_role("button", name="Give control to Ben").click()
    expect(ben.get_by_role("button", name="Release control")).to_be_visible()
    type_into(ben, "clear; stty size\n")
    ben.page.wait_for_function(f"() => ({FONT})(document.querySelector('.pw-terminal')) === 13")
    expect(ana.locator(".pw-bar, .pw-more").filter(has_text="by Ben")).to_have_count(1)
    expect(ana.locator(".pw-bar, .pw-more").filter(has_text=wide)).to_have_count(0)


def test_a_cell_that_opened_it_leaves_the_size_to_the_page(enter: Callable[..., Locator], place: Place) -> None:
    """ "Run All" runs its first command before the page is there: the text keeps its size, and the terminal fills the page that comes."""

    async def run() -> None:
        async with TerminalClient(place.url, "run-all", token=token_of("ana")) as cell:
            assert (await cell.run("true", timeout=60)).exit_code == 0

    with ThreadPoolExecutor(1) as beside:  # Playwright's own loop runs in this thread
        beside.submit(asyncio.run, run()).result(90)
    ana = enter("run-all", "ana", 1000)
    expect(ana.locator(".pw-bar, .pw-more").filter(has_text="×10")).to_have_count(1)
    type_into(ana, "clear; stty size\n")
    expect(ana.locator(".xterm-rows")).to_contain_text("10 ")
    ana.page.wait_for_function(f"() => ({FONT})(document.querySelector('.pw-terminal')) === 13")
