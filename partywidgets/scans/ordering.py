"""The board's rows as one table looks at them: sorted, filtered, in groups. Shared by all who look at it in the same way. No I/O."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from .model import CheckResult
from .row_filter import compile_filter, goes_by_time
from .row_values import SortValue, group_of, group_rank, sort_value, stale_at


@dataclass(frozen=True, slots=True)
class Look:
    """How a table is looked at: what tables must have in common to share an `Ordering`. `sort` has the strongest first."""

    sort: tuple[str, ...]
    group: str = ""
    search: str = ""
    statuses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """A group's name, how many rows it has, and how many of each status."""

    name: str
    count: int
    counts: dict[str, int]


@dataclass(slots=True)
class _Entry:
    row: CheckResult
    group: str
    keys: list[SortValue]
    shown: bool


@dataclass(slots=True)
class Ordering:
    """The fingerprints in order. `update` looks anew at those rows alone that are others than before."""

    look: Look
    order: list[str] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    """How many rows have each status, with those that the filter leaves out."""
    newest: datetime | None = None
    """When the row looked at last was looked at."""
    clock: Callable[[], float] = time.time
    _entries: dict[str, _Entry] = field(default_factory=dict)
    _stale_at: list[float] = field(default_factory=list)
    """When each row that can be stale is so, in order."""

    @property
    def by_time(self) -> bool:
        """True when time alone changes which rows are shown: it is brought up to date though no row is another."""
        return goes_by_time(self.look.search)

    def stale(self, now: float) -> int:
        """How many rows, with those that the filter leaves out, are older than they should be at `now`."""
        return bisect_left(self._stale_at, now)

    def update(self, rows: Mapping[str, CheckResult]) -> None:
        """Brings the order to `rows`, which nobody changes meanwhile: it may run in a thread, with a copy of the board's."""
        keep = compile_filter(self.look.search, self.look.statuses, self.clock)
        by_time = self.by_time
        entries: dict[str, _Entry] = {}
        changed = len(rows) != len(self._entries)
        for fingerprint, row in rows.items():
            entry = self._entries.get(fingerprint)
            if entry is None or entry.row is not row:
                entry, changed = self._entry(row, keep(row)), True
            elif by_time and entry.shown is not (shown := keep(row)):
                entry, changed = self._entry(row, shown), True
            entries[fingerprint] = entry
        if not changed:
            return
        # What stands in order already sorts fast.
        before = self._entries
        order = [name for name in self.order if name in entries and entries[name].shown]
        order += [name for name, entry in entries.items() if entry.shown and (name not in before or not before[name].shown)]
        self._entries = entries
        self.order = self._sorted(order)
        self.groups = self._divided() if self.look.group else []
        self.counts = _count(entries.values())
        self.newest = max((row.observed_at for row in rows.values()), default=None)
        self._stale_at = sorted(stale_at(row) for row in rows.values() if row.ttl_s is not None)

    def rows(self) -> list[CheckResult]:
        """All rows in order, also those of folded groups: as they were sorted, whatever came since."""
        return [self._entries[name].row for name in self.order]

    def page(self, first: int, count: int, folded: Sequence[str] = ()) -> list[str]:
        """Fingerprints from place `first` on, where the rows of groups that are folded away have no place."""
        if not folded or not self.groups:
            return self.order[first : first + count]
        found: list[str] = []
        at = open_rows = 0
        for group in self.groups:
            if group.name not in folded:
                begin, end = max(first - open_rows, 0), min(first + count - open_rows, group.count)
                found += self.order[at + begin : at + end] if begin < end else []
                open_rows += group.count
            at += group.count
        return found

    def _entry(self, row: CheckResult, shown: bool) -> _Entry:
        group = group_of(row, self.look.group) if self.look.group else ""
        return _Entry(row, group, [sort_value(row, key.removeprefix("-")) for key in self.look.sort] if shown else [], shown)

    def _sorted(self, order: list[str]) -> list[str]:
        """By the weakest key first: each sort leaves what is equal as it was. Equal rows stand by fingerprint, so that the order is one."""
        entries = self._entries
        order.sort()
        for place in range(len(self.look.sort) - 1, -1, -1):
            order.sort(key=lambda name: entries[name].keys[place], reverse=self.look.sort[place].startswith("-"))
        if self.look.group:
            by = self.look.group
            order.sort(key=lambda name: group_rank(entries[name].group, by))
        return order

    def _divided(self) -> list[Group]:
        groups = []
        for name, members in groupby((self._entries[name] for name in self.order), key=lambda entry: entry.group):
            inside = list(members)
            groups.append(Group(name, len(inside), _count(inside)))
        return groups


def _count(entries: Iterable[_Entry]) -> dict[str, int]:
    counts = dict.fromkeys(("crit", "warn", "unknown", "ok", "skip"), 0)
    for entry in entries:
        counts[entry.row.status] += 1
    return counts
