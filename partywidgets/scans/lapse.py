"""A time in which the history takes nothing: a line in the log when it begins, one a minute while it lasts, one when it is over."""

from __future__ import annotations

import logging
import time
from collections.abc import Coroutine
from typing import Any

from ..exceptions import StorageError

REMIND = 60.0
"""Seconds between two lines: a full disk must not be filled with what is said of it."""
QUIET = 10.0
"""Seconds without a failure after which a writing that succeeds ends the lapse. Small ones may find room where large ones do not."""

_log = logging.getLogger("partywidgets.scans")


class Lapse:
    """Waits for writings to the history. One that fails is counted, and what is under way goes on without it."""

    def __init__(self) -> None:
        self._missed = 0
        self._failed_at = self._said_at = float("-inf")

    async def kept(self, writing: Coroutine[Any, Any, Any]) -> None:
        """Returns when it is written, or cannot be."""
        try:
            await writing
        except StorageError as error:
            self._missed += 1
            self._failed_at = now = time.monotonic()
            if now - self._said_at >= REMIND:
                self._said_at = now
                _log.error("scans go on without their history (%d times by now): %s", self._missed, error)
        else:
            if self._missed and time.monotonic() - self._failed_at >= QUIET:
                _log.warning("the history is written again: it lacks what came %d times meanwhile", self._missed)
                self._missed, self._said_at = 0, float("-inf")
