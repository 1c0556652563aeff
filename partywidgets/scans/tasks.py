"""The tasks of a service: each has its owner here, and ends with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from ..exceptions import ScanError

T = TypeVar("T")

_log = logging.getLogger("partywidgets.scans")


class Tasks:
    """Tasks under way. Belongs to one loop."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def stop(self, *, timeout: float) -> None:
        """Cancels all but the caller's own, and waits at most `timeout` seconds for them to end."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)

    def own(self, coroutine: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Starts a task. One that ends with an error says so in the log; a ScanError is its waiter's to see."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, ScanError):
            _log.error("%s ended with an error", task.get_name(), exc_info=error)
