"""A server for hard times, in a process of its own: tells a number every few milliseconds, and ends well on SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import resource
import signal
import socket
from collections.abc import Awaitable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from partywidgets.auth import Gate, Identity
from partywidgets.party import Connection, PartyHost, Server
from partywidgets.party.fanout import DEFAULT_CAP
from partywidgets.transport import handshake, keepalive
from partywidgets.transport.limits import Limits
from partywidgets.transport.server import serve

TOKEN = "a-token-for-the-beacon-0123456789"


class Beacon(Server):
    """Counts for everyone."""

    period = 0.01
    size = 0
    """Bytes of a message, filled up behind the number."""

    def on_start(self, props: Any = None) -> None:
        self.peaks: dict[str, int] = {}
        self.spawn(self._tell(), name="tell")

    async def _tell(self) -> None:
        number = 0
        while True:
            self.broadcast(f"{number} ".ljust(self.size, "."))
            self._room.fanout.flush()
            for connection in self.get_connections():
                if connection.buffered > self.peaks.get(connection.id, 0):
                    self.peaks[connection.id] = connection.buffered
            number += 1
            await asyncio.sleep(self.period)

    def on_message(self, connection: Connection, message: str | bytes) -> Awaitable[None] | None:
        if message == "hang":
            return asyncio.sleep(3600)
        # More than the kernel takes for a peer that does not read.
        while message == "flood" and connection.buffered < 200_000:
            connection.send(b"x" * 65536)
            self._room.fanout.flush()
        return None

    def on_request(self, request: Request) -> Response:
        here = self.get_connections()
        ids, paused = [one.id for one in here], [one.id for one in here if one._lane is not None and one._lane.paused]
        return JSONResponse({"tasks": len(asyncio.all_tasks()), "ids": ids, "paused": paused, "peaks": self.peaks})


async def main() -> None:
    """Serves, says the port, and stops on SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("storage")
    parser.add_argument("--bind", default="127.0.0.1")
    parser.add_argument("--files", type=int)
    parser.add_argument("--period", type=float, default=0.01)
    parser.add_argument("--size", type=int, default=0)
    parser.add_argument("--ping", type=float, default=20.0)
    parser.add_argument("--ping-timeout", type=float)
    parser.add_argument("--user-timeout", type=float, default=handshake.USER_TIMEOUT)
    parser.add_argument("--held-back", type=float, default=keepalive.HELD_BACK)
    parser.add_argument("--stall", type=float, default=5.0)
    parser.add_argument("--head-timeout", type=float, default=5.0)
    parser.add_argument("--cap", type=int, default=DEFAULT_CAP)
    parser.add_argument("--kernel", type=int, help="bytes that the kernel keeps for each peer; by itself some megabytes")
    options = parser.parse_args()
    if options.files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (options.files, options.files))
    handshake.USER_TIMEOUT, keepalive.HELD_BACK = options.user_timeout, options.held_back
    Beacon.period, Beacon.size = options.period, options.size
    gate = Gate(tokens={TOKEN: Identity("me", "Me", frozenset({"peer"}))})
    timeout = options.ping if options.ping_timeout is None else options.ping_timeout
    limits = Limits(ping_interval=options.ping, ping_timeout=timeout, stall=options.stall)
    listening = socket.create_server((options.bind, 0))
    if options.kernel:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, options.kernel)  # each peer's socket inherits it
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with (
        PartyHost({"beacon": Beacon}, storage=options.storage, slow_consumer_cap=options.cap) as host,
        serve(host, sock=listening, auth=gate, limits=limits, head_timeout=options.head_timeout) as server,
    ):
        print(server.port, flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
