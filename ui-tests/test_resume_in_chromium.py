"""The unchanged npm `partysocket` and the served `resume.js` in Chromium: what was missed while the socket was away comes, once."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PATIENCE
from playwright.sync_api import Browser, Page
from test_partysocket_in_chromium import bundle  # noqa: F401  # a fixture

HERE = Path(__file__).parent

JOIN = """async silence => {
    const { resumable } = await import("/static/resume.js");
    window.seen = [];
    window.verdicts = [];
    window.ends = [];
    window.opened = 0;
    const delays = { minReconnectionDelay: 200, maxReconnectionDelay: 200 };
    const onResumed = ({ recovered }) => verdicts.push(recovered);
    window.socket = new PartySocket(resumable({ host: location.host, party: "ticker", room: "r", ...delays, silence, onResumed }));
    socket.addEventListener("open", () => window.opened++);
    socket.addEventListener("close", ({ code, reason }) => ends.push([code, reason]));
    socket.addEventListener("message", async ({ data }) =>
        seen.push(data instanceof Blob ? [...new Uint8Array(await data.arrayBuffer())] : data));
}"""


class ResumingHost:
    """`resuming_host.py` in a process of its own."""

    def __init__(self, storage: Path) -> None:
        self.process = subprocess.Popen([sys.executable, HERE / "resuming_host.py", storage], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def end(self) -> None:
        """Ends it at once."""
        self.process.kill()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ResumingHost]:
    """A host with a resumable room."""
    running = ResumingHost(tmp_path)
    yield running
    running.end()


@pytest.fixture
def page(browser: Browser, host: ResumingHost, bundle: str) -> Iterator[Page]:  # noqa: F811
    """A page of the host's own origin, with PartySocket in it."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    opened = context.new_page()
    opened.goto(f"http://127.0.0.1:{host.port}/")
    opened.add_script_tag(content=bundle)
    yield opened
    context.close()


def say(page: Page, *lines: str) -> None:
    """Has the room broadcast."""
    page.evaluate("body => fetch('/parties/ticker/r', { method: 'POST', body })", "\n".join(lines))


def test_what_was_missed_comes_once(page: Page) -> None:
    """Cut while the room broadcasts: all of it, in order, after `recovered: true`; messages to this page alone stay what they are."""
    page.evaluate(JOIN, None)
    page.wait_for_function("() => opened === 1")
    say(page, "1", "2")
    page.wait_for_function("() => seen.length === 2")
    for cut in range(3):
        say(page, "cut", f"missed {cut}", f"missed too {cut}")
        page.wait_for_function(f"() => verdicts.length === {cut + 1}")
    say(page, "last")
    page.evaluate("() => { socket.send('echo'); socket.send(new Uint8Array([0, 255])); }")
    page.wait_for_function("() => seen.length === 11")
    missed = [line for cut in range(3) for line in (f"missed {cut}", f"missed too {cut}")]
    assert page.evaluate("() => seen") == ["1", "2", *missed, "last", "echo", [0, 255]]
    assert page.evaluate("() => verdicts") == [True, True, True]
    assert [code for code, _ in page.evaluate("() => ends")] == [1006, 1006, 1006]


def test_silence_is_noticed(page: Page, host: ResumingHost) -> None:
    """A host that hangs closes nothing: the page leaves it, and has all that was said when it is back."""
    page.evaluate(JOIN, 1000)
    page.wait_for_function("() => opened === 1")
    say(page, "1")
    page.wait_for_function("() => seen.length === 1")
    host.process.send_signal(signal.SIGSTOP)
    try:
        page.wait_for_function("() => ends.length > 0")
    finally:
        host.process.send_signal(signal.SIGCONT)
    assert page.evaluate("() => ends[0]") == [4000, "the room was silent"]
    say(page, "2")
    page.wait_for_function("() => seen.length === 2")
    assert page.evaluate("() => verdicts.every(Boolean) && verdicts.length > 0")
    assert page.evaluate("() => seen") == ["1", "2"]
