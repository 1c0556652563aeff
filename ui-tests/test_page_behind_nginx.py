"""The host's page behind a real nginx with TLS, set up by the words of the guide: at a name's root and below a path."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import CHROMIUM_FLAGS, SCREENSHOTS
from playwright.sync_api import Browser, expect
from team_host import Host

from partywidgets import bundles
from tests.nginx_process import nginx

pytestmark = pytest.mark.skipif("page.js" not in bundles.bundle_names(), reason="the front end is not built here")


@contextmanager
def proxy(place: Path, port: int) -> Iterator[int]:
    """An nginx in front of the host at `port`, on a loop of its own; its own port."""
    ready, stop, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()
    told: list[int] = []

    async def live() -> None:
        async with nginx(place, port) as front:
            told.append(front.port)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(live()))
    thread.start()
    try:
        assert ready.wait(90), "nginx did not start"
        yield told[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()


@pytest.mark.parametrize("path", ["", "/ops"])
def test_the_page_at_its_public_url(browser: Browser, tmp_path: Path, path: str) -> None:
    """`public_url` is all that the config says of names: signing in, the board, a link and a terminal work, over wss."""
    (tmp_path / "proxy").mkdir()
    config = {
        "public_url": f"https://ops.example.com{path}",
        "sandboxes": {"default": "local:/bin/sh"},
        "checks": [{"id": "gone", "type": "file", "path": f"{tmp_path}/gone", "every": "1s"}],
    }
    host = Host(tmp_path, config=json.dumps(config))
    host.start()
    try:
        with proxy(tmp_path / "proxy", host.port) as port:
            rule = f"--host-resolver-rules=MAP ops.example.com:443 127.0.0.1:{port}"
            chromium = browser.browser_type.launch(executable_path=shutil.which("chromium"), args=[*CHROMIUM_FLAGS, rule])
            page = chromium.new_page(ignore_https_errors=True)
            sockets: list[str] = []
            page.on("websocket", lambda socket: sockets.append(socket.url.partition("?")[0]))
            root = f"https://ops.example.com{path}/"
            page.goto(f"{root}#check=gone")
            page.get_by_label("Token").fill(host.token)
            page.keyboard.press("Enter")
            expect(page.locator(".pw-detail")).to_contain_text("there is no such file")
            expect(page.get_by_role("heading", level=1)).to_have_text(f"ops.example.com{path}")
            page.goto(f"{root}#terminal=shell")
            expect(page.locator(".pw-terminal")).to_have_attribute("data-state", "live")
            page.screenshot(path=SCREENSHOTS / "page_behind_nginx.png")
            chromium.close()
            base = f"wss://ops.example.com{path}/parties/"
            assert set(sockets) == {f"{base}ops-monitor-broadcast/main", f"{base}terminal-server/shell"}
    finally:
        host.stop()
