"""A notebook converted with `--to runbook`, opened where there is no network."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, expect

from partywidgets.runbook import RunbookExporter

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


@pytest.mark.parametrize(("name", "shown"), [("ops_dashboard", "root-disk"), ("terminal", "hello from the room")])
def test_a_runbook_is_readable_without_a_network(name: str, shown: str, browser: Browser, tmp_path: Path) -> None:
    """The last states are seen; the page asks for nothing but itself and nothing in it fails."""
    page_file = tmp_path / "runbook.html"
    page_file.write_text(RunbookExporter().from_notebook_node(nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4))[0])
    context = browser.new_context(offline=True)
    try:
        page = context.new_page()
        asked: list[str] = []
        faults: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(page_file.as_uri())
        expect(page.locator(".pw-still").first).to_contain_text(shown)
        expect(page.locator(".pw-still").first).to_be_visible()
        expect(page.locator(".jupyter-widgets")).to_have_count(0)
        assert (asked, faults) == ([page_file.as_uri()], [])
    finally:
        context.close()
