"""A terminal that is no longer shown in JupyterLab leaves no viewer in its room, no socket of the page and no xterm in memory."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable

import pytest
from conftest import JupyterServer
from heap import gone_from_memory, terminals_in_memory
from lab import Lab
from playwright.sync_api import expect

COUNT_SOCKETS = """
window.sockets = [];
window.WebSocket = class extends WebSocket {
    constructor(url, ...more) { super(url, ...more); if (String(url).includes('/partywidgets/')) window.sockets.push(this); }
};
"""
OPEN_SOCKETS = "() => window.sockets.filter(socket => socket.readyState < 2).length"
DISCARD = ".jp-Dialog button.jp-mod-warn"


def people_in(server: JupyterServer, room: str) -> int:
    """How many viewers the room itself counts."""
    url = f"{server.url}partywidgets/parties/terminal-server/{room}"
    request = urllib.request.Request(url, headers={"Authorization": f"token {server.token}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return int(json.load(answer)["people"])


def wait_for_people(lab: Lab, server: JupyterServer, room: str, count: int) -> None:
    """Waits until the room has so many viewers."""
    for _ in range(600):
        if people_in(server, room) == count:
            return
        lab.page.wait_for_timeout(100)
    assert people_in(server, room) == count


def clear_outputs(lab: Lab) -> None:
    """Clears all outputs of the notebook."""
    lab.command("notebook:clear-all-cell-outputs")


def close_notebook(lab: Lab) -> None:
    """Closes the notebook's tab, without saving."""
    lab.page.evaluate("() => { window.jupyterapp.shell.currentWidget.close(); }")
    lab.page.locator(DISCARD).click()
    expect(lab.page.locator(".jp-Notebook")).to_have_count(0)


def restart_and_clear(lab: Lab) -> None:
    """Restarts the kernel and clears all outputs, as the menu's entry does."""
    lab.command("kernelmenu:restart-and-clear")
    lab.page.locator(".jp-Dialog button.jp-mod-warn").click()


@pytest.mark.parametrize("leave", [clear_outputs, close_notebook, restart_and_clear])
def test_nothing_stays(leave: Callable[[Lab], None], start_jupyter: Callable[..., JupyterServer], open_lab: Callable[..., Lab]) -> None:
    """Two views of one terminal and one of another are three viewers on three sockets; then none of them is left anywhere."""
    server = start_jupyter()
    lab = open_lab(server, "notebooks/terminal.ipynb", init=COUNT_SOCKETS)
    lab.run_code("%load_ext partywidgets\nimport partywidgets as pw\nleft = pw.Terminal('left', rows=6); left")
    lab.run_code("left")
    lab.run_code("pw.Terminal('other', rows=6)")
    for index in range(3):
        lab.expect_screen("$", index)
    wait_for_people(lab, server, "left", 2)
    wait_for_people(lab, server, "other", 1)
    assert lab.evaluate(OPEN_SOCKETS) == 3
    assert terminals_in_memory(lab.page) >= 3
    leave(lab)
    expect(lab.terminals()).to_have_count(0)
    wait_for_people(lab, server, "left", 0)
    wait_for_people(lab, server, "other", 0)
    lab.page.wait_for_function(f"() => ({OPEN_SOCKETS})() === 0")
    gone_from_memory(lab.page)


def test_a_restart_doubles_nothing(start_jupyter: Callable[..., JupyterServer], open_lab: Callable[..., Lab]) -> None:
    """A kernel that restarts leaves the terminal's one viewer on its one socket; running the cell again replaces it."""
    server = start_jupyter()
    lab = open_lab(server, "notebooks/terminal.ipynb", init=COUNT_SOCKETS)
    lab.run_code("%load_ext partywidgets\nimport partywidgets as pw\npw.Terminal('kept', rows=6)")
    lab.expect_screen("$")
    lab.restart_kernel()
    lab.type("echo still-$((40+2))\n")
    lab.expect_screen("still-42")
    assert (people_in(server, "kept"), lab.evaluate(OPEN_SOCKETS)) == (1, 1)
    lab.command("notebook:run-cell")
    lab.page.wait_for_function("() => window.sockets.length === 2")
    lab.expect_screen("still-42")
    wait_for_people(lab, server, "kept", 1)
    lab.page.wait_for_function(f"() => ({OPEN_SOCKETS})() === 1")
