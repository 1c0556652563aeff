"""Our bundled server with one broadcasting room. Prints "ready PORT".

    room.py open|ticket asyncio|uvloop [TICKET_FILE COUNT]

`ticket`: deny by default, as in production; writes COUNT single-use tickets for /parties/fanout/room to TICKET_FILE.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from partywidgets.auth import Gate
from partywidgets.party import Connection, Grant, PartyHost, Server
from partywidgets.transport.server import serve


class Fanout(Server):
    """Every message goes to all others; whoever may not publish is not heard."""

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        if connection.grant.has("peer", "moderator"):
            self.broadcast(message, without=[connection.id])


async def main(auth: str, tickets: Path | None, count: int) -> None:
    """Serves until killed."""
    with tempfile.TemporaryDirectory() as folder:
        async with PartyHost({"fanout": Fanout}, storage=folder) as host:
            gate = None
            if auth == "ticket":
                gate = Gate(tokens={}, hosts=None)
            async with serve(host, bind="127.0.0.1", port=0, auth=gate) as server:
                if gate is not None and tickets is not None:
                    grant = Grant("bench", "bench", frozenset({"peer"}))
                    issued = [gate.tickets.issue(grant, party="fanout", room="room", lifetime=600) for _ in range(count)]
                    tickets.write_text("\n".join(issued) + "\n")  # noqa: ASYNC240 - once, before anybody is served
                print(f"ready {server.port}", flush=True)
                await server.serve_forever()


if __name__ == "__main__":
    mode, loop, *rest = sys.argv[1:]
    serving = main(mode, Path(rest[0]) if rest else None, int(rest[1]) if len(rest) > 1 else 0)
    if loop == "uvloop":
        import uvloop

        uvloop.run(serving)
    else:
        asyncio.run(serving)
