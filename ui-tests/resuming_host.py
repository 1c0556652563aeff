"""A host with one resumable room, as a person would write it: the rooms, a page's own files, and partywidgets' `resume.js`."""

from __future__ import annotations

import asyncio
import sys

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from partywidgets.party import Connection, PartyHost, Server, resume
from partywidgets.transport.asgi import PartyMiddleware
from partywidgets.transport.server import serve

# A tenth of a second instead of ten, so that silence is noticed while a test waits.
resume.HEARTBEAT = 0.1


class Ticker(Server):
    """Broadcasts each line that it is given; `cut` drops its sockets first."""

    resumable = True

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        connection.send(message)

    async def on_request(self, request: Request) -> Response:
        for line in (await request.body()).decode().splitlines():
            if line == "cut":
                for connection in self.get_connections():
                    connection.wire.abort()
            else:
                self.broadcast(line)
        return PlainTextResponse("")


async def page(request: Request) -> Response:
    """An empty page of this origin."""
    return HTMLResponse("<!doctype html><title>resume</title>")


async def main(storage: str) -> None:
    """Serves until it is killed; says its port first."""
    routes = [Route("/", page), Mount("/static", StaticFiles(packages=[("partywidgets", "static")]))]
    async with PartyHost({"ticker": Ticker}, storage=storage) as host:
        app = Starlette(routes=routes, middleware=[Middleware(PartyMiddleware, host=host, auth=None)])
        async with serve(app, port=0) as server:
            print(server.port, flush=True)
            await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
