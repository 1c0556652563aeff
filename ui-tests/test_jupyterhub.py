"""Under a real JupyterHub: its login, its proxy, a server that is shared, stopped and started."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import SCREENSHOTS
from hub import PASSWORD, Hub
from playwright.sync_api import Browser, Page, expect

from partywidgets import bundles

pytestmark = pytest.mark.skipif("page.js" not in bundles.bundle_names(), reason="the front end is not built here")
START = 300_000
SOCKET = """path => new Promise(resolve => {
    const socket = new WebSocket(path);
    socket.onopen = () => resolve('open');
    socket.onclose = ({ code }) => resolve(code);
})"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    running = Hub(tmp_path)
    yield running
    running.stop()


def logged_in(browser: Browser, hub: Hub, name: str, place: str) -> Page:
    """The page of somebody who logs in at the Hub on the way to a place of it."""
    page = browser.new_context(viewport={"width": 1200, "height": 800}).new_page()
    page.goto(f"{hub.url}/hub/login")
    page.locator("#username_input").fill(name)
    page.locator("#password_input").fill(PASSWORD)
    page.locator("#login_submit").click()
    page.wait_for_url(lambda url: "/hub/login" not in url)
    page.goto(f"{hub.url}{place}")
    return page


def test_a_server_of_a_hub(browser: Browser, hub: Hub) -> None:
    """Its user types, whom it is shared with watches, and another one is not let in; when it was stopped and started, the page says that
    the login is to be made anew."""
    rooms = "/user/alice/partywidgets/"
    alice = logged_in(browser, hub, "alice", "/hub/spawn")
    alice.wait_for_url(f"**{rooms}", timeout=START)
    alice.goto(f"{hub.url}{rooms}#terminal=shell")
    expect(alice.locator(".pw-terminal")).to_have_attribute("data-state", "live")
    expect(alice.locator(".pw-role")).to_have_text("moderator")

    bob = logged_in(browser, hub, "bob", f"{rooms}#terminal=shell")
    expect(bob.get_by_role("heading", name="403")).to_be_visible()
    assert bob.evaluate("path => fetch(path).then(({ status }) => status)", f"{rooms}hello") == 401
    assert bob.evaluate(SOCKET, f"{hub.url.replace('http', 'ws')}{rooms}parties/terminal-server/shell") == 1006
    assert hub.ask("POST", "/hub/api/shares/alice/", json.dumps({"user": "bob"})) == 200
    bob.goto(f"{hub.url}{rooms}#terminal=shell")
    bob.get_by_role("button", name="Authorize").click()
    expect(bob.locator(".pw-role")).to_have_text("observer")
    alice.locator(".xterm-helper-textarea").focus()
    alice.keyboard.type("echo said-$((40+2))\n")
    expect(bob.locator(".xterm-rows")).to_contain_text("said-42")
    bob.screenshot(path=SCREENSHOTS / "jupyterhub.png")
    bob.context.close()

    assert hub.ask("DELETE", "/hub/api/users/alice/server") in (202, 204)
    expect(alice.locator(".pw-terminal")).to_contain_text("reconnecting")
    assert hub.ask("POST", "/hub/api/users/alice/server") in (201, 202)
    expect(alice.locator(".pw-terminal")).to_contain_text("reload this page", timeout=START)
    alice.reload()
    expect(alice.locator(".pw-terminal")).to_have_attribute("data-state", "live")
    alice.context.close()
