"""A closed laptop over the other ways: straight to `partywidgets serve`, and through the kernel's comm."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import JupyterServer
from lab import Lab
from laptop import LONG, Laptop, read_notice, wait_for
from playwright.sync_api import expect
from waiting_shell import expect_exact, waiting_shell

from tests.ports import kept_port

StartJupyter = Callable[..., JupyterServer]
OpenLab = Callable[..., Lab]

TOKEN = "a-token-for-the-tests-of-closed-laptops"


@pytest.fixture
def comm_lab(start_jupyter: StartJupyter, open_lab: OpenLab) -> Iterator[tuple[Lab, Laptop]]:
    """The terminal's notebook, and the network between the page and the Jupyter Server through which its comm goes."""
    jupyter = start_jupyter(environ={"PARTYWIDGETS_TRANSPORTS": "comm"})
    lid = Laptop(int(urllib.parse.urlsplit(jupyter.url).port or 0))
    jupyter.url = re.sub(r":\d+/", f":{lid.proxy.port}/", jupyter.url)
    try:
        yield open_lab(jupyter, "notebooks/terminal.ipynb"), lid
    finally:
        lid.end()


@pytest.fixture
def remote_lab(start_jupyter: StartJupyter, open_lab: OpenLab, tmp_path: Path) -> Iterator[tuple[Lab, Laptop]]:
    """A notebook that uses a `partywidgets serve` elsewhere, and the network to that host; Jupyter itself stays at hand."""
    jupyter = start_jupyter(extension=False)
    port = kept_port()
    lid = Laptop(port)
    parts = urllib.parse.urlsplit(jupyter.url)
    config = tmp_path / "serve.yaml"
    config.write_text(
        f"sandboxes: {{ default: 'local:/bin/bash' }}\n"
        f"auth: {{ hosts: ['127.0.0.1:{lid.proxy.port}'], origins: ['http://{parts.netloc}'] }}\n"
    )
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o600)
    home = tmp_path / "served"
    home.mkdir()
    (home / ".bashrc").write_text("PS1='$ '\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PARTYWIDGETS", "JUPYTER", "JPY_"))}
    command = [sys.executable, "-m", "partywidgets", "serve", config, "--port", port, "--storage", home / "rooms"]
    with (home / "log").open("wb") as log:
        host = subprocess.Popen(
            [*map(str, command), "--token-file", str(tmp_path / "token")],
            env={**kept, "HOME": str(home)},
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(lambda: listens(port), "the host did not start")
        lab = open_lab(jupyter, "notebooks/terminal.ipynb")
        lab.run_code(f'import partywidgets as pw\npw.connect("http://127.0.0.1:{lid.proxy.port}/", "{TOKEN}")')
        yield lab, lid
    finally:
        host.terminate()
        host.wait(30)
        lid.end()


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as probe:
        probe.settimeout(20)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_cut_on_the_way_to_a_remote_host(remote_lab: tuple[Lab, Laptop], tmp_path: Path) -> None:
    """The bar says that the connection is lost and that it is tried again; then it is live, with what was missed."""
    lab, laptop = remote_lab
    terminal, go, done = waiting_shell(lab, tmp_path)
    expect(terminal.locator(".pw-badge")).to_contain_text("remote")
    assert laptop.close() > 0
    state = terminal.locator(".pw-bar .pw-state")
    expect(state).to_have_text(re.compile("connection lost: reconnecting|the host does not answer: still trying"), timeout=LONG)
    before = laptop.attempts()
    wait_for(lambda: laptop.attempts() >= before + 4, "nobody tried to come back")
    expect(state).to_have_text(re.compile("connection lost: reconnecting|the host does not answer: still trying"))
    go.touch()
    wait_for(done.exists, "the shell did not go on")
    laptop.open()
    expect_exact(lab, terminal)


def test_swallowed_on_the_way_to_a_remote_host(remote_lab: tuple[Lab, Laptop], tmp_path: Path) -> None:
    """A connection that stays open and carries nothing: the page finds out by itself, and has what it missed."""
    lab, laptop = remote_lab
    terminal, go, done = waiting_shell(lab, tmp_path)
    laptop.fall_silent()
    go.touch()
    wait_for(done.exists, "the shell did not go on")
    expect_exact(lab, terminal, timeout=90_000)


def test_a_dashboard_comes_back_while_a_cell_blocks(remote_lab: tuple[Lab, Laptop], tmp_path: Path) -> None:
    """Its kernel gives no ticket while a cell holds it up: the room has given one for that."""
    lab, laptop = remote_lab
    lab.run_code("ops = await pw.ops()\nops")
    state = lab.page.locator(".pw-ops .pw-bar .pw-state").first
    expect(state).to_have_text(re.compile("live"), timeout=LONG)
    for time in ("first", "second"):  # each ticket opens one connection
        (folder := tmp_path / time).mkdir()
        with lab.busy(folder):
            assert laptop.close() > 0
            expect(state).to_have_text(re.compile("connection lost: reconnecting|the host does not answer: still trying"), timeout=LONG)
            laptop.open()
            expect(state).to_have_text(re.compile("live"), timeout=LONG)


def test_cut_below_the_comm(comm_lab: tuple[Lab, Laptop], tmp_path: Path) -> None:
    """JupyterLab's own connection to the kernel is cut, which tells the widget nothing: its badge says so, and all is there afterwards."""
    lab, laptop = comm_lab
    terminal, go, done = waiting_shell(lab, tmp_path)
    expect(terminal.locator(".pw-badge")).to_contain_text("comm")
    assert laptop.close() > 0
    read_notice(lab.page)
    expect(terminal.locator(".pw-badge")).to_contain_text(re.compile("busy|no answer"), timeout=LONG)
    go.touch()
    wait_for(done.exists, "the shell did not go on")
    laptop.open()
    # JupyterLab pauses between its own attempts, by lot: up to a minute before the sixth, two before the seventh.
    expect_exact(lab, terminal, timeout=180_000)


def test_swallowed_below_the_comm(comm_lab: tuple[Lab, Laptop], tmp_path: Path) -> None:
    """Messages are lost between the kernel and the page, and nobody is told: the gap is found when JupyterLab connects anew."""
    lab, laptop = comm_lab
    terminal, go, done = waiting_shell(lab, tmp_path)
    laptop.fall_silent()
    go.touch()
    wait_for(done.exists, "the shell did not go on")
    # What the kernel sent by now went into a connection that nobody holds any more.
    expect(terminal.locator(".pw-badge")).to_contain_text(re.compile("busy|no answer"), timeout=LONG)
    lab.command("kernelmenu:reconnect-to-kernel")
    expect_exact(lab, terminal, timeout=90_000)
