"""Whether a host's directory is still where it was: SQLite goes on writing into files that were removed, and tells nobody."""

from __future__ import annotations

import asyncio
import logging

from .directory import Directory

LOOK = 5.0
"""Seconds between two looks."""
REMIND = 60.0
"""Seconds between two lines in the log while it is gone."""

logger = logging.getLogger("partywidgets.party")


class DirectoryWatch:
    """Looks every `every` seconds. `lost` while the directory's path leads to another one, or to none."""

    def __init__(self, directory: Directory, *, every: float = LOOK) -> None:
        self.lost = False
        self._directory = directory
        self._every = every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """On the loop that calls."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="partywidgets storage directory")

    async def stop(self) -> None:
        """Ends it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        said_at = float("-inf")
        while True:
            there = await asyncio.to_thread(self._directory.is_there)
            if not there and clock() - said_at >= REMIND:
                said_at = clock()
                logger.error(
                    "the storage directory %s was moved or removed under this host: what rooms and history write now is lost when it ends; "
                    "put the directory back, or copy what is still wanted and restart the host",
                    self._directory.path,
                )
            elif there and self.lost:
                said_at = float("-inf")
                logger.warning("the storage directory %s is there again: what was written meanwhile is in it", self._directory.path)
            self.lost = not there
            await asyncio.sleep(self._every)


__all__ = ["DirectoryWatch"]
