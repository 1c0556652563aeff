"""What people and targets wrote may be of any length: the host's page stays as wide as its window, and says all of it somewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from bare_page import Place, host, token_of
from conftest import SCREENSHOTS
from playwright.sync_api import Browser, expect
from test_large_board import publish

from partywidgets import bundles
from partywidgets.scans.model import CheckResult, utc_now

pytestmark = pytest.mark.skipif("page.js" not in bundles.bundle_names(), reason="the front end is not built here")

ID = "i" * 120
SUMMARY = "s" * 199
WIDER = """() => [...document.querySelectorAll('.pw-detail, .pw-actions, .pw-tools, .pw-bar, .pw-page-head')]
    .filter(part => part.scrollWidth > part.clientWidth + 1).map(part => part.className)"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A host with one row, without a space in any of its words."""

    async def first(url: str, token: str) -> None:
        row = CheckResult(ID, "http", f"https://{'sub.' * 40}example", "crit", summary=SUMMARY, observed_at=utc_now())
        await asyncio.to_thread(publish, url, token, [row])

    with host(tmp_path_factory.mktemp("long"), first=first) as running:
        yield running


@pytest.mark.parametrize("width", [320, 650, 1300])
def test_no_word_widens_the_page(width: int, browser: Browser, place: Place) -> None:
    """With the row chosen, its changes and its actions shown; the tools stand in two lines at most, and Sign out at the end of its line."""
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(place.url)
    page.get_by_label("Token").fill(token_of("ana"))
    page.keyboard.press("Enter")
    page.locator(".pw-row").click()
    expect(page.locator(".pw-changes li")).to_contain_text(SUMMARY)
    expect(page.locator(".pw-actions")).to_contain_text(ID)
    page.wait_for_function("width => document.documentElement.scrollWidth === width", arg=width)
    assert page.evaluate(WIDER) == []
    tools = page.locator(".pw-tools").bounding_box()
    leaving = page.get_by_role("button", name="Sign out").bounding_box()
    assert tools is not None
    assert leaving is not None
    assert tools["height"] < 70
    assert leaving["x"] + leaving["width"] > width - 20
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"long_names_{width}.png")
    page.close()
