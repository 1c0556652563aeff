"""The alarms of all rooms of a host: one indexed table, one timer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from ..exceptions import StorageError
from .database import open_database
from .storage_thread import StorageThread

T = TypeVar("T")

VERSION = 1
SCHEMA = """
CREATE TABLE alarms (party TEXT NOT NULL, room TEXT NOT NULL, due REAL NOT NULL, failures INTEGER NOT NULL, turn INTEGER NOT NULL,
    PRIMARY KEY (party, room)) STRICT, WITHOUT ROWID;
CREATE INDEX alarms_by_due ON alarms (due);
"""

RETRIES = 6
"""After the first attempt: gaps of 2, 4, 8 … 64 s, as Durable Objects do."""

AT_ONCE = 16
"""Alarms that ring at once: after a night without the host all are overdue, and their rooms would start together."""

TURN_TIME = 30.0
"""Seconds after which an on_alarm that still runs no longer counts among those: one that hangs holds up nobody else's alarm."""

LOOK = 1.0
"""Seconds between two looks at the clock on the wall: it may be set, and a machine that was suspended has slept through its timers."""

SET = 1.0
"""Seconds by which it must have moved against the machine's own clock to count as set."""

PAUSE = 5.0
"""Seconds until another try where the table cannot be read or written, as on a full disk."""

LONGEST_SLEEP = 30.0
"""Seconds between two looks at the table, however far the next alarm is."""

logger = logging.getLogger("partywidgets.party")


class Postponed(Exception):
    """The room cannot be had now, through no fault of its own: its alarm rings later, and this attempt does not count."""


Ring = Callable[[str, str], Awaitable[None]]
"""Runs a room's on_alarm; raises what it raises, or Postponed."""


class Alarms:
    """At least once: a row goes only when its on_alarm has returned, so one that was running at a crash runs again.

    At most `AT_ONCE` ring at a time, those first that were due first. Alarms of a party that is not in `parties` stay as they are.
    `turn`, a random number, tells a row from the one that took its place while on_alarm ran. `retry_base` is in seconds.
    """

    def __init__(self, path: Path, thread: StorageThread, ring: Ring, *, parties: Collection[str], retry_base: float = 2.0) -> None:
        self._path = path
        self._thread = thread
        self._ring = ring
        self._parties = tuple(parties)
        self._retry_base = retry_base
        self._database: sqlite3.Connection | None = None
        self._ringing: dict[tuple[str, str], int] = {}
        self._taking_turns: set[tuple[str, str]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ahead = _ahead()
        """Of the clock on the wall, when the table was last looked at."""
        self._put_off: set[tuple[str, str]] = set()
        """Alarms whose room could not be had: each is tried again in seconds, as one that failed is."""
        self._quiet_until = 0.0
        self._postponed = 0
        self._changed = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Finds the alarms of earlier runs; those past due ring now. Says which will not, for want of their party."""

        def call() -> list[tuple[str, int]]:
            self._database = open_database(self._path, version=VERSION, schema=SCHEMA)
            # The clock may have been set back while no host ran: what failed was to be tried in seconds.
            longest = time.time() + self._retry_base * 2 ** (RETRIES - 1)
            self._database.execute("UPDATE alarms SET due = ? WHERE failures > 0 AND due > ?", (longest, longest))
            return [(row[0], row[1]) for row in self._database.execute("SELECT party, count(*) FROM alarms GROUP BY party")]

        for party, count in await self._call(call):
            if party not in self._parties:
                logger.warning(
                    "this host has no party %r, whose alarms (%d in %s) wait: they ring when a host with it starts here; "
                    "if it is gone for good, `await host.delete_alarms(%r)` removes them",
                    party,
                    count,
                    self._path,
                    party,
                )
        self._watcher = asyncio.get_running_loop().create_task(self._watch(), name="partywidgets alarms")

    async def close(self) -> None:
        """Stops ringing; on_alarms that run are cancelled and their alarms kept."""
        tasks = [task for task in (self._watcher, *self._tasks) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=2.0)

        def call() -> None:
            if self._database is not None:
                self._database.close()
                self._database = None

        await self._call(call)

    def _call(self, call: Callable[[], T]) -> Coroutine[Any, Any, T]:
        return self._thread.run(call, file=self._path)

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            raise sqlite3.ProgrammingError("the host is closed")
        return self._database

    async def set(self, party: str, room: str, due: float) -> None:
        query = (
            "INSERT INTO alarms VALUES (?, ?, ?, 0, ?) ON CONFLICT (party, room) "
            "DO UPDATE SET due = excluded.due, failures = 0, turn = excluded.turn"
        )
        self._put_off.discard((party, room))
        await self._call(lambda: self._open().execute(query, (party, room, due, secrets.randbits(62))))
        self._changed.set()

    async def get(self, party: str, room: str) -> float | None:
        def call() -> tuple[float, int] | None:
            row = self._open().execute("SELECT due, turn FROM alarms WHERE party = ? AND room = ?", (party, room)).fetchone()
            return None if row is None else (row[0], row[1])

        row = await self._call(call)
        if row is None or self._ringing.get((party, room)) == row[1]:
            return None
        return row[0]

    async def delete(self, party: str, room: str) -> None:
        self._put_off.discard((party, room))
        await self._call(lambda: self._open().execute("DELETE FROM alarms WHERE party = ? AND room = ?", (party, room)))

    async def delete_all(self, party: str) -> int:
        """Removes every alarm of a party; returns how many there were."""
        self._put_off = {key for key in self._put_off if key[0] != party}
        return await self._call(lambda: self._open().execute("DELETE FROM alarms WHERE party = ?", (party,)).rowcount)

    async def _watch(self) -> None:
        while True:
            self._changed.clear()
            ahead = _ahead()
            try:
                due, wait = await self._call(self._next)
            except Exception as error:
                logger.error("the alarms in %s wait, another look in %g s: %s", self._path, PAUSE, error, exc_info=_unexpected(error))
                due, wait = [], PAUSE
            for party, room, turn, failures in due:
                self._ringing[party, room] = turn
                self._taking_turns.add((party, room))
                task = asyncio.get_running_loop().create_task(self._run(party, room, turn, failures), name=f"alarm of {party}/{room}")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            await self._rest(wait, ahead)

    async def _rest(self, seconds: float, ahead: float) -> None:
        """Until these are over, an alarm changed, or the clock on the wall is not as far `ahead` any more: it was set."""
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        while not self._changed.is_set() and (left := end - clock()) > 0 and abs(_ahead() - ahead) < SET:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, LOOK)):
                    await self._changed.wait()

    def _next(self) -> tuple[list[tuple[str, str, int, int]], float]:
        """On the storage thread: what is due, not ringing, and has its turn; and the seconds until the next."""
        now = time.time()
        self._follow()
        turns = AT_ONCE - len(self._taking_turns)
        due: list[tuple[str, str, int, int]] = []
        # The `+` keeps SQLite to the index by time: it would gather all alarms of the parties and sort them.
        query = f"SELECT party, room, due, failures, turn FROM alarms WHERE +party IN ({','.join('?' * len(self._parties))}) ORDER BY due"
        for row in self._open().execute(query, self._parties):
            if (row["party"], row["room"]) in self._ringing:
                continue
            if len(due) >= turns:
                break
            if row["due"] > now:
                return due, min(row["due"] - now, LONGEST_SLEEP)
            due.append((row["party"], row["room"], row["turn"], row["failures"]))
        return due, LONGEST_SLEEP

    def _follow(self) -> None:
        """On the storage thread: a clock that was set back takes the next tries along, which were to come in seconds."""
        moved = _ahead() - self._ahead
        if moved <= -SET:
            self._open().execute("UPDATE alarms SET due = due + ? WHERE failures > 0", (moved,))
            put_off = [(moved, *key) for key in list(self._put_off)]
            self._open().executemany("UPDATE alarms SET due = due + ? WHERE party = ? AND room = ? AND failures = 0", put_off)
        self._ahead += moved

    async def _run(self, party: str, room: str, turn: int, failures: int) -> None:
        where, key = "WHERE party = ? AND room = ? AND turn = ?", (party, room, turn)
        self._put_off.discard((party, room))
        turn_over = asyncio.get_running_loop().call_later(TURN_TIME, self._end_turn, party, room)
        try:
            try:
                await self._ring(party, room)
            except Postponed as reason:
                delay = self._retry_base * 2 ** (RETRIES - 1)
                self._tell_postponed(f"{party}/{room}", delay, reason)
                again = time.time() + delay
                if await self._call(lambda: self._open().execute(f"UPDATE alarms SET due = ? {where}", (again, *key)).rowcount):
                    self._put_off.add((party, room))
            except Exception as error:
                if failures >= RETRIES:
                    logger.exception("room %s/%s: its alarm failed %d times and is given up", party, room, failures + 1)
                    await self._call(lambda: self._open().execute(f"DELETE FROM alarms {where}", key))
                else:
                    delay = self._retry_base * 2**failures
                    logger.error("room %s/%s: on_alarm failed, again in %g s", party, room, delay, exc_info=error)
                    again = time.time() + delay
                    await self._call(
                        lambda: self._open().execute(f"UPDATE alarms SET due = ?, failures = ? {where}", (again, failures + 1, *key))
                    )
            else:
                await self._call(lambda: self._open().execute(f"DELETE FROM alarms {where}", key))
        except Exception as error:
            logger.error("room %s/%s: what became of its alarm could not be kept: %s", party, room, error, exc_info=_unexpected(error))
            # It is due still, and would ring as fast as it can.
            self._end_turn(party, room)
            await asyncio.sleep(PAUSE)
        finally:
            turn_over.cancel()
            self._ringing.pop((party, room), None)
            self._end_turn(party, room)

    def _tell_postponed(self, place: str, delay: float, reason: Postponed) -> None:
        """A line in `delay` seconds: a full host may have to put off thousands of alarms, each of them again and again."""
        now = asyncio.get_running_loop().time()
        self._postponed += 1
        if now >= self._quiet_until:
            others = f" (and {self._postponed - 1} others since the last such line)" if self._postponed > 1 else ""
            logger.warning("room %s: its alarm has to wait %g s%s: %s", place, delay, others, reason)
            self._quiet_until, self._postponed = now + delay, 0

    def _end_turn(self, party: str, room: str) -> None:
        """Another may ring."""
        self._taking_turns.discard((party, room))
        self._changed.set()


def _ahead() -> float:
    """Seconds that the clock on the wall is ahead of the machine's own, which nobody sets."""
    return time.time() - time.monotonic()


def _unexpected(error: Exception) -> Exception | None:
    """What a log line shows with its traceback; of a StorageError its sentence says all."""
    return None if isinstance(error, StorageError) else error
