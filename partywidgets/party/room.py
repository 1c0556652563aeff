"""Room: what a host keeps for one (party, name), also while no instance of its class is in memory."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import secrets
from collections.abc import Awaitable, Collection, Coroutine, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response

from ..exceptions import HostError, StartError
from . import resume
from .arrivals import CLOSING, Arrivals
from .connection import Connection, ConnectionContext, ReadyState, check_tags
from .counting import Counting
from .failures import Failures
from .fanout import Fanout
from .grant import Grant
from .hook import begun, failure, outcome
from .nobody import Nobody, refuse_session
from .occupants import Occupants
from .server import Server, instance_of
from .storage import Storage
from .tasks import Tasks
from .wire import Frame

if TYPE_CHECKING:
    from .host import Accept, PartyHost

logger = logging.getLogger("partywidgets.party")

REQUEST_ERROR = "The room could not answer this request"
STOP_TIMEOUT = 5.0


class Room:
    """One room of a host. `instance` is None while it is not started or hibernates; connections, storage and alarm outlive it."""

    def __init__(self, host: PartyHost, server_class: type[Server], party: str, name: str) -> None:
        self.host = host
        self.server_class = server_class
        self.party = party
        self.name = name
        self.place = f"room {party}/{name}"
        self.instance: Server | None = None
        self.props: Any = None
        self.loop = asyncio.get_running_loop()
        self.fanout = Fanout(self.loop, place=self.place, cap=host.slow_consumer_cap, sender=host.sender)
        self.storage: Storage = host.room_storage(party, name)
        self.storage.in_use = self._storage_used
        # Below the cap with what the rest of a turn brings, or who resumes would be cut for it, and again, and again.
        log_bytes = min(resume.MAX_BYTES, host.slow_consumer_cap * 3 // 4)
        self.history = resume.History(max_bytes=log_bytes) if server_class.resumable else None
        self._counting = Counting(self.loop, self.fanout, self.history) if self.history is not None else None
        self.failures = Failures(self.loop, self.place)
        self.holds = 0
        self.occupants = Occupants(self.fanout, host.count_socket)
        self.arrivals = Arrivals(patience=host.connect_timeout)
        self._unborn: Server | None = None
        self._starting: asyncio.Task[Server] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._running = 0
        self._ended = False
        self.touched = self.loop.time()
        self._idle_timer: asyncio.TimerHandle | None = None
        self.tasks = Tasks(self.loop, self.place)

    # Life of the instance.

    def offer_props(self, props: Any) -> None:
        """Props count until the instance starts; later ones change nothing."""
        if props is not None and self.instance is None and not self.occupants.present:
            self.props = props

    async def live(self) -> Server:
        """The started instance; raises StartError, and the next caller tries again."""
        if self.instance is not None:
            self.touch()
            return self.instance
        if self._ended:
            raise StartError(f"{self.place} could not start: its host has ended")
        if self._starting is None:
            self._starting = self.tasks.run(self._start(), name=f"start {self.place}")
        # Whoever asked first may give up without ending the start of the others.
        await asyncio.wait([starting := self._starting])
        if starting.cancelled():
            raise StartError(f"{self.place} could not start: its host has ended")
        return starting.result()

    async def _start(self) -> Server:
        try:
            if self._stopping is not None:
                await asyncio.wait([self._stopping])
            if self._unborn is None:
                self._unborn = begun(instance_of, self.server_class, self)
            unborn = self._unborn
            with self.busy():
                async with asyncio.timeout(self.host.start_timeout):
                    await outcome(begun(unborn.on_start, self.props))
            self._unborn = None
            self.instance = unborn
            return unborn
        except Exception as error:
            raise StartError(f"{self.place} could not start: on_start raised {type(error).__name__}") from error
        finally:
            self._starting = None
            self.watch_idle()

    def touch(self) -> None:
        """Something happened: the idle time begins anew."""
        self.touched = self.loop.time()

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """While a hook runs, the instance stays."""
        self.begin()
        try:
            yield
        finally:
            self.finish()

    def begin(self) -> None:
        """A hook has its turn, from now until `finish`, also while its task has not begun."""
        self._running += 1

    def finish(self) -> None:
        self._running -= 1
        self.touch()

    def watch_idle(self) -> None:
        """Sees to it that the room sleeps, or is forgotten, once it is idle; a second call changes nothing."""
        if self._idle_timer is None and not self.host.closing:
            self._idle_timer = self.loop.call_later(self.host.hibernate_after, self._check_idle)

    @contextlib.contextmanager
    def _storage_used(self) -> Iterator[None]:
        # By somebody who held on to an instance that went, perhaps: the host closes the file of no room that it has forgotten.
        if self._idle_timer is None and self._stopping is None and self.host.remember(self):
            self.touch()
            self.watch_idle()
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    def _check_idle(self) -> None:
        self._idle_timer = None
        if self.host.closing:
            return
        rest = self.touched + self.host.hibernate_after - self.loop.time()
        may_sleep = self.server_class.hibernate or not self.occupants.present
        if rest > 0.001:
            self._idle_timer = self.loop.call_later(rest, self._check_idle)
        elif self._running or self.holds or self._starting is not None or not may_sleep:
            self._idle_timer = self.loop.call_later(self.host.hibernate_after, self._check_idle)
        elif self.instance is not None or self.storage.is_open:
            self.stop()
        else:
            self._forget()

    @property
    def vacant(self) -> bool:
        """True while nobody is here, nothing holds the instance and nothing of it runs."""
        return not (self.occupants.present or self.holds or self._running or self._starting or self._stopping)

    @property
    def recoverable(self) -> bool:
        """True while somebody who lost its socket could still come back for what it missed."""
        return self.history is not None and self.history.fresh()

    def vacate(self) -> asyncio.Task[None]:
        """A vacant room makes place: as when idle, but nobody resumes here any more. Whoever comes later waits for the end of this."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if self.history is not None:
            self.history.begin()
        return self.stop()

    def stop(self) -> asyncio.Task[None]:
        """Drops the instance, see `sleep`; one such task at a time."""
        if self._stopping is None:
            self._stopping = self.tasks.run(self.sleep(), name=f"stop {self.place}")
        return self._stopping

    def sleep(self) -> Coroutine[Any, Any, None]:
        """Drops the instance: on_stop, then its tasks, then its database. Sockets stay. Events are the next one's from this call on."""
        instance, self.instance = self.instance, None
        return self._stop(instance)

    async def _stop(self, instance: Server | None) -> None:
        try:
            if instance is not None:
                try:
                    async with asyncio.timeout(STOP_TIMEOUT):
                        stopping: Awaitable[None] | None = begun(instance.on_stop)
                        await outcome(stopping)
                except Exception as error:
                    self.report_line(error, "on_stop")
                await self.tasks.end_spawned()
            try:
                await self.storage.close()
            except Exception as error:  # nobody waits for this task's; the next use opens the file anew
                self.report_line(error, "closing its storage")
        finally:
            self._stopping = None
            self._forget()

    def _forget(self) -> None:
        if self.recoverable or self.storage.is_open:
            self.watch_idle()
        elif self.instance is None and self._starting is None and not self.occupants.present and not self.holds:
            self._unborn = None
            self.host.forget(self)

    async def end(self) -> None:
        """Cancels what still runs for this room, which starts no more."""
        self._ended = True
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if self._counting is not None:
            self._counting.stop()
        self.failures.stop()
        await self.tasks.end()

    # Errors.

    def report_line(self, error: BaseException, hook: str) -> str:
        """Logs an error under an id that a peer may be told, and returns the id."""
        log_id = secrets.token_hex(6)
        self.failures.tell(error, hook, log_id)
        return log_id

    def report(self, error: Exception | asyncio.CancelledError, hook: str) -> None:
        """Gives an unhandled error of a hook to on_exception; that of a room that cannot start only to the log."""
        instance, error = self.instance, failure(error)
        if instance is None or isinstance(error, StartError):
            self.report_line(error, hook)
            return
        self.failures.hook = hook
        try:
            result = begun(instance.on_exception, error)
        except Exception as second:
            self.report_line(error, hook)
            self.report_line(second, "on_exception")
            return
        if inspect.isawaitable(result):
            self.tasks.run(self.guard(result, "on_exception"), name=f"{self.place} on_exception")

    async def guard(self, awaitable: Awaitable[Any], hook: str) -> None:
        """Awaits a hook's result; what it raises goes to on_exception."""
        try:
            await outcome(awaitable)
        except Exception as error:
            if hook == "on_exception":
                self.report_line(error, hook)
            else:
                self.report(error, hook)

    # Connections.

    def connection(self, *, id: str, uri: str, grant: Grant, subprotocol: str | None) -> Connection:
        """A new connection, not yet registered. Raises ConnectionIdTakenError when another subject has the id."""
        self.occupants.check_id(id, grant)
        return Connection(self, id=id, uri=uri, grant=grant, subprotocol=subprotocol)

    def join(self, connection: Connection) -> None:
        """Registers a connection: from now on it is listed and gets broadcasts, held until its handshake is done."""
        connection._ready = ReadyState.OPEN
        self.occupants.join(connection)

    def leave(self, connection: Connection) -> None:
        """Out of the lists and the broadcasts, by identity; what is queued for it is written first."""
        self.occupants.leave(connection)
        if self._counting is not None:
            self._counting.leave(connection)

    def departed(self, connection: Connection) -> None:
        """Its on_close has run."""
        self.occupants.forget(connection)
        self.touch()
        self.watch_idle()

    def broadcast(self, frame: Frame, without: Iterable[str]) -> None:
        """See Server.broadcast. Raises TypeError for a str in place of a list of ids."""
        if without:
            if isinstance(without, str):
                raise TypeError("broadcast(without=) takes a list of connection ids, got a str: put it into a list")
            ids = frozenset(without)
            if self.history is not None:
                self.history.append(frame, ids)
            excluded = self.occupants.named(ids)
            self.fanout.broadcast(frame, excluded)
            if self._counting is not None:
                self._counting.left_out(excluded)
        else:
            if self.history is not None:
                self.history.append(frame)
            self.fanout.broadcast(frame)

    def send_to(self, connections: Collection[Connection], *frames: Frame) -> None:
        """See Server.send_to."""
        if self.history is not None or len(connections) < 2:
            for connection in [one for one in connections if one in self.fanout.members]:
                for frame in frames:
                    connection.send(frame)
        else:
            wanted = frozenset(connections)
            others = [member for member in self.fanout.members if member not in wanted]
            for frame in frames:
                self.fanout.broadcast(frame, others)

    def send_now(self, connections: Collection[Connection], frame: Frame) -> None:
        """See Server.send_now."""
        # A lone viewer's echo: what the turn keeps of a frame that is written at once is an eighth of its way through us.
        if len(connections) == 1 and self.history is None:
            for connection in connections:
                if connection in self.fanout.members:
                    connection.send_now(frame)
        else:
            self.send_to(connections, frame)
            self.fanout.flush()

    async def connect(self, connection: Connection, *, request: HTTPConnection, accept: Accept) -> None:
        """Start, tags, on_connect, then the handshake; see PartyHost.connect."""
        ctx = ConnectionContext(request, connection.grant)
        hook, ended, enough, closed = "on_start", "", False, False
        try:
            with self.busy():
                instance = await self.live()
                # All four may have changed while the room started.
                ended = self.host.end_of(connection.grant)
                async with self.arrivals.admit(connection):
                    if not ended:
                        hook = "get_connection_tags"
                        connection.tags = check_tags(connection.id, await outcome(begun(instance.get_connection_tags, connection, ctx)))
                        ended = self.host.end_of(connection.grant)
                    hook = ""
                    self.host.check_open()
                    self.occupants.check_id(connection.id, connection.grant)
                    enough = self.host.has_enough(connection.grant.subject)
                    closed = connection.ready_state is not ReadyState.CONNECTING
                    if not ended and not enough and not closed:
                        hook = "on_connect"
                        self.join(connection)
                        if self._counting is not None:
                            self._counting.admit(connection, request.url.query)
                        await outcome(begun(instance.on_connect, connection, ctx))
        except BaseException as error:
            self.leave(connection)
            self.occupants.forget(connection)
            connection._ready = ReadyState.CLOSED
            self.watch_idle()
            if self._ended and isinstance(error, StartError):
                raise HostError(CLOSING) from error
            if not hook or not isinstance(error, Exception) or (self.host.closing and isinstance(error, HostError)):
                raise  # no hook's: the transport has a status for it
            log_id = self.report_line(error, hook)
            if ended := self.host.end_of(connection.grant):
                accept(Nobody()).close(4401, ended)
            else:
                refuse_session(accept, log_id)
            return
        if not ended and not enough and not closed:
            self._open(connection, accept)
            return
        connection._ready = ReadyState.CLOSED
        self.watch_idle()
        if ended:
            accept(Nobody()).close(4401, ended)
        elif closed:  # by get_connection_tags, with a code and a reason
            connection._opened(accept(Nobody()))
        else:
            self.host.refuse_enough(connection.grant.subject, accept)

    def _open(self, connection: Connection, accept: Accept) -> None:
        try:
            connection._opened(accept(connection))
        except BaseException:
            connection.lost(1006, "the handshake failed")  # on_connect has run, so on_close does
            raise
        connection.watch_grant()

    async def request(self, request: Request, grant: Grant) -> Response:
        """The room's answer to an HTTP request."""
        try:
            with self.busy():
                instance = await self.live()
                if ended := self.host.end_of(grant):  # while the room started, or a before-hook took its time
                    raise HTTPException(401, ended, {"WWW-Authenticate": "Bearer"})
                response: object = await outcome(begun(instance.on_request, request))
                if not isinstance(response, Response):
                    raise TypeError(f"on_request must return a starlette Response, got {type(response).__name__}")
                return response
        except HTTPException as answer:
            return PlainTextResponse(answer.detail, status_code=answer.status_code, headers=answer.headers)
        except ClientDisconnect:
            logger.info("%s: a client left in the middle of its request", self.place)
            return Response(status_code=400)
        except Exception as error:
            log_id = self.report_line(error, "on_request")
            instance_now = self.instance
            if instance_now is not None and type(instance_now).on_exception is not Server.on_exception:
                self.report(error, "on_request")
            return PlainTextResponse(f"{REQUEST_ERROR} (log id {log_id})", status_code=500)
        finally:
            self.watch_idle()


__all__ = ["Room"]
