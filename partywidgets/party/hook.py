"""Calling a hook: what it gave back, and what it means when it raises CancelledError."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from ..exceptions import HookError

T = TypeVar("T")
P = ParamSpec("P")


def begun(hook: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
    """What a hook returns when it is called, for `outcome` to await. Raises HookError where that raised CancelledError, as
    `future.result()` does: nobody can cancel a call."""
    try:
        return hook(*arguments, **keywords)
    except asyncio.CancelledError as error:
        raise failure(error) from error


def failure(error: Exception | asyncio.CancelledError) -> Exception:
    """The error itself, or a HookError in place of a CancelledError that nobody's cancelling brought about."""
    if isinstance(error, Exception):
        return error
    named = HookError("a hook awaited a task that was cancelled: catch asyncio.CancelledError there if that is expected")
    named.__cause__ = error
    return named.with_traceback(error.__traceback__)


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
        raise failure(error) from error


__all__ = ["begun", "failure", "outcome"]
