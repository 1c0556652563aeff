"""A line that is not a complete command, taken back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from ..exceptions import SandboxError

SETTLE_SECONDS = 0.05
"""Between a shell's second prompt and the Ctrl-C that ends it; ten times as long until another."""
TRIES = 5


class TakingBack:
    """Ctrl-C until it is `over`: GNU readline may miss one that comes just as it begins to read, and sees it with the next key."""

    def __init__(self, write: Callable[[bytes], None], *, over: Callable[[], bool]) -> None:
        self._write, self._over = write, over
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """The shell has just asked for more."""
        self.leave()
        self._timer = asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._press, TRIES)

    def _press(self, tries: int) -> None:
        self._timer = None
        if tries and not self._over():
            with contextlib.suppress(SandboxError):
                self._write(b"\x03")
            self._timer = asyncio.get_running_loop().call_later(10 * SETTLE_SECONDS, self._press, tries - 1)

    def leave(self) -> None:
        """What runs from here on is somebody's own."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
