"""The relay behind a notebook's comm: its kernel opens the sockets that a page cannot open itself, and carries their frames.

The messages are those of `docs/topics/messages.md`. A kernel's outgoing channel drops bursts instead of delaying them (jupyter_server:
1,000 messages/s over 3 s), so what waits is coalesced, and a page that does not say what it has taken gets no more: the room then sees
a slow reader, as it would on a socket.

Nor does the channel say when it lost something: a page whose connection to its Jupyter Server was cut or swallowed goes on behind a gap. So
the messages of a socket are numbered each way, both sides compare their counts at every `hello`, and a socket with a gap is closed.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from ..exceptions import RoomNameError
from .comm_socket import Buffer, CommSocket, Send

log = logging.getLogger("partywidgets.comm")

MAX_SOCKETS = 32
"""Sockets of one widget. A page that was reloaded closes nothing: past the limit the one longest silent makes room."""

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
        self._sockets: dict[str, CommSocket] = {}
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

    def _named(self, counts: object) -> list[tuple[CommSocket, object]]:
        if not isinstance(counts, Mapping):
            return []
        return [(self._sockets[name], count) for name, count in counts.items() if name in self._sockets]

    @staticmethod
    def _deliver(relayed: CommSocket, operation: str, message: Mapping[str, Any], buffers: Sequence[Buffer]) -> None:
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
        relayed = self._sockets[name] = CommSocket(self, name, url, protocols)
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


def _closed(name: str, code: int, reason: str, *, was_clean: bool) -> dict[str, Any]:
    return {"op": "closed", "socket": name, "code": code, "reason": reason, "was_clean": was_clean}
