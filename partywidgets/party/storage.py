"""A room's durable storage: key-value, sql() and one alarm, on SQLite in WAL mode."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias, TypeVar

from ..exceptions import SchemaError, StorageError
from .owner import owner_of

T = TypeVar("T")
Rows: TypeAlias = list[dict[str, Any]]
Pairs: TypeAlias = list[tuple[str, str]]

APPLICATION_ID = 0x70776467
"""SQLite's application_id of our files: "pwdg"."""

STATEMENT_TIME = 30.0
"""Seconds that one statement may take: the storage of every other room of the host waits for it meanwhile."""

INSTRUCTIONS = 100_000
"""Of SQLite's machine between two looks at that clock: about a millisecond."""

YEAR_5000 = 95_617_584_000.0
"""In seconds since 1970; today's milliseconds are more than that."""

ROOM_VERSION = 1
ROOM_SCHEMA = """
CREATE TABLE partywidgets_room (party TEXT NOT NULL, name TEXT NOT NULL) STRICT;
CREATE TABLE partywidgets_kv (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""

logger = logging.getLogger("partywidgets.party")


def default_directory() -> Path:
    """`$PARTYWIDGETS_HOME`, else the user's state directory (XDG Base Directory on Linux, Application Support on macOS)."""
    home = os.environ.get("PARTYWIDGETS_HOME")
    if home:
        return Path(home)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "partywidgets"
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "partywidgets"


def keep_private(path: Path) -> None:
    """Makes a database's file, or takes the rights of others from one that is there: it has the mode 0600 then. Raises OSError.

    SQLite gives the files that it makes beside it (-wal, -shm) the mode of the database, so no umask is needed, which is of the whole
    process. A file that is there is never opened here: closing it would end the locks that SQLite holds on it.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return
    for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        try:
            if stat.S_IMODE(file.stat().st_mode) & 0o077:
                file.chmod(0o600)
        except FileNotFoundError:
            continue
        except PermissionError:
            logger.warning("%s may be read by others and is not this user's to change: its owner should `chmod 600` it", file)


class Directory:
    """A host's directory, locked for as long as it is open. One that another host holds is not shared: a numbered one in it is taken."""

    def __init__(self, path: Path | str | None) -> None:
        self.path = default_directory() if path is None else Path(path)
        self._remedy = "set PARTYWIDGETS_HOME to one of yours" if path is None else "name one that you may write to"
        self._lock: IO[str] | None = None

    def open(self) -> None:
        """Locks the directory. Raises StorageError when it cannot be made or written."""
        wanted = self.path
        for number in range(1, 1000):
            candidate = wanted if number == 1 else wanted / "hosts" / str(number)
            try:
                if number > 1:
                    candidate.parent.mkdir(mode=0o700, exist_ok=True)
                candidate.mkdir(mode=0o700, parents=True, exist_ok=True)
                keep_private(candidate / "lock")
                lock = open(candidate / "lock", "a+")  # noqa: SIM115 - held until close
            except OSError as error:
                remedy = f"make room on its disk, or {self._remedy}" if error.errno == errno.ENOSPC else self._remedy
                reason = "it is a file" if error.errno == errno.EEXIST else f"{error.strerror}{owner_of(candidate / 'lock')}"
                raise StorageError(f"the storage directory {candidate} cannot be used ({reason}): {remedy}") from error
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                continue
            self._lock, self.path = lock, candidate
            if number > 1:
                logger.warning(
                    "another host holds %s: this one keeps its rooms in %s, apart from those; to have those, end the other one first",
                    wanted,
                    candidate,
                )
            elif (mode := stat.S_IMODE(candidate.stat().st_mode)) & 0o077:
                # Not changed: whoever made it may want others in it. What is in it is readable by this user alone all the same.
                logger.warning(
                    "others may enter the storage directory %s (mode %04o): `chmod 700` it unless that is meant", candidate, mode
                )
            return
        raise StorageError(f"the storage directory {wanted} is held by a thousand other hosts: {self._remedy}")

    def close(self) -> None:
        """Lets another host have it."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def room_file(self, party: str, name: str) -> Path:
        """The database of a room. Named by a hash, so that no room name reaches the file system."""
        digest = hashlib.sha256(f"{party}/{name}".encode()).hexdigest()
        return self.path / "rooms" / f"{digest}.sqlite3"


ANEW = "put a backup in its place, or move the file away to start anew"
WRITABLE = "make the file and its directory writable for the user that runs this"
REMEDIES = {
    sqlite3.SQLITE_NOTADB: ANEW,
    sqlite3.SQLITE_CORRUPT: ANEW,
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_IOERR: "look at its disk",
    sqlite3.SQLITE_READONLY: WRITABLE,
    sqlite3.SQLITE_PERM: WRITABLE,
    sqlite3.SQLITE_CANTOPEN: WRITABLE,
    sqlite3.SQLITE_BUSY: "another program holds it: end that one",
    sqlite3.SQLITE_LOCKED: "another program holds it: end that one",
}
"""What helps, by SQLite's primary result code, where it is the file's fault and not the statement's."""


def remedy_of(error: sqlite3.Error) -> str | None:
    """What helps against an error of a database's file; None for one of a statement."""
    return REMEDIES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)


NO_UPGRADES: Mapping[int, str] = {}


def open_database(path: Path, *, version: int, schema: str, upgrades: Mapping[int, str] = NO_UPGRADES) -> sqlite3.Connection:
    """Opens or makes a database in WAL mode.

    `upgrades` maps each older schema to the SQL that makes the next of it; all steps are one transaction.
    Raises SchemaError for one that a newer version wrote, or an older one of which no step leads on; StorageError for one that cannot be
    read. It is then left as it is.

    `synchronous=NORMAL`: what is committed survives a crash of the process; a power loss may take the last commits, never the file.
    A file that is made here is not synced meanwhile, which took 15 to 50 ms: SQLite syncs all of it before its first checkpoint, and one
    that a power loss leaves empty before that is made again.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        keep_private(path)
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(
            f"the database {path} cannot be opened ({error}{owner_of(path)}): {WRITABLE}, and see that there is space"
        ) from error
    try:
        database.row_factory = sqlite3.Row
        if not path.stat().st_size:
            database.execute("PRAGMA synchronous=OFF")
        database.execute("PRAGMA journal_mode=WAL")
        found = int(database.execute("PRAGMA user_version").fetchone()[0])
        owner = int(database.execute("PRAGMA application_id").fetchone()[0])
        if found > version or owner not in (0, APPLICATION_ID):
            raise SchemaError(
                f"the database {path} was written by another version (schema {found}, this one knows {version}): "
                "upgrade partywidgets, or move the file away"
            )
        missing = next((step for step in range(found, version) if found and step not in upgrades), None)
        if missing is not None:
            raise SchemaError(
                f"the database {path} was written by an older version (schema {found}, this one knows {version} and no way "
                f"from {missing}): open it with the partywidgets that wrote it, or move the file away"
            )
        if 0 < found < version:
            steps = ";\n".join(upgrades[step] for step in range(found, version))
            database.executescript(f"BEGIN IMMEDIATE; {steps};\nPRAGMA user_version={version}; COMMIT;")
            logger.info("the database %s was upgraded from schema %d to %d", path, found, version)
        if found == 0:
            database.executescript(f"BEGIN; {schema} PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={version}; COMMIT;")
        database.execute("PRAGMA synchronous=NORMAL")
        return database
    except sqlite3.Error as error:
        database.close()
        raise StorageError(f"the database {path} cannot be used ({error}{owner_of(path)}): {remedy_of(error) or ANEW}") from error
    except BaseException:
        database.close()
        raise


class StorageThread:
    """The one thread on which a host's SQL runs, in the order of the calls.

    A second one closes files: that writes a file's log into it and syncs it, and no room has to wait for another's.
    `statement_time` (seconds) bounds a statement of a room.
    """

    def __init__(self, *, statement_time: float = STATEMENT_TIME) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="partywidgets-storage")
        self._closer = ThreadPoolExecutor(1, thread_name_prefix="partywidgets-closing")
        self._statement_time = statement_time
        self._began = 0.0
        self._end_by = float("inf")

    async def run(self, call: Callable[[], T], *, file: Path) -> T:
        """Runs `call` there; sqlite3's errors become StorageError, which names `file` where that is at fault."""

        def timed() -> T:
            self._began = time.monotonic()
            return call()

        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, timed)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                raise StorageError(
                    f"a statement ran longer than {self._statement_time:g} s, or into the end of its host, and was ended: "
                    "every room's storage waits for it, so give it an index or less to do"
                ) from error
            remedy = remedy_of(error)
            if remedy is not None:
                raise StorageError(f"the database {file} cannot be used ({error}{owner_of(file)}): {remedy}") from error
            raise StorageError(f"the database refused: {error}") from error

    def watch(self, database: sqlite3.Connection) -> None:
        """Bounds the statements of a database that is used on this thread."""
        database.set_progress_handler(self._is_over, INSTRUCTIONS)

    def _is_over(self) -> bool:
        now = time.monotonic()
        return now > self._end_by or now - self._began > self._statement_time

    async def close(self, database: sqlite3.Connection) -> None:
        """Closes a database of which nothing is running any more."""
        await asyncio.get_running_loop().run_in_executor(self._closer, database.close)

    def hurry(self, seconds: float) -> None:
        """The host ends: a statement that still runs in so many seconds is ended."""
        self._end_by = time.monotonic() + seconds

    async def stop(self, timeout: float = 2.0) -> None:
        """Ends the threads after what was asked of them; does not wait longer than `timeout` seconds for that."""
        deadline = time.monotonic() + timeout
        for pool in (self._pool, self._closer):
            pool.shutdown(wait=False)
            for thread in list(pool._threads):
                await asyncio.to_thread(thread.join, max(0.0, deadline - time.monotonic()))


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

    @property
    def exists(self) -> bool:
        """True when something was ever kept here. The first use of anything else makes the file."""
        return self._database is not None or self._path.exists()

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

    def _run(self, call: Callable[[], T]) -> Coroutine[Any, Any, T]:
        return self._thread.run(call, file=self._path)

    async def get(self, key: str, default: Any = None) -> Any:
        """The value of `key`."""

        def call() -> str | None:
            row = self._open().execute("SELECT value FROM partywidgets_kv WHERE key = ?", (key,)).fetchone()
            return None if row is None else str(row[0])

        text = await self._run(call)
        return default if text is None else json.loads(text)

    async def put(self, key: str, value: Any) -> None:
        """Stores a value; durable against a process crash when this returns. Raises TypeError for what is not JSON."""
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
        await self._run(lambda: self._open().execute("INSERT OR REPLACE INTO partywidgets_kv VALUES (?, ?)", (key, text)))

    async def delete(self, key: str) -> bool:
        """Removes a key; True when it was there."""
        return await self._run(lambda: self._open().execute("DELETE FROM partywidgets_kv WHERE key = ?", (key,)).rowcount > 0)

    async def list(self, prefix: str = "", *, limit: int | None = None) -> dict[str, Any]:
        """Keys with `prefix`, in order, at most `limit`."""

        def call() -> Pairs:
            query = "SELECT key, value FROM partywidgets_kv WHERE substr(key, 1, ?) = ? AND key >= ? ORDER BY key LIMIT ?"
            rows = self._open().execute(query, (len(prefix), prefix, prefix, -1 if limit is None else limit))
            return [(row[0], row[1]) for row in rows]

        return {key: json.loads(text) for key, text in await self._run(call)}

    async def sql(self, query: str, *params: Any) -> Rows:
        """Runs one statement and returns its rows."""

        def call() -> Rows:
            return [dict(row) for row in self._open().execute(query, params)]

        return await self._run(call)

    async def set_alarm(self, when: datetime | float) -> None:
        """Sets the room's one alarm: an aware datetime, or seconds since the epoch. A past time fires at once.

        Raises ValueError for a naive datetime, and for a number that can only be JavaScript's milliseconds.
        """
        if isinstance(when, datetime):
            if when.tzinfo is None:
                raise ValueError("an alarm needs an aware datetime: use datetime.now(timezone.utc) + timedelta(...)")
            when = when.timestamp()
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

        if self._database is not None and (database := await self._run(take)) is not None:
            await self._thread.close(database)
