"""What somebody who joins is sent: every row, failing ones first, in parts that each fit a frame."""

from __future__ import annotations

import json
from typing import Any

from .board import Board
from .model import FRAME_BYTES

PART_BYTES = 200 * 1024
"""What a part is planned for; rows that grow until it is sent have the rest of the frame."""


class Snapshot:
    """The parts of a snapshot, each made when it is sent: so a row is never older than what the room was told before.

    A row that no longer fits, or is gone, is left out of its part: its change went to everyone in the room as it happened.
    """

    def __init__(self, board: Board, head: dict[str, Any]) -> None:
        self._board = board
        self._head = head
        self._parts: list[list[str]] = [[]]
        left = PART_BYTES - len(json.dumps(head))
        for row in sorted(board.rows.values(), key=lambda row: row.urgency):
            size = len(board.encoded(row)) + 1
            if size > left and self._parts[-1]:
                self._parts.append([])
                left = PART_BYTES
            self._parts[-1].append(row.fingerprint)
            left -= size
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
        data = json.dumps({**place, **head})
        left = FRAME_BYTES - len(data) - 64
        rows = []
        for fingerprint in fingerprints:
            row = self._board.rows.get(fingerprint)
            if row is not None:
                text = self._board.encoded(row)
                left -= len(text) + 1  # ASCII, so characters are bytes
                if left >= 0:
                    rows.append(text)
        return f'{{"type": "snapshot", "data": {data[:-1]}, "results": [{",".join(rows)}]}}}}'
