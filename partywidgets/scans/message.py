"""A message of the room whose rows are JSON text already: for the history, for every scan's frames, for snapshots it is made once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .model import CheckResult

if TYPE_CHECKING:
    from .board import Board


@dataclass(frozen=True, slots=True)
class Rows:
    """Results on their way to the room. `texts` are the results as compact JSON."""

    head: dict[str, Any]
    results: Sequence[CheckResult]
    texts: Sequence[str]

    def data(self) -> dict[str, Any]:
        """The message's data as JSON values: what a callback of somebody else's gets."""
        return {**self.head, "results": [result.to_wire() for result in self.results]}

    def text(self) -> str:
        """The message's data as JSON text."""
        return f'{json.dumps(self.head, separators=(",", ":"))[:-1]},"results":[{",".join(self.texts)}]}}'


def as_text(message: Rows | dict[str, Any]) -> str:
    """A message's data as JSON text, with `results` as its last key where there are any."""
    if isinstance(message, Rows):
        return message.text()
    if "results" in message:
        message = {key: value for key, value in message.items() if key != "results"} | {"results": message["results"]}
    return json.dumps(message, separators=(",", ":"))


def as_they_are(board: Board, rows: Sequence[CheckResult]) -> Rows:
    """The `check-result` that tells what rows look like by now, of no scan's progress. They fit a frame: see `Board.parts`."""
    head = {"seq": max(row.seq for row in rows), "scan_id": rows[0].scan_id, "done": len(rows), "total": len(rows)}
    return Rows(head, rows, [board.encoded(row) for row in rows])
