"""Rows that are gone, in a dashboard's bar: a few words; all of it is unfolded, read and dismissed by keyboard, in narrow windows too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from axe import serious
from bare_page import CONFIG, Place, host, scanned, token_of
from conftest import SCREENSHOTS
from playwright.sync_api import Browser, Page, expect

NAME = "a-long-name-that-cannot-be-broken-anywhere-" * 3
NOTHING_IS_CUT = """() => [...document.querySelectorAll('.pw-bar, .pw-bar *')]
    .filter(node => node.getClientRects().length && !node.closest('.pw-bar-title'))
    .every(node => node.scrollWidth <= node.clientWidth + 1 || node.clientWidth === 0)
    && [...document.querySelectorAll('.pw-bar *')].filter(node => node.getClientRects().length)
        .every(node => node.getBoundingClientRect().right <= document.querySelector('.pw-bar').getBoundingClientRect().right + 0.5)"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A host with results."""
    with host(tmp_path, first=scanned) as running:
        yield running


def configure(place: Place, text: str) -> None:
    """Gives the host another config under the same name."""
    headers = {"Authorization": f"Bearer {token_of('ana')}"}
    with httpx.Client(base_url=place.url, headers=headers, timeout=60, trust_env=False) as client:
        answer = client.put("/api/ops/config/look.yaml", content=text)
        assert answer.status_code == 200, answer.text


def tab_to(page: Page, name: str) -> None:
    """Presses Tab until the focus stands on a button."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.textContent") == name:
            return
    raise AssertionError(f"Tab does not lead to {name!r}")


@pytest.mark.parametrize("width", [1280, 480, 310])
def test_unfolded_and_dismissed_by_keyboard(width: int, browser: Browser, place: Place) -> None:
    """The words do not say that rows are missing which were replaced; unfolded, the whole sentence stands inside the bar."""
    page = browser.new_page(viewport={"width": width, "height": 700})
    try:
        place.mount(page, "dashboard", "main")
        expect(page.locator(".pw-row")).to_have_count(2)
        other = json.loads(CONFIG)
        other["checks"][0]["command"] = ["/bin/false", NAME]
        configure(place, json.dumps(other))
        words = page.get_by_role("button", name="1 row replaced")
        expect(words).to_be_visible()
        assert page.evaluate(NOTHING_IS_CUT)
        tab_to(page, "1 row replaced")
        page.keyboard.press("Enter")
        whole = page.get_by_role("group", name="Rows that are gone")
        expect(whole).to_contain_text("A disk that is full was replaced: look.yaml looks at something else under this id")
        assert page.evaluate(NOTHING_IS_CUT)
        SCREENSHOTS.mkdir(exist_ok=True)
        page.locator(".pw-bar").screenshot(path=SCREENSHOTS / f"removed_rows_{width}.png")
        assert serious(page) == []
        tab_to(page, "Dismiss")
        page.keyboard.press("Enter")
        expect(words).to_have_count(0)
        expect(whole).to_have_count(0)
        configure(place, json.dumps({"checks": other["checks"][:1]}))
        gone = page.get_by_role("button", name="1 row gone")
        gone.click()
        expect(whole).to_contain_text("fine is gone: its check was taken out of look.yaml, by Ana")
        assert page.evaluate(NOTHING_IS_CUT)
    finally:
        page.close()
