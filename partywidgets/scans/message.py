"""A message of the room whose rows are JSON text already: for the history, for every scan's frames, for snapshots it is made once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .model import CheckResult


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
