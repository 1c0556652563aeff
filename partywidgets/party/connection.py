"""One peer of a room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from starlette.requests import HTTPConnection

from .grant import Grant
from .wire import Frame


class ReadyState(IntEnum):
    """A connection's state, with the numbers of the WebSocket API. It only ever goes up."""

    CONNECTING = 0
    OPEN = 1
    CLOSING = 2
    CLOSED = 3


@dataclass(frozen=True, slots=True)
class ConnectionContext:
    """What `on_connect` and `get_connection_tags` get beside the connection."""

    request: HTTPConnection
    """The upgrade request after the before-hooks, without Cookie, Authorization, ticket and token."""
    grant: Grant


class Connection:
    """The room's end of one socket. Identity, not `id`, is what the room registers it by."""

    id: str
    uri: str
    tags: tuple[str, ...]
    grant: Grant
    subprotocol: str | None

    @property
    def state(self) -> Any:
        """The value that `set_state` stored; None at first. In a hibernating room, a copy."""
        raise NotImplementedError

    def set_state(self, value: Any | Callable[[Any], Any]) -> Any:
        """Stores a value, or what a function makes of the present one, and returns it.

        In a class with `hibernate = True` the value must be JSON of at most 16 KiB, else ValueError and the old value stays.
        """
        raise NotImplementedError

    @property
    def ready_state(self) -> ReadyState:
        """Where the connection is in its life."""
        raise NotImplementedError

    @property
    def buffered(self) -> int:
        """Bytes given to `send` that the operating system has not taken yet: how far behind the peer reads."""
        raise NotImplementedError

    def send(self, message: str | bytes | bytearray | memoryview | Frame) -> None:
        """Queues one frame; never blocks. A `Frame` made once may be sent to many.

        Raises TypeError for anything else and ConnectionClosedError after `close`. What is sent before on_connect has ended is held and follows the 101.
        """
        raise NotImplementedError

    def close(self, code: int | None = None, reason: str = "") -> None:
        """Begins the close handshake. A second call does nothing.

        Raises ValueError for a code outside 1000–4999, for 1004, 1005, 1006 and 1015, and for a reason over 123 bytes of UTF-8.
        """
        raise NotImplementedError


def grant_of(request: HTTPConnection) -> Grant:
    """The grant of a request that reached a room's `on_request` or a route behind the authoriser."""
    grant = request.scope.get("partywidgets.grant")
    if not isinstance(grant, Grant):
        raise LookupError("this request did not pass the authoriser")
    return grant
