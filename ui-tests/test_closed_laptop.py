"""A laptop is closed and opened again: every connection of the page is cut, none can be made, and then all is well again."""

from __future__ import annotations

import re
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import JupyterServer
from lab import Lab
from laptop import LONG, Laptop, read_notice, wait_for
from playwright.sync_api import Locator, expect
from waiting_shell import expect_exact, waiting_shell

StartJupyter = Callable[..., JupyterServer]
OpenLab = Callable[..., Lab]


@pytest.fixture
def jupyter(start_jupyter: StartJupyter) -> JupyterServer:
    """A Jupyter Server with the extension, over which alone the widgets go."""
    return start_jupyter(environ={"PARTYWIDGETS_TRANSPORTS": "server"})


@pytest.fixture
def laptop(jupyter: JupyterServer) -> Iterator[Laptop]:
    """The way from the browser to that server."""
    port = re.search(r":(\d+)/", jupyter.url)
    assert port is not None
    lid = Laptop(int(port[1]))
    yield lid
    lid.end()


@pytest.fixture
def lab(jupyter: JupyterServer, laptop: Laptop, open_lab: OpenLab) -> Lab:
    """The terminal's notebook, opened through the proxy."""
    direct, jupyter.url = jupyter.url, re.sub(r":\d+/", f":{laptop.proxy.port}/", jupyter.url)
    try:
        return open_lab(jupyter, "notebooks/terminal.ipynb")
    finally:
        jupyter.url = direct


def close(laptop: Laptop, widget: Locator) -> None:
    """Closes the laptop; the bar says it, and new attempts fail."""
    assert laptop.close() > 0
    expect(widget.locator(".pw-bar .pw-state")).to_have_text("connection lost: reconnecting", timeout=LONG)
    before = laptop.attempts()
    wait_for(lambda: laptop.attempts() >= before + 2, "nobody tried to come back")
    read_notice(widget.page)
    expect(widget.locator(".pw-bar .pw-state")).to_have_text("connection lost: reconnecting")
    expect(widget.locator(".pw-badge")).to_have_text("server")


@pytest.mark.parametrize("lines", [2_000, 40_000], ids=["missed", "more than is kept"])
def test_a_terminal_is_live_again_and_exact(lab: Lab, laptop: Laptop, tmp_path: Path, lines: int) -> None:
    """What the shell printed meanwhile is on the screen, once, whether it is replayed or a fresh screen comes; typing works."""
    terminal, go, done = waiting_shell(lab, tmp_path, lines)
    close(laptop, terminal)
    go.touch()
    wait_for(done.exists, "the shell did not go on")
    laptop.open()
    expect_exact(lab, terminal, lines)


def test_a_network_that_was_left_without_a_word(lab: Lab, laptop: Laptop, tmp_path: Path) -> None:
    """Connections that stay open and carry nothing: the page finds out by itself, and has what it missed."""
    lab.run_code('import partywidgets as pw\nterm = pw.Terminal("lid"); term')
    terminal = lab.terminals().first
    expect(terminal).to_have_attribute("data-state", "live", timeout=LONG)
    lab.expect_screen("$")
    go = tmp_path / "go"
    lab.type(f"echo begins-$((6*7)); until [ -e {go} ]; do sleep 0.1; done; clear; echo missed-$((6*7))\n")
    lab.expect_screen("begins-42")  # the shell has all of the line: nothing of it is on its way any more
    laptop.fall_silent()
    go.touch()
    lab.expect_screen("missed-42", timeout=90_000)
    expect(terminal).to_have_attribute("data-state", "live")
    lab.type("echo typed-$((40+2))\n")
    lab.expect_screen("typed-42")


def test_a_dashboard_is_live_again_and_current(lab: Lab, laptop: Laptop, jupyter: JupyterServer, tmp_path: Path) -> None:
    """A check that failed meanwhile is red when the laptop is open again, one that was removed is gone, and the next result comes."""
    status = tmp_path / "status"
    status.write_text("0")
    config = tmp_path / "partywidgets.yaml"
    one = f"""checks:
  - {{id: turns, type: exec, command: ["sh", "-c", "exit $(cat {status})"], every: 1s, attempts: 1}}
"""
    config.write_text(f"{one}  - {{id: leaves, type: host, disk: /, every: 1s}}\n")
    lab.run_code(f'import partywidgets as pw\nops = await pw.ops("{config}"); ops')
    dashboard = lab.page.locator(".pw-dashboard").first
    state = dashboard.locator(".pw-bar .pw-state")
    expect(state).to_have_text("live", timeout=LONG)
    turns = dashboard.get_by_role("row").filter(has_text="turns")
    expect(turns).to_contain_text("ok", timeout=LONG)
    expect(dashboard.get_by_role("row").filter(has_text="leaves")).to_have_count(1)
    close(laptop, dashboard)
    expect(turns).to_contain_text("ok")
    status.write_text("2")
    put(jupyter, config, one)
    wait_for(lambda: metric(jupyter, "turns") == 2, "the check did not fail")
    laptop.open()
    expect(state).to_have_text("live", timeout=LONG)
    expect(turns).to_contain_text("crit")
    expect(dashboard.get_by_role("row").filter(has_text="leaves")).to_have_count(0)
    status.write_text("0")
    expect(turns).to_contain_text("ok", timeout=LONG)


def ask(jupyter: JupyterServer, method: str, path: str, body: str | None = None) -> str:
    """A request to the extension, past the proxy."""
    request = urllib.request.Request(f"{jupyter.url}partywidgets/{path}", method=method, data=None if body is None else body.encode())
    request.add_header("Authorization", f"token {jupyter.token}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(answer.read().decode())


def put(jupyter: JupyterServer, config: Path, text: str) -> None:
    """Loads the config again, as somebody else would."""
    ask(jupyter, "PUT", f"api/ops/config/{urllib.parse.quote(str(config), safe='')}", text)


def metric(jupyter: JupyterServer, check_id: str) -> float | None:
    """A check's last status as the host knows it."""
    found = re.search(rf'partywidgets_check_status\{{check_id="{check_id}".*?\}} (\S+)', ask(jupyter, "GET", "metrics"))
    return float(found[1]) if found else None
