"""A host with people of every role, and a page without Jupyter that mounts one widget: what the widget itself does, in seconds."""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from playwright.sync_api import Locator, Page, expect

from partywidgets import bundles
from partywidgets.app import create_app
from partywidgets.auth import LOOPBACK_ORIGINS, Gate, Identity
from partywidgets.client.ops import OpsClient
from partywidgets.front_page import FrontPage
from partywidgets.party.grant import OWNER_ROLES
from partywidgets.transport.server import serve

PEOPLE = {
    "ana": Identity("ana", "Ana", OWNER_ROLES | {"runner"}),
    "ben": Identity("ben", "Ben", frozenset({"operator"})),
    "obi": Identity("obi", "Obi", frozenset({"observer"})),
    "pia": Identity("pia", "Pia", frozenset({"peer"})),
    "rob": Identity("rob", "Rob", frozenset({"responder"})),
}
CONFIG = json.dumps(
    {
        "checks": [
            {"id": "disk", "type": "exec", "title": "A disk that is full", "severity": "critical", "command": ["/bin/false"]},
            {"id": "fine", "type": "exec", "command": ["/bin/true"]},
        ]
    }
)
MOUNT = """async ({ token, bundle, endpoint, party, room, options, theme, query }) => {
  document.documentElement.lang = "en";
  document.title = "A notebook's page";
  document.body.replaceChildren();
  Object.assign(document.body.dataset, theme);
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const body = JSON.stringify({ party, room });
  const { ticket } = await (await fetch("/tickets", { method: "POST", headers, body })).json();
  const traits = { _endpoints: [endpoint], _party: party, _room: room, _options: options, _query: query, selection: [] };
  window.traits = traits;
  const set = (name, value) => { traits[name] = value; };
  const model = { get: (name) => traits[name], set, save_changes() {}, send() {}, on() {}, off() {} };
  const el = document.body.appendChild(document.createElement("main"));
  const { mount } = await import(bundle);
  const page = new AbortController();
  window.leave = () => { page.abort(); el.remove(); };
  const load = (name, attempt = 0) => import(new URL(name + (attempt ? `?${attempt}` : ""), new URL(bundle, location.href)).href);
  mount({ model, el, signal: page.signal, tickets: [{ ticket, until: Infinity }], load });
}"""


@dataclass
class Place:
    """A running host. `line`: the port of a slow line, over which the rooms of the pages go."""

    url: str
    gate: Gate
    line: int = 0

    def over(self, line: int) -> Place:
        """The same host, its rooms over a line with this port."""
        self.gate.allow(hosts=[f"127.0.0.1:{line}"])
        return Place(self.url, self.gate, line)

    def mount(
        self,
        page: Page,
        bundle: str,
        room: str,
        *,
        who: str = "ana",
        theme: dict[str, str] | None = None,
        sandbox: str = "",
        query: dict[str, str] | None = None,
        **options: Any,
    ) -> None:
        """Shows one widget of a room in a page, and nothing else; `theme` are the data attributes of a body, `sandbox` is an id, `query` is
        what else stands in the room's address."""
        page.set_default_timeout(60_000)
        if not page.url.startswith(self.url):
            page.goto(f"{self.url}/healthz")
        given = {
            "token": token_of(who),
            "bundle": f"/static/{bundles.static_hash()}/{bundle}.js",
            "endpoint": {"kind": "remote", "host_id": "", "url": f"http://127.0.0.1:{self.line}/" if self.line else f"{self.url}/"},
            "party": "terminal-server" if bundle == "terminal" else "ops-monitor-broadcast",
            "room": room,
            "options": options,
            "theme": theme or {},
            "query": ({"sandboxId": sandbox} if sandbox else {}) | (query or {}),
        }
        page.evaluate(MOUNT, given)


async def scanned(url: str, token: str) -> None:
    """An ops room with results, one of them failing: for `host(first=…)`."""
    async with OpsClient(url, token=token) as ops:
        await ops.put_config("look.yaml", CONFIG)
        await ops.scan(timeout=60)


def live(page: Page) -> Locator:
    """The terminal of a page, once its shell shows a prompt."""
    terminal = page.locator(".pw-terminal")
    expect(terminal).to_have_attribute("data-state", "live")
    expect(terminal.locator(".xterm-rows")).to_contain_text(re.compile(r"[$#]"))
    return terminal


def token_of(who: str) -> str:
    """Somebody's token."""
    return f"{who}-token-for-the-tests-of-pages"


@contextmanager
def host(
    storage: Path,
    *,
    first: Callable[[str, str], Awaitable[None]] | None = None,
    sandboxes: dict[str, str] | None = None,
    environ: dict[str, str] | None = None,
) -> Iterator[Place]:
    """A host on a thread of its own; `first(url, token of the owner)` is awaited before anybody else may come. `sandboxes` beside the
    shell of `default`, `environ` while it runs."""
    home = storage / "home"
    home.mkdir(parents=True)
    (home / ".bashrc").write_text("PS1='$ '\n")
    ready = threading.Event()
    told: list[Place] = []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def live() -> None:
        gate = Gate(tokens={token_of(name): person for name, person in PEOPLE.items()}, any_port_origins=LOOPBACK_ORIGINS)
        addresses = {"default": "local:/bin/bash"} | (sandboxes or {})
        async with (
            create_app(gate=gate, storage=storage / "rooms", sandboxes=addresses, page=FrontPage()) as app,
            serve(app.asgi, port=0) as server,
        ):
            gate.bind_address(server.port)
            url = f"http://127.0.0.1:{server.port}"
            if first is not None:
                await first(url, token_of("ana"))
            told.append(Place(url, gate))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(live()))
    with mock.patch.dict(os.environ, {"HOME": str(home)} | (environ or {})):  # the shells', with no start file of the machine's user
        thread.start()
        try:
            assert ready.wait(90), "the host did not start"
            yield told[0]
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(30)
            loop.close()


def type_into(terminal: Locator, keys: str) -> None:
    """Types as a person does."""
    terminal.locator(".xterm").click()
    terminal.page.keyboard.type(keys)
