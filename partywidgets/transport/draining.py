"""Whether a peer takes what waits for it: pure, fed with what the socket and the kernel say."""

from __future__ import annotations

FLOOR = 512
"""Bytes a second that a peer's machine must acknowledge to be taken for one on a slow line. The slowest line that anybody works over (GSM
data, 9.6 kbit/s) brings 1,200; at this rate the most that waits for a peer (`party.fanout.DEFAULT_CAP`) is gone in 35 minutes. A peer
that acknowledges a byte now and then, only to go on holding what waits for it, counts as one that takes nothing."""


class Draining:
    """Follows one peer from one sign of progress to the next. Times are of one clock, in seconds; counts are bytes since the beginning.

    `taken`: what left our own buffer, which is progress however little it is, and rare: the kernel takes the next bytes once a third of its
    buffer is free, and of a socket under Tornado's TLS nothing is told before all of a write is out. `acknowledged`: what the peer's
    machine has acknowledged, progress from `FLOOR` bytes a second on; None where the kernel does not tell.
    """

    __slots__ = ("_acknowledged", "_taken", "since")

    def __init__(self, now: float, taken: int, acknowledged: int | None) -> None:
        self.since = now
        """When it made progress last, or was looked at first."""
        self._taken = taken
        self._acknowledged = acknowledged

    def moved(self, now: float, taken: int, acknowledged: int | None) -> bool:
        """True for progress since the last one; from there on it is counted anew."""
        crept = 0 if acknowledged is None or self._acknowledged is None else acknowledged - self._acknowledged
        if taken <= self._taken and (crept <= 0 or crept < FLOOR * (now - self.since)):
            return False
        self.since, self._taken, self._acknowledged = now, taken, acknowledged
        return True


__all__ = ["FLOOR", "Draining"]
