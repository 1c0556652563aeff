"""A time in which the history takes no results: a line in the log when it begins, one a minute while it lasts, one when it is over.

People are told when it begins and when it is over: who looks back at this time will find nothing.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ..exceptions import StorageError

REMIND = 60.0
"""Seconds between two lines: a full disk must not be filled with what is said of it."""
QUIET = 10.0
"""Seconds without a failure after which results that are written end the lapse. A few may find room where many do not."""

DIRECTORY_LOST = "its directory was moved or removed"
FILE_LOST = "its file was moved or removed"
_REMEDY = "put it back, or restart the host, which begins a new one"

_log = logging.getLogger("partywidgets.scans")


class _LostError(StorageError):
    """What was written is in a file that was removed."""


class Lapse:
    """Waits for writings to the history. One that fails is counted and logged, and what is under way goes on without it.

    Only results that cannot be written begin a lapse, for they are lost, and only results that are written end it: the line that a scan has
    begun is so short that even a full disk may take it, and figures that were not summed up are summed up later. `told` is called when a
    lapse has begun, and when it is over.
    `lost` says why, while what is written goes into files that were removed; else "".
    """

    def __init__(self, told: Callable[[], Awaitable[None]], *, lost: Callable[[], str] = lambda: "") -> None:
        self.reason: str | None = None
        """Why the history is not written, for people who may not know the host's paths; None while it is."""
        self._told = told
        self._lost = lost
        self._missed = 0
        self._failed_at = self._said_at = float("-inf")

    async def kept(self, writing: Coroutine[Any, Any, Any], *, results: bool = False) -> bool:
        """Returns when it is written (True), or cannot be."""
        try:
            await writing
            if results and (why := self._lost()):
                raise _LostError(why)
        except StorageError as error:
            self._missed += 1
            now = time.monotonic()
            if now - self._said_at >= REMIND:
                self._said_at = now
                remedy = f": {_REMEDY}" if isinstance(error, _LostError) else ""
                _log.error("scans go on without their history (%d times by now): %s%s", self._missed, error, remedy)
            if results:
                self._failed_at = now
                if self.reason is None:
                    cause = error.__cause__
                    known = str(cause) if isinstance(cause, sqlite3.Error) else str(error) if isinstance(error, _LostError) else ""
                    self.reason = known or "the host's log says why"
                    await self._told()
            return False
        if results and self.reason is not None and time.monotonic() - self._failed_at >= QUIET:
            _log.warning("the history is written again: it lacks what came %d times meanwhile", self._missed)
            self._missed, self._said_at, self.reason = 0, float("-inf"), None
            await self._told()
        return True
