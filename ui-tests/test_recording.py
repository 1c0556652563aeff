"""A terminal's recording, played in the notebook."""

from __future__ import annotations

from collections.abc import Callable

from conftest import JupyterServer
from lab import LONG, Lab
from playwright.sync_api import expect

StartJupyter = Callable[..., JupyterServer]
OpenLab = Callable[..., Lab]

KEEP_FRAMES = """() => {
    const player = document.querySelector('.pw-recording .pw-player');
    const keep = () => window.frames_seen.push(player.innerText);
    window.frames_seen = [];
    new MutationObserver(keep).observe(player, { childList: true, subtree: true, characterData: true });
}"""
PLAYED = """const still = window.frames_seen.findIndex(text => !text.includes('third-44'));
    const played = still < 0 ? [] : window.frames_seen.slice(still);"""
COMMANDS = """
for command in ['echo first-$((40+2))', 'sleep 7', 'echo second-$((40+3))', 'sleep 4', 'echo third-$((40+4))']:
    await term.run(command)
"""


def test_a_command_leads_to_its_place(start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """A click on a command plays from there, neither from the start nor from behind it, though longer pauses before it are cut; until
    then the last screen is shown."""
    lab = open_lab(start_jupyter(), "notebooks/terminal.ipynb")
    lab.run_code("%load_ext partywidgets\nimport partywidgets as pw\nterm = pw.Terminal('taped', rows=8); term")
    assert "Error" not in lab.output_of_last(), lab.output_of_last()
    lab.expect_screen("$", timeout=LONG)
    lab.run_code(COMMANDS)
    assert "Error" not in lab.output_of_last(), lab.output_of_last()
    # In playback's time the second echo comes after 3 s and the third after 6: the recording's own 7 s would lead behind both.
    lab.run_code("pw.Recording('taped', idle_time_limit=3)")
    commands = lab.page.locator(".pw-recording .pw-commands button")
    expect(commands).to_have_count(5, timeout=LONG)
    commands.nth(2).scroll_into_view_if_needed()
    player = lab.page.locator(".pw-recording .pw-player")
    # Before anything is played it shows the last screen.
    expect(player).to_contain_text("third-44", timeout=LONG)
    lab.evaluate(KEEP_FRAMES)
    commands.nth(2).click()
    lab.page.wait_for_function(f"() => {{ {PLAYED} return played.some(text => text.includes('third-44')); }}", timeout=LONG)
    frames = lab.evaluate(f"() => {{ {PLAYED} return played; }}")
    assert "echo second" in next(text for text in frames if "first-42" in text)
    assert "third-44" not in next(text for text in frames if "second-43" in text)


def test_the_keys_of_the_player(start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """Those that its help names do what it says, from its buttons too; the notebook hears none of them, and Tab leads on."""
    lab = open_lab(start_jupyter(), "notebooks/terminal.ipynb")
    page = lab.page
    lab.run_code("%load_ext partywidgets\nimport partywidgets as pw\nterm = pw.Terminal('keys', rows=8); term")
    lab.expect_screen("$", timeout=LONG)
    lab.run_code("for command in ['echo first-$((40+2))', 'sleep 2', 'echo second-$((40+3))']:\n    await term.run(command)")
    lab.run_code("pw.Recording('keys')")
    expect(page.locator(".pw-recording .pw-commands button")).to_have_count(3, timeout=LONG)
    cells = page.locator(".jp-Cell").count()
    player = page.locator(".pw-recording .pw-player")
    lab.focus(player.get_by_role("button", name="Play"))
    page.keyboard.press("?")
    expect(player.locator(".ap-overlay-help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(player.locator(".ap-overlay-help")).to_be_hidden()
    expect(player.locator(".ap-time-elapsed")).to_have_text("00:00")
    page.keyboard.press("9")
    expect(player.locator(".ap-time-elapsed")).not_to_have_text("00:00")
    # Not a cell cut, not one more of them: `x`, `b` and `d d` are the notebook's.
    page.keyboard.type("xbdd")
    page.keyboard.press("Tab")
    expect(player.get_by_role("button", name="Show keyboard shortcuts")).to_be_focused()
    page.keyboard.press(" ")
    expect(player.locator(".ap-overlay-help")).to_be_visible()
    assert page.locator(".jp-Cell").count() == cells
