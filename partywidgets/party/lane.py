"""The lane of a connection: its hooks one at a time, in order, while one of them takes its time."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ..exceptions import StartError
from .hook import begun, outcome

if TYPE_CHECKING:
    from .connection import Connection
    from .room import Room
    from .server import Server

logger = logging.getLogger("partywidgets.party")

WAKE_RETRIES = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Seconds between the attempts to start a hibernating room for an on_close that is owed; an alarm has the same."""

PAUSE_ABOVE = 64
RESUME_BELOW = 16
"""Queued messages of one connection between which its socket is not read."""

PAUSE_ABOVE_BYTES = 1024 * 1024
"""Nor while this much is queued, however few messages it is."""

OVERDUE = 30.0
"""Seconds that an on_close waits for the hook before it until the log says so."""


@dataclass(frozen=True, slots=True)
class Departure:
    """How a connection ended, waiting for its turn behind the messages that came before."""

    code: int
    reason: str
    was_clean: bool


Job: TypeAlias = str | bytes | Exception | Departure
"""A message, a breach of the protocol, or the end."""


class Lane:
    """Goes on with a hook that has begun, then with what waits, and ends when nothing does.

    A connection has one only while there is something to wait for: what comes meanwhile is put behind it.
    """

    __slots__ = ("_connection", "_hook", "_overdue", "_room", "_waiting", "_worker", "jobs", "paused")

    def __init__(
        self, connection: Connection, room: Room, first: Awaitable[None] | None, *jobs: Job, hook: str = "on_message", paused: bool = False
    ) -> None:
        self._connection = connection
        self._room = room
        self.paused = paused
        """True while the connection is not read, since so much waits."""
        self.jobs: deque[Job] = deque(jobs)
        self._waiting = sum(map(_weight, jobs)) if jobs else 0
        self._hook = hook
        """The one that has its turn."""
        self._overdue: asyncio.TimerHandle | None = None
        connection._lane = self
        # Now and not in the task: on a busy loop the room could fall asleep before that has its turn.
        room.begin()
        self._worker = room.tasks.run(self._work(first, hook), name=f"{room.place} {connection.id}")

    def put(self, job: Job) -> None:
        """Behind what waits."""
        self.jobs.append(job)
        self._waiting += _weight(job)
        if isinstance(job, Departure):
            self._overdue = self._room.loop.call_later(OVERDUE, self._tell_overdue)
        if not self.paused and (len(self.jobs) > PAUSE_ABOVE or self._waiting > PAUSE_ABOVE_BYTES):
            self.paused = True
            self._connection.wire.pause()

    def give_up(self) -> None:
        """Cancels the hook that runs, so that on_close has its turn; it is not cancelled itself."""
        if self._hook != "on_close":
            self._worker.cancel()

    def _tell_overdue(self) -> None:
        """Not cancelled: it may rightly take an hour, and might be in the middle of what must be whole."""
        logger.warning(
            "%s: on_close of %r waits for its %s, which has not ended %g s after the peer left: give what that awaits a timeout",
            self._room.place,
            self._connection.id,
            self._hook,
            OVERDUE,
        )

    async def _work(self, first: Awaitable[None] | None, hook: str) -> None:
        room, jobs, connection = self._room, self.jobs, self._connection
        try:
            if first is not None:
                await room.guard(first, hook)
            while jobs:
                job = jobs.popleft()
                self._waiting -= _weight(job)
                if self.paused:
                    if len(jobs) < RESUME_BELOW and self._waiting <= PAUSE_ABOVE_BYTES:
                        self.paused = False
                        connection.wire.resume()
                    else:
                        connection.wire.pause()
                await self._handle(job)
        finally:
            room.finish()
            connection._lane = None
            if self._overdue is not None:
                self._overdue.cancel()
            for job in jobs:
                if isinstance(job, Departure):
                    # The room ended in the middle: on_close still comes, on a lane of its own.
                    Lane(connection, room, None, job, paused=self.paused)

    async def _handle(self, job: Job) -> None:
        room, connection = self._room, self._connection
        hook = self._hook = "on_close" if isinstance(job, Departure) else "on_error" if isinstance(job, Exception) else "on_message"
        if isinstance(job, Departure) and self._overdue is not None:
            self._overdue.cancel()
        try:
            instance = await self._start_to_depart(job) if isinstance(job, Departure) else await room.live()
            result: Any
            if isinstance(job, Departure):
                result = begun(instance.on_close, connection, job.code, job.reason, job.was_clean)
            elif isinstance(job, Exception):
                result = begun(instance.on_error, connection, job)
            elif not connection._closed:
                result = begun(instance.on_message, connection, job)
            else:
                return
            await outcome(result)
        except Exception as error:
            room.report(error, hook)
        finally:
            if isinstance(job, Departure):
                connection._answer(job)

    async def _start_to_depart(self, departure: Departure) -> Server:
        """The instance for an on_close. Nobody else would tell a room that could not start, so this tries again; the peer is answered."""
        room, connection = self._room, self._connection
        for delay in WAKE_RETRIES:
            try:
                return await room.live()
            except StartError as error:
                if room.host.closing:
                    raise
                logger.warning("%s: on_close of %r has to wait %g s: %s", room.place, connection.id, delay, error)
                connection._reply(departure)
                await asyncio.sleep(delay)
        return await room.live()


def _weight(job: Job) -> int:
    return len(job) if isinstance(job, (str, bytes)) else 0


__all__ = ["Departure", "Lane"]
