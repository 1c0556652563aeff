"""What somebody who joins is sent: every row, failing ones first, in parts that each fit a frame."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

from .board import Board
from .model import FRAME_BYTES, CheckResult

PART_BYTES = 160 * 1024
"""What a part is planned for. The rest of the frame is for the first part's head (silences: 64 KiB) and for rows that grow meanwhile."""
FIRST_BYTES = 32 * 1024
"""The same of the first part: a screenful of rows, which a page has read and painted soon."""

AT_ONCE = 250
"""Rows that are planned at once, which takes a few milliseconds where they were not encoded before."""
SLICE = 0.005
"""Seconds of the loop that planning has before others have a turn."""


def plan(board: Board) -> list[list[str]]:
    """The fingerprints of each part. Made once for each state of the board: when a host restarts, everyone joins at once."""
    if not is_planned(board):
        for _ in _planning(board):
            pass
    assert board.plan is not None
    return board.plan[1]


def is_planned(board: Board) -> bool:
    """True when a plan of the board as it is stands already."""
    return board.plan is not None and board.plan[0] == board.seq


class Planner:
    """Plans a large board in slices, so that who joins while it changes holds nobody up. One loop owns it."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._lock = asyncio.Lock()
        self._begun = 0

    async def plan(self) -> list[list[str]]:
        """As `plan`: of the board as it was since this was called. What changes meanwhile is told to everyone as it happens, so the caller
        must be in the room by now."""
        board, called = self._board, self._begun
        async with self._lock:
            # A plan that was begun since then has all rows that this caller was not told of.
            if board.plan is None or not (is_planned(board) or self._begun > called):
                self._begun += 1
                await _sliced(_planning(board))
            assert board.plan is not None
            return board.plan[1]


async def encoded(board: Board, rows: Sequence[CheckResult]) -> list[str]:
    """Each row as JSON text, made in slices."""
    texts: list[str] = []

    def encoding() -> Iterator[None]:
        for row in rows:
            texts.append(board.encoded(row))
            yield

    await _sliced(encoding())
    return texts


async def _sliced(steps: Iterator[None]) -> None:
    begin = perf_counter()
    for _ in steps:
        if perf_counter() - begin > SLICE:
            await asyncio.sleep(0)
            begin = perf_counter()


def _planning(board: Board) -> Iterator[None]:
    """Plans in steps; between them the board may change."""
    seq = board.seq
    parts: list[list[str]] = [[]]
    left = FIRST_BYTES
    for row in sorted(board.rows.values(), key=lambda row: row.urgency):
        size = len(board.encoded(row)) + 1
        if size > left and parts[-1]:
            parts.append([])
            left = PART_BYTES
        parts[-1].append(row.fingerprint)
        left -= size
        yield
    board.plan = seq, parts


class Snapshot:
    """The parts of a snapshot, each made when it is sent: so a row is never older than what the room was told before.

    A row that no longer fits, or is gone, is left out of its part: its change went to everyone in the room as it happened.
    """

    def __init__(self, board: Board, head: dict[str, Any], parts: list[list[str]]) -> None:
        self._board = board
        self._head = head
        self._parts = parts
        self._next = 0

    @property
    def done(self) -> bool:
        """True when every part was made."""
        return self._next == len(self._parts)

    def next_part(self) -> str:
        """The next `snapshot` message."""
        fingerprints = self._parts[self._next]
        head = self._head if self._next == 0 else {}
        self._next += 1
        place = {"epoch": self._board.epoch, "seq": self._board.seq, "part": self._next, "of": len(self._parts)}
        start = json.dumps({**place, **head})[:-1]
        left = FRAME_BYTES - len(start) - 64
        rows = []
        for fingerprint in fingerprints:
            row = self._board.rows.get(fingerprint)
            if row is not None:
                text = self._board.encoded(row)
                left -= len(text) + 1  # ASCII, so characters are bytes
                if left >= 0:
                    rows.append(text)
        return f'{{"type": "snapshot", "data": {start}, "results": [{",".join(rows)}]}}}}'
