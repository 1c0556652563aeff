"""What a hostile program writes into a terminal does nothing in the page of who watches."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import JupyterServer
from lab import Lab
from playwright.sync_api import expect

from tests.terminal.hostile import CORPUS, ESC, osc

StartJupyter = Callable[..., JupyterServer]
OpenLab = Callable[..., Lab]

WATCH_THE_PAGE = """
window.seen = { opened: [], copied: [], read: 0, dialogs: 0 };
window.open = (...what) => { window.seen.opened.push(what.map(String)); return null; };
Object.defineProperty(navigator, 'clipboard', { value: {
    writeText: async text => { window.seen.copied.push(text); },
    readText: async () => { window.seen.read++; return 'secret'; },
} });
for (const name of ['alert', 'confirm', 'prompt']) window[name] = () => { window.seen.dialogs++; };
"""
FIND_TEXT = """text => {
    const found = [...document.querySelectorAll('.xterm-rows span')].find(node => node.textContent.includes(text));
    const { x, y, width, height } = found?.getBoundingClientRect() ?? {};
    return width > 0 && { x, y, height };
}"""


def room_state(server: JupyterServer, room: str) -> dict[str, Any]:
    """What the room itself says: its size, its viewers, its screen."""
    request = urllib.request.Request(
        f"{server.url}partywidgets/parties/terminal-server/{room}", headers={"Authorization": f"token {server.token}"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        state: dict[str, Any] = json.load(answer)
    return state


def test_hostile_output_does_nothing(start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """No dialog, no window, no clipboard, no other page title, no other size, and nothing typed into the shell in the viewer's name."""
    assert len(CORPUS) >= 200
    server = start_jupyter()
    Path(server.folder / "home" / "attack").write_bytes(b"\r\n".join(CORPUS))
    lab = open_lab(server, "notebooks/terminal.ipynb", init=WATCH_THE_PAGE)
    lab.run_code("%load_ext partywidgets\nimport partywidgets as pw\npw.Terminal('attacked', rows=12)")
    lab.type("echo settled-$((1+1))\n")  # who types gives the terminal the size of their page
    lab.expect_screen("settled-2")
    size = room_state(server, "attacked")["size"]
    # The cat reads what is typed: an answer made of the program's own words would be shown by it.
    lab.type("cat ~/attack; echo still-$((40+2))\n")
    lab.expect_screen("still-42", timeout=60_000)
    # Answers in xterm's own words may stand at the prompt now, as in every terminal; a quote among them would hold what is typed next.
    lab.terminals().first.locator(".xterm").click()
    lab.page.keyboard.press("Control+C")
    lab.type("echo alive-$((50+1))\n")
    lab.expect_screen("alive-51")
    seen = lab.evaluate("() => window.seen")
    assert seen == {"opened": [], "copied": [], "read": 0, "dialogs": 0}
    assert "TTTT" not in lab.page.title()
    assert lab.page.locator(".pw-terminal img, .pw-terminal script").count() == 0
    state = room_state(server, "attacked")
    assert state["size"] == size
    assert "pwned" not in state["screen"]
    assert "not found" not in state["screen"]


def test_only_web_links_open(start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """A click on a link that a program made opens http and https in a tab that knows nothing of this one, and nothing else."""
    server = start_jupyter()
    targets = {
        "js": b"javascript:window.seen.dialogs++",
        "data": b"data:text/html,x",
        "file": b"file:///etc/passwd",
        "web": b"https://example.invalid/",
    }
    links = [osc(b"8;;" + target) + b"click-" + name.encode() + osc(b"8;;") for name, target in targets.items()]
    Path(server.folder / "home" / "links").write_bytes(ESC + b"c" + b"\r\n".join([*links, b""]))
    lab = open_lab(server, "notebooks/terminal.ipynb", init=WATCH_THE_PAGE)
    lab.run_code("%load_ext partywidgets\nimport partywidgets as pw\npw.Terminal('links', rows=12)")
    lab.expect_screen("$")
    lab.type("cat ~/links\n")
    lab.expect_screen("click-web")
    for name in targets:
        # In one go, since xterm puts new elements in the place of those it draws anew.
        box = lab.page.wait_for_function(FIND_TEXT, arg=f"click-{name}").json_value()
        # xterm looks for a link under the pointer when it moves, and opens it on the click that follows.
        lab.page.mouse.move(box["x"] + 4, box["y"] + box["height"] / 2)
        lab.page.mouse.move(box["x"] + 12, box["y"] + box["height"] / 2, steps=4)
        lab.page.mouse.down()
        lab.page.mouse.up()
    lab.page.wait_for_function("() => window.seen.opened.length > 0")
    assert lab.evaluate("() => window.seen") == {
        "opened": [["https://example.invalid/", "_blank", "noopener,noreferrer"]],
        "copied": [],
        "read": 0,
        "dialogs": 0,
    }


def test_a_program_copies_only_when_the_person_agrees(start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """OSC 52 shows what would be copied; refusing copies nothing, agreeing copies just that; a question is never answered."""
    server = start_jupyter()
    lab = open_lab(server, "notebooks/terminal.ipynb", init=WATCH_THE_PAGE)
    lab.run_code("%load_ext partywidgets\nimport partywidgets as pw\npw.Terminal('copying', rows=12)")
    lab.expect_screen("$")
    consent = lab.terminals().first.locator(".pw-consent")
    lab.type("printf '\\033]52;c;?\\007'; echo asked-$((40+2))\n")
    lab.expect_screen("asked-42")
    expect(consent).to_be_hidden()
    lab.type("printf '\\033]52;c;aGVsbG8=\\007'\n")
    expect(consent).to_contain_text('"hello"')
    consent.get_by_text("Refuse").click()
    expect(consent).to_be_hidden()
    assert lab.evaluate("() => window.seen.copied") == []
    lab.type("printf '\\033]52;c;aGVsbG8=\\007'\n")
    consent.get_by_text("Copy it").click()
    expect(consent).to_be_hidden()
    assert lab.evaluate("() => [window.seen.copied, window.seen.read]") == [["hello"], 0]


def test_no_socket_stays_when_the_output_is_cleared(start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """Two views of one widget are two viewers; clearing one output leaves one, clearing all leaves none in the room."""
    server = start_jupyter()
    lab = open_lab(server, "notebooks/terminal.ipynb")
    lab.run_code("%load_ext partywidgets\nimport partywidgets as pw\nterm = pw.Terminal('leaving', rows=8); term")
    lab.run_code("term")
    expect(lab.page.locator('.pw-terminal[data-state="live"]')).to_have_count(2)
    expect(lab.terminals().nth(1)).to_be_attached()
    wait_for_people(lab, server, 2)
    lab.command("notebook:clear-cell-output")
    wait_for_people(lab, server, 1)
    lab.command("notebook:clear-all-cell-outputs")
    wait_for_people(lab, server, 0)
    expect(lab.page.locator(".pw-terminal")).to_have_count(0)


def wait_for_people(lab: Lab, server: JupyterServer, wanted: int) -> None:
    """Asks the room until so many sockets are in it."""
    for _ in range(600):
        found = room_state(server, "leaving")["people"]
        if found == wanted:
            return
        lab.page.wait_for_timeout(100)
    raise AssertionError(f"{found} sockets are in the room instead of {wanted}")
