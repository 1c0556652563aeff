"""What a hook gave back."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from typing import TypeVar

from ..exceptions import HookError

T = TypeVar("T")


async def outcome(result: Awaitable[T] | T) -> T:
    """The value that a plain or async hook returns.

    Raises HookError where the hook awaited something that was cancelled while its own task was not: that would end it without a word.
    """
    if not inspect.isawaitable(result):
        return result
    try:
        awaited: T = await result
        return awaited
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise HookError("a hook awaited a task that was cancelled: catch asyncio.CancelledError there if that is expected") from error


__all__ = ["outcome"]
