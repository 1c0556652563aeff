"""Failures: the log lines of a room's hooks that fail, no more of them than a person reads and a disk holds.

What makes a hook raise is often a peer's message, and a peer may send ten thousand a second.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import TypeAlias

QUIET = 10.0
"""Seconds in which the same failure is counted instead of told again."""
KINDS = 64
"""Different failures of a room that are told apart; further ones count as one."""

Kind: TypeAlias = tuple[str, str, str, int | None]

logger = logging.getLogger("partywidgets.party")


class Failures:
    """Of one room. A failure is the same as another when its hook, its type and the line that raised it are."""

    def __init__(self, loop: asyncio.AbstractEventLoop, place: str) -> None:
        self.loop = loop
        self._place = place
        self.hook = "a hook"
        """The one whose failure `on_exception` is being told of."""
        self._again: dict[Kind, int] = {}
        self._timers: dict[Kind, asyncio.TimerHandle] = {}

    def tell(self, error: BaseException, hook: str, log_id: str | None = None) -> None:
        """Logs a failure with its traceback, or counts it. `log_id` is what a peer was told: it gets its line in any case."""
        kind = _kind(error, hook)
        if kind not in self._timers and len(self._timers) >= KINDS:
            kind = ("a hook", "several kinds", "", None)
        words = f"{hook} failed" if log_id is None else f"{hook} failed [{log_id}]"
        if kind in self._timers:
            self._again[kind] += 1
            if log_id is not None:
                logger.error("%s: %s, as before: %s: %s", self._place, words, type(error).__name__, str(error)[:200])
            return
        self._again[kind] = 0
        self._timers[kind] = self.loop.call_later(QUIET, self._look, kind)
        logger.error("%s: %s", self._place, words, exc_info=error)

    def _look(self, kind: Kind) -> None:
        """The quiet time is over: what came in it is told in one line, and another such time begins."""
        hook, name, file, line = kind
        count = self._again[kind]
        if not count:
            del self._again[kind], self._timers[kind]
            return
        self._again[kind] = 0
        self._timers[kind] = self.loop.call_later(QUIET, self._look, kind)
        where = f" at {file}:{line}" if file else ""
        logger.error("%s: %s failed %d times more within %g s: %s%s", self._place, hook, count, QUIET, name, where)

    def stop(self) -> None:
        """Tells what is left to tell, and ends."""
        for kind in list(self._timers):
            self._timers[kind].cancel()
            self._look(kind)
        for timer in self._timers.values():
            timer.cancel()


def _kind(error: BaseException, hook: str) -> Kind:
    name = type(error).__name__
    frames = list(traceback.walk_tb(error.__traceback__))
    if not frames:
        return (hook, name, "", None)
    frame, line = frames[-1]
    return (hook, name, frame.f_code.co_filename, line)


__all__ = ["Failures"]
