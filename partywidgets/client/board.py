"""The rows of an ops room, as a client holds them. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from ..scans.model import STATUSES, Status


@dataclass(slots=True)
class Progress:
    """A scan under way: how many of its checks have ended."""

    scan_id: str
    trigger: str
    total: int
    done: int = 0


@dataclass(slots=True)
class Board:
    """The rows of the room: the latest result of each fingerprint. Right also when a snapshot's parts and updates overtake one another."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    seq: int = 0
    _gone: dict[str, int] = field(default_factory=dict)

    def begin(self) -> None:
        """A snapshot starts: what it does not name is gone."""
        self.rows, self._gone = {}, {}

    def put(self, results: Iterable[dict[str, Any]]) -> None:
        """Takes results; an older one than what is there changes nothing, one that is `absent` takes its row off."""
        for result in results:
            name, seq = result["fingerprint"], int(result["seq"])
            self.seq = max(self.seq, seq)
            held = self.rows.get(name)
            if (held is not None and held["seq"] > seq) or self._gone.get(name, -1) >= seq:
                continue
            if result.get("change") == "absent":
                self.rows.pop(name, None)
                self._gone[name] = seq
            else:
                self.rows[name] = result

    @property
    def counts(self) -> dict[Status, int]:
        """How many rows have each status."""
        counts = dict.fromkeys(STATUSES, 0)
        for row in self.rows.values():
            counts[cast(Status, row["status"])] += 1
        return counts
