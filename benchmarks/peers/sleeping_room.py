"""Our bundled server with rooms that hibernate. Prints "ready PORT".

    sleeping_room.py open|ticket asyncio|uvloop PORT HIBERNATE_AFTER

Parties: `sleeper` (every message goes to all others), `remembering` (the same, and reads its storage when it starts), and `office`, whose
one room answers GET with how many rooms are awake and how many sockets are open, POST `[[party, room], …]` with a ticket for each.
`ticket`: deny by default, as in production; who shows TOKEN as a bearer gets in too.
"""

import asyncio
import sys
import tempfile
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from partywidgets.auth import Gate, Identity
from partywidgets.party import Connection, Environment, Grant, PartyHost, Server
from partywidgets.party.grant import OWNER_ROLES
from partywidgets.transport.server import serve

TOKEN = "a-benchmark-on-the-loopback-has-no-secrets"


class Sleeper(Server):
    """Every message goes to all others; whoever may not publish is not heard."""

    hibernate = True
    awake_now = 0

    def on_start(self, props: Any = None) -> None:
        Sleeper.awake_now += 1

    async def on_stop(self) -> None:
        Sleeper.awake_now -= 1

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        if connection.grant.has("peer", "moderator"):
            self.broadcast(message, without=[connection.id])


class Remembering(Sleeper):
    """A room that has something to read when it wakes."""

    async def on_start(self, props: Any = None) -> None:  # type: ignore[override]  # a plain hook may become an async one
        super().on_start(props)
        self.starts = int(await self.storage.get("starts") or 0)
        if not self.starts:
            await self.storage.put("starts", 1)


class Office(Server):
    """Counts, and hands out tickets."""

    async def on_request(self, request: Request) -> Response:
        if request.method == "GET":
            return JSONResponse({"awake": Sleeper.awake_now, "sockets": self.env[Desk].host.connection_count()})
        gate = self.env[Desk].gate
        assert gate is not None
        issued = []
        for party, room in await request.json():
            grant = Grant("bench", "bench", frozenset({"peer"}), party=party, room=room)
            issued.append(gate.tickets.issue(grant, party=party, room=room, lifetime=600))
        return JSONResponse(issued)


class Desk:
    """What the office works with."""

    gate: Gate | None
    host: PartyHost


async def main(auth: str, port: int, hibernate_after: float) -> None:
    """Serves until killed."""
    desk, parties = Desk(), {"sleeper": Sleeper, "remembering": Remembering, "office": Office}
    desk.gate = Gate(tokens={TOKEN: Identity("owner", "owner", OWNER_ROLES)}, hosts=None) if auth == "ticket" else None
    with tempfile.TemporaryDirectory() as folder:
        async with PartyHost(parties, storage=folder, env=Environment(desk), hibernate_after=hibernate_after) as host:
            desk.host = host
            async with serve(host, bind="127.0.0.1", port=port, auth=desk.gate) as server:
                print(f"ready {server.port}", flush=True)
                await server.serve_forever()


if __name__ == "__main__":
    serving = main(sys.argv[1], int(sys.argv[3]), float(sys.argv[4]))
    if sys.argv[2] == "uvloop":
        import uvloop

        uvloop.run(serving)
    else:
        asyncio.run(serving)
