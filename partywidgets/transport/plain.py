"""A socket under an ASGI server that is not ours: receive and send, one message each."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from starlette.types import Message, Receive, Send

from ..party.nobody import Nobody
from ..party.wire import Batch, Receiver, Wire

Accept = Callable[..., Wire]

SEND_TIMEOUT = 5.0
"""Seconds that a server which is not ours may take to accept one batch, before its peer counts as stalled."""

CLOSE_TIMEOUT = 10.0
"""Seconds from our Close to the disconnect that such a server reports: longer than its own wait for the peer's answer may be."""

logger = logging.getLogger("partywidgets.transport")


async def serve_plain(receive: Receive, send: Send, connect: Callable[[Accept], Awaitable[None]]) -> None:
    """Runs one socket, from `connect` (which takes the accept that a room's door needs) to its end: this task reads, another one writes."""
    wire = PlainWire(receive, send)
    async with asyncio.TaskGroup() as tasks:
        writer: asyncio.Task[None] | None = None

        def accept(receiver: Receiver, subprotocol: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> Wire:
            nonlocal writer
            wire.opened(receiver, subprotocol, headers)
            writer = tasks.create_task(wire.pump())
            return wire

        await connect(accept)
        if writer is not None:
            await wire.read()


class PlainWire:
    """A wire over ASGI's receive and send.

    Another server answers a peer's Close itself, before on_close has run: ASGI has no way to wait.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._receiver: Receiver = Nobody()
        self._queue: deque[Message] = deque()
        self._queued = asyncio.Event()
        self._reading = asyncio.Event()
        self._reading.set()
        self._buffered = 0
        self._closing = False
        self._dead = asyncio.Event()
        self._end: asyncio.TimerHandle | None = None

    def opened(self, receiver: Receiver, subprotocol: str | None, headers: Iterable[tuple[str, str]]) -> None:
        """Queues the accept."""
        self._receiver = receiver
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self._put({"type": "websocket.accept", "subprotocol": subprotocol, "headers": raw}, 0)

    def _put(self, message: Message, size: int) -> None:
        message["partywidgets.size"] = size
        self._queue.append(message)
        self._buffered += size
        self._queued.set()

    def write(self, batch: Batch) -> None:
        if self._closing or self._dead.is_set():
            return
        for frame in batch.frames:
            body: Message = {"text": frame.payload.decode()} if frame.is_text else {"bytes": frame.payload}
            self._put({"type": "websocket.send", **body}, len(frame))

    @property
    def buffered(self) -> int:
        return self._buffered

    @property
    def descriptor(self) -> int:
        return -1

    def follow(self, encoded: bytes, taken: int) -> None:
        raise AssertionError("the server's socket is not ours to write to")

    def pause(self) -> None:
        self._reading.clear()

    def resume(self) -> None:
        self._reading.set()

    def close(self, code: int | None = None, reason: str = "") -> None:
        if not self._closing:
            self._closing = True
            # A server that does not tell how it ended is not waited for.
            self._end = asyncio.get_running_loop().call_later(CLOSE_TIMEOUT, self.abort)
            # ASGI has no Close without a code.
            self._put({"type": "websocket.close", "code": 1000 if code is None else code, "reason": reason}, 0)
            self._reading.set()

    def abort(self) -> None:
        self._closing = True
        self._buffered -= sum(message["partywidgets.size"] for message in self._queue)
        self._queue.clear()
        self._dead.set()
        self._queued.set()
        self._reading.set()
        if self._end is not None:
            self._end.cancel()

    async def pump(self) -> None:
        """Writes what is queued, until the close or the end."""
        while not self._dead.is_set():
            await self._queued.wait()
            self._queued.clear()
            while self._queue:
                message = self._queue.popleft()
                size = message.pop("partywidgets.size")
                try:
                    async with asyncio.timeout(SEND_TIMEOUT):
                        await self._send(message)
                except Exception as error:
                    # Servers differ in what they raise for a peer that is gone; the reader says how it ended.
                    logger.info("a peer could not be written to (%s) and was dropped", type(error).__name__)
                    self.abort()
                    return
                finally:
                    self._buffered -= size
                if message["type"] == "websocket.close":
                    return

    async def read(self) -> None:
        """Reads until the disconnect."""
        code, reason = 1006, ""
        dead = asyncio.ensure_future(self._dead.wait())
        receiving: asyncio.Future[Message] | None = None
        try:
            while True:
                await self._reading.wait()
                receiving = asyncio.ensure_future(self._receive())
                await asyncio.wait((receiving, dead), return_when=asyncio.FIRST_COMPLETED)
                if self._dead.is_set() or not receiving.done():
                    break
                message = receiving.result()
                if message["type"] == "websocket.disconnect":
                    code, reason = message.get("code", 1005), message.get("reason") or ""
                    break
                if message["type"] == "websocket.receive" and not self._closing:
                    text = message.get("text")
                    self._receiver.message_received(text if text is not None else message["bytes"])
        finally:
            dead.cancel()
            if receiving is not None:
                receiving.cancel()
            self._receiver.lost(code, reason)
            self.abort()


__all__ = ["PlainWire", "serve_plain"]
