"""Server: a room. A subclass overrides three methods and has a working one (PartyServer's semantics, Python's names)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Collection, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar, overload

from starlette.requests import Request
from starlette.responses import Response

from .connection import Connection, ConnectionContext, StateT
from .storage import Storage
from .wire import Frame

if TYPE_CHECKING:
    from .room import Room

logger = logging.getLogger("partywidgets.party")

T = TypeVar("T")
ServerT = TypeVar("ServerT", bound="Server")
MaybeAwaitable: TypeAlias = Awaitable[T] | T


class Environment:
    """What an app lends its rooms, by type: PartyServer's `env`. `self.env[TerminalSettings]` is the TerminalSettings given."""

    def __init__(self, *resources: object) -> None:
        self._resources: dict[type, object] = {type(resource): resource for resource in resources}

    def __getitem__(self, kind: type[T]) -> T:
        if not isinstance(kind, type):
            raise TypeError(f"env is asked by type, got {kind!r:.60}: PartyHost(env=Environment(settings)), then self.env[Settings].key")
        found = self._resources.get(kind)
        if not isinstance(found, kind):
            raise LookupError(f"no {kind.__name__} in this host's environment: pass it to PartyHost(env=Environment(...))")
        return found

    def add(self, resource: object) -> None:
        """Lends one more resource, in place of another of its type."""
        self._resources[type(resource)] = resource


def instance_of(server_class: type[Server], room: Room) -> Server:
    """A new instance for a room. Raises what the constructor raises."""
    instance = server_class.__new__(server_class)
    # Before __init__, so that a subclass' own __init__ and field initialisers can use them.
    instance.name, instance.party = room.name, room.party
    instance.env, instance.storage = room.host.env, room.storage
    instance._room = room
    instance.__init__()  # type: ignore[misc]
    return instance


class Server(Generic[StateT]):
    """One room. Hooks may be plain or `async`; the hooks of one connection run one at a time, in order.

        class Chat(Server):
            def on_message(self, connection, message):
                self.broadcast(message, without=[connection.id])

    `self.name` and `self.party` say which room it is, `self.storage` keeps its values and alarm, `self.env` has what the app lends it.
    `Server[Cursor]` tells a type checker what its connections' state is; without that it is Any.
    """

    hibernate: ClassVar[bool] = False
    """True: the instance is dropped when idle and its sockets stay; see PartyHost(hibernate_after=)."""
    subprotocols: ClassVar[tuple[str, ...]] = ("partywidgets.v1",)
    """The WebSocket subprotocols this class speaks, best first. None offered is always accepted."""
    resumable: ClassVar[bool] = False
    """True: broadcasts are logged and clients that ask for it resume (`pw1`); `connection.resumed` says who missed nothing."""

    name: str
    party: str
    env: Environment
    storage: Storage
    _room: Room

    def on_start(self, props: Any = None) -> MaybeAwaitable[None]:
        """Once per instance, before anything else; what it raises fails the event that caused it, and the next one tries again."""

    def get_connection_tags(self, connection: Connection[StateT], ctx: ConnectionContext) -> MaybeAwaitable[list[str]]:
        """Up to 9 tags of 1 to 256 characters, before on_connect; the id is always a tag."""
        return []

    def on_connect(self, connection: Connection[StateT], ctx: ConnectionContext) -> MaybeAwaitable[None]:
        """The connection is registered; the 101 follows when this has ended, at most `connect_timeout` seconds later."""

    def on_message(self, connection: Connection[StateT], message: str | bytes) -> MaybeAwaitable[None]:
        """One whole message. What it raises is logged; the socket stays open."""

    def on_close(self, connection: Connection[StateT], code: int, reason: str, was_clean: bool) -> MaybeAwaitable[None]:
        """Exactly once per connection that on_connect accepted, whatever ended it.

        The leaver is out of get_connections(); send still works when the peer closed.
        """

    def on_error(self, connection: Connection[StateT], error: Exception) -> MaybeAwaitable[None]:
        """The peer broke the protocol; on_close follows. Default: logs."""
        logger.info("room %s/%s: connection %r broke the protocol: %s", self.party, self.name, connection.id, error)
        return None

    def on_request(self, request: Request) -> MaybeAwaitable[Response]:
        """Any HTTP request to the room. Default: 404 `Not implemented`. `grant_of(request)` says who asks.

        Starlette's HTTPException is answered as it says; any other error is a 500 with a fixed text.
        """
        return Response("Not implemented", status_code=404, media_type="text/plain")

    def on_exception(self, error: Exception) -> MaybeAwaitable[None]:
        """An unhandled error of on_request, on_message, on_alarm or sql. Default: logs with the room's name, the same one once in 10 s."""
        self._room.failures.tell(error, self._room.failures.hook)
        return None

    def on_alarm(self) -> MaybeAwaitable[None]:
        """The alarm set by `storage.set_alarm` is due. At least once; retried with backoff when it raises. Default: logs."""
        kind = type(self).__name__
        logger.warning("room %s/%s: its alarm rang and nobody heard it: give %s an on_alarm", self.party, self.name, kind)
        return None

    def broadcast(self, message: str | bytes | bytearray | memoryview | Frame, without: Iterable[str] = ()) -> None:
        """Queues one frame to every OPEN connection whose id is not in `without`. Encoded once; joined with others of the loop tick."""
        self._room.broadcast(message if isinstance(message, Frame) else Frame(message), without)

    def send_to(self, connections: Collection[Connection[StateT]], *messages: str | bytes | bytearray | memoryview | Frame) -> None:
        """Queues a frame, or several in their order, to these OPEN connections, however many share their ids. Encoded once; joined with
        others of the loop tick."""
        self._room.send_to(connections, *(message if isinstance(message, Frame) else Frame(message) for message in messages))

    def send_now(self, connections: Collection[Connection[StateT]], message: str | bytes | bytearray | memoryview | Frame) -> None:
        """The same, written at once behind what is queued: for what somebody waits for."""
        self._room.send_now(connections, message if isinstance(message, Frame) else Frame(message))

    def flush(self) -> None:
        """Writes what is queued now rather than at the end of the loop tick: for what somebody waits for."""
        self._room.fanout.flush()

    def get_connection(self, connection_id: str) -> Connection[StateT] | None:
        """The newest OPEN connection with that id."""
        return self._room.occupants.newest(connection_id)

    def get_connections(self, tag: str | None = None) -> list[Connection[StateT]]:
        """OPEN connections in the order of connecting, all or those with `tag`. A copy: closing while iterating is safe."""
        return self._room.occupants.listed(tag)

    @overload
    async def get_server_by_name(self, party: type[ServerT], room: str, *, props: Any = None) -> ServerT: ...

    @overload
    async def get_server_by_name(self, party: str, room: str, *, props: Any = None) -> Server: ...

    async def get_server_by_name(self, party: type[ServerT] | str, room: str, *, props: Any = None) -> ServerT | Server:
        """Another room of this host, started: `PartyHost.get_server_by_name`. Two rooms whose on_start wait for each other never start."""
        return await self._room.host.get_server_by_name(party, room, props=props)

    async def sql(self, query: str, *params: Any) -> list[dict[str, Any]]:
        """Runs one statement on the room's own SQLite database and returns its rows."""
        try:
            return await self.storage.sql(query, *params)
        except Exception as error:
            self._room.report(error, "sql")
            raise

    @asynccontextmanager
    async def awake(self) -> AsyncIterator[None]:
        """Holds the instance: `async with self.awake():` it is neither hibernated nor evicted."""
        self._room.holds += 1
        try:
            yield
        finally:
            self._room.holds -= 1
            self._room.touch()

    def spawn(self, coroutine: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Runs a coroutine as a task that the room owns: cancelled when the instance ends, its error logged with the room's name."""
        return self._room.tasks.spawn(coroutine, name=name)

    async def on_stop(self) -> None:
        """The host is shutting down (or evicts the idle instance): end what on_start began. Within 5 s. Not called on kill -9."""
