"""A board on paper: as large as it is, the sheets say what stands on them, and none is empty."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from bare_page import Place
from playwright.sync_api import Browser, expect
from test_large_board import host_of

ROWS = 2_500


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A host with more rows than are printed."""
    with host_of(ROWS, tmp_path_factory.mktemp("rooms")) as running:
        yield running


def test_a_large_board_prints_what_is_in_view_and_says_so(place: Place, browser: Browser, tmp_path: Path) -> None:
    """Two sheets rather than one for each line that is not there; with a filter, all that it keeps."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    place.mount(page, "dashboard", "main")
    expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", str(ROWS + 1))
    # What is on a sheet, kept while the browser makes one.
    page.evaluate("() => addEventListener('beforeprint', () => { window.sheet = document.querySelector('.pw-table').innerText; })")

    def printed() -> tuple[int, str]:
        pdf = page.pdf(path=tmp_path / "board.pdf", format="A4")
        return len(re.findall(rb"/Type\s*/Page\b", pdf)), str(page.evaluate("window.sheet"))

    sheets, text = printed()
    assert sheets <= 3
    assert re.search(r"Lines 1 to \d+ of 2,500 are printed: those in view", text)
    page.get_by_role("searchbox").fill("title:check target:host-3")
    expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", re.compile(r"^3\d\d$"))
    sheets, text = printed()
    assert 5 < sheets < 30
    assert "are printed" not in text
    assert text.count("https") + text.count("Check 0") > 300
    page.close()
