"""One peer of a room."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Generic, overload

from starlette.requests import HTTPConnection
from typing_extensions import TypeVar

from ..exceptions import ConnectionClosedError, PartyError
from . import resume
from .fanout import Held, Outlet
from .grant import Grant
from .lane import Departure, Lane
from .wire import Batch, Frame, Wire

if TYPE_CHECKING:
    from .room import Room

StateT = TypeVar("StateT", default=Any)
"""What `set_state` is given in a room, for a type checker: `class Board(Server[Cursor])`."""

STATE_LIMIT = 16 * 1024
"""Bytes of JSON that a hibernating connection's state may have: the size of a Durable Object's attachment."""

LONGEST_SLEEP = 60.0
"""Seconds between two looks at the clock for a grant that expires: it may be set, and a suspended machine's timers sleep with it."""

UNSENDABLE_CODES = frozenset({1004, 1005, 1006, 1015})


class ReadyState(IntEnum):
    """A connection's state, with the numbers of the WebSocket API. It only ever goes up."""

    CONNECTING = 0
    OPEN = 1
    CLOSING = 2
    CLOSED = 3


OPEN = ReadyState.OPEN
"""Looked up for each message; on the class it is a descriptor's call."""


@dataclass(frozen=True, slots=True)
class ConnectionContext:
    """What `on_connect` and `get_connection_tags` get beside the connection: the upgrade's `request`, and the `grant` of who asks."""

    request: HTTPConnection
    """The upgrade request after the before-hooks, without Cookie, Authorization, ticket and token."""
    grant: Grant


class Connection(Outlet, Generic[StateT]):
    """The room's end of one socket: `connection.send("hello")`, `connection.close(4000, "bye")`.

    `id` (several of one subject may share it), `uri` (without secrets), `tags`, `grant` (who it is), `subprotocol`, `state` and `resumed`
    are read. Identity, not `id`, is what the room registers it by.

    `message_received`, `close_received`, `failed` and `lost` are the transport's side (`wire.Receiver`); rooms do not call them.
    Names with an underscore are the engine's, of which `Room`, `Lane` and `Counting` keep a connection's state together with it.
    """

    __slots__ = (
        "_closed",
        "_counts",
        "_departed",
        "_expiry",
        "_lane",
        "_ready",
        "_room",
        "_state",
        "grant",
        "id",
        "resumed",
        "subprotocol",
        "tags",
        "uri",
    )

    id: str
    uri: str
    tags: tuple[str, ...]
    grant: Grant
    subprotocol: str | None
    resumed: bool
    """True in `on_connect` and later when this client got all the broadcasts it missed (`resumable` rooms): it needs no snapshot."""

    def __init__(self, room: Room, *, id: str, uri: str, grant: Grant, subprotocol: str | None) -> None:
        super().__init__(Held())
        self.id = id
        self.uri = uri
        self.tags = (id,)
        self.grant = grant
        self.subprotocol = subprotocol
        self._room = room
        self._ready = ReadyState.CONNECTING
        self._state: Any = None
        self._lane: Lane | None = None
        """None while no hook of this connection takes its time."""
        self.resumed = False
        self._counts = False
        self._closed = False
        self._departed = False
        self._expiry: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Connection {self.id!r} of {self._room.place} {self._ready.name}>"

    @property
    def state(self) -> StateT | None:
        """The value that `set_state` stored; None at first. In a hibernating room, a copy."""
        if self._state is not None and self._room.server_class.hibernate:
            kept: StateT = json.loads(self._state)
            return kept
        state: StateT | None = self._state
        return state

    @overload
    def set_state(self, value: Callable[[StateT | None], StateT]) -> StateT: ...

    @overload
    def set_state(self, value: StateT) -> StateT: ...

    @overload
    def set_state(self, value: None) -> None: ...

    def set_state(self, value: Any) -> Any:
        """Stores a value, or what a function makes of the present one, and returns it.

        In a class with `hibernate = True` the value must be JSON of at most 16 KiB, else ValueError and the old value stays.
        """
        if callable(value):
            value = value(self.state)
        if not self._room.server_class.hibernate:
            self._state = value
            return value
        try:
            text = json.dumps(value, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError) as error:
            raise ValueError(f"the state of a hibernating connection must be JSON: {error}") from None
        if len(text.encode()) > STATE_LIMIT:
            raise ValueError(
                f"the state of a hibernating connection is {len(text.encode())} bytes of JSON, at most {STATE_LIMIT} are allowed"
            )
        self._state = None if value is None else text
        return json.loads(text)

    @property
    def ready_state(self) -> ReadyState:
        """Where the connection is in its life."""
        return self._ready

    @property
    def buffered(self) -> int:
        """Bytes given to `send` that the operating system has not taken yet: how far behind the peer reads."""
        return self.wire.buffered

    def send(self, message: str | bytes | bytearray | memoryview | Frame) -> None:
        """Queues one frame; never blocks. A `Frame` made once may be sent to many.

        Raises TypeError for anything else and ConnectionClosedError after `close`. What is sent before on_connect has ended is held and
        follows the 101.
        A peer that is gone swallows what it is sent.
        """
        frame = message if isinstance(message, Frame) else Frame(message)
        if self._closed:
            raise ConnectionClosedError(f"connection {self.id!r} of {self._room.place} was closed: check ready_state before sending")
        self._room.fanout.send(self, resume.direct(frame) if self._counts else frame)

    def send_now(self, frame: Frame) -> None:
        """As `send`, but written at once, behind what is queued."""
        if self._counts or self._closed:
            self.send(frame)
            self._room.fanout.flush()
        else:
            self._room.fanout.write(self, frame)

    def close(self, code: int | None = None, reason: str = "") -> None:
        """Begins the close handshake. A second call does nothing. What the peer sends from now on is not delivered.

        Raises ValueError for a code outside 1000–4999, for 1004, 1005, 1006 and 1015, and for a reason over 123 bytes of UTF-8.
        """
        check_close(code, reason)
        if self._ready is ReadyState.CLOSED or self._closed:
            return
        self._closed = True
        self._ready = ReadyState.CLOSING
        self._room.leave(self)
        self.wire.close(code, reason)

    # The transport's side.

    def message_received(self, message: str | bytes) -> None:
        if self._ready is not OPEN:
            return
        if self._lane is not None:
            self._lane.put(message)
            return
        room = self._room
        instance = room.instance
        if instance is None:
            Lane(self, room, None, message)
            return
        room.touched = room.loop.time()
        try:
            result = instance.on_message(self, message)
        except (Exception, asyncio.CancelledError) as error:
            self._room.report(error, "on_message")
            return
        # A hook without a result is the common one, and asking a None whether it is awaitable takes as long as a broadcast.
        if result is not None and inspect.isawaitable(result):
            Lane(self, room, result)

    def detour(self) -> None:
        self._room.fanout.detour()

    def close_received(self, code: int, reason: str) -> None:
        self._ready = max(self._ready, ReadyState.CLOSING)
        self._depart(Departure(code, reason, True))

    def failed(self, error: Exception) -> None:
        self._ready = max(self._ready, ReadyState.CLOSING)
        self._room.leave(self)
        if not self._departed:
            self._wait(error)

    def lost(self, code: int, reason: str) -> None:
        self._ready = ReadyState.CLOSED
        self._depart(Departure(code, reason, code != 1006))

    def give_up(self) -> None:
        """The host ends and waits no longer: the socket is dropped, the hook that runs is cancelled, and on_close has its turn.

        None comes for who is still on the way in, and is told so by the door.
        """
        if self._room.arrivals.turn_away(self):
            return
        lane = self._lane
        self.wire.abort()
        self.lost(1006, "the server stopped")
        if lane is not None:
            # A lane of this very turn begins first: cancelled before that, it would not come to the on_close that waits in it.
            self._room.loop.call_soon(lane.give_up)

    # How it ends.

    def _depart(self, departure: Departure) -> None:
        self._room.leave(self)
        if self._departed:
            return
        self._departed = True
        instance = self._room.instance
        if self._lane is None and instance is not None:
            self._room.touch()
            try:
                result = instance.on_close(self, departure.code, departure.reason, departure.was_clean)
            except (Exception, asyncio.CancelledError) as error:
                self._room.report(error, "on_close")
                self._answer(departure)
                return
            if not inspect.isawaitable(result):
                self._answer(departure)
                return
            Lane(self, self._room, self._finish_close(result, departure), hook="on_close")
        else:
            self._wait(departure)

    def _wait(self, job: Exception | Departure) -> None:
        """For its turn behind the messages that came before."""
        if self._lane is not None:
            self._lane.put(job)
        else:
            Lane(self, self._room, None, job)

    async def _finish_close(self, result: Awaitable[None], departure: Departure) -> None:
        try:
            await result
        finally:
            self._answer(departure)

    def _answer(self, departure: Departure) -> None:
        """on_close has run."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        self._room.departed(self)
        self._reply(departure)

    def _reply(self, departure: Departure) -> None:
        """Answers the peer's Close with its own code, unless on_close closed with another."""
        if self._ready is ReadyState.CLOSING and not self._closed:
            self._closed = True
            self.wire.close(None if departure.code == 1005 else departure.code, departure.reason)

    def watch_grant(self) -> None:
        """Closes this connection with 4401 when its grant expires, by the clock on the wall."""
        expires_at, loop = self.grant.expires_at, self._room.loop
        if expires_at is None:
            return
        rest = expires_at - time.time()
        if rest <= 0:
            self.close(4401, "the grant expired")
        else:
            self._expiry = loop.call_later(min(rest, LONGEST_SLEEP), self.watch_grant)

    def _opened(self, wire: Wire) -> None:
        """The handshake is done: what was held goes out behind the 101."""
        held = self.wire
        assert isinstance(held, Held)
        if self in self._room.fanout.members:
            self._room.fanout.flush_one(self)
        self.wire = wire
        if held.frames and not self._room.host.end_of(self.grant):  # which on_connect may have outlived: then it is told the end alone
            wire.write(Batch(held.frames))
        if held.close_args is not None:
            wire.close(*held.close_args)


def check_close(code: int | None, reason: str) -> None:
    """Raises ValueError for what no Close frame may carry (RFC 6455 §5.5, §7.4; the same limits as PartyServer's)."""
    if code is None:
        if reason:
            raise ValueError("a close reason needs a code: pass for example 1000")
        return
    if not 1000 <= code <= 4999 or code in UNSENDABLE_CODES:
        raise ValueError(f"close code {code} cannot be sent: use 1000 to 4999 except 1004, 1005, 1006 and 1015")
    if len(reason.encode("utf-8", "replace")) > 123:
        raise ValueError(f"a close reason is at most 123 bytes of UTF-8, got {len(reason.encode('utf-8', 'replace'))}")


def check_tags(connection_id: str, tags: object) -> tuple[str, ...]:
    """The id, then the tags that differ from it. Raises PartyError for more than 9, or one that is not 1 to 256 characters."""
    if not isinstance(tags, (list, tuple)):
        raise PartyError(f"get_connection_tags must return a list of str, got {type(tags).__name__}")
    own = [tag for tag in tags if tag != connection_id]
    for tag in own:
        if not isinstance(tag, str) or not 1 <= len(tag) <= 256:
            raise PartyError(f"a tag is a str of 1 to 256 characters, got {tag!r:.80}")
    if len(own) > 9:
        raise PartyError(f"a connection has at most 9 tags beside its id, got {len(own)}")
    return (connection_id, *own)


def grant_of(request: HTTPConnection) -> Grant:
    """The grant of a request that reached a room's `on_request` or a route behind the authoriser."""
    grant = request.scope.get("partywidgets.grant")
    if not isinstance(grant, Grant):
        raise LookupError("this request did not pass the authoriser")
    return grant
