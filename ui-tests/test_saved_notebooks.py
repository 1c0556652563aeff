"""A stored notebook that is opened again without being run shows its last state."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import JupyterServer
from lab import Lab
from playwright.sync_api import expect

StartJupyter = Callable[..., JupyterServer]
OpenLab = Callable[..., Lab]


@pytest.mark.parametrize("trusted", [False, True], ids=["untrusted", "trusted"])
@pytest.mark.parametrize(("name", "shown"), [("ops_dashboard", "root-disk"), ("terminal", "both see this")])
def test_stored_notebook_is_readable(name: str, shown: str, trusted: bool, start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """The widget's own output shows the last state once, and that it is not live, whether Jupyter trusts the notebook or not."""
    lab = open_lab(start_jupyter(), f"notebooks/{name}.ipynb")
    if trusted:
        lab.trust()
    still = lab.page.locator(".jp-OutputArea-child", has=lab.page.locator(".pw-still")).first
    still.scroll_into_view_if_needed()
    expect(still).to_contain_text("not live")
    expect(still).to_contain_text(shown)
    expect(lab.page.locator(".jp-Notebook")).not_to_contain_text("model not found")


def test_a_notebook_that_is_opened_again(start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """With JupyterLab's own settings, which keep no widget's model: live again while its kernel runs, the last screen once that is gone."""
    server = start_jupyter()
    lab = open_lab(server, "notebooks/terminal.ipynb")
    lab.run_all()
    lab.expect_screen("both see this")
    lab.save()
    lab.reload()
    lab.expect_screen("both see this")
    expect(lab.terminals().first).to_have_attribute("data-state", "live")
    lab.save()
    lab.evaluate("async () => { await window.jupyterapp.shell.currentWidget.sessionContext.shutdown(); }")
    again = open_lab(server, "notebooks/terminal.ipynb")
    still = again.page.locator(".jp-OutputArea .pw-still").first
    still.scroll_into_view_if_needed()
    expect(still).to_contain_text("both see this")
    expect(again.page.locator(".jp-Notebook")).not_to_contain_text("model not found")
