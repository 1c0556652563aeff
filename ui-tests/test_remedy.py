"""From a failing row to its proof in three clicks, in a real JupyterLab: the row, its terminal, run. Seen by everyone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import SCREENSHOTS, JupyterServer
from lab import Lab
from playwright.sync_api import Locator, WebSocket, expect

StartJupyter = Callable[..., JupyterServer]
OpenLab = Callable[..., Lab]

WAYS = {
    "server": {"extension": True, "environ": {"PARTYWIDGETS_TRANSPORTS": "server"}},
    "loopback": {"extension": False, "environ": {"PARTYWIDGETS_TRANSPORTS": "loopback"}},
    "comm": {"extension": False, "environ": {"PARTYWIDGETS_TRANSPORTS": "comm"}},
}


def notebook(server: JupyterServer, name: str, *cells: str) -> str:
    """Writes a notebook; its path for Lab.open."""
    code: list[dict[str, Any]] = [
        {"cell_type": "code", "id": f"c{number}", "metadata": {}, "execution_count": None, "outputs": [], "source": cell}
        for number, cell in enumerate(cells)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    (server.notebooks / name).write_text(json.dumps({"cells": code, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
    return f"notebooks/{name}"


def broken(server: JupyterServer) -> tuple[str, Path]:
    """A notebook with a dashboard on two failing checks: one that its command mends, one whose command fails. And what the first lacks."""
    lock = server.notebooks / "maintenance.lock"
    lock.touch()
    plugin = server.notebooks / "check_orders"
    plugin.write_text(
        f"#!/bin/sh\ntest ! -e {lock} || {{ echo 'CRITICAL - maintenance.lock is there'; exit 2; }}\necho 'OK - orders are taken'\n"
    )
    plugin.chmod(0o755)
    orders = {"text": "Somebody left the maintenance lock behind: take it away", "command": f"rm -v {lock}", "sandbox": "local"}
    backup = {"text": "Start it again", "command": "ls /nowhere/backup", "sandbox": "local"}
    checks = [
        {"id": "orders", "type": "exec", "title": "Orders", "severity": "critical", "command": [str(plugin)], "remediation": orders},
        {"id": "backup", "type": "exec", "title": "Backup", "command": ["/bin/false"], "remediation": backup},
    ]
    (server.notebooks / "orders.yaml").write_text(json.dumps({"checks": checks}))
    cell = '%load_ext partywidgets\nimport partywidgets as pw\nops = await pw.ops("orders.yaml")\n_ = await ops.scan()\nops'
    return notebook(server, "orders.ipynb", cell), lock


def row(lab: Lab, title: str) -> Locator:
    """A row of the dashboard."""
    return lab.page.locator(".pw-dashboard .pw-row", has_text=title).first


@pytest.mark.parametrize("way", WAYS)
def test_three_clicks(way: str, start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """A row, its terminal, run: the row is ok, the proof stands there, in the dashboard of another notebook too."""
    server = start_jupyter(**WAYS[way])
    path, lock = broken(server)
    lab = open_lab(server, path)
    asked: list[str] = []
    lab.page.on("request", lambda request: asked.append(request.url))
    lab.run_all()
    expect(row(lab, "Orders")).to_contain_text("crit")
    # 605 kB that most never need, and 53 that are not needed before the first line is drawn.
    assert not [url for url in asked if "terminal.js" in url or "chart.js" in url]

    row(lab, "Orders").click()
    lab.page.get_by_role("button", name="Open terminal").click()
    remedy = lab.page.locator(".pw-remedy")
    expect(remedy.get_by_label("Command")).to_have_value(f"rm -v {lock}")
    assert lock.exists()
    remedy.get_by_role("button", name="Run in local").click()

    expect(remedy.locator(".pw-said")).to_contain_text("exit 0")
    expect(remedy.locator(".pw-said")).to_contain_text("crit → ok: OK - orders are taken")
    assert not lock.exists()
    lab.expect_screen("removed")
    expect(remedy.locator(".pw-badge").first).to_contain_text(way)
    expect(row(lab, "Orders")).to_contain_text("ok")
    # It was looked at twice, so there is a line, and what draws it has come over the same way.
    expect(lab.page.locator(".pw-chart canvas")).to_be_visible()
    assert bool([url for url in asked if "chart.js" in url]) is (way != "comm")
    detail = lab.page.locator(".pw-detail")
    expect(detail).to_contain_text("Last remedy")
    expect(detail).to_contain_text(f"rm -v {lock}")


def test_everyone_sees_it(start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """A dashboard in another notebook shows the proof of a command that failed, and its terminal is the same shell."""
    server = start_jupyter()
    path, _ = broken(server)
    lab = open_lab(server, path)
    lab.run_all()
    other = open_lab(
        server, notebook(server, "other.ipynb", "%load_ext partywidgets\nimport partywidgets as pw\nops = await pw.ops()\nops")
    )
    other.run_all()
    row(other, "Backup").click()
    detail = other.page.locator(".pw-detail")
    expect(detail).to_contain_text("What helps")
    expect(detail).not_to_contain_text("Last remedy")

    row(lab, "Backup").click()
    lab.page.get_by_role("button", name="Open terminal").click()
    remedy = lab.page.locator(".pw-remedy")
    remedy.get_by_role("button", name="Run in local").click()
    expect(remedy.locator(".pw-said")).to_contain_text("exit 2. warn → warn")
    expect(remedy.locator(".pw-said")).to_have_attribute("data-stage", "unmended")
    expect(detail).to_contain_text("Last remedy")
    expect(detail).to_contain_text("exit 2")
    expect(detail).to_contain_text("ls /nowhere/backup")

    other.page.get_by_role("button", name="Open terminal").click()
    other.expect_screen("cannot access '/nowhere/backup'")


def test_by_keyboard_and_nothing_is_left(start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """Without a mouse: into the terminal, out of it, and Escape; then no socket of the terminal is open, while the rows stay live."""
    server = start_jupyter()
    path, lock = broken(server)
    lab = open_lab(server, path)
    sockets: list[WebSocket] = []
    lab.page.on("websocket", lambda socket: sockets.append(socket))
    lab.run_all()
    row(lab, "Orders").click()
    lab.focus(lab.page.get_by_role("button", name="Open terminal"))
    keyboard = lab.page.keyboard
    keyboard.press("Enter")
    remedy = lab.page.locator(".pw-remedy")
    command, run = remedy.get_by_label("Command"), remedy.get_by_role("button", name="Run in local")
    expect(command).to_be_focused()
    expect(run).to_be_enabled()
    keyboard.press("Enter")
    expect(run).to_be_focused()
    assert lock.exists()
    keyboard.press("Enter")
    expect(remedy.locator(".pw-said")).to_contain_text("crit → ok")
    keyboard.type("echo typed-$((40+2))\n")  # the focus went into the terminal, where a command may ask something
    lab.expect_screen("typed-42")
    keyboard.press("Escape")
    expect(remedy).to_be_visible()
    keyboard.press("Control+F6")
    expect(remedy.get_by_role("toolbar").locator("button:focus")).to_have_count(1)
    keyboard.press("Escape")
    expect(remedy).to_be_hidden()
    expect(lab.page.get_by_role("button", name="Open terminal")).to_be_focused()
    terminals = [socket for socket in sockets if "/terminal-server/" in socket.url]
    assert len(terminals) == 1
    if not terminals[0].is_closed():
        terminals[0].wait_for_event("close")
    lock.touch()
    lab.page.locator(".pw-detail").get_by_role("button", name="Re-check").click()
    expect(row(lab, "Orders")).to_contain_text("crit")


def test_remedy_picture(start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """Before and after, light and dark: a person looks at them."""
    server = start_jupyter()
    path, _ = broken(server)
    lab = open_lab(server, path)
    lab.page.set_viewport_size({"width": 1600, "height": 1300})
    lab.run_all()
    row(lab, "Orders").click()
    lab.page.get_by_role("button", name="Open terminal").click()
    remedy = lab.page.locator(".pw-remedy")
    run = remedy.get_by_role("button", name="Run in local")
    expect(run).to_be_enabled()
    SCREENSHOTS.mkdir(exist_ok=True)
    dashboard = lab.page.locator(".pw-dashboard")
    dashboard.screenshot(path=SCREENSHOTS / "remedy_before_light.png")
    run.click()
    expect(remedy.locator(".pw-said")).to_contain_text("crit → ok")
    for theme in ("light", "dark"):
        lab.use_theme(theme)
        expect(dashboard).to_contain_class("pw-dark") if theme == "dark" else None
        dashboard.screenshot(path=SCREENSHOTS / f"remedy_after_{theme}.png")
