"""The checks of a scan that were not begun yet: so few are begun at once that thousands wait as a list and not as tasks.

A task for each would be made before the first result is read, and be looked through for garbage while it waits: a tenth of a second in
which the host's terminals stand still. What is begun waits for its place in `execution.Slots`; who may go on there is not decided here.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from .execution import Loaded, host_of
from .settings import LimitSettings

AHEAD = 2
"""Begun of one host, or of one type with a limit, in multiples of the limit: the next ones stand ready when a place is left."""
AHEAD_IN_ALL = 4
"""Begun in all, in multiples of the limit: enough that no place stays empty, since at least a quarter of those begun run. For each one that
waits for its type, another of that type runs (`AHEAD` is 2); for each one that waits for its host, another holds a place of that host, and
either runs or waits for its type."""


class Lineup:
    """Gives the checks in their order, but passes over those whose host or type has enough that were begun."""

    def __init__(self, checks: Iterable[Loaded], limits: LimitSettings) -> None:
        self._limits, self._types = limits, limits.of_types()
        self._left = deque(checks)
        self._passed: dict[tuple[str, str], deque[Loaded]] = {}
        """Those passed over, by what they wait for: a host or a type."""
        self._begun: Counter[tuple[str, str]] = Counter()
        self._in_all = 0
        self._free: dict[tuple[str, str], None] = {}
        """Hosts and types with room again, in that order."""
        self._waiting = {loaded.id for loaded in self._left}

    def __contains__(self, check_id: str) -> bool:
        """True for a check that was not begun yet."""
        return check_id in self._waiting

    def begin(self) -> Loaded | None:
        """A check that is to be begun now, None while there is none."""
        if self._in_all >= AHEAD_IN_ALL * self._limits.total:
            return None
        while self._free or self._left:
            freed = next(iter(self._free), None)
            waiting = self._left if freed is None else self._passed[freed]
            loaded = waiting.popleft()
            if freed is not None and not waiting:
                del self._passed[freed], self._free[freed]
            keys = self._keys(loaded)
            full = next((key for key in keys if self._begun[key] >= AHEAD * self._limit(key)), None)
            if full is None:
                self._waiting.discard(loaded.id)
                for key in keys:
                    self._begun[key] += 1
                self._in_all += 1
                return loaded
            waiting = self._passed.setdefault(full, deque())
            if full == freed:
                waiting.appendleft(loaded)
                self._free.pop(full, None)
            else:
                waiting.append(loaded)
        return None

    def ended(self, loaded: Loaded) -> None:
        """Takes back a check that was begun: others of its host and type may be."""
        self._in_all -= 1
        for key in self._keys(loaded):
            self._begun[key] -= 1
            if not self._begun[key]:
                del self._begun[key]
            if key in self._passed:
                self._free[key] = None

    def _keys(self, loaded: Loaded) -> tuple[tuple[str, str], ...]:
        host = "host", host_of(loaded.check.target)
        return (host, ("type", loaded.check.type)) if loaded.check.type in self._types else (host,)

    def _limit(self, key: tuple[str, str]) -> int:
        kind, name = key
        return self._limits.per_host if kind == "host" else self._types[name]
