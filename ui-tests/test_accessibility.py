"""Terminal, dashboard and table for eyes, ears and hands of every kind: axe finds nothing serious, and the keyboard gets everywhere."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from axe import serious
from bare_page import Place, host, live, scanned, token_of
from conftest import SCREENSHOTS
from heap import gone_from_memory
from playwright.sync_api import Browser, Locator, Page, expect

LOOKS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "forced": {"color_scheme": "dark", "forced_colors": "active"},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A host with an ops room that has scanned."""
    with host(tmp_path_factory.mktemp("rooms"), first=scanned) as running:
        yield running


@pytest.fixture
def look_at(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages that look as asked."""
    pages: list[Page] = []

    def open_page(**media: str) -> Page:
        pages.append(browser.new_page(viewport={"width": 1200, "height": 700}))
        pages[-1].emulate_media(**media)  # type: ignore[arg-type]
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()


@pytest.mark.parametrize("look", LOOKS)
def test_terminal_has_no_serious_violation(look: str, place: Place, look_at: Callable[..., Page]) -> None:
    """With its people, help and search open, beside another person, and with xterm's own tree for screen readers."""
    page, other = look_at(**LOOKS[look]), look_at()
    place.mount(page, "terminal", f"axe-{look}", screen_reader=True, rows=10)
    terminal = live(page)
    place.mount(other, "terminal", f"axe-{look}", who="ben", rows=10)
    terminal.get_by_role("button", name="2 people").click()
    terminal.get_by_role("button", name="Keys and accessibility").click()
    terminal.get_by_role("button", name="Find").click()
    page.locator(".xterm").click()
    page.keyboard.type("printf '\\033[31mred \\033[34mblue\\033[0m said-%s\\n' $((40+2))\n")
    expect(page.locator(".xterm-rows")).to_contain_text("said-42")
    SCREENSHOTS.mkdir(exist_ok=True)
    terminal.screenshot(path=SCREENSHOTS / f"terminal_open_{look}.png")
    assert serious(page) == []


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("bundle", ["dashboard", "table"])
def test_ops_widgets_have_no_serious_violation(bundle: str, look: str, place: Place, look_at: Callable[..., Page]) -> None:
    """With a failing row and its details open."""
    page = look_at(**LOOKS[look])
    place.mount(page, bundle, "main")
    row = page.locator(".pw-row").first
    expect(row).to_contain_text("A disk that is full")
    row.click()
    if bundle == "dashboard":
        expect(page.locator(".pw-detail")).to_contain_text("Uptime")
    SCREENSHOTS.mkdir(exist_ok=True)
    page.locator(".pw").first.screenshot(path=SCREENSHOTS / f"{bundle}_{look}.png")
    assert serious(page) == []


def test_an_acked_row_can_be_read(place: Place, look_at: Callable[..., Page]) -> None:
    """It is paler than the others, and every word in it still has the contrast of text, on light and on dark."""
    for look in ("light", "dark"):
        page = look_at(**LOOKS[look])
        place.mount(page, "dashboard", "main")
        row = page.locator(".pw-row").filter(has_text="A disk that is full")
        expect(row).to_have_count(1)
        if look == "light":
            row.click()
            page.get_by_role("button", name="Ack…").click()
            page.keyboard.type("on it\n")
        expect(row).to_contain_text("acked by Ana")
        page.locator(".pw-row").filter(has_text="fine").click()
        expect(row).not_to_have_class(re.compile("pw-selected"))
        assert row.evaluate("node => getComputedStyle(node.querySelector('.pw-cell:last-child')).opacity") != "1"
        assert serious(page) == []


def test_output_is_spoken_and_state_too(place: Place, look_at: Callable[..., Page]) -> None:
    """In screen reader mode xterm's live region says what comes out; the bar's state and who has control are live regions of their own."""
    page, other = look_at(), look_at()
    place.mount(page, "terminal", "spoken", rows=8)
    terminal = live(page)
    expect(page.locator(".xterm .live-region")).to_have_count(0)
    spoken = page.locator(".pw-terminal")
    expect(spoken).to_have_attribute("aria-label", re.compile("Its output is not read: Keys and accessibility, in its bar, turns"))
    terminal.get_by_role("button", name="Keys and accessibility").click()
    terminal.get_by_label("Screen reader mode").check()
    region = page.locator(".xterm .live-region")
    expect(region).to_have_attribute("aria-live", "assertive")
    expect(spoken).not_to_have_attribute("aria-label", re.compile("is not read"))
    page.locator(".xterm").click()
    page.keyboard.type("echo heard-$((40+2))\n")
    expect(region).to_contain_text("heard-42")
    expect(page.locator(".xterm-accessibility-tree")).to_contain_text("heard-42")
    expect(terminal.get_by_role("status").filter(has_text="live")).to_be_visible()
    place.mount(other, "terminal", "spoken", who="ben", rows=8)
    expect(other.locator('.pw-bar [role="status"]').filter(has_text="Ana has control")).to_be_visible()
    other.get_by_role("button", name="Ask for control").click()
    expect(page.locator('.pw-asks [role="status"]')).to_contain_text("Ben asks for control")
    terminal.get_by_role("button", name="Refuse Ben").click()
    expect(other.locator('.pw-notice[role="status"]')).to_contain_text("Ana refused")


def test_who_hears_one_terminal_hears_the_next(place: Place, look_at: Callable[..., Page]) -> None:
    """The browser keeps the screen reader mode, until it is turned off."""
    page = look_at()

    def opened(room: str) -> Locator:
        place.mount(page, "terminal", room, rows=8)
        return live(page)

    terminal = opened("hears-1")
    terminal.get_by_role("button", name="Keys and accessibility").click()
    terminal.get_by_label("Screen reader mode").check()
    terminal = opened("hears-2")
    expect(page.locator(".xterm .live-region")).to_have_count(1)
    terminal.get_by_role("button", name="Keys and accessibility").click()
    terminal.get_by_label("Screen reader mode").uncheck()
    opened("hears-3")
    expect(page.locator(".xterm .live-region")).to_have_count(0)


def test_a_choice_in_the_table_is_spoken(place: Place, look_at: Callable[..., Page]) -> None:
    """Space chooses a row and lets it go, and says which and how many; Enter leads into details that are named after their check."""
    page = look_at()
    place.mount(page, "dashboard", "main")
    grid = page.get_by_role("grid")
    expect(grid.get_by_role("gridcell", name="fine")).to_be_visible()
    grid.focus()
    page.keyboard.press("Control+End")
    page.keyboard.press("Space")
    spoken = page.locator(".pw-hidden[role='status']")
    expect(spoken).to_have_text("fine selected, 1 in all.")
    page.keyboard.press("Space")
    expect(spoken).to_have_text("fine not selected, 0 in all.")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Details of fine")).to_be_focused()


def test_keyboard_goes_in_and_out(place: Place, look_at: Callable[..., Page]) -> None:
    """Tab belongs to the shell while the terminal has the focus; both ways out lead to the bar, and Tab from there through its buttons."""
    page = look_at()
    place.mount(page, "terminal", "keys", rows=8)
    terminal = live(page)
    assert terminal.get_attribute("data-lm-suppress-shortcuts") == "true"
    assert "Ctrl+Shift+Escape" in (terminal.get_attribute("aria-label") or "")
    seen = page.evaluate("() => { window.keys = []; document.addEventListener('keydown', e => keys.push(e.key)); }")
    assert seen is None
    for way in ("Control+Shift+Escape", "Control+F6"):
        page.locator(".xterm").click()
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.className") == "xterm-helper-textarea"
        page.keyboard.press(way)
        assert page.evaluate("() => document.activeElement.closest('.pw-bar') !== null")
    names = []
    for _ in range(12):
        names.append(page.evaluate("() => document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"))
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.className") == "xterm-helper-textarea":
            break
    assert names == ["Find", "Copy", "Recording", "Keys and accessibility"]
    # The notebook's shortcuts listen on the document: none of it got there.
    assert page.evaluate("() => window.keys") == []


def test_text_grows_by_keyboard(place: Place, look_at: Callable[..., Page]) -> None:
    """Ctrl+Alt+= and - change the size of the text, Ctrl+Alt+0 takes it back."""
    page = look_at()
    place.mount(page, "terminal", "zoom", rows=8)
    live(page)
    page.locator(".xterm").click()
    size = "() => getComputedStyle(document.querySelector('.xterm-rows')).fontSize"
    page.wait_for_function(f"() => ({size})() === '13px'")
    for keys, wanted in (("Control+Alt+=", "14px"), ("Control+Alt+-", "13px"), ("Control+Alt+-", "12px"), ("Control+Alt+0", "13px")):
        page.keyboard.press(keys)
        page.wait_for_function(f"() => ({size})() === '{wanted}'")


def test_no_terminal_stays_in_memory(place: Place, look_at: Callable[..., Page]) -> None:
    """After twenty terminals that were opened and closed, the page's heap holds none of them and no socket is open."""
    page = look_at()
    for _ in range(20):
        place.mount(page, "terminal", "leaving", rows=6)
        live(page)
        page.evaluate("() => { window.leave(); window.leave = null; }")
    gone_from_memory(page)
    request = urllib.request.Request(f"{place.url}/parties/terminal-server/leaving", headers={"Authorization": f"Bearer {token_of('ana')}"})
    people = -1
    for _ in range(600):
        with urllib.request.urlopen(request, timeout=20) as answer:
            people = json.load(answer)["people"]
        if people == 0:
            break
        page.wait_for_timeout(100)
    assert people == 0
