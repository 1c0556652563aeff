"""Each transport works when it is the only one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import JupyterServer
from lab import Lab
from playwright.sync_api import expect

StartJupyter = Callable[..., JupyterServer]
OpenLab = Callable[..., Lab]

SETUPS = {
    "server": {"extension": True, "environ": {"PARTYWIDGETS_TRANSPORTS": "server"}},
    "loopback": {"extension": False, "environ": {"PARTYWIDGETS_TRANSPORTS": "loopback"}},
    "comm-to-jupyter": {"extension": True, "environ": {"PARTYWIDGETS_TRANSPORTS": "comm"}},
    "comm-in-process": {"extension": False, "environ": {"PARTYWIDGETS_TRANSPORTS": "comm"}},
}


@pytest.mark.parametrize("name", SETUPS)
def test_terminal_over_one_transport(name: str, start_jupyter: StartJupyter, open_lab: OpenLab, tmp_path: Path) -> None:
    """What is typed is answered while a cell awaits, and the badge names the transport."""
    lab = open_lab(start_jupyter(**SETUPS[name]), "notebooks/terminal.ipynb")
    lab.run_all()
    lab.expect_screen("both see this")
    expect(lab.terminals().first).to_contain_text(name.split("-")[0])
    with lab.busy(tmp_path, awaits=True):
        lab.type("echo typed-$((40+2))\n")
        lab.expect_screen("typed-42")


@pytest.mark.parametrize("name", SETUPS)
def test_dashboard_over_one_transport(name: str, start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """Rows come over each transport."""
    lab = open_lab(start_jupyter(**SETUPS[name]), "notebooks/ops_dashboard.ipynb")
    lab.run_all()
    expect(lab.page.locator(".pw-dashboard").first).to_contain_text("root-disk")


def test_comm_alone_while_a_cell_blocks(start_jupyter: StartJupyter, open_lab: OpenLab, tmp_path: Path) -> None:
    """Over comm alone, output still arrives while a cell blocks, and the badge says for how long the kernel has been busy."""
    lab = open_lab(start_jupyter(**SETUPS["comm-in-process"]), "notebooks/terminal.ipynb")
    lab.run_all()
    badge = lab.terminals().first.locator(".pw-badge")
    expect(lab.terminals().first).to_have_attribute("data-state", "live")  # what is typed before is refused in words
    lab.type(
        f"echo go-$((1+1)); until [ -e {tmp_path}/cell-runs ]; do sleep 0.1; done; echo late-$((40+2)); "
        f"until [ -e {tmp_path}/enough ]; do sleep 0.1; done; while [ ! -e {tmp_path}/cell-ends ]; do echo on; sleep 0.3; done\n"
    )
    lab.expect_screen("go-2")  # every keystroke has left the page
    with lab.busy(tmp_path):
        lab.expect_screen("late-42")
        expect(badge).to_have_text(re.compile(r"^comm · kernel busy\? \d+ s$"))
        first = badge.inner_text()
        expect(badge).not_to_have_text(first)  # it counts
        (tmp_path / "enough").touch()
        expect(badge).to_have_text(re.compile(r"^comm · kernel busy \d+ s$"))
    expect(badge).to_have_text(re.compile(r"^comm · [<\d.]+ m?s$"))


def test_below_a_base_url(start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """The extension's routes are found below a base URL, as under JupyterHub."""
    lab = open_lab(start_jupyter(base_url="/user/ana/", environ={"PARTYWIDGETS_TRANSPORTS": "server"}), "notebooks/terminal.ipynb")
    lab.run_all()
    lab.expect_screen("both see this")
