"""A round of looks: each check of a scan once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime
from functools import partial
from typing import Any

from .execution import Bench, Loaded
from .lineup import Lineup
from .model import CheckResult

STARTS = 50
"""Looks that are begun in one turn of the loop."""
STOP_TIMEOUT = 5.0
"""Seconds that the looks under way have to end when the round is cancelled."""

Own = Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"]
"""Makes a task of the service's own: cancelled when it stops."""


class Round:
    """Begins the looks by a `Lineup` and has them made on `bench`; `took` gets each result when its look ends."""

    def __init__(self, checks: Iterable[Loaded], bench: Bench, own: Own, took: Callable[[Loaded, CheckResult], None]) -> None:
        self._bench, self._own, self._took = bench, own, took
        self._checks = list(checks)
        self._lineup = Lineup(self._checks, bench.limits)
        self._looks: set[asyncio.Task[None]] = set()
        self._some_ended = asyncio.Event()

    def __contains__(self, check_id: str) -> bool:
        """True for a check that was not begun yet."""
        return check_id in self._lineup

    async def run(self, *, scan_id: str, scheduled_at: datetime) -> None:
        """Returns when the last look has ended. Cancelled, it cancels those under way, whose results are lost."""
        await self._bench.libraries.ready(*(loaded.check for loaded in self._checks))
        try:
            while True:
                self._some_ended.clear()
                for _ in range(STARTS):
                    if (loaded := self._lineup.begin()) is None:
                        break
                    task = self._own(self._look(loaded, scan_id, scheduled_at), f"check {loaded.id}")
                    self._looks.add(task)
                    task.add_done_callback(partial(self._ended, loaded))
                else:
                    await asyncio.sleep(0)
                    continue
                if not self._looks:
                    return
                await self._some_ended.wait()
        except asyncio.CancelledError:
            for task in self._looks:
                task.cancel()
            if self._looks:
                await asyncio.wait(self._looks, timeout=STOP_TIMEOUT)
            raise

    async def _look(self, loaded: Loaded, scan_id: str, scheduled_at: datetime) -> None:
        self._took(loaded, await self._bench.look(loaded, scan_id=scan_id, scheduled_at=scheduled_at))

    def _ended(self, loaded: Loaded, task: asyncio.Task[None]) -> None:
        self._looks.discard(task)
        self._lineup.ended(loaded)
        self._some_ended.set()
