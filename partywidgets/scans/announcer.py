"""Telling people: what scans, the schedule, runners and reloads saw, by the callbacks that whoever runs the service gave it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from .board import Board
from .message import Rows, as_text, as_they_are
from .model import CheckResult
from .stream import Emit

BroadcastCallback = Callable[[str, dict[str, Any]], Awaitable[None] | None]
"""Gets a message's type (`scan-started`, `check-result`, `scan-result`, …) and its data."""


class TextCallback(Protocol):
    """The same of several messages of a type, their data as JSON text."""

    def __call__(self, kind: str, /, *texts: str) -> Awaitable[None] | None:
        """Gets them in order."""


BROADCAST_TIMEOUT = 30.0
"""Seconds that one broadcast may take before the scan goes on without it."""

_log = logging.getLogger("partywidgets.scans")


class Announcer:
    """Sends messages, and never raises.

    `broadcast` is what everyone is told by, None: nobody is there. `in_text` names a callback that takes a message's data as JSON text
    as well, by the second one.
    """

    def __init__(self, board: Board) -> None:
        self.broadcast: BroadcastCallback | None = None
        self.in_text: tuple[BroadcastCallback, TextCallback] | None = None
        self._board = board

    async def tell(self, kind: str, message: dict[str, Any] | Rows) -> None:
        """Tells everyone."""
        await self.emitter(self.broadcast)(kind, message)

    async def tell_rows(self, rows: list[CheckResult]) -> None:
        """Tells everyone what rows look like by now, in frames of their size."""
        for part in self._board.parts(rows):
            await self.tell("check-result", as_they_are(self._board, part))

    def emitter(self, broadcast: BroadcastCallback | None) -> Emit:
        """How a scan tells `broadcast` (None: nobody). What it raises, or takes too long for, ends nothing but that message."""

        async def emit(kind: str, *messages: dict[str, Any] | Rows) -> None:
            if broadcast is None or not messages:
                return
            if self.in_text is not None and broadcast == self.in_text[0]:  # all in one go: in a storm there are hundreds
                await _attempt(kind, self.in_text[1], *map(as_text, messages))
                return
            for message in messages:
                await _attempt(kind, broadcast, message.data() if isinstance(message, Rows) else message)

        return emit


async def _attempt(kind: str, call: Callable[..., Awaitable[None] | None], *told: Any) -> None:
    try:
        async with asyncio.timeout(BROADCAST_TIMEOUT):
            sent = call(kind, *told)
            if sent is not None:
                await sent
    except Exception:
        _log.exception("ops-monitor-broadcast/main: a %s could not be broadcast", kind)
