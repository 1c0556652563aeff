"""The file of a history: one connection on one thread, which writes in call order, and others that read beside it.

WAL, `synchronous=NORMAL`: a committed batch survives a crash of the process (kill -9). A power cut may take what came since the last
checkpoint, and never leaves half a batch. Who is told of a result waits until it is written, so nothing that takes long is done on the
thread that writes: neither a look back over millions of results, nor the checkpoint, which waits for the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from ..exceptions import StorageError
from ..party.database import FOR_WANT_OF_ROOM, MORE_FILES, ROOM, is_full, is_out_of_files
from ..party.owner import keep_private, owner_of
from ..party.storage_thread import INSTRUCTIONS
from . import history_schema as schema
from .recorded import Row

T = TypeVar("T")

CACHE_KIB = 32 * 1024
"""Pages held in memory, at most. SQLite's own 2 MiB are less than the ends of the indices of a thousand checks."""
PAGE = 4096
CHECKPOINT = 4000
"""Pages (of 4 KiB) in the log before they go into the file: those that many batches write to go there once."""
MOST_LOG = 32_000
"""Pages at which the writer does it itself and waits for it: the log would grow for ever while batches come without a pause."""
READERS = 2
"""Looks back at the same time: a click is answered beside one that takes seconds."""

_log = logging.getLogger("partywidgets.scans.history")


def damaged_text(raw: bytes) -> str:
    """The text of a file in which bits were flipped, as a connection's `text_factory`: by sqlite3's own, one that is no UTF-8 ends the
    query of all rows. Some slower than that."""
    return raw.decode(errors="replace")


class HistoryFile:
    """An SQLite file, or with None a database in memory. An async context manager."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.lost = False
        """Whether, after the last thing that was written, the path led to another file than that which is written to, or to none."""
        self._database: sqlite3.Connection | None = None
        self._writer: ThreadPoolExecutor | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._reading = threading.local()
        self._opened: list[sqlite3.Connection] = []
        """Of the threads that read; they end with the history."""
        self._opened_as: tuple[int, int] | None = None
        self._long_log = False
        self._ends = False
        """Nobody waits for what is being read any more."""
        self._checkpoint: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="partywidgets-ops-history")
        self._readers = ThreadPoolExecutor(READERS + 1, thread_name_prefix="partywidgets-ops-history-reader")
        self._ends = False
        try:
            await self._run(self._open)
        except BaseException:
            self._writer.shutdown(wait=False)
            self._readers.shutdown(wait=False)
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        writer, readers = self._writer, self._readers
        self._writer = self._readers = None
        loop = asyncio.get_running_loop()
        if readers is not None:
            await loop.run_in_executor(None, self._stop_reading, readers)
        if writer is not None:
            await loop.run_in_executor(writer, self._close)
            writer.shutdown(wait=True)

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        """Does what writes, after all that was to be written before."""
        result = await self._on(self._writer, work, *args)
        self._checkpoint_soon()
        return result

    async def look(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Does what only reads, on the history as it is when it begins. Raises StorageError."""
        if self.path is None:  # a database in memory has this one connection
            return await self._on(self._writer, lambda: work(self._db))
        return await self._on(self._readers, self._looked, work)

    async def change(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Does what writes, in one transaction. Raises StorageError."""
        return await self._run(self._changed, work)

    async def _ask(self, query: str, params: Sequence[Any] = ()) -> list[Row]:
        """The rows of a query."""
        return await self.look(lambda database: [dict(row) for row in database.execute(query, params)])

    async def _on(self, threads: ThreadPoolExecutor | None, work: Callable[..., T], *args: Any) -> T:
        if threads is None:
            raise StorageError("the ops history is closed: use it inside `async with`")
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, work, *args)
        except sqlite3.Error as error:
            whose = "" if self.path is None else owner_of(self.path)
            raise StorageError(
                f"the ops history {self.path or 'in memory'} cannot be used: {error}{whose}; {_remedy(error, self.path)}"
            ) from error

    @property
    def _db(self) -> sqlite3.Connection:
        assert self._database is not None
        return self._database

    def _open(self) -> None:
        if self.path is not None:
            try:
                keep_private(self.path)
            except OSError as error:
                reason = f"{error.strerror or error}{owner_of(self.path)}"
                raise StorageError(f"the ops history {self.path} cannot be used: {reason}; make its directory writable") from error
        database = sqlite3.connect(
            ":memory:" if self.path is None else self.path, isolation_level=None, check_same_thread=False, timeout=5.0
        )
        try:
            database.row_factory = sqlite3.Row
            schema.prepare(database, self.path)
            for setting in (
                "synchronous = NORMAL",
                f"cache_size = -{CACHE_KIB}",
                f"wal_autocheckpoint = {MOST_LOG}",
                f"journal_size_limit = {CHECKPOINT * PAGE}",
            ):
                database.execute(f"PRAGMA {setting}")
        except BaseException:
            database.close()
            raise
        self._database = database
        self._opened_as = self._stamp()

    def _stamp(self) -> tuple[int, int] | None:
        """Which file the path leads to; None: none. A disk that does not answer is another trouble, which what is written tells of."""
        try:
            found = None if self.path is None else os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            return self._opened_as
        return None if found is None else (found.st_dev, found.st_ino)

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
            self.lost = self._stamp() != self._opened_as  # SQLite writes on into a file that was removed, and says nothing
            self._long_log = self._log_size() > CHECKPOINT * PAGE
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def _changed(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._transaction() as database:
            return work(database)

    def _write(self, query: str, rows: Sequence[Sequence[Any]]) -> int:
        with self._transaction() as database:
            return int(database.executemany(query, rows).rowcount)

    # on the threads that read

    def _looked(self, work: Callable[[sqlite3.Connection], T]) -> T:
        database = self._connected()
        database.execute("BEGIN")
        try:
            try:
                return work(database)
            except sqlite3.OperationalError as error:
                if not str(error).startswith("Could not decode to UTF-8"):
                    raise
                database.text_factory = damaged_text
                return work(database)
        finally:
            with contextlib.suppress(sqlite3.Error):  # what went wrong in the work is what matters
                database.execute("COMMIT")

    def _connected(self) -> sqlite3.Connection:
        known: sqlite3.Connection | None = getattr(self._reading, "database", None)
        if known is None:
            assert self.path is not None
            existing = f"{self.path.absolute().as_uri()}?mode=rw"  # where the file was removed, it makes no other
            known = sqlite3.connect(existing, uri=True, isolation_level=None, check_same_thread=False, timeout=5.0)
            self._opened.append(known)
            known.row_factory = sqlite3.Row
            known.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            known.set_progress_handler(lambda: self._ends, INSTRUCTIONS)
            self._reading.database = known
        return known

    def _stop_reading(self, readers: ThreadPoolExecutor) -> None:
        self._ends = True  # a look at millions of results takes longer than a host has to end
        readers.shutdown(wait=True)
        for database in self._opened:
            database.close()

    def _log_size(self) -> int:
        """Bytes of the log. It is cut back to its limit when it begins anew, so what is above that waits to be brought into the file."""
        with contextlib.suppress(OSError):
            if self.path is not None:
                return self.path.with_name(self.path.name + "-wal").stat().st_size
        return 0

    def _checkpoint_soon(self) -> None:
        """Brings what is in the log into the file, beside what is written meanwhile."""
        if self._long_log and self._readers is not None and (self._checkpoint is None or self._checkpoint.done()):
            self._checkpoint = asyncio.get_running_loop().run_in_executor(self._readers, self._checkpointed)

    def _checkpointed(self) -> None:
        try:
            self._connected().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            _log.warning("the log of the ops history %s was not brought into its file: %s", self.path, error)


_REMEDIES = {
    sqlite3.SQLITE_FULL: ROOM,
    sqlite3.SQLITE_READONLY: "make the file and its directory writable",
    sqlite3.SQLITE_CANTOPEN: "make its directory writable",
    sqlite3.SQLITE_NOTADB: "move the file away to begin a new history",
    sqlite3.SQLITE_CORRUPT: "move the file away to begin a new history",
    sqlite3.SQLITE_BUSY: "end the program that holds it",
    sqlite3.SQLITE_IOERR: "look at the disk, whose reads or writes fail",
}


def _remedy(error: sqlite3.Error, path: Path | None) -> str:
    # An extended code holds its primary one in the lowest byte.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_CANTOPEN and is_out_of_files():
        return MORE_FILES
    if code in FOR_WANT_OF_ROOM and path is not None and is_full(path):
        return ROOM
    return _REMEDIES.get(code, "start the host again, or move the file away to begin a new history")
