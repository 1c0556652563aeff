"""Remedies on a page without Jupyter: what cannot be run says why and types nothing; a lost connection loses no proof."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect
from test_hostile_results import EVIL, MOUNT, host

from partywidgets import bundles


def opened(page: Page, app: dict[str, Any], token: str) -> None:
    """The dashboard on a bare page as whoever the token names, with the terminal of its failing row opened."""
    page.goto(f"{app['url']}/healthz")
    endpoint = {"kind": "remote", "host_id": "", "url": f"{app['url']}/"}
    page.evaluate(MOUNT, {"token": token, "bundle": f"/static/{bundles.static_hash()}/dashboard.js", "endpoint": endpoint})
    page.locator(".pw-row").first.click()
    page.get_by_role("button", name="Open terminal").click()
    expect(page.locator(".pw-remedy .pw-terminal")).to_be_visible()


def test_who_only_looks_on_and_an_unknown_sandbox(browser: Browser, tmp_path: Path) -> None:
    """A viewer gets the terminal read-only and one sentence; the owner hears that the sandbox is not mapped. Nobody can press Run."""
    with host(tmp_path) as app:
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        try:
            opened(page, app, app["guest"])
            remedy = page.locator(".pw-remedy")
            said, run = remedy.locator(".pw-said"), remedy.get_by_role("button", name="Run in box")
            expect(said).to_contain_text("you are viewer here: running a remedy needs the ops role responder or admin")
            expect(remedy.locator(".pw-bar")).to_contain_text("observer")
            expect(run).to_be_disabled()
            expect(remedy.get_by_label("Command")).to_have_value(EVIL)

            opened(page, app, app["token"])
            expect(said).to_contain_text("no sandbox has the id 'box'")
            expect(said).to_contain_text("add it under `sandboxes:` in the config")
            expect(run).to_be_disabled()
            assert page.evaluate("window.pwned") is None
        finally:
            page.screenshot(path=Path(__file__).parent / "screenshots" / "remedy_refused.png")
            page.screenshot(path=Path(__file__).parent / "screenshots" / "remedy_lost.png")
            page.close()


def test_a_connection_lost_while_the_command_runs(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket goes when the command has begun: the page comes back, learns how it ended, and the proof is kept all the same."""
    (tmp_path / ".bashrc").write_text("PS1='\\$ '\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    lock = tmp_path / "lock"
    lock.touch()
    remediation = {"text": "", "command": f"sleep 2; rm {lock}; exit_with() {{ return 7; }}; exit_with", "sandbox": "local"}
    check = {"id": "lock", "type": "exec", "command": ["/usr/bin/test", "!", "-e", str(lock)], "remediation": remediation}
    with host(tmp_path / "state", json.dumps({"checks": [check]}), sandboxes={"local": "local:/bin/bash"}) as app:
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        lost: list[str] = []

        def through(socket: WebSocketRoute) -> None:
            server = socket.connect_to_server()

            def forward(message: str | bytes) -> None:
                socket.send(message)
                if not lost and isinstance(message, str) and '"mark"' in message and '"start"' in message:
                    lost.append(message)
                    server.close(code=1000)
                    socket.close(code=1012, reason="lost on the way")

            server.on_message(forward)

        try:
            page.route_web_socket("**/terminal-server/**", through)
            opened(page, app, app["token"])
            remedy = page.locator(".pw-remedy")
            remedy.get_by_role("button", name="Run in local").click()
            expect(remedy.locator(".pw-said")).to_contain_text("exit 7")
            expect(remedy.locator(".pw-said")).to_contain_text("→ ok")
            expect(page.locator(".pw-detail")).to_contain_text("Last remedy")
            assert lost
            assert not lock.exists()
        finally:
            page.screenshot(path=Path(__file__).parent / "screenshots" / "remedy_lost.png")
            page.close()
