"""Running a command's coroutine so that a signal ends it in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

from . import Verdict

T = TypeVar("T")


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns. SIGTERM ends it as Ctrl-C does: children are ended and the terminal is as it was; the exit code is 128 + 15."""
    terminated = False

    async def main() -> T:
        working = asyncio.ensure_future(work)

        def end() -> None:
            nonlocal terminated
            terminated = True
            working.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
        return await working

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        if terminated:
            raise Verdict(128 + signal.SIGTERM) from None
        raise
