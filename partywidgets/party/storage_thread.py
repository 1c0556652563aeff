"""Where a host's SQL runs: one thread, in the order of the calls."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from ..exceptions import StorageError
from .database import remedy_of
from .owner import owner_of

T = TypeVar("T")

STATEMENT_TIME = 30.0
"""Seconds that one statement may take: the storage of every other room of the host waits for it meanwhile."""

INSTRUCTIONS = 100_000
"""Of SQLite's machine between two looks at that clock: about a millisecond."""


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
        self._ended = False

    async def run(self, call: Callable[[], T], *, file: Path) -> T:
        """Runs `call` there; sqlite3's errors become StorageError, which names `file` where that is at fault."""

        def timed() -> T:
            self._began = time.monotonic()
            return call()

        if self._ended:
            raise StorageError(f"the host of {file} has ended: keep what is needed before, or start a host again")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, timed)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                raise StorageError(
                    f"a statement ran longer than {self._statement_time:g} s, or into the end of its host, and was ended: "
                    "every room's storage waits for it, so give it an index or less to do"
                ) from error
            remedy = remedy_of(error, file)
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
        self._ended = True
        deadline = time.monotonic() + timeout
        for pool in (self._pool, self._closer):
            pool.shutdown(wait=False)
            for thread in list(pool._threads):
                await asyncio.to_thread(thread.join, max(0.0, deadline - time.monotonic()))


__all__ = ["StorageThread"]
