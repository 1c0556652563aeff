"""An app as a person would write it who has FastAPI and a server already: rooms by a middleware, in front of routes of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, WebSocket
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from partywidgets.auth import Refusal
from partywidgets.party import Alias, Connection, ConnectionContext, Grant, Lobby, PartyHost, Server
from partywidgets.transport.asgi import PartyMiddleware

left: dict[str, list[Any]] = {}
"""By room."""


class Chat(Server):
    """Tells everyone what one says."""

    subprotocols = ("chat.v1",)
    resumable = True

    def on_start(self, props: Any = None) -> None:
        self.motto = props

    def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
        connection.send(f"hello {connection.id} {ctx.request.app.title} {self.motto}")

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        if message == "kick me":
            connection.close(4000, "out")
        elif message == "burst":
            for number in range(500):
                self.broadcast(str(number))
        else:
            self.broadcast(message)

    def on_close(self, connection: Connection, code: int, reason: str, was_clean: bool) -> None:
        left.setdefault(self.name, []).append([connection.id, code, reason, was_clean])

    async def on_request(self, request: Request) -> Response:
        return JSONResponse([self.name, request.method, len(await request.body()), [one.id for one in self.get_connections()]])


def auth(request: HTTPConnection, lobby: Lobby | None) -> Grant | Refusal:
    """Everybody but two."""
    match request.query_params.get("as"):
        case "nobody":
            return Refusal(418, "not you")
        case "later":
            return Refusal(401, "later", 4401)
    return Grant("me", "Me", frozenset())


def before_connect(request: HTTPConnection, lobby: Lobby) -> Response | None:
    """Sees the app around it."""
    full = request.app.state.full
    return PlainTextResponse(f"{lobby.room} is full", status_code=409) if lobby.room in full else None


host = PartyHost({"Chat": Chat}, storage=os.environ["CHAT_STORAGE"], slow_consumer_cap=256 * 1024)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The host lives as long as the app."""
    app.state.full = {"full"}
    async with host:
        yield


app = FastAPI(title="ours", lifespan=lifespan)
app.add_middleware(
    PartyMiddleware,
    host=host,
    auth=auth,
    cors=True,
    props="be kind",
    aliases=(Alias("/talk/{room}", "chat"),),
    on_before_connect=before_connect,
)


@app.get("/left/{room}")
async def who_left(room: str) -> list[Any]:
    """What on_close saw."""
    return left.get(room, [])


@app.websocket("/own")
async def own(websocket: WebSocket) -> None:
    """A WebSocket of the app's own."""
    await websocket.accept()
    await websocket.send_text(f"you said {await websocket.receive_text()}")
    await websocket.close()
