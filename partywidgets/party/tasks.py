"""The tasks of a room: each has an owner who ends it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

END_TIME = 2.0
"""Seconds that cancelled tasks are waited for."""

logger = logging.getLogger("partywidgets.party")


class Tasks:
    """Those of the engine, which the host ends, and those that the room's instance spawned, which end with it.

    `place` names the room in the log.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, place: str) -> None:
        self._loop = loop
        self._place = place
        self._running: set[asyncio.Task[Any]] = set()
        self._spawned: set[asyncio.Task[Any]] = set()

    def run(self, coroutine: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """A task of the engine. What it raises is for whoever waits for it."""
        task = self._loop.create_task(coroutine, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # marked as seen

    def spawn(self, coroutine: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """A task of the instance; see Server.spawn."""
        task = self._loop.create_task(coroutine, name=f"{self._place} {name}")
        self._spawned.add(task)
        task.add_done_callback(self._spawned_ended)
        return task

    def _spawned_ended(self, task: asyncio.Task[Any]) -> None:
        self._spawned.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s: the task %r failed", self._place, task.get_name(), exc_info=error)

    async def end_spawned(self) -> None:
        """Cancels those of the instance."""
        await _cancel(self._spawned)

    async def end(self) -> None:
        """Cancels all."""
        await _cancel(self._spawned)
        await _cancel(self._running)


async def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancels tasks other than the running one and waits for them, not for ever."""
    waiting = [task for task in tasks if task is not asyncio.current_task()]
    for task in waiting:
        task.cancel()
    if waiting:
        await asyncio.wait(waiting, timeout=END_TIME)


__all__ = ["Tasks"]
