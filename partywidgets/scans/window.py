"""Windows on a large board: a table asks for the rows in view, and is told of these alone. Sorting runs in a thread, shared and bounded."""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..exceptions import ScanError
from .board import Board
from .columns import COLUMN_KEYS, DEFAULT_SORT, is_grouping
from .model import FRAME_BYTES, STATUSES, one_line, wire_time
from .ordering import Look, Ordering

ROWS = 200
"""Most rows of one window."""
GROUPS = 500
"""Most groups of one window."""
FOLDED = 200
PINNED = 200
"""Most rows that a table is told of wherever they stand: those that are selected."""
SEARCH = 500
SORT_KEYS = 4
NAME = 200
QUERY_BYTES = 12 * 1024
"""A query is kept with its connection while the room hibernates, where 16 KiB are allowed."""
FRESH_EVERY = 1.0
"""Seconds between two frames of a window that tell nothing but how fresh the board is; and of looks that time alone changes."""
ORDERINGS = 32
"""Most ways of looking that are kept in order; of 20,000 rows each takes some MB."""


@dataclass(frozen=True, slots=True)
class WindowQuery:
    """What a table asks for: how it looks at the board, and which places of the open groups' rows are in view."""

    look: Look
    first: int
    count: int
    folded: tuple[str, ...] = ()
    pinned: tuple[str, ...] = ()
    """Rows that are told of though they are not in view."""

    @classmethod
    def from_wire(cls, data: Mapping[str, Any]) -> WindowQuery:
        """Reads a `window` message. Raises ValueError with a sentence for the sender."""
        look = read_look(data)
        first, count = data.get("from", 0), data.get("count", ROWS)
        if type(first) is not int or type(count) is not int or first < 0 or not 0 <= count <= ROWS:
            raise ValueError(f"`from` must be a place from 0 on, and `count` a number of rows up to {ROWS}")
        query = cls(look, first, count, _names(data.get("folded"), "folded", FOLDED), _names(data.get("pinned"), "pinned", PINNED))
        if len(json.dumps(query.to_wire())) > QUERY_BYTES:
            raise ValueError(f"a window's query has at most {QUERY_BYTES} bytes of JSON: unfold some groups")
        return query

    def to_wire(self) -> dict[str, Any]:
        """The reverse of `from_wire`: what a hibernating connection keeps of it."""
        return {**asdict(self.look), "from": self.first, "count": self.count, "folded": list(self.folded), "pinned": list(self.pinned)}


@dataclass(slots=True)
class Window:
    """One table's window, and what it was told: so that it hears of what changed alone. `query` is None until it asks."""

    query: WindowQuery | None = None
    _head: dict[str, Any] = field(default_factory=dict)
    _told: dict[str, int] = field(default_factory=dict)
    """The seq of each row in the window that was sent."""
    late: bool = False
    """True when how fresh the board is waits to be told, for it was told less than `FRESH_EVERY` ago."""
    _fresh: tuple[str | None, int] = (None, 0)
    _fresh_at: float = float("-inf")

    def ask(self, query: WindowQuery) -> None:
        """Looks elsewhere: what is told next is complete."""
        self.query, self._head = query, {}

    def frames(self, ordering: Ordering, board: Board) -> Iterator[str]:
        """The `window` messages that bring the table up to date; none when nothing of it changed."""
        query = self.query
        if query is None:
            return
        order = ordering.page(query.first, query.count, query.folded)
        head = {
            "epoch": board.epoch,
            "rows": len(ordering.order),
            "total": len(board.rows),
            "counts": ordering.counts,
            "from": query.first,
            "order": order,
            "gone": [name for name in query.pinned if name not in board.rows],
            "groups": [[group.name, group.count, group.counts] for group in ordering.groups],
        }
        # A row that left since it was sorted, or is newer by now: the board has the last word, and the next order follows.
        names = dict.fromkeys((*order, *query.pinned))
        rows = [row for name in names if (row := board.rows.get(name)) is not None and self._told.get(name) != row.seq]
        self._told = {name: self._told[name] for name in names if name in self._told}
        newest = None if ordering.newest is None else wire_time(ordering.newest)
        fresh, now = (newest, ordering.stale(ordering.clock())), time.monotonic()
        self.late = head == self._head and not rows and fresh != self._fresh and now - self._fresh_at < FRESH_EVERY
        if self.late or (head == self._head and not rows and fresh == self._fresh):
            return
        self._head, self._fresh, self._fresh_at = head, fresh, now
        head = {**head, "newest": newest, "stale": fresh[1]}
        while True:
            start = json.dumps({"seq": board.seq, **head}, separators=(",", ":"))[:-1]
            left = FRAME_BYTES - len(start) - 64
            texts: list[str] = []
            while rows and (not texts or len(board.encoded(rows[0])) + 1 <= left):
                row = rows.pop(0)
                texts.append(board.encoded(row))
                left -= len(texts[-1]) + 1
                self._told[row.fingerprint] = row.seq
            yield f'{{"type":"window","data":{start},"results":[{",".join(texts)}]}}}}'
            if not rows:
                return


class Orderings:
    """The orderings in use, one for each way of looking. One loop owns it; sorting is in a thread, one at a time."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._kept: OrderedDict[Look, Ordering] = OrderedDict()
        self._seq: dict[Look, int] = {}
        self._updated: dict[Look, float] = {}
        self._lock = asyncio.Lock()

    async def of(self, look: Look) -> Ordering:
        """The rows as they are now, looked at this way. Raises ScanError where there are too many groups."""
        async with self._lock:
            ordering = self._kept.setdefault(look, Ordering(look))
            self._kept.move_to_end(look)
            late = ordering.by_time and time.monotonic() - self._updated.get(look, float("-inf")) >= FRESH_EVERY
            if late or self._seq.get(look) != self._board.seq:
                seq, rows, self._updated[look] = self._board.seq, dict(self._board.rows), time.monotonic()
                await asyncio.to_thread(ordering.update, rows)
                self._seq[look] = seq
            while len(self._kept) > ORDERINGS:
                gone, _ = self._kept.popitem(last=False)
                self._seq.pop(gone, None)
                self._updated.pop(gone, None)
            if len(ordering.groups) > GROUPS:
                raise ScanError(f"by {look.group} there are {len(ordering.groups)} groups, at most {GROUPS} are shown: filter first")
            return ordering


def read_look(data: Mapping[str, Any]) -> Look:
    """Reads `sort`, `group`, `search` and `statuses` of a message. Raises ValueError with a sentence for the sender."""
    sort = _names(data.get("sort"), "sort", SORT_KEYS) or DEFAULT_SORT
    for key in sort:
        if key.removeprefix("-") not in COLUMN_KEYS:
            raise ValueError(f"`sort` has no column {one_line(key, 40)!r}: there are {', '.join(COLUMN_KEYS)}")
    group, search = data.get("group") or "", data.get("search") or ""
    if not isinstance(group, str) or len(group) > NAME or (group and not is_grouping(group)):
        raise ValueError("`group` must be status, severity, check_type, host or label:NAME")
    if not isinstance(search, str) or len(search) > SEARCH:
        raise ValueError(f"`search` must be a text of at most {SEARCH} characters")
    statuses = _names(data.get("statuses"), "statuses", len(STATUSES))
    return Look(sort, group, search, tuple(sorted(set(statuses))))


def _names(value: Any, what: str, most: int) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) and len(item) <= NAME for item in value):
        raise ValueError(f"`{what}` must be a list of strings of at most {NAME} characters")
    if len(value) > most:
        raise ValueError(f"`{what}` has {len(value)} items, at most {most} are read")
    return tuple(value)
