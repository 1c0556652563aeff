"""An accepted socket of the bundled server as plain ASGI events, for apps that adopt nothing."""

from __future__ import annotations

import asyncio
from collections import deque

from starlette.types import Message

from ..party.connection import check_close
from ..party.wire import Batch, Frame, Wire

PAUSE_ABOVE, RESUME_BELOW = 64, 16
"""Events that wait for the app, between which the socket is not read."""

PAUSE_ABOVE_BYTES = 1024 * 1024
"""Nor while so much waits, however few messages it is."""


class PlainSocket:
    """The receiver of a socket whose app talks plain ASGI: websocket routes of an app of your own beside the rooms."""

    wire: Wire

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._events: deque[Message] = deque()
        self._waiting = 0
        self._paused = False
        self._arrived = asyncio.Event()

    def _put(self, message: Message) -> None:
        self._events.append(message)
        self._waiting += _size(message)
        self._arrived.set()
        if len(self._events) > PAUSE_ABOVE or self._waiting > PAUSE_ABOVE_BYTES:
            self._paused = True
            self.wire.pause()

    def __repr__(self) -> str:
        return "<a WebSocket of the app>"

    def message_received(self, message: str | bytes) -> None:
        self._put({"type": "websocket.receive", "text" if isinstance(message, str) else "bytes": message})

    def detour(self) -> None:
        """This app writes through the wire alone."""

    def close_received(self, code: int, reason: str) -> None:
        self._put({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.wire.close(None if code == 1005 else code, reason)

    def failed(self, error: Exception) -> None:
        """The disconnect follows."""

    def lost(self, code: int, reason: str) -> None:
        self._put({"type": "websocket.disconnect", "code": code, "reason": reason})

    async def receive(self) -> Message:
        """The next event; after the disconnect, the disconnect again."""
        while not self._events:
            self._arrived.clear()
            await self._arrived.wait()
        if self._events[0]["type"] == "websocket.disconnect":
            return self._events[0]
        message = self._events.popleft()
        self._waiting -= _size(message)
        if self._paused:
            if len(self._events) < RESUME_BELOW and self._waiting <= PAUSE_ABOVE_BYTES:
                self._paused = False
                self.wire.resume()
            else:
                self.wire.pause()
        return message

    async def send(self, message: Message) -> None:
        """Waits while the peer is behind; the stall timer ends a wait for ever. Raises ValueError for a close code that cannot be sent."""
        if message["type"] == "websocket.send":
            text = message.get("text")
            self.wire.write(Batch((Frame(text if text is not None else message["bytes"]),)))
            while self.wire.buffered > 256 * 1024:
                await asyncio.sleep(0.01)
        elif message["type"] == "websocket.close":
            code = message.get("code", 1000)
            check_close(code, "")
            self.wire.close(code, message.get("reason") or "")
        else:
            raise RuntimeError(f"the app sent {message['type']!r} to an open WebSocket")


def _size(message: Message) -> int:
    return len(message.get("text") or message.get("bytes") or b"")
