"""A server to be killed: rooms that write down what they are sent, and an alarm behind every entry. Ends with its parent."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

from partywidgets.party import Connection, PartyHost, Server
from partywidgets.transport.server import serve


def tell(*fields: Any) -> None:
    """One line to the parent, out of the process when this returns."""
    os.write(1, json.dumps(fields).encode() + b"\n")


class Ledger(Server):
    """`NUMBER SECONDS` is written and an alarm set in so many seconds, then NUMBER comes back; the alarm tells the highest number."""

    hibernate = True

    async def on_start(self, props: Any = None) -> None:
        await self.storage.sql("CREATE TABLE IF NOT EXISTS entries (number INTEGER PRIMARY KEY)")

    async def on_message(self, connection: Connection, message: str | bytes) -> None:
        assert isinstance(message, str)
        number, _, delay = message.partition(" ")
        await self.storage.sql("INSERT INTO entries VALUES (?)", int(number))
        await self.storage.put("last", int(number))
        await self.storage.set_alarm(time.time() + float(delay))
        connection.send(number)

    async def on_alarm(self) -> None:
        top = await self.storage.sql("SELECT max(number) AS number FROM entries")
        tell("rang", self.name, top[0]["number"])


async def main(storage: str) -> None:
    """Serves until it is killed."""
    asyncio.get_running_loop().add_reader(0, os._exit, 1)
    async with PartyHost({"ledger": Ledger}, storage=storage, hibernate_after=0.05) as host, serve(host, port=0, auth=None) as server:
        tell("port", server.port, str(host.storage_path))
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
