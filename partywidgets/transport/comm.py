"""The relay behind a notebook's comm: its kernel opens the sockets that a page cannot open itself, and carries their frames.

The messages are those of `docs/topics/messages.md`. A kernel's outgoing channel drops bursts instead of delaying them (jupyter_server:
1,000 messages/s over 3 s), so what waits is coalesced, and a page that does not say what it has taken gets no more: the room then sees
a slow reader, as it would on a socket.

Nor does the channel say when it lost something: a page whose connection to its Jupyter Server was cut or swallowed goes on behind a gap. So
the messages of a socket are numbered each way, both sides compare their counts at every `hello`, and a socket with a gap is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import re
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote, urlsplit

from ..exceptions import RoomNameError

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
MAX_SOCKETS = 32
"""Sockets of one widget. A page that was reloaded closes nothing: past the limit the one longest silent makes room."""
GAP = (4000, "some of what this page sent did not reach the kernel")
MAX_MESSAGE = 33 * 1024 * 1024
OPEN_TIMEOUT = 10.0
CLOSE_TIMEOUT = 5.0
"""Seconds that the host has to answer a Close."""
LAST_TIMEOUT = 10.0
"""Seconds that it has before that, to take what waits in front of the Close."""

_ROOM_PATH = re.compile(r"(?:parties/[^/]+/[^/]+(?:/.*)?|api/workers/[^/]+/terminal|api/ops/broadcast)\Z")

_PROTOCOL = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def room_url(root: str, path: str) -> str:
    """The WebSocket URL of a room below a host's root. Raises RoomNameError for a path that is not a room's."""
    path = path.removeprefix("/")
    route, _, _ = path.partition("?")
    plain = all(character.isprintable() and character not in "#\\ " for character in path)
    dots = any(unquote(segment) in (".", "..") for segment in route.split("/"))
    if not plain or dots or not _ROOM_PATH.match(route):
        raise RoomNameError(f"{path[:100]!r} is not a room's path: use /parties/PARTY/ROOM, /api/workers/ID/terminal or /api/ops/broadcast")
    scheme, rest = root.split("://", 1)
    return f"{'wss' if scheme == 'https' else 'ws'}://{rest.rstrip('/')}/{path}"


def offered(protocols: object) -> list[str]:
    """The subprotocols that a page asks for, without a ticket. Raises ValueError for what is no list of names (RFC 6455 §4.1)."""
    if protocols is None:
        return []
    if not isinstance(protocols, list) or not all(isinstance(name, str) and _PROTOCOL.fullmatch(name) for name in protocols):
        raise ValueError("protocols is a list of subprotocols, each without blanks and commas")
    return [name for name in protocols if not name.startswith("partywidgets.ticket.")]


class CommRelay:
    """The sockets of one widget's page. Lives on the room loop; `close` ends them all.

    `root` is the host's root URL, `secret` the kernel's credential for it (empty: none), `send` the way back to the page.
    """

    def __init__(self, root: str, secret: str, send: Send) -> None:
        self.root, self.send = root, send
        self.headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        self._sockets: dict[str, _Socket] = {}
        self._clock = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = False

    @property
    def sockets(self) -> int:
        """How many sockets are open or opening."""
        return len(self._sockets)

    def receive(self, message: Mapping[str, Any], buffers: Sequence[Buffer]) -> bool:
        """Takes one message of the page; False when its `op` is none of a socket's."""
        operation, name = message.get("op"), message.get("socket")
        if operation not in ("open", "frames", "consumed", "close"):
            return False
        if not isinstance(name, str) or not 0 < len(name) <= 128:
            log.warning("the page sent %r without a socket", operation)
            return True
        if operation == "open" and not self._ended:
            self._open(name, message)
        elif (relayed := self._sockets.get(name)) is None:
            # Its `closed` may have been lost on the way.
            if operation != "close":
                self.send(_closed(name, 1006, "this socket was closed", was_clean=False), [])
        else:
            relayed.heard = next(self._clock)
            if relayed.is_next(message.get("n")):
                self._deliver(relayed, str(operation), message, buffers)
        return True

    def compare(self, counts: object) -> None:
        """Closes those of a page's sockets of which less came than it sent. `counts` are by socket; in the order of the page's messages."""
        for relayed, sent in self._named(counts):
            relayed.is_next(sent, alone=True)

    def counts(self, asked: object) -> dict[str, int]:
        """How many messages went out for each of the sockets named in `asked`; one that is missing is no more."""
        return {relayed.name: relayed.sent for relayed, _ in self._named(asked)}

    def _named(self, counts: object) -> list[tuple[_Socket, object]]:
        if not isinstance(counts, Mapping):
            return []
        return [(self._sockets[name], count) for name, count in counts.items() if name in self._sockets]

    @staticmethod
    def _deliver(relayed: _Socket, operation: str, message: Mapping[str, Any], buffers: Sequence[Buffer]) -> None:
        if operation == "frames":
            relayed.frames(str(message.get("kinds", "")), buffers)
        elif operation == "consumed":
            taken = message.get("bytes")
            relayed.consumed(taken if isinstance(taken, int) else 0)
        else:
            code = message.get("code")
            relayed.close(code if isinstance(code, int) else 1000, str(message.get("reason") or ""), asked=True)

    def _open(self, name: str, message: Mapping[str, Any]) -> None:
        if name in self._sockets:
            log.warning("the page opened the socket %r twice", name)
            return
        try:
            url = room_url(self.root, str(message.get("path", "")))
            protocols = offered(message.get("protocols"))
        except (RoomNameError, ValueError) as error:
            self.send(_closed(name, 4400, str(error), was_clean=True), [])
            return
        if len(self._sockets) >= MAX_SOCKETS:
            silent = self._sockets.pop(min(self._sockets, key=lambda other: self._sockets[other].heard))
            silent.close(1001, "this widget has opened newer sockets")
        relayed = self._sockets[name] = _Socket(self, name, url, protocols)
        relayed.received = 1
        relayed.heard = next(self._clock)
        self.hold(relayed.run(), f"comm socket to {urlsplit(url).path}")

    def closed(self, name: str, code: int, reason: str, *, was_clean: bool) -> None:
        """A socket ended: its id is free, and the page is told."""
        self._sockets.pop(name, None)
        self.send(_closed(name, code, reason, was_clean=was_clean), [])

    def hold(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Runs a coroutine until it ends or the relay closes."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._drop)
        return task

    def _drop(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed", task.get_name(), exc_info=error)

    async def close(self) -> None:
        """Closes every socket, within 2 s; none opens any more."""
        self._ended = True
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2.0)


class _Socket:
    """One socket: a WebSocket to the host on one side, `frames` messages on the other."""

    def __init__(self, relay: CommRelay, name: str, url: str, protocols: list[str]) -> None:
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


def _closed(name: str, code: int, reason: str, *, was_clean: bool) -> dict[str, Any]:
    return {"op": "closed", "socket": name, "code": code, "reason": reason, "was_clean": was_clean}
