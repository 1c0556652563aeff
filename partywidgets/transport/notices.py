"""Notices: log lines for what peers ask for in vain, each told once in a while, since a peer may ask without end."""

from __future__ import annotations

import logging
import time

QUIET = 60.0
"""Seconds in which the same line is not told again."""
LINES = 100
"""Different lines in that time; what is more is left out, and the last one says so."""

logger = logging.getLogger("partywidgets.transport")


class Notices:
    """Of one way in."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._since = 0.0

    def is_new(self, text: str) -> bool:
        """False for what was told a short while ago, and for all once there was too much."""
        now = time.monotonic()
        if now - self._since > QUIET:
            self._told.clear()
            self._since = now
        if text in self._told or len(self._told) > LINES:
            return False
        self._told.add(text)
        return True

    def tell(self, text: str) -> None:
        """Logs a warning unless it was told a short while ago."""
        if self.is_new(text):
            logger.warning(text if len(self._told) <= LINES else "more such requests are not told of for a while")


__all__ = ["Notices"]
