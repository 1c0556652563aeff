"""A room that tells what it sees of a request, behind the middleware."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from partywidgets.party import Connection, ConnectionContext, PartyHost, Server
from partywidgets.transport.asgi import PartyMiddleware, not_found
from partywidgets.transport.server import serve


class Mirror(Server):
    """Tells what it sees of a request."""

    subprotocols = ("second", "first")
    started: list[str]

    def on_start(self, props: Any = None) -> None:
        self.started.append(self.name)

    def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
        connection.send(json.dumps([connection.id, connection.uri, connection.subprotocol, dict(ctx.request.headers), ctx.grant.subject]))

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        self.broadcast(message)

    def on_request(self, request: Request) -> Response:
        return JSONResponse(
            [self.name, str(request.url), dict(request.headers), request.scope["partywidgets.rest"]],
            headers={"X-Room": "1", "Vary": "Cookie"},
        )


class App:
    """A middleware on our server, with what a test needs to reach it."""

    def __init__(self, url: str, host: PartyHost) -> None:
        self.http = url.rstrip("/")
        self.ws = self.http.replace("http", "ws")
        self.host = host


@contextlib.asynccontextmanager
async def serving(
    tmp_path: Path, room: type[Server] = Mirror, app: Any = not_found, auth: Any = None, **options: Any
) -> AsyncIterator[App]:
    """PartyMiddleware around `app`, on the bundled server."""
    Mirror.started = []
    async with (
        PartyHost({"Room": room}, storage=tmp_path) as host,
        serve(PartyMiddleware(app, host, auth=auth, **options), port=0) as server,
    ):
        yield App(server.url, host)
