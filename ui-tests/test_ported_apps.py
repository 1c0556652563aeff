"""The ports of `docs/how-to/port-partykit.md` and their originals: the same page, with PartySocket's React hooks, sees the same of both."""

from __future__ import annotations

import functools
import http.server
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.interop.workerd import listening_port
from tests.node_packages import installed, without
from tests.ports import kept_port

ROOT = Path(__file__).resolve().parents[1]
GUIDE = (ROOT / "docs/how-to/port-partykit.md").read_text()
BLOCK = re.compile(r"^```(?:python|ts|tsx)\n((?://|#) (\S+)\n.*?)^```$", re.M | re.S)
FILES = {name: text for text, name in BLOCK.findall(GUIDE)}
PACKAGES = ROOT / "tests" / "interop" / "partyserver"
WAIT = 30.0

CONFIG = """
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main), (name = "state", disk = (writable = true))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "worker.js")],
  compatibilityDate = "2026-04-10",
  durableObjectNamespaces = [
    (className = "Chat", uniqueKey = "chat", enableSql = true),
    (className = "Board", uniqueKey = "board", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "state"),
  bindings = [
    (name = "Chat", durableObjectNamespace = "Chat"),
    (name = "Board", durableObjectNamespace = "Board"),
  ],
);
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guide's files in a folder, with the originals bundled for workerd and the page for a browser."""
    packages = installed(PACKAGES, "partyserver", untried="the originals of the ports", exact=False)
    folder = tmp_path_factory.mktemp("ports")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "workerd.capnp").write_text(CONFIG)
    bundle = [str(packages / "node_modules/.bin/esbuild"), "--bundle", "--format=esm", "--log-level=error"]
    environ = {**os.environ, "NODE_PATH": str(packages / "node_modules")}
    for arguments in (
        ["index.ts", "--external:cloudflare:workers", "--outfile=worker.js"],
        ["page.tsx", "--jsx=automatic", "--outfile=page.js", '--define:process.env.NODE_ENV="production"'],
    ):
        subprocess.run([*bundle, *arguments], cwd=folder, env=environ, check=True, timeout=60)
    binaries = sorted(packages.glob("node_modules/@cloudflare/workerd-*/bin/workerd"))
    if not binaries:
        without("npm has no workerd for this machine: the originals cannot be tried")
    (folder / "workerd").symlink_to(binaries[0])
    (folder / "index.html").write_text('<!doctype html><meta charset="utf-8"><body></body><script type="module" src="page.js"></script>')
    return folder


def ended(process: subprocess.Popen[Any]) -> None:
    """Kills a process that this module started, with what it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.fixture(scope="module")
def original(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of the originals on workerd."""
    state = tmp_path_factory.mktemp("workerd")
    command = ["./workerd", "serve", "workerd.capnp", "--control-fd=1", f"--directory-path=state={state}"]
    process = subprocess.Popen(command, cwd=sources, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield listening_port(process)
    finally:
        ended(process)


@pytest.fixture(scope="module")
def ported(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of the ports, served as the guide says."""
    number = kept_port()
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(number)]
    environ = {**os.environ, "PARTYWIDGETS_HOME": str(tmp_path_factory.mktemp("home"))}
    process = subprocess.Popen(command, cwd=sources, env=environ, start_new_session=True)
    try:
        deadline = time.monotonic() + WAIT
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{number}/health", timeout=WAIT) as answer:
                    assert answer.status == 200
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield number
    finally:
        ended(process)


@pytest.fixture(scope="module")
def elsewhere(sources: Path) -> Iterator[int]:
    """The port of another origin, from which the page comes, as from a development server."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(sources))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


class Visitor:
    """One person's page."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        page.goto(url)

    def press(self, button: str) -> None:
        self.page.get_by_role("button", name=button, exact=True).click()

    def lines(self, part: str) -> Locator:
        return self.page.get_by_role("region", name=part).get_by_role("listitem")

    def sees(self, part: str, line: str) -> None:
        """Waits until the newest line of a part is this one."""
        expect(self.lines(part).last).to_have_text(line)


def play(browser: Browser, elsewhere: int, server: int) -> dict[str, list[str]]:
    """Two people in the chat and at the board; what each saw, line by line."""
    context = browser.new_context()
    try:

        def visit(name: str, token: str) -> Visitor:
            url = f"http://127.0.0.1:{elsewhere}/index.html?host=127.0.0.1:{server}&name={name}&token={token}"
            return Visitor(context.new_page(), url)

        ada = visit("ada", "token-of-ada")
        ada.sees("chat", '{"type":"presence","names":["ada"]}')
        ada.sees("board", '{"type":"board","strokes":[],"cursors":[]}')
        ada.press("move")
        ada.press("draw")
        ada.sees("board", '{"type":"stroke","points":[1,2]}')
        ada.press("say")
        ada.sees("chat", '{"type":"message","author":"ada","text":"ada was here"}')
        bob = visit("bob", "token-of-bob")
        both = '{"type":"presence","names":["ada","bob"]}'
        for one in (ada, bob):
            one.sees("chat", both)
        bob.sees("board", '{"type":"board","strokes":[[1,2]],"cursors":[{"id":"ada","x":3,"y":4}]}')
        bob.press("draw")
        ada.sees("board", '{"type":"wish","from":"bob"}')
        bob.press("ink")
        ada.sees("board", "ink 1 0 255")
        ada.press("ink")
        bob.sees("board", "ink 1 0 255")
        ada.press("flash")
        for one in (ada, bob):
            one.sees("board", '{"type":"wiped"}')
        bob.press("fetch")
        bob.sees("chat", '200 [{"author":"ada","text":"ada was here"}]')
        bob.press("pause")
        alone = '{"type":"presence","names":["ada"]}'
        ada.sees("chat", alone)
        bob.press("say")  # kept until the hook is enabled again
        bob.press("pause")
        for one in (ada, bob):
            one.sees("chat", '{"type":"message","author":"bob","text":"bob was here"}')
        bob.press("attic")
        bob.sees("chat", '{"type":"presence","names":["bob"]}')
        ada.sees("chat", alone)
        stranger = visit("eve", "no-token")
        stranger.press("fetch")
        stranger.sees("chat", "401 who are you?")
        return {
            name: [*who.lines("chat").all_inner_texts(), *who.lines("board").all_inner_texts()]
            for name, who in (("ada", ada), ("bob", bob))
        }
    finally:
        context.close()


def test_the_same_page_sees_the_same(browser: Browser, elsewhere: int, original: int, ported: int) -> None:
    """Presence, history, messages, state, tags, bytes, an alarm, a fetch from another origin, a room that is changed, a refusal."""
    seen = play(browser, elsewhere, ported)
    assert len(seen["ada"]) > 10
    assert seen == play(browser, elsewhere, original)
