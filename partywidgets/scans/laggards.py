"""Those who read more slowly than rows come: each has a place in the order of changes, not a queue, and gets the newest rows from it."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nsmallest

from ..party import Connection, ReadyState
from .board import Board
from .message import Rows, as_they_are

AHEAD = 256 * 1024
"""Bytes that a socket may have unread and still be told of rows as they come. With one more frame that is half of what it is cut for."""
AT_ONCE = 250
"""Most rows of one frame."""


class Laggards:
    """The watchers of one room that were not told of some rows. No clock and no task of its own."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._told: dict[Connection, int] = {}
        """The seq up to which each was told of every row."""

    def __bool__(self) -> bool:
        return bool(self._told)

    def among(self, watchers: Iterable[Connection]) -> list[Connection]:
        """Those that are behind, or read too slowly for one more frame of rows."""
        return [watcher for watcher in watchers if watcher in self._told or watcher.buffered > AHEAD]

    def miss(self, watchers: Iterable[Connection], seq: int) -> None:
        """Rows whose lowest seq is `seq` were told, and not to these."""
        for watcher in watchers:
            self._told[watcher] = min(self._told.get(watcher, seq), seq - 1)

    def forget(self, watcher: Connection) -> None:
        """It left, or is told of rows in another way."""
        self._told.pop(watcher, None)

    def catch_up(self) -> None:
        """Sends each that has read enough what it misses, as it is by now: one frame, the oldest change first."""
        for watcher, told in list(self._told.items()):
            if watcher.ready_state != ReadyState.OPEN:
                self.forget(watcher)
            elif watcher.buffered <= AHEAD:
                rows = self._rows(told)
                if rows is None:
                    self.forget(watcher)
                else:
                    watcher.send(f'{{"type":"check-result","data":{rows.text()}}}')
                    self._told[watcher] = rows.head["seq"]

    def _rows(self, told: int) -> Rows | None:
        missed = (row for row in self._board.rows.values() if row.seq > told)
        part = next(self._board.parts(nsmallest(AT_ONCE, missed, key=lambda row: row.seq)), None)
        return None if part is None else as_they_are(self._board, part)
