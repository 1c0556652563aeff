"""A scan under way, and what is said of one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .history import Row
from .model import wire_time
from .report import SCAN_SCHEMA, ScanReport

PARTIAL = ("interval", "recheck")
"""Triggers of scans that say little about the whole: of the checks that were just due, of rows that were looked at again."""


@dataclass(eq=False)
class Scan:
    """A scan under way. `await scan.wait()` gives its report; `cancel()` ends it, what was seen until then stays."""

    scan_id: str
    trigger: str
    total: int
    task: asyncio.Task[ScanReport] = field(repr=False)

    async def wait(self) -> ScanReport:
        """The finished report. Cancelling the waiter does not end the scan."""
        return await asyncio.shield(self.task)

    def cancel(self) -> None:
        """Ends the scan; its `scan-result` has what there is."""
        self.task.cancel()


def scan_started(report: ScanReport, next_full: float | None) -> dict[str, Any]:
    """The `scan-started` message's data."""
    head = {"scan_id": report.scan_id, "trigger": report.trigger, "started_at": wire_time(report.started_at), "total": report.total}
    return head | {"next": wire_moment(next_full)}


def wire_moment(seconds: float | None) -> str | None:
    """A time of the schedule (seconds since the epoch) as messages have it."""
    return None if seconds is None else wire_time(datetime.fromtimestamp(seconds, UTC))


def scan_head(row: Row) -> dict[str, Any]:
    """A scan of the history as the ScanReport without results."""
    names = ("scan_id", "trigger", "started_at", "finished_at", "counts", "total")
    return {"schema": SCAN_SCHEMA, **{name: row[name] for name in names}, "more": f"/api/ops/scans/{row['scan_id']}"}
