"""Results and reports: `partywidgets.result/1` and `partywidgets.scan/1`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["ok", "warn", "crit", "unknown", "skip"]
Severity = Literal["info", "low", "medium", "high", "critical"]

STATUSES: tuple[Status, ...] = ("ok", "warn", "crit", "unknown", "skip")
SEVERITIES: tuple[Severity, ...] = ("info", "low", "medium", "high", "critical")
STATUS_CODES: dict[Status, int | None] = {"ok": 0, "warn": 1, "crit": 2, "unknown": 3, "skip": None}


@dataclass
class ScanReport:
    """A finished scan."""

    scan_id: str

    def to_wire(self) -> dict[str, Any]:
        """The report as JSON values, every result in it."""
        raise NotImplementedError
