"""The page below a Jupyter Server, for whoever is logged in there: no notebook is open, and no token but Jupyter's is asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from conftest import SCREENSHOTS, JupyterServer
from playwright.sync_api import Browser, Page, expect

from partywidgets import bundles

pytestmark = pytest.mark.skipif("page.js" not in bundles.bundle_names(), reason="the front end is not built here")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A browser of its own, whose policies are kept."""
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    offences: list[str] = []
    page.on("console", lambda message: offences.append(message.text) if "Security Policy" in message.text else None)
    yield page
    page.screenshot(path=SCREENSHOTS / "page_in_jupyter.png")
    page.close()
    assert offences == []


def test_the_board_and_a_terminal(start_jupyter: Callable[..., JupyterServer], page: Page) -> None:
    """By way of Jupyter's login, which leads to the place of the address, and nothing of that stays in the browser; the server's owner
    scans and types, as in a notebook."""
    server = start_jupyter(base_url="/user/ada/")
    page.goto(f"{server.url}partywidgets/#terminal=shell")
    page.get_by_label("Password or token").fill(server.token)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page).to_have_url(f"{server.url}partywidgets/#terminal=shell")
    expect(page.locator(".pw-terminal")).to_have_attribute("data-state", "live")
    assert page.evaluate("sessionStorage.length") == 0
    page.get_by_role("link", name="Terminals").click()
    expect(page.get_by_role("link", name=re.compile("^shell .*running · in default"))).to_be_visible()
    page.get_by_role("link", name="Checks").click()
    expect(page.locator(".pw-state")).to_have_text("live")
    expect(page.locator(".pw-role")).to_have_text("admin")
    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)
    page.goto(f"{server.url}partywidgets/#terminal=shell")
    expect(page.locator(".pw-terminal")).to_have_attribute("data-state", "live")
    expect(page.locator(".xterm-rows")).to_contain_text("sre:")
    expect(page.locator(".xterm-helper-textarea")).to_be_focused()
    page.keyboard.type("echo said-$((40+2))\n")
    expect(page.locator(".xterm-rows")).to_contain_text("said-42")
