"""The thread on which what terminals leave behind is redacted and written: recordings, the audit log, saved screens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ..redaction import redact

T = TypeVar("T")

_pool: ThreadPoolExecutor | None = None


def recording_thread() -> ThreadPoolExecutor:
    """The one thread on which all rooms' recordings are redacted and written."""
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="partywidgets-recording")
    return _pool


async def off_loop(call: Callable[[], T]) -> T:
    """What `call` returns, called on that thread."""
    return await asyncio.get_running_loop().run_in_executor(recording_thread(), call)


async def redacted(text: str, known: Iterable[str]) -> str:
    """A text without its secrets, found off the loop."""
    return await off_loop(lambda: redact(text, known))
