"""What somebody who joins is sent: every row, failing ones first, in parts that each fit a frame."""

from __future__ import annotations

import json
from typing import Any

from .board import Board
from .model import FRAME_BYTES

PART_BYTES = 160 * 1024
"""What a part is planned for. The rest of the frame is for the first part's head (silences: 64 KiB) and for rows that grow meanwhile."""


def plan(board: Board) -> list[list[str]]:
    """The fingerprints of each part. Made once for each state of the board: when a host restarts, everyone joins at once."""
    if board.plan is not None and board.plan[0] == board.seq:
        return board.plan[1]
    parts: list[list[str]] = [[]]
    left = PART_BYTES
    for row in sorted(board.rows.values(), key=lambda row: row.urgency):
        size = len(board.encoded(row)) + 1
        if size > left and parts[-1]:
            parts.append([])
            left = PART_BYTES
        parts[-1].append(row.fingerprint)
        left -= size
    board.plan = board.seq, parts
    return parts


class Snapshot:
    """The parts of a snapshot, each made when it is sent: so a row is never older than what the room was told before.

    A row that no longer fits, or is gone, is left out of its part: its change went to everyone in the room as it happened.
    """

    def __init__(self, board: Board, head: dict[str, Any]) -> None:
        self._board = board
        self._head = head
        self._parts = plan(board)
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
