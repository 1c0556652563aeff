"""One socket of a comm's relay: what a page says to its room, and what the room says to it.

It knows nothing of the relay's other sockets. The relay hands it the page's messages and carries its own to the page.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

log = logging.getLogger("partywidgets.comm")
# The library's debug level prints request headers, and with them the credential.
_wire_log = logging.getLogger("partywidgets.comm.wire")
_wire_log.setLevel(logging.INFO)

Buffer: TypeAlias = bytes | bytearray | memoryview
Send: TypeAlias = Callable[[dict[str, Any], list[bytes]], None]
"""Sends one custom message with its buffers. Called on the room loop; must not block."""

INTERVAL = 0.02
"""Seconds between two `frames` messages of a socket: at most 50 a second."""
WINDOW = 1024 * 1024
"""Payload bytes under way to the page and not consumed yet; a single larger frame goes alone."""
BATCH = 1000
"""Frames in one message."""
INPUT_LIMIT = 4 * 1024 * 1024
"""Payload bytes from the page that the host has not taken yet; past it the socket is closed with 1009."""
FRAME_COST = 64
"""Bytes that a frame counts beside its payload while it waits here: a million empty ones are not nothing."""
STALL = 600.0
"""Seconds in which a page must consume something while something waits. A blocking cell holds its acknowledgements up, hence so long."""
GAP = (4000, "some of what this page sent did not reach the kernel")
MAX_MESSAGE = 33 * 1024 * 1024
OPEN_TIMEOUT = 10.0
CLOSE_TIMEOUT = 5.0
"""Seconds that the host has to answer a Close."""
LAST_TIMEOUT = 10.0
"""Seconds that it has before that, to take what waits in front of the Close."""


class Relay(Protocol):
    """What a socket needs of its relay."""

    headers: dict[str, str]
    send: Send

    def closed(self, name: str, code: int, reason: str, *, was_clean: bool) -> None:
        """The socket ended: its id is free, and the page is told."""


class CommSocket:
    """One socket: a WebSocket to the host on one side, `frames` messages on the other."""

    def __init__(self, relay: Relay, name: str, url: str, protocols: list[str]) -> None:
        self.relay, self.name, self.url, self.protocols = relay, name, url, protocols
        self.heard = self.sent = self.received = 0
        self._down: deque[tuple[str, bytes]] = deque()
        self._down_bytes = 0
        self._unconsumed = 0
        self._ended = False
        self._changed, self._closing = asyncio.Event(), asyncio.Event()
        self._up: asyncio.Queue[tuple[str, bytes] | tuple[int, str]] = asyncio.Queue()
        self._up_bytes = 0
        self._close_wanted: tuple[int, str] | None = None
        self._why: tuple[int, str] | None = None
        self._leave = (1001, "the widget was closed")

    def tell(self, operation: str, fields: dict[str, Any], buffers: list[bytes]) -> None:
        """Sends the page the next message of this socket."""
        self.relay.send({"op": operation, "socket": self.name, "n": self.sent, **fields}, buffers)
        self.sent += 1

    # from the page

    def is_next(self, number: object, *, alone: bool = False) -> bool:
        """Whether the page has sent as many messages before as came here; else this socket is closed. `alone`: no message comes with it."""
        if number != self.received:
            log.info("%d messages of a page came and %r were sent: its socket is closed", self.received, number)
            self.close(*GAP)
            return False
        self.received += not alone
        return True

    def frames(self, kinds: str, buffers: Sequence[Buffer]) -> None:
        if len(kinds) != len(buffers) or set(kinds) - {"t", "b"}:
            self.close(1002, "kinds needs one letter, t or b, for each buffer")
            return
        if self._close_wanted is not None:
            return
        for kind, buffer in zip(kinds, buffers, strict=True):
            payload = bytes(buffer)
            self._up_bytes += len(payload) + FRAME_COST
            self._up.put_nowait((kind, payload))
        if self._up_bytes > INPUT_LIMIT:
            self.close(1009, "the room takes input more slowly than it is sent")

    def consumed(self, count: int) -> None:
        self._unconsumed = max(0, self._unconsumed - max(0, count))
        self._changed.set()

    def close(self, code: int, reason: str, *, asked: bool = False) -> None:
        """Ends the socket behind what waits for the host, if it takes that. `asked`: by the page, which needs no reason then."""
        if self._close_wanted is None:
            if not (code == 1000 or 3000 <= code <= 4999 or code in (1001, 1002, 1007, 1008, 1009, 1011)):
                code = 1000
            self._close_wanted = (code, reason.encode()[:123].decode("utf-8", "ignore"))
            self._why = None if asked else self._close_wanted
            self._up.put_nowait(self._close_wanted)
            self._closing.set()

    # to the host and back

    async def run(self) -> None:
        from websockets.asyncio.client import connect
        from websockets.exceptions import InvalidStatus, WebSocketException

        loopback = urlsplit(self.url).hostname in ("127.0.0.1", "localhost", "::1")
        try:
            connection = await connect(
                self.url,
                subprotocols=self.protocols or None,  # type: ignore[arg-type]  # a NewType of str
                additional_headers=self.relay.headers,
                compression=None,
                proxy=None if loopback else True,
                open_timeout=OPEN_TIMEOUT,
                ping_timeout=60,
                close_timeout=CLOSE_TIMEOUT,
                max_size=MAX_MESSAGE,
                max_queue=16,
                logger=_wire_log,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            # A browser's socket would only say 1006; 44xx tells the page to stop asking.
            code = 4400 + status % 100 if status in (400, 401, 403, 404, 409) else 1006
            self._closed(code, f"the host answered {status}", was_clean=False)
            return
        except (OSError, TimeoutError, WebSocketException) as error:
            log.info("the relay cannot reach %s: %s", urlsplit(self.url).path, error)
            self._closed(1006, "the host does not answer", was_clean=False)
            return
        except asyncio.CancelledError:
            self._closed(1001, "the widget was closed", was_clean=False)
            raise
        self.tell("opened", {"protocol": connection.subprotocol or ""}, [])
        await self._carry(connection)

    async def _carry(self, connection: ClientConnection) -> None:
        sender = asyncio.create_task(self._forward(connection))
        deliverer = asyncio.create_task(self._deliver())
        try:
            # Ends early when the page consumes nothing for too long, or the host nothing in front of a Close.
            reader, overdue = asyncio.create_task(self._read(connection)), asyncio.create_task(self._wait_to_close())
            try:
                await asyncio.wait({reader, deliverer, overdue}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                reader.cancel()
                overdue.cancel()
            self._ended = True
            self._changed.set()
            if self._close_wanted is None:
                await asyncio.wait({deliverer}, timeout=OPEN_TIMEOUT)
        finally:
            for task in (sender, deliverer):
                task.cancel()
            # The relay may close in the middle of this end: it goes on all the same.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(sender, deliverer, reader, overdue, return_exceptions=True)
            with contextlib.suppress(asyncio.CancelledError):
                await self._hang_up(connection)
            code, reason = connection.close_code or 1006, connection.close_reason or ""
            if code == 1006 and self._why is not None:
                code, reason = self._why  # a host that is too busy to answer a Close takes nothing from why it was sent
            clean = connection.protocol.close_rcvd is not None and connection.protocol.close_sent is not None
            self._closed(code, reason, was_clean=clean)

    async def _wait_to_close(self) -> None:
        await self._closing.wait()
        await asyncio.sleep(LAST_TIMEOUT + CLOSE_TIMEOUT)

    async def _hang_up(self, connection: ClientConnection) -> None:
        """Closes, and cuts what does not: behind a full buffer the library's own limit does not begin."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT + 1.0):
                await connection.close(*(self._close_wanted or self._leave))
        except TimeoutError:
            connection.transport.abort()
            await connection.wait_closed()

    def _closed(self, code: int, reason: str, *, was_clean: bool) -> None:
        self.relay.closed(self.name, code, reason, was_clean=was_clean)

    async def _read(self, connection: ClientConnection) -> None:
        from websockets.exceptions import ConnectionClosed

        with contextlib.suppress(ConnectionClosed):
            while True:
                message = await connection.recv()
                payload = message.encode() if isinstance(message, str) else message
                self._down.append(("t" if isinstance(message, str) else "b", payload))
                self._down_bytes += len(payload) + FRAME_COST
                self._changed.set()
                # Not reading on fills the host's side: its own guard against slow readers decides from there.
                while self._down_bytes >= WINDOW and self._close_wanted is None:
                    await asyncio.sleep(INTERVAL)

    async def _deliver(self) -> None:
        while True:
            if not self._down and self._ended:
                return
            if not self._sendable():
                self._changed.clear()
                if not await self._wait_for_change():
                    log.warning("a page took nothing of %s for %.0f s: its socket is closed", urlsplit(self.url).path, STALL)
                    self._leave = self._why = (1013, "the page takes nothing")
                    return
                continue
            kinds, size = [], 0
            buffers: list[bytes] = []
            while self._sendable() and len(buffers) < BATCH:
                kind, payload = self._down.popleft()
                kinds.append(kind)
                buffers.append(payload)
                size += len(payload)
                self._unconsumed += len(payload)
            self._down_bytes -= size + len(buffers) * FRAME_COST
            self.tell("frames", {"kinds": "".join(kinds)}, buffers)
            await asyncio.sleep(INTERVAL)

    def _sendable(self) -> bool:
        return bool(self._down) and (self._unconsumed == 0 or self._unconsumed + len(self._down[0][1]) <= WINDOW)

    async def _wait_for_change(self) -> bool:
        try:
            async with asyncio.timeout(STALL if self._down else None):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _forward(self, connection: ClientConnection) -> None:
        from websockets.exceptions import ConnectionClosed

        taken = 0
        with contextlib.suppress(ConnectionClosed):
            while True:
                item = await self._up.get()
                if isinstance(item[0], int):
                    await connection.close(item[0], str(item[1]))
                    return
                kind, payload = item
                assert isinstance(payload, bytes)
                await connection.send(payload.decode("utf-8", "replace") if kind == "t" else payload)
                self._up_bytes -= len(payload) + FRAME_COST
                taken += len(payload)
                if self._up.empty() or taken >= WINDOW // 8:
                    self.tell("consumed", {"bytes": taken}, [])
                    taken = 0
