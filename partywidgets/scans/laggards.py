"""Who reads more slowly than the room tells: each has a place in the order of changes, not a queue, and gets the newest rows from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import Any

from ..party import Connection, ReadyState
from .board import Board
from .message import Rows, as_they_are
from .model import utc_now, wire_time

AHEAD = 256 * 1024
"""Bytes that a socket may have unread and still be told of things as they come. With one more frame that is half of what it is cut for."""
AT_ONCE = 250
"""Most rows of one frame."""
NEWS = ("state-change", "ack")
"""Messages of one row each: in a storm they are as many as the rows, and what a row is by now tells the same."""


@dataclass(slots=True)
class Skipped:
    """Messages that a watcher was not told: how many of each kind, and since when."""

    changes: int = 0
    acks: int = 0
    since: str = ""

    def add(self, kind: str, texts: Sequence[str]) -> None:
        """More of a kind."""
        if kind == "state-change":
            self.changes += len(texts)
        else:
            self.acks += len(texts)
        if not self.since:
            # Of an ack that a recovery ends `at` is when it began.
            self.since = min(json.loads(text)["at"] for text in texts) if kind == "state-change" else wire_time(utc_now())

    def to_wire(self) -> dict[str, Any]:
        """For who was not told."""
        return {"changes": self.changes, "acks": self.acks, "since": self.since}


class Laggards:
    """The watchers of one room that were not told of something. No clock and no task of its own."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._told: dict[Connection, int] = {}
        """The seq up to which each was told of every row."""
        self._skipped: dict[Connection, Skipped] = {}

    def __bool__(self) -> bool:
        return bool(self._told or self._skipped)

    def among(self, watchers: Iterable[Connection]) -> list[Connection]:
        """Those that are behind with rows, or read too slowly for one more frame."""
        return [watcher for watcher in watchers if watcher in self._told or watcher.buffered > AHEAD]

    def miss(self, watchers: Iterable[Connection], seq: int) -> None:
        """Rows whose lowest seq is `seq` were told, and not to these."""
        for watcher in watchers:
            self._told[watcher] = min(self._told.get(watcher, seq), seq - 1)

    def skip(self, watchers: Iterable[Connection], kind: str, texts: Sequence[str]) -> None:
        """Messages of a kind in `NEWS`, JSON text, were told, and not to these."""
        for watcher in watchers:
            self._skipped.setdefault(watcher, Skipped()).add(kind, texts)

    def forget(self, watcher: Connection) -> None:
        """It left."""
        self._told.pop(watcher, None)
        self._skipped.pop(watcher, None)

    def forget_rows(self, watcher: Connection) -> None:
        """It is told of rows in another way."""
        self._told.pop(watcher, None)

    def catch_up(self) -> None:
        """Sends each that has read enough what it misses, as it is by now: one frame, the oldest change first. When it has all rows, how
        much news of them it was not told."""
        for watcher in [*self._told, *(watcher for watcher in self._skipped if watcher not in self._told)]:
            if watcher.ready_state != ReadyState.OPEN:
                self.forget(watcher)
            elif watcher.buffered <= AHEAD:
                told = self._told.get(watcher)
                rows = None if told is None else self._rows(told)
                if rows is not None:
                    watcher.send(f'{{"type":"check-result","data":{rows.text()}}}')
                    self._told[watcher] = rows.head["seq"]
                else:
                    self.forget_rows(watcher)
                    if (skipped := self._skipped.pop(watcher, None)) is not None:
                        watcher.send(json.dumps({"type": "skipped", "data": skipped.to_wire()}))

    def _rows(self, told: int) -> Rows | None:
        missed = (row for row in self._board.rows.values() if row.seq > told)
        part = next(self._board.parts(nsmallest(AT_ONCE, missed, key=lambda row: row.seq)), None)
        return None if part is None else as_they_are(self._board, part)
