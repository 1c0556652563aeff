"""Ending what was begun, whoever gives up waiting for it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

AFTER_SECONDS = 4.0
"""How much longer an end may take once nobody waits for it: more than the 2 s from a hang-up to a kill, less than a host has to stop."""


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Runs the end of something to its own end. A cancellation meanwhile is kept until then, for 4 s at most: at once it would leave a
    shell that takes no hang-up, or a client's connection. Raises the cancellation, else what the work raises."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    loop = asyncio.get_running_loop()
    until: float | None = None
    while not task.done():
        try:
            await asyncio.wait([task], timeout=None if until is None else max(until - loop.time(), 0))
        except asyncio.CancelledError as error:
            cancelled, until = error, until or loop.time() + AFTER_SECONDS
        if until is not None and loop.time() >= until:
            task.cancel()
            await asyncio.wait([task], timeout=1.0)
            break
    if cancelled is not None:
        if task.done() and not task.cancelled():
            task.exception()
        raise cancelled
    task.result()
