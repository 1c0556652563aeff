"""How much of a terminal's output may be recorded, so that redacting it never slows the rooms. Pure; the clock is given."""

from __future__ import annotations

import time
from collections.abc import Callable

from .cast import Written

SHARE = 0.05
"""Of a core that a room's recording takes at most while output pours: the redactor reads 10 MB/s, 0.6 where much looks like a secret, and
holds the interpreter's lock meanwhile."""
BURST_SECONDS = 0.03
BURST_BYTES = 64 * 1024
"""What comes at once after a silence is recorded up to so much work, but at least this much."""
GAP_SECONDS = 1.0
"""What a gap lasts at least."""
SCREEN_BYTES = 384 * 1024
"""About the largest screen that ends a gap."""


class Budget:
    """How much output may be redacted now, by how fast that went last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._at = clock, clock()
        self.speed = 8e6
        """Bytes a second."""
        self._left = self._burst

    @property
    def _burst(self) -> float:
        return max(BURST_BYTES, BURST_SECONDS * self.speed)

    @property
    def screen_seconds(self) -> float:
        """Between two screens, so that they take no more than their share."""
        return max(GAP_SECONDS, SCREEN_BYTES / self.speed / SHARE)

    def take(self, size: int) -> bool:
        """True when a piece may still be redacted; it is then counted."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * SHARE * self.speed)
        self._at = now
        if self._left <= 0:
            return False
        self._left -= size
        return True

    def measured(self, written: Written) -> None:
        """Learns from a writing that was long enough to tell."""
        if written.output > 8192 and written.seconds > 0:
            self.speed = min(20e6, max(0.4e6, written.output / written.seconds))
