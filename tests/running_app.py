"""A whole app on a real port, as a kernel host has it, for the tests of this directory."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from partywidgets.app import App, create_app
from partywidgets.auth import LOOPBACK_ORIGINS, Gate, Identity, new_token
from partywidgets.party.grant import GUEST_ROLES, OWNER_ROLES
from partywidgets.transport.server import serve


@dataclass
class Running:
    """An app that listens, the tokens it knows, and a client without credentials."""

    app: App
    port: int
    owner: str
    guest: str
    http: aiohttp.ClientSession

    @property
    def url(self) -> str:
        """The root, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        """The root for WebSockets."""
        return f"ws://127.0.0.1:{self.port}"

    def bearer(self, token: str | None = None) -> dict[str, str]:
        """Headers with a token, the owner's by default."""
        return {"Authorization": f"Bearer {token or self.owner}"}

    def rooms(self) -> list[str]:
        """Every room there is."""
        return [room for party in self.app.parties for room in self.app.host.rooms(party)]

    async def json(self, method: str, path: str, *, token: str | None = None, **options: Any) -> tuple[int, Any]:
        """The status and the JSON of an answer to the owner, or whom a token names."""
        headers = {**self.bearer(token), **options.pop("headers", {})}
        async with self.http.request(method, self.url + path, headers=headers, **options) as answer:
            return answer.status, await answer.json()

    async def ticket(self, party: str, room: str, *, token: str | None = None) -> str:
        """A ticket from `POST /tickets`."""
        status, answer = await self.json("POST", "/tickets", token=token, json={"party": party, "room": room})
        assert status == 200, answer
        assert answer["expires_in"] == 30
        return str(answer["ticket"])


@contextlib.asynccontextmanager
async def running(storage: Path, **options: Any) -> AsyncIterator[Running]:
    """Starts an app on a free port of 127.0.0.1; ends it with the block. `options` are create_app's, the gate's `open_roles`, and `people`:
    further identities by their tokens."""
    owner, guest = new_token(), new_token()
    tokens = {owner: Identity("owner", "Owner", OWNER_ROLES | {"runner"}), guest: Identity("ada", "Ada", GUEST_ROLES)}
    tokens |= options.pop("people", {})
    gate = Gate(tokens=tokens, any_port_origins=LOOPBACK_ORIGINS, open_roles=options.pop("open_roles", None))
    async with create_app(gate=gate, storage=storage, **options) as app, serve(app.asgi, port=0) as server:
        gate.bind_address(server.port)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http:
            yield Running(app, server.port, owner, guest, http)
