"""How fast output comes through to a viewer: pure, fed with what was sent and what has come."""

from __future__ import annotations

STRETCH = 32 * 1024
"""Less than this says nothing of a line: a round trip is most of its time."""


class LineSpeed:
    """Measures one stretch at a time, from when it was sent to when it has come. Times are of one clock, in seconds."""

    __slots__ = ("_since", "_size", "rate")

    def __init__(self) -> None:
        self.rate: float | None = None
        """Bytes a second; None while nobody knows."""
        self._size = 0
        self._since = 0.0

    def sent(self, size: int, now: float) -> None:
        """So much is under way, behind what was before."""
        if not self._size:
            self._since = now
        self._size += size

    def forget(self) -> None:
        """Whatever is under way, it will not be known when it has come."""
        self._size = 0

    def came(self, left: int, now: float) -> None:
        """All of it has come but the last `left` bytes."""
        size, self._size = self._size - left, 0
        if size >= STRETCH:
            self.rate = size / max(now - self._since, 0.001)

    def came_within(self, size: int, seconds: float) -> None:
        """So much came in a time of which it may not have needed all: it is at least so fast."""
        if self.rate is not None and size >= STRETCH:
            self.rate = max(self.rate, size / max(seconds, 0.001))
