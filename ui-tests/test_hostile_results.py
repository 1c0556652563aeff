"""What a hostile target answers is text in the dashboard: nothing of it runs, hides or moves a row."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect

from partywidgets import bundles
from partywidgets.auth.secret import digest_of
from partywidgets.client.ops import OpsClient
from tests.running_app import running

EVIL = "<script>window.pwned=1</script><img src=x onerror=window.pwned=1>"
PRINTS = f"printf '%s\\033[31m\\001\\r\\n' '{EVIL}'; head -c 10000000 /dev/zero | tr '\\0' x; exit 2"
CONFIG = json.dumps(
    {
        "checks": [
            {
                "id": "evil",
                "type": "exec",
                "title": EVIL,
                "labels": {"team": EVIL},
                "command": ["/bin/sh", "-c", PRINTS],
                "remediation": {"text": EVIL, "command": EVIL, "sandbox": "box"},
            },
            {"id": "fine", "type": "exec", "command": ["/bin/true"]},
        ]
    }
)
MOUNT = """async ({ token, bundle, endpoint }) => {
  document.body.replaceChildren();
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const fetched = async (party, room) =>
    (await fetch("/tickets", { method: "POST", headers, body: JSON.stringify({ party, room }) })).json();
  const { ticket } = await fetched("ops-monitor-broadcast", "main");
  const traits = { _endpoints: [endpoint], _party: "ops-monitor-broadcast", _room: "main", _options: {}, _query: {}, selection: [] };
  const heard = new Set();
  const model = {
    get: (name) => traits[name], set() {}, save_changes() {},
    async send({ op, id, sandbox }) {
      if (op !== "ticket") return;
      const answer = await (sandbox ? fetched("terminal-server", sandbox) : fetched("ops-monitor-broadcast", "main"));
      for (const hear of heard) hear({ op, id, ...answer }, []);
    },
    on: (event, hear) => event === "msg:custom" && heard.add(hear), off: (event, hear) => heard.delete(hear),
  };
  const el = document.body.appendChild(document.createElement("div"));
  const { mount } = await import(bundle);
  const load = (name, attempt = 0) => import(new URL(name + (attempt ? `?${attempt}` : ""), new URL(bundle, location.href)).href);
  mount({ model, el, signal: new AbortController().signal, tickets: [{ ticket, until: Infinity }], load });
}"""


@contextmanager
def host(storage: Path, config: str = CONFIG, **options: Any) -> Iterator[dict[str, Any]]:
    """A host on a thread of its own whose ops room has scanned a config, that of the hostile target by default; its URL and two tokens, and
    `revoke(token)`, which ends whatever stands on one. `options` are those of `running`.
    """
    ready = threading.Event()
    told: dict[str, Any] = {}
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with running(storage, **options) as app, OpsClient(app.url, token=app.owner) as ops:
            await ops.put_config("checks.yaml", config)
            await ops.scan(timeout=60)

            def revoke(token: str) -> None:
                _, grant_id = app.app.gate._tokens[digest_of(token)]
                loop.call_soon_threadsafe(app.app.revoke, grant_id)

            told.update(url=app.url, token=app.owner, guest=app.guest, revoke=revoke)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(90), "the host did not start"
        yield told
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()


def test_hostile_results_are_text(browser: Browser, tmp_path: Path) -> None:
    """Markup, control characters and ten megabytes of output are shown as text, capped; the failing row stands first."""
    with host(tmp_path) as app:
        page = browser.new_page(viewport={"width": 1300, "height": 800})
        try:
            page.goto(f"{app['url']}/healthz")
            endpoint = {"kind": "remote", "host_id": "", "url": f"{app['url']}/"}
            page.evaluate(MOUNT, {"token": app["token"], "bundle": f"/static/{bundles.static_hash()}/dashboard.js", "endpoint": endpoint})
            row = page.locator(".pw-row").first
            expect(row).to_contain_text(EVIL)
            row.click()
            detail = page.locator(".pw-detail")
            expect(detail).to_contain_text("Evidence")
            expect(detail).to_contain_text("Uptime, last 24 hours")
            dashboard = page.locator(".pw-dashboard")
            assert dashboard.locator("script, img").count() == 0
            assert page.evaluate("window.pwned") is None
            text = dashboard.evaluate("node => node.textContent")
            assert not [sign for sign in text if ord(sign) < 32 and sign not in "\t\n"]
            assert len(text) < 100_000
        finally:
            page.close()
