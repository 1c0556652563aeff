"""A room's durable storage: key-value, sql() and one alarm, on SQLite in WAL mode."""

from __future__ import annotations

import contextlib
import inspect
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..exceptions import StorageError
from .database import open_database
from .records import Records, Rows, check_key, encoded
from .storage_thread import StorageThread

T = TypeVar("T")

YEAR_5000 = 95_617_584_000.0
"""In seconds since 1970; today's milliseconds are more than that."""

ROOM_VERSION = 1
ROOM_SCHEMA = """
CREATE TABLE partywidgets_room (party TEXT NOT NULL, name TEXT NOT NULL) STRICT;
CREATE TABLE partywidgets_kv (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""


class AlarmTable(Protocol):
    """What a room's storage needs of the host's alarms."""

    async def set(self, party: str, room: str, due: float) -> None: ...

    async def get(self, party: str, room: str) -> float | None: ...

    async def delete(self, party: str, room: str) -> None: ...


class Storage:
    """Keys are str, values are JSON. Opened on first use; runs on a storage thread, in call order. Raises StorageError."""

    def __init__(self, path: Path, *, party: str, room: str, thread: StorageThread, alarms: AlarmTable) -> None:
        self._path = path
        self._party, self._room = party, room
        self._thread = thread
        self._alarms = alarms
        self._database: sqlite3.Connection | None = None
        self.in_use: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext
        """Entered for each use of the file, so that somebody closes it again."""

    @property
    def exists(self) -> bool:
        """True when something was ever kept here. The first use of anything else makes the file."""
        return self._database is not None or self._path.exists()

    @property
    def is_open(self) -> bool:
        """True while its file is."""
        return self._database is not None

    def folder(self, kind: str) -> Path:
        """Where a room's files of a kind have their place in the host's directory; not made yet."""
        return self._path.parent.parent / kind / self._path.stem

    def _open(self) -> sqlite3.Connection:
        """On the storage thread."""
        if self._database is None:
            self._database = open_database(self._path, version=ROOM_VERSION, schema=ROOM_SCHEMA)
            self._thread.watch(self._database)
            if self._database.execute("SELECT 1 FROM partywidgets_room").fetchone() is None:
                self._database.execute("INSERT INTO partywidgets_room VALUES (?, ?)", (self._party, self._room))
        return self._database

    async def _run(self, call: Callable[[Records], T]) -> T:
        def run() -> T:
            database = self._open()
            result = call(Records(database))
            if database.in_transaction:
                database.execute("ROLLBACK")
                raise StorageError("a BEGIN or SAVEPOINT would stay open over calls, other hooks write into it: use storage.transaction()")
            return result

        with self.in_use():
            return await self._thread.run(run, file=self._path)

    async def get(self, key: str, default: Any = None) -> Any:
        """The value of `key`."""
        check_key(key)
        return await self._run(lambda records: records.get(key, default))

    async def put(self, key: str, value: Any) -> None:
        """Stores a value; durable against a process crash when this returns. Raises TypeError or ValueError for what is not JSON."""
        check_key(key)
        text = encoded(value)  # now: the caller may change the value while this waits for its turn
        await self._run(lambda records: records.put_text(key, text))

    async def delete(self, key: str) -> bool:
        """Removes a key; True when it was there."""
        check_key(key)
        return await self._run(lambda records: records.delete(key))

    async def list(
        self, prefix: str = "", *, start: str | None = None, end: str | None = None, reverse: bool = False, limit: int | None = None
    ) -> dict[str, Any]:
        """Pairs in the order of their keys: with `prefix`, from `start` on, before `end`, the last first if `reverse`, at most `limit`."""
        check_key(prefix)
        return await self._run(lambda records: records.list(prefix, start=start, end=end, reverse=reverse, limit=limit))

    async def sql(self, query: str, *params: Any) -> Rows:
        """Runs one statement and returns its rows."""
        return await self._run(lambda records: records.sql(query, *params))

    async def transaction(self, change: Callable[[Records], T]) -> T:
        """Runs a plain function on the room's `Records` and returns what it returns: all that it writes is kept together, or nothing is.

        Nothing else of the room's is read or written meanwhile, so what it reads is still so when it writes. It runs on the storage thread:
        it touches nothing but its argument, and ends soon. What it raises undoes its writes and is raised here.
        """

        if inspect.iscoroutinefunction(change):
            raise TypeError("transaction() takes a plain function: it runs on the storage thread, where nothing can be awaited")

        def call(records: Records) -> T:
            database = self._open()
            database.execute("BEGIN IMMEDIATE")
            try:
                result = change(records)
                database.execute("COMMIT")
                return result
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

        return await self._run(call)

    async def delete_all(self) -> None:
        """Removes every key, every SQL table that the room made, and its alarm."""
        await self.delete_alarm()
        await self.transaction(Records.clear)

    async def set_alarm(self, when: datetime | float) -> None:
        """Sets the room's one alarm: an aware datetime, or seconds since the epoch. A past time fires at once.

        Raises ValueError for a naive datetime, and for a number that can only be JavaScript's milliseconds.
        """
        if isinstance(when, datetime):
            if when.tzinfo is None:
                raise ValueError("an alarm needs an aware datetime: use datetime.now(timezone.utc) + timedelta(...)")
            when = when.timestamp()
        if not isinstance(when, (int, float)):
            raise TypeError(f"an alarm is an aware datetime or seconds since 1970, got {type(when).__name__}: pass time.time() + seconds")
        if not when < YEAR_5000:
            raise ValueError(f"an alarm is in seconds since 1970, got {when!r}: pass time.time() + seconds, not milliseconds")
        await self._alarms.set(self._party, self._room, float(when))

    async def get_alarm(self) -> float | None:
        """When the alarm is due, in seconds since the epoch; None when there is none, also inside on_alarm."""
        return await self._alarms.get(self._party, self._room)

    async def delete_alarm(self) -> None:
        """Removes the alarm."""
        await self._alarms.delete(self._party, self._room)

    async def close(self) -> None:
        """Closes the file; the next use opens it again."""

        def take() -> sqlite3.Connection | None:
            database, self._database = self._database, None
            return database

        if self._database is not None and (database := await self._thread.run(take, file=self._path)) is not None:
            await self._thread.close(database)
