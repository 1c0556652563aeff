"""PartyHost: the rooms of one process, each started once."""

from __future__ import annotations

import asyncio
import logging
import secrets
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, overload
from urllib.parse import quote, unquote

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from ..exceptions import ConnectionIdError, HostError, StorageError, UnknownPartyError
from .alarm import Alarms, Postponed
from .arrivals import CLOSING
from .closing import close_connections, end_rooms, give_up_connections
from .connection import ReadyState
from .directory import Directory
from .directory_watch import DirectoryWatch
from .fanout import DEFAULT_CAP
from .grant import Grant
from .hook import begun, outcome
from .making_place import MakingPlace
from .nobody import Nobody
from .room import Room
from .roster import roster
from .routing import check_room_name, kebab
from .sender import Sender
from .server import Environment, Server, ServerT
from .storage import Storage
from .storage_thread import StorageThread
from .wire import Receiver, Wire

Accept = Callable[[Receiver], Wire]
"""Sends the 101 (or its like) and returns the open wire. Called at most once per connect, on the room loop."""

CLOSE_TIME = 5.0
FOR_ROOMS = 3.5
"""Of it, what is kept for the rooms' own end: a shell that takes no hang-up needs two."""
STATEMENT_GRACE = 1.0
"""Of it, what an SQL statement has that began before."""
ID_LIMIT = 128
REVOKED = 10_000
"""Ended grants that are remembered, the newest: longer than a handshake takes."""

NOT_OPEN = (
    "the host is not open: enter it with `async with PartyHost(...)`, in an ASGI app in its lifespan,"
    " which daphne, `--lifespan off` and apps mounted in another leave out"
)

logger = logging.getLogger("partywidgets.party")


class PartyHost:
    """The rooms of a process: `async with PartyHost({"chat": Chat}) as host:`, then `serve(host)` or `PartyMiddleware(app, host)`.

    Instances by (party, room); everything in it belongs to the loop that entered it.

    `parties` maps names (made kebab-case) to Server classes. A collision, or hooks that could not be called, raise ConfigError.
    `storage` is a directory; None takes `$PARTYWIDGETS_HOME`, else the user's state directory. A directory that another host holds is not
    shared: this host takes one of its own.
    `max_rooms` is how many are in memory at once: at that limit the empty rooms that were idle longest make place, and if all are in use
    another one is refused.
    `hibernate_after` is in seconds of idleness. `connect_timeout` (seconds) bounds on_connect, `start_timeout` on_start.
    `slow_consumer_cap` is in bytes: a peer with more than that unread is cut.
    `sockets_per_subject` is how many sockets one subject may have open, over all rooms; another one is closed with 1013 (RFC 6455's
    registry: try again later). None: no limit, for hosts whose visitors share one subject.
    `io_uring`: a flush to 64 sockets or more takes one system call for 512 of them where Linux allows it (the default); False, or None with
    `PARTYWIDGETS_IO_URING=0` in the environment, takes one call for each.
    """

    host_id: str

    def __init__(
        self,
        parties: Mapping[str, type[Server]],
        *,
        storage: Path | str | None = None,
        env: Environment | None = None,
        hibernate_after: float = 10.0,
        start_timeout: float = 30.0,
        connect_timeout: float = 10.0,
        max_rooms: int = 10_000,
        slow_consumer_cap: int = DEFAULT_CAP,
        sockets_per_subject: int | None = None,
        io_uring: bool | None = None,
    ) -> None:
        self.host_id = secrets.token_hex(8)
        self.env = env if env is not None else Environment()
        self.hibernate_after = hibernate_after
        self.start_timeout = start_timeout
        self.connect_timeout = connect_timeout
        self.max_rooms = max_rooms
        self.slow_consumer_cap = slow_consumer_cap
        self.sockets_per_subject = sockets_per_subject
        self._io_uring = io_uring
        self.sender = Sender(io_uring=io_uring)
        self.closing = False
        self._entered = False
        self._classes = roster(parties)
        self._rooms: dict[tuple[str, str], Room] = {}
        self._sockets: dict[str, int] = {}  # by subject
        self._revoked: dict[str, None] = {}
        # A room whose instance somebody still holds in Python keeps its identity after it was forgotten.
        self._known: weakref.WeakValueDictionary[tuple[str, str], Room] = weakref.WeakValueDictionary()
        self._directory = Directory(storage)
        self._watch = DirectoryWatch(self._directory)
        self._thread: StorageThread | None = None
        self._alarms: Alarms | None = None
        self._place: MakingPlace | None = None

    @property
    def storage_path(self) -> Path:
        """The directory that this host holds; final once the host is entered."""
        return self._directory.path

    @property
    def storage_lost(self) -> bool:
        """True once somebody moved or removed that directory: what is written then is lost with this process. Checked every 5 s."""
        return self._watch.lost

    async def __aenter__(self) -> PartyHost:
        """Raises HostError for one that is open; after its end it may be entered again, on any loop."""
        if self._entered:
            raise HostError("this host is open already: enter it once, and give the same object to whatever needs it")
        self._directory.open()
        self._entered = True
        # An app has one host and, under a test client, one life a test.
        self.closing = False
        self._known.clear()
        self.sender = Sender(io_uring=self._io_uring)
        self._thread = StorageThread()
        self._alarms = Alarms(self._directory.path / "host.sqlite3", self._thread, self._ring, parties=self._classes)
        try:
            await self._alarms.open()
        except BaseException:
            await self._alarms.close()
            await self._thread.stop()
            self._directory.close()
            self._entered = False
            raise
        self._watch.start()
        self._place = MakingPlace(asyncio.get_running_loop(), max_rooms=self.max_rooms)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Closes every connection with 1012, stops every room; ends within 5 s.

        Whoever is cancelled in this waits for no peer any more: sockets are dropped, and what runs for the rooms is cancelled.
        """
        self.closing = True
        deadline = asyncio.get_running_loop().time() + CLOSE_TIME
        assert self._thread is not None
        assert self._place is not None
        try:
            self._thread.hurry(STATEMENT_GRACE)
            await self._watch.stop()
            await self._close_alarms()
            await close_connections(self._rooms.values(), deadline - FOR_ROOMS)
            await end_rooms([*self._rooms.values(), *self._place.leaving], deadline - 0.5)
        except asyncio.CancelledError:
            await give_up_connections(self._rooms.values())
            await end_rooms([*self._rooms.values(), *self._place.leaving], 0.0)
            await self._close_alarms()
            raise
        finally:
            self._rooms.clear()
            self.sender.close()
            try:
                await self._thread.stop()
            finally:
                self._directory.close()
                self._entered = False

    async def _close_alarms(self) -> None:
        assert self._alarms is not None
        try:
            await self._alarms.close()
        except StorageError as fault:
            logger.error("the alarms of %s could not be closed: %s", self._directory.path, fault)

    def server_class(self, party: str) -> type[Server] | None:
        """The class registered under a kebab-case party."""
        return self._classes.get(party)

    @property
    def parties(self) -> list[str]:
        """Its parties as they stand in URLs, in order."""
        return sorted(self._classes)

    def rooms(self, party: str) -> list[str]:
        """Names of a party's rooms that are live or hibernating in this host."""
        there = [(name, room) for (of, name), room in self._rooms.items() if of == party]
        return [name for name, room in there if room.instance is not None or room.occupants.present]

    def instances(self, party: str) -> dict[str, Server]:
        """The instances of a party's rooms that are started, by the room's name. To look at them starts none, and keeps none awake."""
        return {name: room.instance for (of, name), room in self._rooms.items() if of == party and room.instance is not None}

    def connection_count(self) -> int:
        """Open sockets over all rooms."""
        return sum(len(room.fanout.members) for room in self._rooms.values())

    def unread_bytes(self, party: str) -> int:
        """What the sockets of a party were given and the operating system has not taken: how far behind their peers read."""
        return sum(connection.buffered for (of, _), room in self._rooms.items() if of == party for connection in room.occupants.present)

    @overload
    async def get_server_by_name(self, party: type[ServerT], room: str, *, props: Any = None) -> ServerT: ...

    @overload
    async def get_server_by_name(self, party: str, room: str, *, props: Any = None) -> Server: ...

    async def get_server_by_name(self, party: type[ServerT] | str, room: str, *, props: Any = None) -> ServerT | Server:
        """The room's live instance, on_start finished: of a party by its name, or by its class where that is one party's.

        Raises UnknownPartyError, RoomNameError, or StartError when on_start failed.
        """
        name = party if isinstance(party, str) else self._party_of(party)
        found = self._room(name if name in self._classes else kebab(name), check_room_name(room))
        found.offer_props(props)
        return await found.live()

    def _party_of(self, server_class: type[Server]) -> str:
        parties = [party for party, registered in self._classes.items() if registered is server_class]
        if len(parties) != 1:
            what = "no party" if not parties else "several parties: " + ", ".join(parties)
            known = ", ".join(self.parties) or "none"
            raise UnknownPartyError(f"{server_class.__name__} is the class of {what} here: name one, this host has {known}")
        return parties[0]

    async def connect(
        self,
        party: str,
        room: str,
        *,
        request: HTTPConnection,
        grant: Grant,
        accept: Accept,
        connection_id: str | None = None,
        subprotocol: str | None = None,
        props: Any = None,
    ) -> None:
        """Takes one socket into a room: start, tags, on_connect, then `accept`. Returns when the socket is open or was ended with the error
        frame; the socket lives on.

        Raises UnknownPartyError, RoomNameError, HostError (too many rooms) and ConnectionIdError before `accept`, so that the transport can
        answer with an HTTP status.
        """
        if connection_id is not None and not 1 <= len(connection_id) <= ID_LIMIT:
            raise ConnectionIdError(f"a connection id has 1 to {ID_LIMIT} characters, got {len(connection_id)}: shorten _pk")
        self.check_open()
        if self.has_enough(grant.subject):
            # Before there is a room: whoever has too many starts none.
            self.refuse_enough(grant.subject, accept)
            return
        found = self._room(party, check_room_name(room))
        connection = found.connection(
            id=connection_id if connection_id is not None else secrets.token_urlsafe(15),
            uri=connection_uri(request),
            grant=grant,
            subprotocol=subprotocol,
        )
        found.offer_props(props)
        await found.connect(connection, request=request, accept=accept)

    async def request(self, party: str, room: str, *, request: Request, grant: Grant, props: Any = None) -> Response:
        """The room's answer to an HTTP request; an unhandled error is a 500 with a fixed text and an id found in the log."""
        found = self._room(party, check_room_name(room))
        request.scope["partywidgets.grant"] = grant
        found.offer_props(props)
        return await found.request(request, grant)

    def revoke(self, grant_id: str) -> int:
        """Closes every connection that stands on this grant with 4401, also in hibernating rooms; returns how many.

        One that is still on its way into a room closes when it gets there.
        """
        self._revoked[grant_id] = None
        if len(self._revoked) > REVOKED:
            del self._revoked[next(iter(self._revoked))]
        everyone = [connection for room in self._rooms.values() for connection in room.occupants.present]
        standing = [connection for connection in everyone if connection.grant.grant_id == grant_id]
        count = sum(connection.ready_state is ReadyState.OPEN for connection in standing)
        for connection in standing:  # also one that said Close, as long as on_close could still tell it something
            connection.close(4401, "the grant was revoked")
        return count

    async def delete_alarms(self, party: str) -> int:
        """Removes every alarm of a party, also of one that this host does not have any more; returns how many there were."""
        if self._alarms is None:
            raise HostError(NOT_OPEN)
        return await self._alarms.delete_all(party)

    # For rooms.

    def room_storage(self, party: str, name: str) -> Storage:
        """The storage of a room of this host."""
        if self._thread is None or self._alarms is None:
            raise HostError(NOT_OPEN)
        return Storage(self._directory.room_file(party, name), party=party, room=name, thread=self._thread, alarms=self._alarms)

    def check_open(self) -> None:
        """Raises HostError once the host ends: nobody comes in any more."""
        if self.closing:
            raise HostError(CLOSING)

    def end_of(self, grant: Grant) -> str:
        """Why a grant stands no more, for whoever came with it: `revoke` ended it, or its time did. Empty while it stands."""
        if grant.grant_id in self._revoked:
            return "the grant was revoked"
        return "the grant expired" if grant.expired() else ""

    def count_socket(self, subject: str, difference: int) -> None:
        """A socket of `subject` came into a room (1) or left it (-1)."""
        count = self._sockets.get(subject, 0) + difference
        if count:
            self._sockets[subject] = count
        else:
            self._sockets.pop(subject, None)

    def has_enough(self, subject: str) -> bool:
        """True when `subject` has as many sockets as one may."""
        return self.sockets_per_subject is not None and self._sockets.get(subject, 0) >= self.sockets_per_subject

    def refuse_enough(self, subject: str, accept: Accept) -> None:
        """Finishes a handshake to say that its sender has enough sockets: a browser could not read an HTTP status."""
        logger.warning("%r has %d sockets open, which is the limit: another was closed", subject[:80], self._sockets[subject])
        accept(Nobody()).close(1013, f"you have {self.sockets_per_subject} sockets open, the maximum: close some")

    def forget(self, room: Room) -> None:
        """An idle room without sockets goes."""
        if self._rooms.get((room.party, room.name)) is room:
            del self._rooms[room.party, room.name]

    def remember(self, room: Room) -> bool:
        """A room that went is used by somebody who holds it; False for one of an earlier life of this host."""
        key = (room.party, room.name)
        return self._known.get(key) is room and self._rooms.setdefault(key, room) is room

    def _room(self, party: str, name: str) -> Room:
        key = (party, name)
        room = self._rooms.get(key)
        if room is not None:
            return room
        server_class = self._classes.get(party)
        if server_class is None:
            raise UnknownPartyError(f"there is no party {party[:40]!r} here: it has {', '.join(self.parties) or 'none'}")
        self.check_open()
        if len(self._rooms) >= self.max_rooms:
            for idle in self._place.take_out(self._rooms.values()) if self._place is not None else ():
                self.forget(idle)
            if len(self._rooms) >= self.max_rooms:
                raise HostError(
                    f"this host has {self.max_rooms} rooms in use, which is its limit: raise max_rooms, or wait until one is idle"
                )
        room = self._known.get(key)
        if room is None:
            room = Room(self, server_class, party, name)
            self._known[key] = room
        self._rooms[key] = room
        room.watch_idle()
        return room

    async def _ring(self, party: str, name: str) -> None:
        try:
            room = self._room(party, name)
        except HostError as error:
            raise Postponed(str(error)) from error
        with room.busy():
            instance = await room.live()
            try:
                await outcome(begun(instance.on_alarm))
            except Exception as error:
                room.report(error, "on_alarm")
                raise


def connection_uri(request: HTTPConnection) -> str:
    """The URL of an upgrade request as the room saw it: percent-encoding kept, with the scheme http or https as in PartyServer."""
    url, scope = request.url, request.scope
    path = str(scope.get("path", ""))
    raw = scope.get("raw_path")
    # A before-hook that moved the request may have changed the decoded path alone.
    encoded = raw.decode("latin-1") if isinstance(raw, bytes) and unquote(raw.decode("latin-1")) == path else quote(path)
    scheme = "https" if url.scheme in ("wss", "https") else "http"
    return f"{scheme}://{url.netloc}{encoded}{'?' + url.query if url.query else ''}"


__all__ = ["Accept", "PartyHost"]
