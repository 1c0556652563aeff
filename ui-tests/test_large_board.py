"""A board of twelve thousand rows in Chromium: the host sorts, filters, groups and pages, and the page is used as a small one is."""

from __future__ import annotations

import asyncio
import csv
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from bare_page import Place, host, token_of
from playwright.sync_api import Browser, Locator, Page, expect

from partywidgets.scans.model import CheckResult, Status, utc_now, uuid7
from partywidgets.scans.report import ScanReport

ROWS = 12_000
STATUSES: tuple[Status, ...] = ("ok", "ok", "ok", "warn", "crit")


KEEP_FLASHES = """selector => {
    window.flashed = false;
    const look = () => { window.flashed ||= document.querySelector(selector) !== null; };
    new MutationObserver(look).observe(document.body, { attributes: true, childList: true, subtree: true });
}"""
"""Remembers that a cell was marked as changed: it is for a moment only."""


def row(number: int, **change: Any) -> CheckResult:
    """One of many rows; each fifth is crit, and the slowest has the highest number."""
    return CheckResult(
        f"check-{number:05}",
        "http",
        f"https://host-{number % 7}.example/{number}",
        change.get("status", STATUSES[number % 5]),
        title=f"Check {number:05}",
        summary=change.get("summary", f"answered {number}"),
        duration_ms=float(number),
        labels={"team": "web" if number % 2 else "data"},
        observed_at=change.get("observed_at", utc_now()),
        ttl_s=change.get("ttl_s"),
    )


def publish(url: str, token: str, results: list[CheckResult]) -> None:
    """Puts rows on the board, as a runner would."""
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60, trust_env=False) as client:
        for first in range(0, len(results), 2_000):
            report = ScanReport(scan_id=uuid7(), results=results[first : first + 2_000])
            answer = client.post("/api/ops/scans", json={"report": report.to_wire(max_bytes=None)})
            assert answer.status_code == 201, answer.text


@contextmanager
def host_of(rows: int, folder: Path) -> Iterator[Place]:
    """A host with so many rows."""

    async def first(url: str, token: str) -> None:
        await asyncio.to_thread(publish, url, token, [row(number) for number in range(rows)])

    with host(folder, first=first) as running:
        yield running


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A host with twelve thousand rows."""
    with host_of(ROWS, tmp_path_factory.mktemp("large")) as running:
        yield running


@pytest.fixture
def page(browser: Browser, place: Place) -> Iterator[Page]:
    """A page with the dashboard of the large board."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    place.mount(page, "dashboard", "main")
    expect(grid(page)).to_have_attribute("aria-rowcount", str(ROWS + 1))
    yield page
    page.close()
    assert errors == []


def grid(page: Page) -> Locator:
    """The table."""
    return page.locator(".pw-grid")


def first_row(page: Page) -> Locator:
    """The row with the lowest place that is in the page and has come."""
    return page.locator(".pw-row[aria-rowindex='2']")


def titles(page: Page) -> list[str]:
    """What the rows in the page are called, in order."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll(".pw-row[data-fingerprint]")]
          .sort((a, b) => a.getAttribute("aria-rowindex") - b.getAttribute("aria-rowindex"))
          .map((node) => node.textContent.match(/Check \\d{5}/)[0])"""
    )
    return found


def test_sorted_filtered_grouped_and_paged_by_the_host(page: Page) -> None:
    """A click sorts all rows, words filter all of them, End goes to the last, and groups count and fold those that are not here."""
    expect(first_row(page)).to_contain_text("Check 00004")  # the first crit
    page.get_by_role("columnheader", name="Duration").click()
    expect(first_row(page)).to_contain_text("Check 11999")
    for place, number in enumerate((11999, 11998, 11997), 2):
        expect(page.locator(f".pw-row[aria-rowindex='{place}']")).to_contain_text(f"Check {number}")

    grid(page).focus()
    page.keyboard.press("End")
    last = page.locator(f".pw-row[aria-rowindex='{ROWS + 1}']")
    expect(last).to_contain_text("Check 00000")
    expect(last).to_have_attribute("aria-selected", "true")
    # To the middle by the scroll bar, and on the way nothing is asked of the host but what stands still.
    grid(page).evaluate("node => { node.scrollTop = node.scrollHeight / 2; }")
    expect(page.locator(".pw-row[aria-rowindex='6002']")).to_contain_text("Check 05999")

    page.get_by_label("Filter the results by text").fill("team=web -status:ok")
    expect(grid(page)).to_have_attribute("aria-rowcount", str(ROWS // 5 + 1))
    expect(first_row(page)).to_contain_text("Check 11999")
    page.get_by_title("Show warn only").click()
    expect(grid(page)).to_have_attribute("aria-rowcount", str(ROWS // 10 + 1))
    page.get_by_title("Show warn only").click()
    page.get_by_label("Filter the results by text").fill("")

    page.get_by_label("Group the rows").select_option("host")
    head = page.locator(".pw-group").first
    expect(head).to_contain_text("host-0.example")
    expect(head).to_contain_text("1,715 rows")
    expect(grid(page)).to_have_attribute("role", "treegrid")
    head.click()
    expect(head).to_have_attribute("aria-expanded", "false")
    expect(page.locator(".pw-row[aria-rowindex='4']")).to_contain_text("Check 11999")  # 11,999 leaves 1 by 7
    expect(grid(page)).to_have_attribute("aria-rowcount", str(ROWS - 1715 + 7 + 1))


def test_a_selection_across_pages(page: Page, place: Place) -> None:
    """Rows far apart are selected by fingerprint, stay so out of view, are acked and silenced together, and that is withdrawn."""
    page.get_by_role("columnheader", name="Check").first.click()
    expect(first_row(page)).to_contain_text("Check 00000")
    page.locator(".pw-row[aria-rowindex='6']").click()
    expect(page.locator(".pw-detail")).to_contain_text("answered 4")
    grid(page).evaluate("node => { node.scrollTop = node.scrollHeight; }")
    last = page.locator(f".pw-row[aria-rowindex='{ROWS + 1}']")
    expect(last).to_contain_text("Check 11999")
    last.click(modifiers=["Control"])
    wanted = [row(4).fingerprint, row(ROWS - 1).fingerprint]
    actions = page.locator(".pw-actions")
    expect(actions).to_contain_text("2 selected")
    page.wait_for_function("wanted => JSON.stringify(traits.selection) === JSON.stringify(wanted)", arg=wanted)
    actions.get_by_role("button", name="Ack…").click()
    actions.get_by_label("Reason").fill("the whole rack is down")
    actions.get_by_role("button", name="Ack", exact=True).click()
    expect(actions.get_by_role("button", name="Withdraw ack")).to_be_visible()
    with httpx.Client(base_url=place.url, headers={"Authorization": f"Bearer {token_of('ana')}"}, trust_env=False) as client:
        rows = {item["fingerprint"]: item for item in client.get("/api/ops/scans/rows").json()["results"]}
    for fingerprint in wanted:
        assert (rows[fingerprint]["suppression"]["actor"], rows[fingerprint]["suppression"]["reason"]) == ("Ana", "the whole rack is down")
    assert sum(item["suppression"] is not None for item in rows.values()) == 2
    # The row at the other end of the board shows it as well.
    grid(page).evaluate("node => { node.scrollTop = 0; }")
    other = page.locator(f".pw-row[data-fingerprint='{wanted[0]}']")
    expect(other).to_have_attribute("aria-selected", "true")
    expect(other).to_have_class(re.compile("pw-suppressed"))
    actions.get_by_role("button", name="Withdraw ack").click()
    expect(actions.get_by_role("button", name="Ack…")).to_be_visible()
    # So are they silenced, each check by itself, and heard again.
    actions.get_by_role("button", name="Silence…").click()
    actions.get_by_label("Reason").fill("the rack is moved")
    actions.get_by_role("button", name="Silence", exact=True).click()
    expect(other.get_by_role("img", name=re.compile("silenced by Ana"))).to_be_visible()
    actions.get_by_role("button", name="Lift silence").click()
    expect(actions.get_by_role("button", name="Silence…")).to_be_visible()
    expect(other).not_to_have_class(re.compile("pw-suppressed"))


def test_one_update_lands_in_view(page: Page, place: Place) -> None:
    """A row in view says what it says now, flashes where it changed, and moves; the rest stands as it stood."""
    page.get_by_role("columnheader", name="Check").first.click()
    expect(first_row(page)).to_contain_text("Check 00000")
    line = page.locator(f".pw-row[data-fingerprint='{row(3).fingerprint}']")
    expect(line).to_have_attribute("aria-rowindex", "5")
    page.evaluate(KEEP_FLASHES, f"[data-fingerprint='{row(3).fingerprint}'] .pw-flash")
    publish(place.url, token_of("ana"), [row(3, status="crit", summary="refused"), row(9_000, summary="far away")])
    expect(line).to_contain_text("refused")
    expect(line).to_have_attribute("data-status", "crit")
    page.wait_for_function("() => window.flashed")
    assert titles(page)[:6] == [f"Check {number:05}" for number in range(6)]
    expect(page.get_by_title("Show crit only")).to_contain_text(f"{ROWS // 5 + 1:,}")

    # The row whose details are open is told of where it is not in view.
    line.click()
    detail = page.locator(".pw-detail")
    expect(detail).to_contain_text("refused")
    grid(page).evaluate("node => { node.scrollTop = node.scrollHeight / 2; }")
    expect(line).to_have_count(0)
    publish(place.url, token_of("ana"), [row(3, summary="answers again")])
    expect(detail).to_contain_text("answers again")


def test_the_bar_says_how_fresh_the_board_is_and_leads_to_its_stale_rows(page: Page, place: Place) -> None:
    """The newest look, the last scan and how many rows are stale, by key and by click; time alone makes a row stale, and one goes."""
    bar = page.locator(".pw-bar")
    expect(bar).to_contain_text("last scan")
    long_ago = utc_now() - timedelta(hours=1)
    publish(place.url, token_of("ana"), [row(number, observed_at=long_ago, ttl_s=60.0) for number in (11, 5_003)])
    publish(place.url, token_of("ana"), [row(9_999)])
    expect(bar).to_contain_text(re.compile(r"newest look (just now|\d+s ago)"))
    stale = bar.get_by_role("button", name="2 stale")
    expect(stale).to_have_attribute("aria-pressed", "false")
    stale.focus()
    page.keyboard.press("Enter")
    expect(grid(page)).to_have_attribute("aria-rowcount", "3")
    expect(page.locator(".pw-row[data-fingerprint]")).to_have_count(2)
    assert sorted(titles(page)) == ["Check 00011", "Check 05003"]
    expect(page.get_by_label("Filter the results by text")).to_have_value("is:stale")
    expect(bar.get_by_role("button", name="2 stale")).to_have_attribute("aria-pressed", "true")
    # In a notebook beside a list of files it is one line still, without what the last scan was.
    page.set_viewport_size({"width": 880, "height": 900})
    page.wait_for_function("() => document.querySelector('.pw-bar').offsetHeight < 34")
    expect(bar.locator(".pw-scan-detail")).to_be_hidden()
    expect(bar.locator("[title^='last scan']")).to_have_attribute("title", re.compile(r"\(manual, [\d,]+ checks?, "))
    page.set_viewport_size({"width": 600, "height": 900})
    page.wait_for_function("() => document.querySelector('.pw-bar').offsetHeight < 34")
    expect(bar.get_by_role("button", name="Scan now")).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 900})
    expect(bar.locator(".pw-scan-detail")).to_be_visible()
    publish(place.url, token_of("ana"), [row(11)])
    expect(grid(page)).to_have_attribute("aria-rowcount", "2")
    publish(place.url, token_of("ana"), [row(20, ttl_s=3.0)])
    expect(grid(page)).to_have_attribute("aria-rowcount", "3")
    expect(bar.get_by_role("button", name="2 stale")).to_be_visible()
    publish(place.url, token_of("ana"), [row(20), row(5_003)])
    expect(page.get_by_text("No row fits the filter")).to_be_visible()
    bar.get_by_role("button", name="0 stale").click()
    expect(grid(page)).to_have_attribute("aria-rowcount", str(ROWS + 1))
    expect(bar.get_by_role("button", name="stale")).to_have_count(0)


def test_the_csv_has_all_rows(page: Page, tmp_path: Path) -> None:
    """What is saved is every row that the filter keeps, in the order of the table, not those around the view."""
    page.get_by_role("columnheader", name="Duration").click()
    expect(first_row(page)).to_contain_text("Check 11999")
    page.get_by_label("Filter the results by text").fill("team=data")
    expect(grid(page)).to_have_attribute("aria-rowcount", str(ROWS // 2 + 1))
    with page.expect_download() as begun:
        page.get_by_role("button", name="CSV").click()
    file = tmp_path / "checks.csv"
    begun.value.save_as(file)
    with file.open(newline="") as lines:
        saved = list(csv.DictReader(lines))
    assert [item["title"] for item in saved] == [f"Check {number:05}" for number in range(ROWS - 2, -1, -2)]
    assert json.loads(saved[0]["duration_ms"]) == ROWS - 2


@pytest.mark.parametrize("link", ["fingerprint", "id"])
def test_a_link_leads_to_a_row_that_is_not_in_view(browser: Browser, place: Place, link: str) -> None:
    """On the host's page, by what a notification says or by the check's id."""
    wanted = row(7_777)
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    try:
        page.goto(f"{place.url}/#check={wanted.fingerprint if link == 'fingerprint' else wanted.check_id}")
        page.get_by_label("Token").fill(token_of("ana"))
        page.keyboard.press("Enter")
        expect(page.locator(".pw-detail")).to_contain_text("Check 07777")
        expect(page).to_have_url(f"{place.url}/#check={wanted.fingerprint}")
        expect(page).to_have_title(re.compile(r"crit, \d+ warn · 127\.0\.0\.1:\d+$"))
    finally:
        page.close()


@pytest.mark.parametrize("link", ["0123456789abcdef", "no-such-check"])
def test_a_link_to_a_row_that_is_gone_says_so(browser: Browser, place: Place, link: str) -> None:
    """By what an old notification says or by a check's id: a sentence that is seen, and the whole board."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    try:
        page.goto(f"{place.url}/#check={link}")
        page.get_by_label("Token").fill(token_of("ana"))
        page.keyboard.press("Enter")
        answer = page.locator(".pw-actions .pw-answer")
        expect(answer).to_be_visible()
        expect(answer).to_contain_text(f"no row here is called {link}")
        expect(grid(page)).to_have_attribute("aria-rowcount", str(ROWS + 1))
        expect(page.get_by_role("searchbox")).to_have_value("")
        expect(page.locator(".pw-detail")).to_be_hidden()
    finally:
        page.close()
