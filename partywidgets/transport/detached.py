"""A socket that another server read the request from and gave away: into its room, through the ASGI app that decides."""

from __future__ import annotations

import logging
import socket

from starlette.types import ASGIApp, Message, Scope

from .asgi import ADOPT
from .handshake import Handshake, adopt_socket

logger = logging.getLogger("partywidgets.transport")


async def enter_by_socket(asgi: ASGIApp, scope: Scope, taken: socket.socket, leftover: bytes) -> None:
    """Takes a detached socket into its room. Runs on the room loop."""
    try:
        handshake = await adopt_socket(taken, headers=scope["headers"], leftover=leftover)
    except OSError as error:
        logger.info("a client left before %s could take its socket: %s", scope["path"], error)
        taken.close()
        return
    await enter(asgi, scope, handshake)


async def enter(asgi: ASGIApp, scope: Scope, handshake: Handshake) -> None:
    """Runs an upgrade through an ASGI app that takes the socket itself or refuses."""
    scope["extensions"] = {ADOPT: handshake.accept, "websocket.http.response": {}}
    status, content = 500, bytearray()
    headers: list[tuple[bytes, bytes]] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "websocket.http.response.start":
            status, headers = message["status"], list(message.get("headers", ()))
        elif message["type"] == "websocket.http.response.body":
            content.extend(message.get("body", b""))
            if not message.get("more_body", False):
                handshake.refuse(status, headers, bytes(content))
        elif message["type"] == "websocket.close":
            handshake.refuse(403, [], b"")

    try:
        await asgi(scope, receive, send)
    except Exception:
        logger.exception("the upgrade to %s failed", scope["path"])
    finally:
        if not handshake.answered:
            handshake.refuse(500, [], b"")


__all__ = ["enter", "enter_by_socket"]
