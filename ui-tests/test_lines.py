"""Lines of durations in Chromium: what draws them comes when the first is drawn, and again where it did not come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bare_page import Place, host, scanned
from playwright.sync_api import Browser, Route, expect


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A host with results."""
    with host(tmp_path, first=scanned) as running:
        yield running


def test_what_draws_lines_comes_with_the_first_line(browser: Browser, place: Place) -> None:
    """Of a row seen once there are words alone; the second look brings the bundle, and one that failed is asked for again."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    asked: list[str] = []

    def refuse_first(route: Route) -> None:
        asked.append(route.request.url.rpartition("/")[2])
        if len(asked) == 1:
            route.abort()
        else:
            route.continue_()

    page.route("**/chart.js*", refuse_first)
    try:
        place.mount(page, "dashboard", "main")
        page.locator(".pw-row", has_text="A disk that is full").click()
        detail = page.locator(".pw-detail")
        expect(detail).to_contain_text("the line begins with the next result")
        assert asked == []
        again = detail.get_by_role("button", name="Re-check")
        # The failure is forgotten after some seconds; each look is a point more to draw.
        for looks in range(2, 100):
            again.click()
            expect(detail).to_contain_text(f"of {looks} since")
            if detail.locator(".pw-chart canvas").count():
                break
            page.wait_for_timeout(500)
        expect(detail.locator(".pw-chart canvas")).to_be_visible()
        assert asked == ["chart.js", "chart.js?1"]
        assert detail.locator(".pw-chart canvas").bounding_box()["height"] == pytest.approx(96, abs=1)  # type: ignore[index]
    finally:
        page.screenshot(path=Path(__file__).parent / "screenshots" / "lines.png")
        page.close()


@pytest.mark.parametrize("language", ["C", "en-US@posix"])
def test_lines_are_drawn_where_the_system_has_no_locale(browser: Browser, place: Place, language: str) -> None:
    """Browsers then name a language that is none: WebKitGTK "C", Chromium "en-US@posix"."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.add_init_script(f"Object.defineProperty(navigator, 'language', {{ get: () => '{language}' }})")
    try:
        place.mount(page, "dashboard", "main")
        page.locator(".pw-row", has_text="A disk that is full").click()
        detail = page.locator(".pw-detail")
        expect(detail).to_contain_text("the line begins with the next result")
        with page.expect_response("**/chart.js*") as bundle:
            detail.get_by_role("button", name="Re-check").click()
        assert bundle.value.ok
        expect(detail.locator(".pw-chart canvas")).to_be_visible()
    finally:
        page.close()
