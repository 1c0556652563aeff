"""Options that may be a value or a function of the moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

from ..party.hook import begun, outcome

T = TypeVar("T")
Provided: TypeAlias = T | Callable[[], T | Awaitable[T]]
"""A value, or a plain or async function that is called before every attempt."""


async def provided(value: Any) -> Any:
    """The value itself, or what its function gives now."""
    return await outcome(begun(value) if callable(value) else value)
