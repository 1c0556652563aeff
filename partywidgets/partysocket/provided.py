"""Options that may be a value or a function of the moment."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
Provided: TypeAlias = T | Callable[[], T | Awaitable[T]]
"""A value, or a plain or async function that is called before every attempt."""


async def provided(value: Any) -> Any:
    """The value itself, or what its function gives now."""
    found = value() if callable(value) else value
    return await found if inspect.isawaitable(found) else found
