"""When a client that lost its connection tries again, and how often. No I/O."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(slots=True)
class Retries:
    """The wait before retry n is `min_delay * growth ** (n - 1)`, at most `max_delay`, times a random factor in `[1 - jitter, 1 + jitter]`.

    `most` follow a failure; None: no limit. A connection that was up for `min_uptime` starts the count afresh. Times are in seconds.
    """

    min_delay: float
    max_delay: float
    growth: float
    jitter: float
    min_uptime: float
    most: int | None
    count: int = 0
    """Since the last connection that lasted."""

    def afresh(self) -> None:
        """Somebody asked for a connection."""
        self.count = 0

    def lasted(self, seconds: float) -> None:
        """A connection was up for so long."""
        if seconds >= self.min_uptime:
            self.afresh()

    def take(self) -> bool:
        """Takes the next one; False when they are used up."""
        if self.most is not None and self.count >= self.most:
            return False
        self.count += 1
        return True

    def delay(self) -> float:
        """Seconds to wait before the one that was taken last."""
        growth = self.growth ** min(self.count - 1, 64)
        return min(self.max_delay, self.min_delay * growth) * random.uniform(1 - self.jitter, 1 + self.jitter)


__all__ = ["Retries"]
