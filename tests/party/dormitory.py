"""A server of many rooms that sleep, in a process of its own: its sockets do not share a limit of files with their peers."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from partywidgets.auth import Gate, Identity
from partywidgets.party import Connection, ConnectionContext, PartyHost, Server
from partywidgets.transport.limits import Limits
from partywidgets.transport.server import serve

SUBJECTS = [f"subject{number}" for number in range(10)]


def token_of(subject: str) -> str:
    """The bearer of a subject."""
    return f"{subject}-of-the-dormitory-0123456789"


def tell(*fields: Any) -> None:
    """One line to the parent."""
    os.write(1, json.dumps(fields).encode() + b"\n")


class Dormitory(Server):
    """Tells its parent when it wakes and sleeps; whatever wakes it, everyone is told who it is."""

    hibernate = True

    def on_start(self, props: Any = None) -> None:
        tell("awake", self.name)

    async def on_stop(self) -> None:
        tell("asleep", self.name)

    def get_connection_tags(self, connection: Connection, ctx: ConnectionContext) -> list[str]:
        return ["red" if int(connection.id) % 2 else "blue"]

    def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
        connection.set_state({"number": int(connection.id)})

    def tell_everyone(self, why: str) -> None:
        """To each connection what the room knows of it."""
        tags = {tag: {one.id for one in self.get_connections(tag)} for tag in ("red", "blue")}
        for one in self.get_connections():
            grant = one.grant
            listed = [tag for tag, ids in tags.items() if one.id in ids]
            known = [one.id, one.tags, listed, one.state, grant.subject, sorted(grant.roles), grant.grant_id, one.uri]
            one.send(json.dumps([why, known]))

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        self.tell_everyone("message")

    def on_request(self, request: Request) -> Response:
        self.tell_everyone("request")
        return PlainTextResponse(str(len(self.get_connections())))

    def on_alarm(self) -> None:
        self.tell_everyone("alarm")


async def main(storage: str) -> None:
    """Serves until its parent is gone. A line on stdin names a room whose alarm is due now; an empty one is answered."""
    gate = Gate(tokens={token_of(subject): Identity(subject, subject, frozenset({"peer"})) for subject in SUBJECTS})
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    host = PartyHost({"room": Dormitory}, storage=storage, hibernate_after=1.0)
    # Its peers here are raw sockets that answer no ping.
    async with host, serve(host, port=0, auth=gate, limits=Limits(ping_interval=None)) as server:
        tell("port", server.port)
        while line := await lines.readline():
            if name := line.decode().strip():
                await host.room_storage("room", name).set_alarm(0.0)
            else:
                tell("here", "")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
