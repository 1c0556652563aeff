"""A terminal under a finger: what a person on a phone or a tablet does in an incident."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bare_page import Place, live, type_into
from playwright.sync_api import Browser, Locator, expect


@pytest.fixture
def tablet(browser: Browser, place: Place) -> Iterator[Locator]:
    """A terminal in a page that is touched."""
    context = browser.new_context(viewport={"width": 800, "height": 600}, has_touch=True)
    page = context.new_page()
    place.mount(page, "terminal", "touched", rows=12)
    yield live(page)
    context.close()


def drag(terminal: Locator, lines: float) -> None:
    """One finger, moved down by this many lines of the terminal; up when negative."""
    row = terminal.locator(".xterm-rows > div").first.bounding_box()
    assert row is not None
    page = terminal.page
    x, y = row["x"] + 60, row["y"] + row["height"] * 6
    session = page.context.new_cdp_session(page)
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for step in range(1, 11):
        point = {"x": x, "y": y + row["height"] * lines * step / 10}
        session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()


def test_a_finger_scrolls_back_and_forth(tablet: Locator) -> None:
    """Down shows what was printed before, up what came after; the page stays where it is."""
    type_into(tablet, "clear; seq 100 300\n")
    first = tablet.locator(".xterm-rows > div").first
    expect(first).to_have_text("290")
    drag(tablet, 4.5)
    expect(first).to_have_text("286")
    drag(tablet, -3.5)
    expect(first).to_have_text("289")
    assert tablet.page.evaluate("() => scrollY") == 0


def test_a_finger_in_a_pager(tablet: Locator) -> None:
    """A full-screen program without a mouse gets arrow keys."""
    type_into(tablet, "seq 100 300 | less\n")
    first = tablet.locator(".xterm-rows > div").first
    expect(first).to_have_text("100")
    drag(tablet, -5.5)
    expect(first).to_have_text("105")
    drag(tablet, 2.5)
    expect(first).to_have_text("103")
