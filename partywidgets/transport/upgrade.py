"""A request on its way in: uvicorn's own h11 protocol with a time limit for heads, and an upgrade that an ASGI app decides about.

The app may adopt the socket (`partywidgets.adopt` in the scope's extensions) or talk plain ASGI to it. Everything that touches the
internals of uvicorn's protocols is in this file.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import h11
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Message, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from ..party.wire import Receiver, Wire
from .asgi import ADOPT
from .entrance import Entrance
from .handshake import Handshake, HandshakeError, check_handshake
from .limits import Limits
from .plain_socket import PlainSocket

logger = logging.getLogger("partywidgets.transport")


class HeadProtocol(H11Protocol):
    """uvicorn's HTTP protocol with a time limit for request heads, and our way to a WebSocket."""

    entrance: Entrance
    limits: Limits

    def __init__(
        self, config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any], _loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # A line per request would hold what is in the query.
        self.access_log = False
        self._upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.entrance.enter(self)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._upgraded or self.transport.is_closing() or self.conn.their_state is not h11.IDLE:
            self.entrance.leave(self)
        elif self.conn.trailing_data[0]:
            # The beginning of another request on a kept connection.
            self.entrance.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.entrance.leave(self)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """A client that sends garbage is no fault of this server: what was answering it sees a disconnect, and nothing is raised."""
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:  # an answer has begun: it ends here
            self.transport.close()

    def _should_upgrade(self) -> bool:
        # Whatever else is asked for by Upgrade is served as plain HTTP, as PartyServer does.
        return self._get_upgrade() == b"websocket"

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._upgraded = True
        self.connections.discard(self)
        self.entrance.leave(self)
        early, _ = self.conn.trailing_data
        try:
            key = check_handshake(event.method.decode("ascii"), event.http_version.decode("ascii"), self.headers)
        except HandshakeError as error:
            self._refuse(error.status, str(error), error.headers)
            return
        if self.entrance.upgrading >= self.entrance.limit:
            self._refuse(503, "Too many handshakes", {"Retry-After": "1"})
            return
        upgrade = Upgrade(key, self, early)
        self.transport.set_protocol(upgrade)
        upgrade.connection_made(self.transport)
        upgrade.begin()

    def _refuse(self, status: int, text: str, headers: dict[str, str]) -> None:
        handshake = Handshake("")
        handshake.connection_made(self.transport)
        response = PlainTextResponse(text, status_code=status, headers=headers)
        handshake.refuse(status, response.raw_headers, bytes(response.body))


class Upgrade(Handshake):
    """A handshake that an ASGI app decides about."""

    def __init__(self, key: str, head: HeadProtocol, early: bytes) -> None:
        super().__init__(key, limits=head.limits, early=early, on_open=head.connections.add, on_lost=head.connections.discard)  # type: ignore[arg-type]
        self._head = head
        self._entrance = head.entrance
        self._loop = head.loop
        self._socket: PlainSocket | None = None
        self._denial: tuple[int, list[tuple[bytes, bytes]]] | None = None
        self._denial_body = b""
        self._connected = False
        self._settled = False
        self._gone = asyncio.Event()

    def begin(self) -> None:
        """Runs the app. The task is uvicorn's: cancelled when the server stops and its time is up."""
        head = self._head
        head.connections.add(self)  # type: ignore[arg-type]
        self._entrance.upgrading += 1
        scope = self._scope()
        task = self._loop.create_task(self._run(head.app, scope), name="partywidgets upgrade")
        head.tasks.add(task)
        task.add_done_callback(head.tasks.discard)

    def _scope(self) -> Scope:
        head = self._head
        offers = [
            offer.strip()
            for name, value in head.headers
            if name == b"sec-websocket-protocol"
            for offer in value.decode("latin-1").split(",")
        ]
        scope: dict[str, Any] = dict(head.scope)
        scope.pop("method")
        scope.update(
            type="websocket",
            asgi={**head.scope["asgi"], "spec_version": "2.4"},
            scheme="wss" if head.scheme == "https" else "ws",
            subprotocols=[offer for offer in offers if offer],
            extensions={"websocket.http.response": {}, ADOPT: self.accept},
        )
        return scope

    async def _run(self, app: Any, scope: Scope) -> None:
        code = 1000
        try:
            await app(scope, self._receive, self._send)
        except Exception:
            code = 1011
            logger.exception("the app failed on an upgrade of %s", scope["path"])
        except asyncio.CancelledError:
            # By the server, whose time is up, or by something that the app awaited: nobody answers this peer any more.
            self.abort()
            if self._socket is not None:
                self._socket.wire.abort()
            raise
        finally:
            self._settle()
        if self._socket is not None:
            self._socket.wire.close(code)
        elif not self.answered:
            self.refuse(500, [(b"content-type", b"text/plain; charset=utf-8")], b"Internal Server Error")

    def _settle(self) -> None:
        """The handshake is decided: it no longer counts as begun."""
        if not self._settled:
            self._settled = True
            self._entrance.upgrading -= 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._head.connections.discard(self)
        self._gone.set()
        super().connection_lost(exc)

    def accept(self, receiver: Receiver, subprotocol: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> Wire:
        self._head.connections.discard(self)
        self._settle()
        return super().accept(receiver, subprotocol, headers)

    def shutdown(self) -> None:
        """The server stops while the app still decides."""
        self.refuse(503, [(b"retry-after", b"1")], b"")

    async def _receive(self) -> Message:
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        if self._socket is not None:
            return await self._socket.receive()
        await self._gone.wait()
        return {"type": "websocket.disconnect", "code": 1006}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if self._socket is not None:
            await self._socket.send(message)
        elif kind == "websocket.accept":
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers", ())]
            accepted = PlainSocket(self._loop)
            accepted.wire = self.accept(accepted, message.get("subprotocol"), headers)
            self._socket = accepted
        elif kind == "websocket.close":
            self.refuse(403, [], b"")
        elif kind == "websocket.http.response.start":
            self._denial = (message["status"], list(message.get("headers", ())))
        elif kind == "websocket.http.response.body" and self._denial is not None:
            self._denial_body += message.get("body", b"")
            if not message.get("more_body", False):
                self.refuse(*self._denial, self._denial_body)
        else:
            raise RuntimeError(f"the app sent {kind!r} before the WebSocket was accepted")


__all__ = ["HeadProtocol", "Upgrade"]
