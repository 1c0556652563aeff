"""The unchanged npm `partysocket`, old and new, in Chromium: tickets through `query`, terminal text, scans, and coming back."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PATIENCE
from playwright.sync_api import Browser, Page
from team_host import Host

ROOT = Path(__file__).resolve().parents[1]
INTEROP = ROOT / "tests" / "interop"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A team host with one real check and a shell."""
    running = Host(tmp_path)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session", params=["partysocket", "partysocket-1.1.6"], ids=["newest", "1.1.6"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """One version of partysocket as a script that sets `window.PartySocket`."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: apt-get install npm")
    if not (INTEROP / "node_modules" / "partysocket").exists():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=INTEROP, check=True, timeout=120)
    entry = tmp_path_factory.mktemp("bundle") / "entry.mjs"
    entry.write_text(f'import PartySocket from "{request.param}"; window.PartySocket = PartySocket;')
    esbuild = ROOT / "ts" / "node_modules" / ".bin" / "esbuild"
    built = subprocess.run(
        [esbuild, entry, "--bundle", "--format=iife", "--log-level=error"],
        env={**os.environ, "NODE_PATH": str(INTEROP / "node_modules")},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return built.stdout


JOIN = """([token, party, room]) => {
    const query = async () => {
        const answer = await fetch("/tickets", {
            method: "POST",
            headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
            body: JSON.stringify({ party, room }),
        });
        return { ticket: (await answer.json()).ticket };
    };
    window.seen = [];
    window.opened = 0;
    const delays = { minReconnectionDelay: 100, maxReconnectionDelay: 500 };
    window.socket = new PartySocket({ host: location.host, protocol: "ws", party, room, query, ...delays });
    socket.addEventListener("open", () => window.opened++);
    socket.addEventListener("message", (event) => window.seen.push(event.data));
}"""


@pytest.fixture
def page(browser: Browser, host: Host, bundle: str) -> Iterator[Page]:
    """A page of the host's own origin, with PartySocket in it."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    opened = context.new_page()
    opened.goto(f"http://127.0.0.1:{host.port}/healthz")
    opened.add_script_tag(content=bundle)
    yield opened
    context.close()


def join(page: Page, host: Host, party: str, room: str) -> None:
    """Opens a socket and waits until it is open."""
    page.evaluate(JOIN, [host.token, party, room])
    page.wait_for_function("() => window.opened > 0")


def scan(page: Page, token: str) -> None:
    """Asks for a scan by HTTP, as a script would."""
    status = page.evaluate(
        """async token => (await fetch("/api/ops/scans", {
            method: "POST", headers: { authorization: `Bearer ${token}`, "content-type": "application/json" }, body: "{}" })).status""",
        token,
    )
    assert status < 300, status


def test_connection_and_proxy(page: Page, host: Host) -> None:
    """The guide's terminal client: what it sends is typed, and the shell's output comes back as text."""
    join(page, host, "terminal-server", "worker-123")
    page.evaluate("() => socket.send('echo proxied-$((40+2))\\r')")
    page.wait_for_function("() => seen.every(data => typeof data === 'string') && seen.join('').includes('proxied-42')")


def test_broadcast(page: Page, host: Host) -> None:
    """The guide's dashboard client gets the scan-result of a scan."""
    join(page, host, "ops-monitor-broadcast", "main")
    scan(page, host.token)
    page.wait_for_function(
        "() => seen.map(JSON.parse).some(message => message.type === 'scan-result' && message.data.results[0].check_id === 'root-disk')"
    )


def test_reconnection(page: Page, host: Host) -> None:
    """After the host came back, PartySocket comes back by itself with a new ticket, and goes on."""
    join(page, host, "ops-monitor-broadcast", "main")
    host.stop()
    page.wait_for_function("() => socket.readyState !== WebSocket.OPEN")
    host.start()
    page.wait_for_function("() => opened > 1")
    page.evaluate("() => { seen.length = 0; }")
    scan(page, host.token)
    page.wait_for_function("() => seen.map(JSON.parse).some(message => message.type === 'scan-result')")
