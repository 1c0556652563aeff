"""The demo notebooks in a real JupyterLab: rows appear and change, the terminal is typed into, reloads and restarts lose nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from conftest import JupyterServer
from lab import Lab
from playwright.sync_api import expect

StartJupyter = Callable[..., JupyterServer]
OpenLab = Callable[..., Lab]


def test_ops_dashboard_notebook(start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """All cells run, and the dashboard shows the shop break and mend without a touch of the page."""
    lab = open_lab(start_jupyter(), "notebooks/ops_dashboard.ipynb")
    lab.run_all()
    dashboard = lab.page.locator(".pw-dashboard").first
    expect(dashboard).to_contain_text("root-disk")
    expect(dashboard).to_contain_text("shop")
    lab.run_code("maintenance.touch(); _ = await ops.scan()")
    row = dashboard.locator(".pw-row", has_text="shop").filter(has_not_text="shop-port").first
    expect(row.locator(".pw-status-crit")).to_be_visible()
    lab.run_code("maintenance.unlink(); _ = await ops.scan()")
    expect(row.locator(".pw-status-ok")).to_be_visible()


def test_dashboard_changes_while_a_cell_runs(start_jupyter: StartJupyter, open_lab: OpenLab, tmp_path: Path) -> None:
    """A scan asked for by the page's own button ends while the kernel sleeps in a cell."""
    lab = open_lab(start_jupyter(), "notebooks/ops_dashboard.ipynb")
    lab.run_all()
    dashboard = lab.page.locator(".pw-dashboard").first
    expect(dashboard).to_contain_text("root-disk")
    lab.run_code("maintenance.touch()")
    with lab.busy(tmp_path):
        dashboard.get_by_role("button", name="Scan now").click()
        row = dashboard.locator(".pw-row", has_text="shop").filter(has_not_text="shop-port").first
        expect(row.locator(".pw-status-crit")).to_be_visible()


def test_terminal_notebook(start_jupyter: StartJupyter, open_lab: OpenLab, tmp_path: Path) -> None:
    """All cells run; what is typed is answered in both views, also while a cell sleeps."""
    lab = open_lab(start_jupyter(), "notebooks/terminal.ipynb")
    lab.run_all()
    lab.expect_screen("both see this")
    with lab.busy(tmp_path):
        lab.type("echo typed-$((40+2))\n")
        lab.expect_screen("typed-42")
        lab.expect_screen("typed-42", index=1)


def test_reload_finds_the_terminal_as_it_was(start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """With the notebook saved and the kernel idle, a reload of the page shows the same screen and goes on."""
    lab = open_lab(start_jupyter(), "notebooks/terminal.ipynb")
    lab.run_all()
    lab.type("echo before-$((1+1))\n")
    lab.expect_screen("before-2")
    lab.save()
    lab.reload()
    lab.expect_screen("before-2")
    lab.type("echo after-$((2+2))\n")
    lab.expect_screen("after-4")


def test_terminal_survives_a_kernel_restart(start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """Where the Jupyter Server owns the room, the shell lives on when the kernel restarts."""
    lab = open_lab(start_jupyter(), "notebooks/terminal.ipynb")
    lab.run_all()
    lab.type("export KEPT=yes\n")
    lab.restart_kernel()
    lab.type("echo kept-$KEPT\n")
    lab.expect_screen("kept-yes")


def test_terminal_of_a_kernel_host_ends_with_the_kernel(start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """Where the kernel owns the room, a restart ends it and says what to do; running the cell starts it again."""
    lab = open_lab(start_jupyter(extension=False), "notebooks/terminal.ipynb")
    lab.run_all()
    lab.expect_screen("both see this")
    lab.restart_kernel()
    expect(lab.terminals().first).to_contain_text("kernel restarted, run this cell again")
    lab.run_all()
    lab.expect_screen("both see this")


def test_dark_theme(start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """The dashboard follows JupyterLab's dark theme."""
    lab = open_lab(start_jupyter(), "notebooks/ops_dashboard.ipynb", dark=True)
    lab.use_theme("dark")
    lab.run_all()
    dashboard = lab.page.locator(".pw-dashboard").first
    expect(dashboard).to_contain_text("root-disk")
    dashboard.scroll_into_view_if_needed()
    shade = dashboard.evaluate("node => getComputedStyle(node).color.match(/\\d+/g).slice(0, 3).map(Number).reduce((a, b) => a + b, 0)")
    assert shade > 300, "text is dark on a dark page"
