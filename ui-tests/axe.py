"""axe-core in a page."""

from __future__ import annotations

from conftest import ROOT
from playwright.sync_api import Page

from tests.node_packages import without

AXE = ROOT / "ts/node_modules/axe-core/axe.min.js"


def serious(page: Page, within: str = "main") -> list[str]:
    """What axe finds inside an element that is serious or worse, with the elements."""
    if not AXE.exists():
        without("axe-core is not installed: run npm ci in ts/")
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("async within => (await axe.run([...document.querySelectorAll(within)])).violations", within)
    return [
        f"{rule['id']}: {rule['help']}: {[node['html'][:160] + ' ' + node['failureSummary'] for node in rule['nodes'][:3]]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
