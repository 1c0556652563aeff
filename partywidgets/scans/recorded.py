"""What goes into the history, and what a start finds there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from .model import CheckResult, Status, wire_time
from .silence import Ack, Silence

Row = dict[str, Any]
ScanState = Literal["running", "finished", "interrupted", "cancelled"]


@dataclass(frozen=True, slots=True)
class StateChange:
    """One row of `changes()`: a fingerprint went from one status to another, or a status became hard."""

    seq: int
    fingerprint: str
    check_id: str
    title: str
    from_status: Status | None
    to_status: Status
    severity: str
    phase: str
    at: datetime
    summary: str
    scan_id: str
    hardening: bool = False
    """True: the status did not change, it became hard. Kept, not broadcast."""

    def to_wire(self) -> dict[str, Any]:
        """The `state-change` message's data."""
        return {
            "seq": self.seq,
            "fingerprint": self.fingerprint,
            "check_id": self.check_id,
            "title": self.title,
            "from": self.from_status,
            "to": self.to_status,
            "severity": self.severity,
            "at": wire_time(self.at),
            "summary": self.summary,
        }


@dataclass(frozen=True, slots=True)
class Recorded:
    """A result as it goes to disk, with what `state.Standing` holds beyond it and the config (or runner) whose check it is of."""

    result: CheckResult
    owner: str
    hard: Status | None
    flips: str
    changes: tuple[StateChange, ...] = ()
    body: str | None = None
    """The result as JSON text, where somebody has made it already."""
    looked: bool = True
    """False: nobody looked, the row only turned unknown. It is kept as the present and as a change, but not as a result of the past: no
    figure counts it, and the last failure remains the one that was seen."""


@dataclass(frozen=True, slots=True)
class KeptBeat:
    """What is kept of a heartbeat: from when on its next beat is waited for, when the last one came, and how many came."""

    since: datetime
    last: datetime | None
    count: int

    @property
    def awaited_from(self) -> datetime:
        """From when on the time of the next beat counts."""
        return self.since if self.last is None else max(self.since, self.last)


@dataclass(frozen=True, slots=True)
class Restored:
    """What a start finds: the last result of each fingerprint, acks and silences, the highest `seq`, and the last scan."""

    latest: list[Recorded]
    acks: list[Ack]
    silences: list[Silence]
    seq: int
    last_full: float | None
    last_scan: Row | None
    interrupted: int
