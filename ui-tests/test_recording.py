"""A terminal's recording, played in the notebook."""

from __future__ import annotations

from collections.abc import Callable

from conftest import JupyterServer
from lab import Lab
from playwright.sync_api import expect

StartJupyter = Callable[..., JupyterServer]
OpenLab = Callable[..., Lab]


def test_a_command_leads_to_its_place(start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """The player lists the commands that ran; a click on one plays from there and shows its output."""
    lab = open_lab(start_jupyter(), "notebooks/terminal.ipynb")
    lab.run_code("%load_ext partywidgets\nimport partywidgets as pw\nterm = pw.Terminal('taped', rows=8); term")
    assert "Error" not in lab.output_of_last(), lab.output_of_last()
    lab.expect_screen("$")
    lab.run_code("r = await term.run('echo first-$((40+2))'); r = await term.run('echo second-$((40+3))')")
    lab.expect_screen("second-43")
    lab.run_code("term.recording()")
    player = lab.page.locator(".pw-recording").first
    player.scroll_into_view_if_needed()
    expect(player.locator(".pw-commands li")).to_have_count(2, timeout=30_000)
    player.locator(".pw-commands button").nth(1).click()
    expect(player).to_contain_text("echo second")
    expect(player.locator(".ap-player, .ap-terminal").first).to_be_visible(timeout=20_000)
