"""A report in a table of its own, in JupyterLab: rows as they were, chosen rows come back to Python, nothing of the room is offered."""

from __future__ import annotations

from collections.abc import Callable

from conftest import JupyterServer
from lab import Lab
from laptop import wait_for
from playwright.sync_api import expect

StartJupyter = Callable[..., JupyterServer]
OpenLab = Callable[..., Lab]

GIVEN = """
from partywidgets.scans.model import CheckResult
from partywidgets.scans.report import ScanReport
given = ScanReport(results=[CheckResult(f"c{n}", "tcp", f"host-{n}:1", "crit" if n == 3 else "ok", summary=f"seen {n}") for n in range(40)])
table = pw.ScanTable(given, title="As it was")
table
"""
CHOSEN = "print('chosen', *table.selected.check_id)"


def chosen(lab: Lab) -> str:
    """What a cell says of the selection: the page tells its kernel a little later than it shows it, and not while a cell runs."""
    lab.run_code(CHOSEN)
    return lab.output_of_last().strip()


def test_a_report_in_a_table(start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """The rows of a report stand in a table though the room has none of them; a row that is clicked is `table.selected`."""
    lab = open_lab(start_jupyter(), "notebooks/ops_dashboard.ipynb")
    lab.run_code("%load_ext partywidgets\nimport partywidgets as pw")
    lab.run_code(GIVEN)
    table = lab.page.locator(".pw-ops", has_text="As it was")
    expect(table.locator(".pw-bar")).to_contain_text("manual, 40 checks: 39 ok, 1 crit")
    row = table.locator(".pw-row").filter(has=lab.page.locator(".pw-status-crit"))
    expect(row).to_contain_text("seen 3")
    row.click()
    expect(table.get_by_role("button", name="Copy")).to_be_visible()
    expect(table.get_by_role("button", name="Ack…")).to_have_count(0)
    wait_for(lambda: chosen(lab) == "chosen c3", "the kernel did not hear of the selection")
