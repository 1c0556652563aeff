"""OpsMonitorService: runs scans and tells whoever listens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from .model import ScanReport

BroadcastCallback = Callable[[str, dict[str, Any]], Awaitable[None] | None]
"""Gets a message's type (`scan-started`, `check-result`, `scan-result`, …) and its data."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which checks a scan runs: by id, by fingerprint, by labels (all must match). All empty: every check."""

    checks: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)


class OpsMonitorService:
    """The checks of the loaded configs, and the scans of them."""

    async def run_scan(self, selection: Selection | None = None, *, broadcast: BroadcastCallback | None = None, trigger: str = "manual") -> ScanReport:
        """Runs the selected checks and returns when the last has ended. One path for a cell, the entry point and the schedule."""
        raise NotImplementedError
