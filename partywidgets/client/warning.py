"""A warning for whoever asked: at their line, also where the work was done on another loop."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")

PACKAGE = __name__.partition(".")[0]

_heard: ContextVar[list[str] | None] = ContextVar("heard", default=None)


def warn(sentence: str) -> None:
    """A UserWarning; in work that a handle stands for, whoever awaits that is given it."""
    heard = _heard.get()
    if heard is None:
        show(sentence)
    else:
        heard.append(sentence)


def show(sentence: str) -> None:
    """A UserWarning at the line that called this package: Python shows one of ours once, and never where the mistake is."""
    level = 2
    frame = sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == PACKAGE:
        level, frame = level + 1, frame.f_back
    warnings.warn(sentence, UserWarning, stacklevel=level)


async def hearing(work: Coroutine[Any, Any, T], heard: list[str]) -> T:
    """Does the work as a task of its own, and keeps its warnings in `heard`."""
    _heard.set(heard)
    return await work
