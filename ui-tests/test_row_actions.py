"""Ack and silence from a row, with two people's pages on one room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bare_page import Place, host, scanned
from playwright.sync_api import Browser, Page, expect

DISK = "A disk that is full"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A host with results."""
    with host(tmp_path, first=scanned) as running:
        yield running


def say(page: Page, button: str, reason: str) -> None:
    """Presses a button over the selected row, gives a reason and sends it."""
    page.get_by_role("button", name=button).click()
    page.get_by_label("Reason").fill(reason)
    page.keyboard.press("Enter")


def test_what_one_says_of_a_row_everyone_sees(browser: Browser, place: Place) -> None:
    """An ack and a silence stand in the other's table and details with author and reason, and are taken back from either page."""
    pages = [browser.new_page(viewport={"width": 1280, "height": 900}) for _ in range(2)]
    try:
        for page, who in zip(pages, ("ana", "rob"), strict=True):
            place.mount(page, "dashboard", "main", who=who)
            page.locator(".pw-row", has_text=DISK).click()
        ana, rob = pages
        rows = [page.locator(".pw-row", has_text=DISK) for page in pages]
        details = [page.locator(".pw-detail") for page in pages]

        say(ana, "Ack…", "I am on it")
        for row, detail in zip(rows, details, strict=True):
            expect(row.get_by_role("img", name="acked by Ana")).to_be_visible()
            expect(detail).to_contain_text("acked by Ana: I am on it")
        ana.screenshot(path=Path(__file__).parent / "screenshots" / "acked.png")
        rob.get_by_role("button", name="Withdraw ack").click()
        for row in rows:
            expect(row.get_by_role("img", name="acked")).to_have_count(0)

        say(rob, "Silence…", "the disk is swapped")
        for row, detail in zip(rows, details, strict=True):
            expect(row.get_by_role("img", name="silenced by Rob until")).to_be_visible()
            expect(detail).to_contain_text(": the disk is swapped")
        ana.get_by_role("button", name="Lift silence").click()
        for row in rows:
            expect(row.get_by_role("img", name="silenced")).to_have_count(0)
    finally:
        for page in pages:
            page.close()


def test_the_keyboard_goes_back_to_the_rows_from_every_question(browser: Browser, place: Place) -> None:
    """An ack and a silence that are given, or given up, leave the focus where they were asked for: in the grid, or on their button."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    place.mount(page, "dashboard", "main")
    grid = page.get_by_role("grid")
    row = page.locator(".pw-row", has_text=DISK)
    expect(row).to_be_visible()
    grid.focus()
    page.keyboard.press("ArrowDown")
    for key in ("a", "s"):
        page.keyboard.press(key)
        expect(page.get_by_label("Reason")).to_be_focused()
        page.keyboard.press("Escape")
        expect(grid).to_be_focused()
    page.keyboard.press("s")
    page.keyboard.type("swapped now")
    # The button that sends is disabled until the answer is there, and takes its focus with it.
    page.get_by_role("button", name="Silence", exact=True).focus()
    page.keyboard.press("Enter")
    expect(row.get_by_role("img", name="silenced by Ana")).to_be_visible()
    expect(grid).to_be_focused()
    page.keyboard.press("s")
    expect(row.get_by_role("img", name="silenced")).to_have_count(0)
    page.get_by_role("button", name="Ack…").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("on it\n")
    expect(row.get_by_role("img", name="acked by Ana")).to_be_visible()
    expect(page.get_by_role("button", name="Withdraw ack")).to_be_focused()
    page.close()
