"""Whoever types where nothing is taken reads so, instead of believing that it waits somewhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bare_page import Place, live, type_into
from playwright.sync_api import Browser, Page, Route, expect

NOTICE = '.pw-notice[role="status"]'


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that may use the clipboard."""
    context = browser.new_context(viewport={"width": 1000, "height": 500}, permissions=["clipboard-read", "clipboard-write"])
    yield context.new_page()
    context.close()


def test_before_the_terminal_is_live(page: Page, place: Place) -> None:
    """Keys that come before the room does are refused in words, which go when one may type; none of them arrives later."""
    away = True

    def answer(route: Route) -> None:
        """The host is not reached at first."""
        route.abort() if away else route.continue_()

    page.goto(f"{place.url}/healthz")
    page.route("**/hello", answer)
    place.mount(page, "terminal", "early", rows=8)
    terminal = page.locator(".pw-terminal")
    type_into(terminal, "echo early\n")
    expect(page.locator(NOTICE)).to_have_text("What you type is not sent: the terminal is not live yet")
    away = False
    terminal = live(page)
    expect(page.locator(NOTICE)).to_have_text("")
    type_into(terminal, "echo later-$((1+1))\n")
    expect(terminal.locator(".xterm-rows")).to_contain_text("later-2")
    expect(terminal.locator(".xterm-rows")).not_to_contain_text("early")


def test_who_only_watches(page: Page, place: Place, browser: Browser) -> None:
    """An observer who types or pastes reads why nothing comes of it."""
    place.mount(page, "terminal", "watched", rows=8)
    live(page)
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    other = context.new_page()
    place.mount(other, "terminal", "watched", who="obi", rows=8)
    watching = live(other)
    for keys in ("x", "Control+v"):
        other.evaluate("() => { document.querySelector('.pw-notice').textContent = ''; return navigator.clipboard.writeText('pasted'); }")
        watching.locator(".xterm").click()
        other.keyboard.press(keys)
        expect(other.locator(NOTICE)).to_have_text("What you type is not sent: you are observer here and only watch")
    context.close()


def test_more_than_a_paste_may_have(page: Page, place: Place) -> None:
    """A text that no host takes in one message is refused in words, and the terminal stays connected; the largest one arrives whole."""
    place.mount(page, "terminal", "pasted", rows=8)
    terminal = live(page)
    type_into(terminal, "stty -echo; echo reads-$((1+1)); head -c 1000000 | wc -c\n")
    expect(terminal.locator(".xterm-rows")).to_contain_text("reads-2")  # the shell takes no paste as such any more
    page.evaluate("() => navigator.clipboard.writeText('0123456789'.repeat(7).concat('\\n').repeat(15000))")
    page.keyboard.press("Control+v")
    expect(page.locator(NOTICE)).to_have_text("Not pasted: the text has 1065 kB, and 1000 kB is the most: bring it over as a file")
    page.evaluate("() => navigator.clipboard.writeText('0123456789'.repeat(7).concat('\\n').repeat(15000).slice(0, 999999) + '\\n')")
    page.keyboard.press("Control+v")
    page.get_by_role("button", name="Paste", exact=True).click()
    expect(terminal.locator(".xterm-rows")).to_contain_text("1000000")
    expect(page.locator(NOTICE)).to_have_text("")
    expect(terminal).to_have_attribute("data-state", "live")
