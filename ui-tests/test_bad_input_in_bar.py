"""What goes wrong behind a terminal, as the bar of who watches tells it; and that the room goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from bare_page import Place, host, token_of
from conftest import SCREENSHOTS
from playwright.sync_api import Browser, Locator, Page, expect
from websockets.sync.client import ClientConnection, connect

from tests.engines_fixture import Engine
from tests.stopped_processes import stopped
from tests.terminal.sandboxes.sshd import Sshd, sshd

__all__ = ["sshd"]  # a fixture

Enter = Callable[..., Locator]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A host with one shell, and addresses where nothing is."""
    wrong = {"gone": "docker:no-such-container", "closed": "ws://127.0.0.1:9/ws"}
    with host(tmp_path_factory.mktemp("rooms"), sandboxes=wrong, environ={"DOCKER_HOST": "unix:///no/such/docker.sock"}) as running:
        yield running


@pytest.fixture
def enter(browser: Browser) -> Iterator[Enter]:
    """`enter(place, room, who, sandbox=…)`: somebody's page on a terminal."""
    pages: list[Page] = []

    def open_page(place: Place, room: str, who: str = "ana", sandbox: str = "") -> Locator:
        pages.append(browser.new_context(viewport={"width": 1000, "height": 500}).new_page())
        place.mount(pages[-1], "terminal", room, who=who, sandbox=sandbox, rows=8)
        return pages[-1].locator(".pw-terminal")

    yield open_page
    for page in pages:
        page.context.close()


def at_prompt(terminal: Locator, prompt: str = "$") -> None:
    """Waits until the shell runs."""
    expect(terminal).to_have_attribute("data-state", "live")
    expect(terminal.locator(".xterm-rows")).to_contain_text(prompt)


def types(terminal: Locator, keys: str) -> None:
    """Types as a person does."""
    terminal.locator(".xterm").click()
    terminal.page.keyboard.type(keys)


def goes_on(terminal: Locator) -> None:
    """The shell takes a command and answers, and the bar says live."""
    types(terminal, "echo goes-$((40+2))-on\n")
    expect(terminal.locator(".xterm-rows")).to_contain_text("goes-42-on")
    expect(terminal.locator(".pw-state")).to_have_text("live")


def ended(terminal: Locator, sentence: str) -> None:
    """The bar says that nothing runs, and why."""
    expect(terminal).to_have_attribute("data-state", "ended", timeout=60_000)
    expect(terminal.locator(".pw-state")).to_have_text(re.compile(sentence))


@contextmanager
def socket(place: Place, room: str, who: str) -> Iterator[ClientConnection]:
    """A client that no browser is."""
    url = f"{place.url.replace('http', 'ws')}/parties/terminal-server/{room}"
    headers = {"Authorization": f"Bearer {token_of(who)}"}
    with connect(url, additional_headers=headers, subprotocols=["partywidgets.terminal.v1"], proxy=None) as opened:  # type: ignore[list-item]
        yield opened


def test_fifty_megabytes_without_a_newline(place: Place, enter: Enter) -> None:
    """One endless line: the page catches up, the bar ends with live, the shell is there."""
    terminal = enter(place, "endless")
    at_prompt(terminal)
    types(terminal, "head -c 50000000 /dev/zero | tr '\\0' x; echo over-$((1+1))\n")
    expect(terminal.locator(".xterm-rows")).to_contain_text("over-2", timeout=90_000)
    goes_on(terminal)


def test_utf8_that_is_wrong_and_cut(place: Place, enter: Enter) -> None:
    """Characters that come byte by byte are whole on the screen, wrong ones are one sign each, and the bar stays live."""
    terminal = enter(place, "bytes")
    at_prompt(terminal)
    types(terminal, 'for b in e4 b8 ad f0 9f 98 80 c3 ff 41 e2 82 7a; do printf "\\x$b"; sleep 0.05; done; echo " over-$((1+1))"\n')
    rows = terminal.locator(".xterm-rows")
    expect(rows).to_contain_text("over-2")
    expect(rows).to_contain_text("中\N{GRINNING FACE}\ufffd\ufffdA\ufffdz over-2")
    goes_on(terminal)


def test_sizes_that_no_terminal_has(place: Place, enter: Enter) -> None:
    """Asked for 0×0 and 10,000×10,000 by another client, the bar tells what it became and whose it is; the next size is as asked for."""
    terminal = enter(place, "sizes", "ben")
    at_prompt(terminal)
    with socket(place, "sizes", "ana") as ana:
        ana.send(json.dumps({"type": "lease", "action": "take"}))
        for asked, shown in (((0, 0), "20×5"), ((10_000, 10_000), "1000×1000"), ((80, 24), "80×24")):
            ana.send(json.dumps({"type": "resize", "cols": asked[0], "rows": asked[1]}))
            expect(terminal.locator(".pw-bar")).to_contain_text(f"{shown} by Ana")
            expect(terminal.locator(".pw-state")).to_have_text("live")
        ana.send(json.dumps({"type": "lease", "action": "release"}))
        expect(terminal.locator(".pw-hint")).to_have_text("")  # nobody has control any more
    goes_on(terminal)


@pytest.mark.parametrize(
    ("sandbox", "sentence"),
    [
        ("nowhere", "no sandbox has the id 'nowhere' .known: .*default.*. add it under `sandboxes:`"),
        ("gone", "no docker engine listens at .*: start Docker"),
        ("closed", "no container answers at .*: is it running"),
    ],
)
def test_a_sandbox_that_is_not_there(sandbox: str, sentence: str, place: Place, enter: Enter) -> None:
    """The bar says what is missing and what to do; Restart tries again and says it again; the room opens another sandbox for who asks."""
    room = f"missing-{sandbox}"
    terminal = enter(place, room, sandbox=sandbox)
    ended(terminal, sentence)
    terminal.get_by_role("button", name="Restart").click()
    ended(terminal, sentence)
    other = enter(place, f"{room}-2", "ben")
    at_prompt(other)
    goes_on(other)


def test_a_refused_key(sshd: Sshd, enter: Enter, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A server that does not accept the key is told as such, to whoever watches too; with the right one the same host has a shell."""
    addresses = {"stranger": sshd.address(key=sshd.stranger), "box": sshd.address(more="&shell=/bin/bash")}
    with host(tmp_path_factory.mktemp("ssh"), sandboxes=addresses) as place:
        refused = enter(place, "ssh", sandbox="stranger")
        ended(refused, "refused the login .the key was not accepted.")
        watching = enter(place, "ssh", "obi")
        ended(watching, "refused the login .the key was not accepted.")
        expect(watching.get_by_role("button", name="Restart")).to_have_count(0)
        box = enter(place, "box", sandbox="box")
        at_prompt(box, "#")
        goes_on(box)


def test_a_host_that_hangs(sshd: Sshd, enter: Enter, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The bar says that the host has not answered, and offers Restart to who may; then that it is gone. Awake, it is back."""
    with host(tmp_path_factory.mktemp("hung"), sandboxes={"box": sshd.address(more="&shell=/bin/bash&gone_after=24")}) as place:
        ana, obi = enter(place, "box", sandbox="box"), enter(place, "box", "obi", sandbox="box")
        at_prompt(ana, "#")
        with stopped(sshd.processes()):
            types(ana, "echo kept-$((1+1))\n")
            for page in (ana, obi):
                expect(page.locator(".pw-state")).to_have_text(re.compile("has not answered for 16 s: what is typed waits for it"))
                expect(page).to_have_attribute("data-state", "connecting")
            expect(ana.get_by_role("button", name="Restart")).to_be_visible()
            expect(obi.get_by_role("button", name="Restart")).to_have_count(0)
            SCREENSHOTS.mkdir(exist_ok=True)
            ana.screenshot(path=SCREENSHOTS / "hung_host.png")
            for page in (ana, obi):
                ended(page, "no longer answers: look whether it runs, then restart the terminal")
        ana.get_by_role("button", name="Restart").click()
        at_prompt(ana, "#")
        goes_on(ana)


def test_a_container_killed_under_its_viewers(docker_engine: Engine, enter: Enter, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Both people's bars say that it ended; when the container is there again, Restart brings both back into it."""
    name = docker_engine.start("killed-1")
    with host(tmp_path_factory.mktemp("docker"), sandboxes={"box": f"docker:{name}"}, environ={"DOCKER_HOST": docker_engine.url}) as place:
        ana, ben = enter(place, "box", sandbox="box"), enter(place, "box", "ben", sandbox="box")
        at_prompt(ana, "#")
        at_prompt(ben, "#")
        docker_engine.remove(name)
        for page in (ana, ben):
            ended(page, "ended")
        types(ana, "nothing hears this\n")
        ana.get_by_role("button", name="Restart").click()
        ended(ana, f"no .*container.*{name}|{name}.*does not exist|no such container")
        assert docker_engine.start(name) == name
        ana.get_by_role("button", name="Restart").click()
        for page in (ana, ben):
            at_prompt(page, "#")
        goes_on(ana)
        expect(ben.locator(".xterm-rows")).to_contain_text("goes-42-on")
