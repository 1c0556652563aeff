"""The host's page on a phone: what fails can be read, pressed by a finger, and looked into, also on the narrowest screens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe import serious
from conftest import PATIENCE, SCREENSHOTS
from playwright.sync_api import Browser, Locator, Page, expect
from team_host import Host

from partywidgets import bundles

pytestmark = pytest.mark.skipif("page.js" not in bundles.bundle_names(), reason="the front end is not built here")

FINGER = 44
"""Pixels that a finger meets, after the platforms' guidelines."""
LONG = "The fallback endpoint of the payment gateway"
RIGHT_TO_LEFT = "خادم الدفع في المنطقة الثانوية لا يستجيب منذ مساء أمس"
SMALL = f"""() => [...document.querySelectorAll('button, select, input, summary, nav a')]
    .filter(node => node.getClientRects().length && node.getBoundingClientRect().height < {FINGER} - 0.5)
    .map(node => `${{node.tagName}} ${{node.textContent}}: ${{node.getBoundingClientRect().height}}`)"""


def config(folder: Path) -> str:
    """Twelve checks whose files are not there, and one that is."""
    remedy = {"text": "Start it again", "command": f"touch {folder}/0", "sandbox": "web"}
    titles = [LONG, RIGHT_TO_LEFT, *(f"Check {number}" for number in range(10))]
    checks = [{"id": f"c{place}", "title": title, "path": f"{folder}/{place}", "remediation": remedy} for place, title in enumerate(titles)]
    checks.append({"id": "here", "title": "A file that is there", "path": str(folder)})
    return json.dumps(
        {
            "defaults": {"every": "30s"},
            "sandboxes": {"default": "local:/bin/bash", "web": "local:/bin/bash"},
            "checks": [{"type": "file", **check} for check in checks],
        },
        ensure_ascii=False,
    )


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host where nearly all fails."""
    folder = tmp_path_factory.mktemp("phone")
    (folder / "home").mkdir()
    (folder / "home" / ".bashrc").write_text("PS1='$ '\n")
    started = Host(folder, config=config(folder), environ={"HOME": str(folder / "home")})
    started.start()
    yield started
    started.stop()


@pytest.fixture
def phone(browser: Browser, host: Host) -> Iterator[Callable[..., Page]]:
    """Opens the page on a phone of a size, signed in."""
    pages: list[Page] = []

    def signed_in(width: int, height: int, *, place: str = "", dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, has_touch=True, is_mobile=True, color_scheme="dark" if dark else "light"
        )
        context.set_default_timeout(PATIENCE)
        pages.append(context.new_page())
        pages[-1].goto(host.url + place)
        pages[-1].get_by_label("Token").fill(host.token)
        pages[-1].keyboard.press("Enter")
        return pages[-1]

    yield signed_in
    for page in pages:
        page.context.close()


def row(page: Page, title: str) -> Locator:
    """The line of a check."""
    return page.locator(".pw-row", has_text=title)


@pytest.mark.parametrize(("width", "height"), [(320, 640), (390, 844)])
def test_what_fails_is_read_and_pressed(width: int, height: int, phone: Callable[..., Page]) -> None:
    """A row tells its check's name in a line of its own; pressing it shows its details and moves no row, and nothing is smaller than a
    finger or wider than the screen."""
    page = phone(width, height)
    expect(row(page, "Check 0")).to_be_visible()
    grid = page.get_by_role("grid")
    assert grid.evaluate("node => [node.scrollWidth - node.clientWidth, document.documentElement.scrollWidth]") == [0, width]
    title = row(page, LONG).locator(".pw-cell", has_text=LONG)
    status = row(page, LONG).locator(".pw-cell").first
    assert title.evaluate("node => node.clientWidth") >= 2 * status.evaluate("node => node.clientWidth")
    assert page.evaluate(SMALL) == []
    before = row(page, "Check 0").evaluate(
        "node => node.getBoundingClientRect().top - node.closest('.pw-grid').getBoundingClientRect().top"
    )
    row(page, "Check 0").tap()
    expect(page.locator(".pw-detail")).to_contain_text("Start it again")
    expect(page.locator(".pw-detail .pw-detail-title")).to_be_in_viewport()
    expect(page.locator(".pw-detail").get_by_text("there is no such file").first).to_be_in_viewport()
    expect(page.get_by_role("button", name="Ack…")).to_be_in_viewport()
    after = row(page, "Check 0").evaluate("node => node.getBoundingClientRect().top - node.closest('.pw-grid').getBoundingClientRect().top")
    assert after == before
    assert page.evaluate(SMALL) == []
    assert serious(page, "body > *") == []
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"phone_{width}.png")


def test_text_from_right_to_left_is_cut_at_its_end(phone: Callable[..., Page]) -> None:
    """What has no room is left out at the left, where such a text ends."""
    page = phone(320, 640)
    cell = row(page, RIGHT_TO_LEFT).locator(".pw-cell", has_text=RIGHT_TO_LEFT)
    expect(cell).to_be_visible()
    first, last = cell.evaluate(
        """node => {
            const text = node.firstElementChild.firstChild, range = document.createRange();
            const at = place => { range.setStart(text, place); range.setEnd(text, place + 1); return range.getBoundingClientRect(); };
            const box = node.getBoundingClientRect();
            const inside = ({ left, right }) => left >= box.left && right <= box.right;
            return [inside(at(0)), inside(at(text.length - 1))];
        }"""
    )
    assert (first, last) == (True, False)


def test_a_table_that_is_made_narrow_keeps_its_place(phone: Callable[..., Page]) -> None:
    """Turned upright, the phone shows the rows that it showed lying."""
    page = phone(844, 390)
    grid = page.get_by_role("grid")
    expect(row(page, "Check 0")).to_be_visible()
    expect(grid).to_have_attribute("aria-rowcount", "14")
    grid.evaluate(
        """async node => {
            node.scrollTop = 50;
            for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
        }"""
    )
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("() => document.querySelector('.pw-grid').hasAttribute('data-stacked')")
    assert grid.evaluate("node => [node.scrollTop, document.querySelector('.pw-row').getBoundingClientRect().height]") == [100, 50]


def test_a_shell_beside_the_phones_keyboard(phone: Callable[..., Page]) -> None:
    """The keys that such a keyboard has not stand below the screen and leave the focus in it; when it opens, the shell's last line stays in
    view above it."""
    page = phone(390, 844, place="#terminal=web&sandbox=web", dark=True)
    terminal = page.locator(".pw-terminal")
    expect(terminal).to_have_attribute("data-state", "live")
    screen, keys = terminal.locator(".xterm-rows"), page.get_by_role("toolbar", name="Keys", exact=True)
    expect(screen).to_contain_text("$")
    terminal.locator(".xterm").tap()
    page.keyboard.type("cat\n")
    keys.get_by_role("button", name="Ctrl, held").tap()
    page.keyboard.type("c")
    expect(screen).to_contain_text("^C")
    page.keyboard.type("cat\n")
    keys.get_by_role("button", name="Interrupt").tap()
    page.keyboard.type("echo one-$((40+2))\n")
    expect(screen).to_contain_text("one-42")
    keys.get_by_role("button", name="Up", exact=True).tap()
    page.keyboard.type(" again\n")
    expect(screen).to_contain_text("one-42 again")
    assert page.evaluate(SMALL) == []
    assert serious(page, "body > *") == []
    page.set_viewport_size({"width": 390, "height": 360})
    page.keyboard.type("clear; seq 100; echo last-$((40+3))\n")
    last = screen.locator("div", has_text="last-43").last
    expect(last).to_be_in_viewport(ratio=1)
    expect(keys.get_by_role("button", name="Esc")).to_be_in_viewport(ratio=1)
    assert page.evaluate("() => [document.documentElement.scrollHeight, document.documentElement.scrollWidth]") == [360, 390]
    page.screenshot(path=SCREENSHOTS / "phone_terminal.png")


def test_a_remedy_by_finger(phone: Callable[..., Page]) -> None:
    """No keyboard comes up over what is read, before and after; who touches the command can change it, and is not zoomed into it."""
    page = phone(390, 844)
    row(page, "Check 0").tap()
    page.get_by_role("button", name="Open terminal").tap()
    run, command = page.get_by_role("button", name="Run in web"), page.get_by_label("Command")
    expect(run).to_be_enabled()
    expect(page.locator(".pw-remedy")).to_be_focused()
    size = command.bounding_box()
    assert size is not None
    assert size["height"] >= FINGER
    assert command.evaluate("field => parseFloat(getComputedStyle(field).fontSize)") >= 16
    command.tap()
    expect(command).to_be_focused()
    run.tap()
    expect(page.locator(".pw-remedy")).to_be_focused()
    expect(page.locator(".pw-said")).to_contain_text("exit 0")
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "phone_remedy.png")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
