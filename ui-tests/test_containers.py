"""A terminal in a real container, entered from a notebook in Chromium."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import JupyterServer
from lab import Lab
from playwright.sync_api import expect

from tests.engines_fixture import Engine

StartJupyter = Callable[..., JupyterServer]
OpenLab = Callable[..., Lab]


@pytest.mark.parametrize("kind", ["docker", "podman"])
def test_container_is_entered(kind: str, start_jupyter: StartJupyter, open_lab: OpenLab, request: pytest.FixtureRequest) -> None:
    """What is typed in the page runs in the container; `run` gives its exit code; when it is killed, the bar says so."""
    engine: Engine = request.getfixturevalue(f"{kind}_engine")
    name = engine.start("web-1")
    variable = {"docker": "DOCKER_HOST", "podman": "CONTAINER_HOST"}[kind]
    lab = open_lab(start_jupyter(environ={variable: engine.url}), "notebooks/terminal.ipynb")
    lab.run_code("%load_ext partywidgets\nimport partywidgets as pw")
    lab.run_code(f"box = pw.Terminal('box', sandbox='{kind}:{name}', rows=12); box")
    terminal = lab.terminals().first
    terminal.scroll_into_view_if_needed()
    expect(terminal).to_have_attribute("data-state", "live")
    lab.type("echo in-$(hostname)-$((40+2)); cat /etc/hostname\n")
    lab.expect_screen("-42")
    lab.run_code("r = await box.run('test -e /no/such/file'); print('code', r.exit_code)")
    assert "code 1" in lab.output_of_last()
    engine.remove(name)
    expect(terminal).to_have_attribute("data-state", "ended")
