"""The pictures of the README and the docs, taken from the real page; a person looks at them before they are copied to docs/images."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import SCREENSHOTS, JupyterServer
from lab import Lab
from playwright.sync_api import expect

StartJupyter = Callable[..., JupyterServer]
OpenLab = Callable[..., Lab]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_dashboard_picture(theme: str, start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """The dashboard with a failing row selected shows its conditions and its remedy."""
    lab = open_lab(start_jupyter(), "notebooks/ops_dashboard.ipynb", dark=theme == "dark")
    lab.use_theme(theme)
    lab.run_all()
    dashboard = lab.page.locator(".pw-dashboard").first
    lab.run_code("maintenance.touch(); _ = await ops.scan()")
    dashboard.scroll_into_view_if_needed()
    row = dashboard.locator(".pw-row", has_text="got 503").first
    expect(row).to_be_visible()
    row.click()
    expect(dashboard).to_contain_text("body.status")
    dashboard.scroll_into_view_if_needed()
    SCREENSHOTS.mkdir(exist_ok=True)
    lab.page.set_viewport_size({"width": 1400, "height": 1300})
    dashboard.screenshot(path=SCREENSHOTS / f"ops_dashboard_{theme}.png")
    lab.page.screenshot(path=SCREENSHOTS / f"ops_dashboard_page_{theme}.png")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_terminal_picture(theme: str, start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """The terminal shows the commands that the cells ran."""
    lab = open_lab(start_jupyter(), "notebooks/terminal.ipynb", dark=theme == "dark")
    lab.use_theme(theme)
    lab.run_all()
    lab.expect_screen("both see this")
    SCREENSHOTS.mkdir(exist_ok=True)
    lab.terminals().first.screenshot(path=SCREENSHOTS / f"terminal_{theme}.png")
    lab.page.screenshot(path=SCREENSHOTS / f"terminal_page_{theme}.png")
