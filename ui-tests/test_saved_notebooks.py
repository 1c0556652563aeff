"""A stored notebook that is opened again without being run shows its last state."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import JupyterServer
from lab import Lab
from laptop import wait_for
from playwright.sync_api import expect
from team_host import Host

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


def test_a_page_that_is_loaded_after_the_kernel_was_restarted(start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """The last screen stands there, with what to do, until the cell is run: then it is live on the same shell."""
    lab = open_lab(start_jupyter(), "notebooks/terminal.ipynb")
    lab.run_code("import partywidgets as pw; kept = pw.Terminal('kept', rows=6); kept.run('echo seen-$((6*7))').wait(); kept")
    shown = lab.page.locator(".jp-Cell").last
    expect(shown.locator(".xterm-rows")).to_contain_text("seen-42")
    lab.save()
    lab.restart_kernel()
    lab.reload()
    still = shown.locator(".pw-still").first
    still.scroll_into_view_if_needed()
    expect(still).to_contain_text("not live: run this cell to go on")
    expect(still).to_contain_text("seen-42")
    expect(lab.page.locator(".jp-Notebook")).not_to_contain_text("model not found")
    lab.run_code("import partywidgets as pw; pw.Terminal('kept', rows=6)")
    expect(shown.locator(".xterm-rows")).to_contain_text("seen-42")


def test_a_dashboard_of_a_teams_host_is_not_saved_as_the_servers_own(
    start_jupyter: StartJupyter, open_lab: OpenLab, tmp_path: Path
) -> None:
    """Both have the room `main`: what is saved beside the team's dashboard are its own rows, and none of the Jupyter Server's."""
    server, host = start_jupyter(), Host(tmp_path)
    host.start()
    try:
        lab = open_lab(server, "notebooks/terminal.ipynb")
        (server.notebooks / "own.yaml").write_text("checks: [{ id: servers-own, type: host, disk: / }]\n")
        lab.run_code("import partywidgets as pw; own = await pw.ops('own.yaml'); _ = await own.scan(); own")
        expect(lab.page.locator(".pw-dashboard").last).to_contain_text("servers-own")
        lab.run_code(
            f"pw.connect('http://127.0.0.1:{host.port}', token={host.token!r}); team = await pw.ops(); _ = await team.scan(); team"
        )
        expect(lab.page.locator(".pw-dashboard").last).to_contain_text("root-disk")

        def saved() -> list[str]:
            lab.save()
            cells = json.loads((server.notebooks / "terminal.ipynb").read_text())["cells"]
            return ["".join(cell["outputs"][0]["data"]["text/plain"]) for cell in cells[-2:]]

        # The kernel tells what it sees of the team's host, every 3 s at most.
        wait_for(lambda: "root-disk" in saved()[1], "the team's rows were not saved")
        own, team = saved()
        assert "servers-own" in own
        assert "servers-own" not in team
    finally:
        host.stop()
