"""A room that sends everything back."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from partywidgets.party import Connection, Server


class Echo(Server):
    """Sends everything back, text as text and bytes as bytes."""

    started = 0

    def on_start(self, props: Any = None) -> None:
        type(self).started += 1

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        connection.send(message)

    async def on_request(self, request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))
