"""A team's host that is killed and started again, seen from JupyterLab: a cell is not run again for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import JupyterServer
from lab import Lab
from playwright.sync_api import expect
from team_host import Host


@pytest.mark.parametrize("way", ["comm", "remote"])
def test_its_dashboards_and_terminals_come_back(
    way: str, tmp_path: Path, start_jupyter: Callable[..., JupyterServer], open_lab: Callable[..., Lab]
) -> None:
    """They say that the host does not answer, and are live again by the way that they had; the rows are those of before."""
    server = start_jupyter(extension=False)
    host = Host(tmp_path, origins=[server.url.rstrip("/")] if way == "remote" else [])
    host.start()
    try:
        lab = open_lab(server, "notebooks/terminal.ipynb")
        lab.run_code(f"import partywidgets as pw; pw.connect('http://127.0.0.1:{host.port}', token={host.token!r})")
        lab.run_code("ops = await pw.ops(); ops")
        lab.run_code("await ops.scan(); term = pw.Terminal('incident'); term")
        bars = lab.page.locator(".pw-bar")
        expect(bars).to_have_count(2)
        for bar in bars.all():
            expect(bar).to_contain_text("live")
            expect(bar).to_contain_text(way)
        host.kill()
        for bar in bars.all():
            expect(bar).to_contain_text("the host does not answer: still trying")
        host.start()
        for bar in bars.all():
            expect(bar).to_contain_text("live")
            expect(bar).to_contain_text(way)
        expect(lab.page.locator(".pw-dashboard")).to_contain_text("root-disk")
        lab.expect_screen("$")  # a new shell: the old one ended with the host
        lab.type("echo back-$((40+2))\n")
        lab.expect_screen("back-42")
    finally:
        host.stop()
