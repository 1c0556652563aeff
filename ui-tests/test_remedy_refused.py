"""A remedy that cannot be run says why, and types nothing: who may not, and a sandbox that the host does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect
from test_hostile_results import EVIL, MOUNT, host

from partywidgets import bundles


def opened(page: Page, app: dict[str, Any], token: str) -> None:
    """The dashboard on a bare page as whoever the token names, with the terminal of its failing row opened."""
    page.goto(f"{app['url']}/healthz")
    endpoint = {"kind": "remote", "host_id": "", "url": f"{app['url']}/"}
    page.evaluate(MOUNT, {"token": token, "bundle": f"/static/{bundles.static_hash()}/dashboard.js", "endpoint": endpoint})
    page.locator(".pw-row").first.click(timeout=30_000)
    page.get_by_role("button", name="Open terminal").click()
    expect(page.locator(".pw-remedy .pw-terminal")).to_be_visible(timeout=30_000)


def test_who_only_looks_on_and_an_unknown_sandbox(browser: Browser, tmp_path: Path) -> None:
    """A viewer gets the terminal read-only and one sentence; the owner hears that the sandbox is not mapped. Nobody can press Run."""
    with host(tmp_path) as app:
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        try:
            opened(page, app, app["guest"])
            remedy = page.locator(".pw-remedy")
            said, run = remedy.locator(".pw-said"), remedy.get_by_role("button", name="Run in box")
            expect(said).to_contain_text("you are viewer here: running a remedy needs the ops role responder or admin", timeout=30_000)
            expect(remedy.locator(".pw-bar")).to_contain_text("observer", timeout=30_000)
            expect(run).to_be_disabled()
            expect(remedy.get_by_label("Command")).to_have_value(EVIL)

            opened(page, app, app["token"])
            expect(said).to_contain_text("no sandbox has the id 'box'", timeout=30_000)
            expect(said).to_contain_text("add it under `sandboxes:` in the config")
            expect(run).to_be_disabled()
            assert page.evaluate("window.pwned") is None
        finally:
            page.screenshot(path=Path(__file__).parent / "screenshots" / "remedy_refused.png")
            page.close()
