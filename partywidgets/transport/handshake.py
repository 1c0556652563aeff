"""The opening of a WebSocket (RFC 6455 §4.2): a request that was read and is not answered yet, and sockets detached from another server."""

from __future__ import annotations

import asyncio
import base64
import binascii
import socket
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, cast

from websockets.utils import accept_key

from ..party.wire import Receiver, Wire
from .control import close_frame
from .fields import check_fields
from .limits import DEFAULT_LIMITS, Limits
from .websocket import WebSocket

EARLY_LIMIT = 64 * 1024
"""Bytes that a client may send behind its upgrade request before it is answered."""


USER_TIMEOUT = 60.0
"""Seconds that a peer may leave unacknowledged, or unread behind a closed window, what was sent to it: longer than any timer of ours."""


def bound_silence(sock: socket.socket) -> None:
    """Lets the kernel end a TCP connection whose peer took nothing for `USER_TIMEOUT` (RFC 5482), where the platform can.

    Set on a listening socket it holds for what is accepted there. It is the second belt behind the timers of `WebSocket`, and the only
    one for an HTTP answer that nobody reads.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, option, int(USER_TIMEOUT * 1000))


class HandshakeError(Exception):
    """An upgrade request that is not a WebSocket handshake. `status` and `headers` are of the answer."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


def check_handshake(method: str, http_version: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The Sec-WebSocket-Accept of a valid request (RFC 6455 §4.2.1). Raises HandshakeError.

    Runs before anything else sees the request, so that a refused handshake has started no room.
    """
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(value.strip())
    if method != "GET":
        raise HandshakeError(405, "A WebSocket handshake is a GET request", {"Allow": "GET"})
    if http_version != "1.1":
        raise HandshakeError(505, "A WebSocket handshake is an HTTP/1.1 request")
    if b"transfer-encoding" in values or any(length != b"0" for length in values.get(b"content-length", ())):
        # What a proxy in front takes for a body would be read as frames.
        raise HandshakeError(400, "A WebSocket handshake has no body")
    upgrade = [value.lower() for value in values.get(b"upgrade", ())]
    if upgrade != [b"websocket"]:
        raise HandshakeError(426, "The Upgrade header must be websocket", {"Upgrade": "websocket"})
    version = values.get(b"sec-websocket-version", [])
    if version != [b"13"]:
        # RFC 6455 §4.4: the answer names the version that is spoken here.
        raise HandshakeError(426, "Sec-WebSocket-Version must be 13", {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"})
    keys = values.get(b"sec-websocket-key", [])
    if len(keys) != 1:
        raise HandshakeError(400, "One Sec-WebSocket-Key is needed")
    try:
        raw_key = base64.b64decode(keys[0], validate=True)
    except binascii.Error:
        raw_key = b""
    if len(raw_key) != 16:
        raise HandshakeError(400, "Sec-WebSocket-Key must be 16 bytes in base64")
    return accept_key(keys[0].decode("ascii"))


class Handshake(asyncio.Protocol):
    """A TCP connection whose upgrade request was read and is not answered yet.

    `accept` answers 101 and turns it into a `WebSocket`; `refuse` answers anything else. `key` is the Sec-WebSocket-Accept value; None when
    somebody else has already sent the 101, then `refuse` closes with 1008.
    """

    def __init__(
        self,
        key: str | None,
        *,
        limits: Limits = DEFAULT_LIMITS,
        early: bytes = b"",
        on_open: Callable[[WebSocket], None] | None = None,
        on_lost: Callable[[WebSocket], None] | None = None,
    ) -> None:
        self.transport: asyncio.Transport | None = None
        self.answered = False
        self._key = key
        self._limits = limits
        self._early = early
        self._on_open = on_open
        self._on_lost = on_lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not asyncio.Transport instances.
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._early += data
        if len(self._early) > EARLY_LIMIT and self.transport is not None:
            self.transport.pause_reading()

    def eof_received(self) -> None:
        """The client left before it was answered."""

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None

    def accept(self, receiver: Receiver, subprotocol: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> Wire:
        """Sends the 101 and returns the open wire. A client that has left in the meantime gives a wire that is lost right after."""
        head = self._switching(subprotocol, headers)
        self.answered = True
        websocket = WebSocket(receiver, limits=self._limits, on_lost=self._on_lost)
        transport = self.transport
        if transport is None or transport.is_closing():
            asyncio.get_running_loop().call_soon(websocket.connection_lost, None)
            return websocket
        if head:
            transport.write(head)
        if len(self._early) > EARLY_LIMIT:
            transport.resume_reading()
        transport.set_protocol(websocket)
        websocket.connection_made(transport)
        websocket.start(self._early)
        self._early = b""
        if self._on_open is not None:
            self._on_open(websocket)
        return websocket

    def _switching(self, subprotocol: str | None, headers: Iterable[tuple[str, str]]) -> bytes:
        """The 101; empty where it was sent. Raises ValueError for what no header may hold: then nothing is answered yet."""
        if self._key is None:
            return b""
        chosen = [] if subprotocol is None else [("Sec-WebSocket-Protocol", subprotocol)]
        fields = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", self._key), *chosen, *headers]
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        check_fields(encoded)
        lines = [b"HTTP/1.1 101 Switching Protocols", *(name + b": " + value for name, value in encoded)]
        return b"\r\n".join([*lines, b"", b""])

    def refuse(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """Answers with an HTTP response and ends the connection. Raises ValueError for what no header may hold, with nothing answered."""
        transport = self.transport
        if self.answered or transport is None:
            return
        headers = list(headers)
        check_fields(headers)
        self.answered = True
        if self._key is None:
            transport.write(close_frame(1008, "refused"))
        else:
            skipped = (b"content-length", b"connection", b"transfer-encoding")
            phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
            head = [f"HTTP/1.1 {status} {phrase}".encode("latin-1")]
            head += [name + b": " + value for name, value in headers if name.lower() not in skipped]
            head += [b"content-length: " + str(len(body)).encode(), b"connection: close"]
            transport.write(b"\r\n".join([*head, b"", body]))
        transport.close()

    def abort(self) -> None:
        """Drops the connection."""
        if self.transport is not None:
            self.transport.abort()


async def adopt_socket(
    sock: socket.socket,
    *,
    headers: Iterable[tuple[bytes, bytes]] | None,
    leftover: bytes = b"",
    limits: Limits = DEFAULT_LIMITS,
    on_open: Callable[[WebSocket], None] | None = None,
    on_lost: Callable[[WebSocket], None] | None = None,
) -> Handshake:
    """Takes over a connected TCP socket, detached from another server and its loop, into the running loop.

    `headers` are those of its GET request, so that `accept` can send the 101; None when the 101 has been sent.
    `leftover` is what was read behind the request.
    Raises HandshakeError for a request that is not a handshake; the socket is then still the caller's.
    """
    key = None if headers is None else check_handshake("GET", "1.1", headers)
    handshake = Handshake(key, limits=limits, early=leftover, on_open=on_open, on_lost=on_lost)
    sock.setblocking(False)
    bound_silence(sock)
    loop: Any = asyncio.get_running_loop()
    # With a listening socket's accept undone, this is how both asyncio and uvloop take a connected one.
    await loop.connect_accepted_socket(lambda: handshake, sock)
    return handshake


__all__ = ["Handshake", "HandshakeError", "adopt_socket", "bound_silence", "check_handshake"]
