"""How long a row that comes and goes must stand better before a target is told so.

Such a row (hard each time, and too slow to be flapping) would page all night. When a target was told more than `RESTLESS` times of it, it
counts as better only when it has stood so for a time that doubles with each further message.
"""

from __future__ import annotations

from collections import deque

from ..duration import format_duration

RESTLESS, RESTLESS_SPAN = 6, 6 * 3600.0
"""Messages about one row in that many seconds beyond which its recoveries must last: three problems, each with its end."""
CALM, LONGEST_CALM = 900.0, 4 * 3600.0
"""Seconds that the first recovery must last then, and any at most."""


class Calm:
    """How often a target was told of each row, lately. Times are those of one clock, in seconds."""

    def __init__(self) -> None:
        self._spoken: dict[str, deque[float]] = {}

    def told(self, fingerprint: str, now: float) -> None:
        """One more message about a row arrived."""
        self._spoken.setdefault(fingerprint, deque(maxlen=2 * RESTLESS)).append(now)

    def forget(self, fingerprint: str) -> None:
        """The row is gone."""
        self._spoken.pop(fingerprint, None)

    def asked(self, fingerprint: str, now: float, *, more: int = 0) -> float:
        """Seconds that a row must stand better before that is told, after `more` messages: none for one that was told of seldom."""
        spoken = self._spoken.get(fingerprint)
        if spoken is None:
            return 0.0
        while spoken and spoken[0] <= now - RESTLESS_SPAN:
            spoken.popleft()
        over = len(spoken) + more - RESTLESS - 1
        return 0.0 if over < 0 else min(LONGEST_CALM, CALM * 2**over)

    def words(self, fingerprint: str, now: float) -> str:
        """What the message says that is about to go out; empty for a row that was told of seldom."""
        asked = self.asked(fingerprint, now, more=1)
        return f"it comes and goes: a recovery is told when it has lasted {format_duration(asked)}" if asked else ""
