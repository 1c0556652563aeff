"""The terminal's bar from a wide notebook down to a narrow pane: one line; what has no room there is behind a button, for keys too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from axe import serious
from bare_page import Place, live
from conftest import SCREENSHOTS
from laptop import wait_for
from playwright.sync_api import Browser, Locator, Page, expect

BUTTONS = ["2 people", "Release control", "Find", "Copy", "Recording", "Keys and accessibility"]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """A page of a width."""
    pages: list[Page] = []

    def page(width: int, scheme: str = "light") -> Page:
        pages.append(browser.new_context(viewport={"width": width, "height": 420}, color_scheme=scheme).new_page())  # type: ignore[arg-type]
        return pages[-1]

    yield page
    for one in pages:
        one.context.close()


def with_control(place: Place, page: Page, other: Page, room: str) -> Locator:
    """A terminal of the one who has control, with somebody else there: the bar has most to say."""
    place.mount(page, "terminal", room, rows=8)
    terminal = live(page)
    place.mount(other, "terminal", room, who="ben", rows=8)
    live(other)
    page.locator(".xterm").click()
    page.keyboard.type("echo by-$((1+1))-ana\n")
    expect(terminal.get_by_role("button", name="Release control")).to_be_visible()
    expect(page.locator(".xterm-rows")).to_contain_text("by-2-ana")
    for words in ("2 people", "you have control", "by Ana"):
        expect(terminal).to_contain_text(words)
    return terminal


def inside(terminal: Locator) -> None:
    """Nothing of the bar sticks out of it, and nothing lies on something else, once it has its place."""

    def fits() -> bool:
        (left, right, _), *parts = boxes()
        within = all(left <= begin and end <= right + 0.5 for begin, end, _ in parts)
        return within and all(before[1] <= after[0] + 0.5 for before, after in pairwise(parts))

    def boxes() -> list[tuple[float, float, str]]:
        found: list[tuple[float, float, str]] = terminal.locator(".pw-bar").evaluate(
            """bar => [bar, ...bar.children].filter(n => n.getClientRects().length && n.offsetWidth).map(n => {
                const { left, right } = n.getBoundingClientRect();
                return [left, right, n.textContent.slice(0, 30)];
            })"""
        )
        return found

    wait_for(fits, "the bar's parts do not fit")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 770, 480, 310])
def test_nothing_is_lost(width: int, scheme: str, place: Place, open_page: Callable[..., Page]) -> None:
    """All of the wide bar is in the bar or behind its More, reached by Tab; the bar is one line where that is wide enough."""
    page, other = open_page(width, scheme), open_page(800)
    terminal = with_control(place, page, other, f"narrow-{width}-{scheme}")
    bar, more = terminal.locator(".pw-bar"), terminal.get_by_role("button", name="More")
    expect(more).to_have_count(0 if width == 1280 else 1)
    inside(terminal)
    page.wait_for_function("width => width < 480 || document.querySelector('.pw-bar').getBoundingClientRect().height < 34", arg=width)
    SCREENSHOTS.mkdir(exist_ok=True)
    terminal.screenshot(path=SCREENSHOTS / f"bar_{width}_{scheme}.png")
    page.locator(".xterm").click()
    page.keyboard.press("Control+Shift+Escape")
    if width < 1280:
        while page.evaluate("() => document.activeElement.getAttribute('aria-label')") != "More":
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(terminal.get_by_role("group", name="More of the bar")).to_be_visible()
        page.keyboard.press("Control+Shift+Escape")
        bar.locator("button:visible").first.focus()
    seen = []
    while not page.evaluate("() => document.activeElement.classList.contains('xterm-helper-textarea')"):
        seen.append(page.evaluate("() => document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"))
        page.keyboard.press("Tab")
    assert sorted(set(seen) - {"More"}) == sorted(BUTTONS)
    for words in ("moderator", "by Ana", "remote", "you have control", "live"):
        expect(terminal.get_by_text(words).first).to_be_visible()
    terminal.screenshot(path=SCREENSHOTS / f"bar_{width}_{scheme}_more.png")
    assert serious(page) == []


def test_room_comes_and_goes(place: Place, open_page: Callable[..., Page]) -> None:
    """A pane that is made narrow and wide again has every part back in its place, and the focus stays on what had it."""
    page, other = open_page(1280), open_page(800)
    terminal = with_control(place, page, other, "drag")
    bar = terminal.locator(".pw-bar")
    expect(terminal.locator(".pw-badge")).to_contain_text("ms")  # the delay has been measured
    wide = bar.inner_text()
    copy = terminal.get_by_role("button", name="Copy")
    copy.focus()
    page.set_viewport_size({"width": 480, "height": 420})
    more = terminal.get_by_role("button", name="More")
    expect(more).to_be_focused()
    more.click()
    expect(copy).to_be_visible()
    copy.focus()
    page.set_viewport_size({"width": 1280, "height": 420})
    expect(more).to_have_count(0)
    expect(copy).to_be_focused()
    page.wait_for_function(
        "text => document.querySelector('.pw-bar').innerText.replace(/[<\\d.]+ m?s/, '') === text.replace(/[<\\d.]+ m?s/, '')", arg=wide
    )


def test_a_long_sentence_keeps_its_buttons(place: Place, open_page: Callable[..., Page]) -> None:
    """At 480 pixels a shell's end is told whole, in as many lines as it needs, beside the button that starts it again."""
    page, other = open_page(480), open_page(800)
    terminal = with_control(place, page, other, "ended")
    page.locator(".xterm").click()
    page.keyboard.type("exit 3\n")
    expect(terminal.locator(".pw-state")).to_contain_text("ended with code 3")
    expect(terminal.get_by_role("button", name="Restart")).to_be_visible()
    inside(terminal)
    terminal.screenshot(path=SCREENSHOTS / "bar_480_ended.png")
