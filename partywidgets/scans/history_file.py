"""The file of a history: one connection on one thread, which does everything in call order.

WAL, `synchronous=NORMAL`: a committed batch survives a crash of the process (kill -9). A power cut may take what came since the last
checkpoint, and never leaves half a batch.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from ..exceptions import StorageError
from ..party.storage import keep_private
from . import history_schema as schema
from .recorded import Row

T = TypeVar("T")

CACHE_KIB = 32 * 1024
"""Pages held in memory, at most. SQLite's own 2 MiB are less than the ends of the indices of a thousand checks."""
CHECKPOINT = 4000
"""Pages (of 4 KiB) in the log before they go into the file: those that many batches write to go there once."""


class HistoryFile:
    """An SQLite file, or with None a database in memory. An async context manager."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._database: sqlite3.Connection | None = None
        self._thread: ThreadPoolExecutor | None = None

    async def __aenter__(self) -> Self:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="partywidgets-ops-history")
        try:
            await self._run(self._open)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown(wait=True)

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        if self._thread is None:
            raise StorageError("the ops history is closed: use it inside `async with`")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)
        except sqlite3.Error as error:
            raise StorageError(f"the ops history {self.path or 'in memory'} cannot be used: {error}; {_remedy(error)}") from error

    @property
    def _db(self) -> sqlite3.Connection:
        assert self._database is not None
        return self._database

    def _open(self) -> None:
        if self.path is not None:
            try:
                keep_private(self.path)
            except OSError as error:
                reason = error.strerror or error
                raise StorageError(f"the ops history {self.path} cannot be used: {reason}; make its directory writable") from error
        database = sqlite3.connect(
            ":memory:" if self.path is None else self.path, isolation_level=None, check_same_thread=False, timeout=5.0
        )
        try:
            database.row_factory = sqlite3.Row
            schema.prepare(database, self.path)
            for setting in ("synchronous = NORMAL", f"cache_size = -{CACHE_KIB}", f"wal_autocheckpoint = {CHECKPOINT}"):
                database.execute(f"PRAGMA {setting}")
        except BaseException:
            database.close()
            raise
        self._database = database

    def _close(self) -> None:
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):  # a full disk must not keep the host from ending
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._database.close()
            self._database = None

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def _write(self, query: str, rows: Sequence[Sequence[Any]]) -> int:
        with self._transaction() as database:
            return int(database.executemany(query, rows).rowcount)

    def _read(self, query: str, params: Sequence[Any]) -> list[Row]:
        return [dict(row) for row in self._db.execute(query, params)]


_REMEDIES = {
    sqlite3.SQLITE_FULL: "is the disk full?",
    sqlite3.SQLITE_READONLY: "make the file and its directory writable",
    sqlite3.SQLITE_CANTOPEN: "make its directory writable",
    sqlite3.SQLITE_NOTADB: "move the file away to begin a new history",
    sqlite3.SQLITE_CORRUPT: "move the file away to begin a new history",
    sqlite3.SQLITE_BUSY: "end the program that holds it",
    sqlite3.SQLITE_IOERR: "look at the disk, whose reads or writes fail",
}


def _remedy(error: sqlite3.Error) -> str:
    # An extended code holds its primary one in the lowest byte.
    return _REMEDIES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "start the host again, or move the file away to begin a new history")
