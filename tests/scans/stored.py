"""A result as the history stores it."""

from __future__ import annotations

from datetime import datetime

from partywidgets.scans.model import CheckResult, Evidence, Status


def result(seq: int, observed_at: datetime, status: Status = "ok", evidence: str = "") -> CheckResult:
    """One stored result."""
    seen = [Evidence("text", "log", evidence)] if evidence else []
    return CheckResult("c", "tcp", "db:5432", status, scan_id="s1", seq=seq, observed_at=observed_at, evidence=seen)


OF_VERSION_9 = "ALTER TABLE notified DROP COLUMN sure; ALTER TABLE notified DROP COLUMN gone; "
OF_VERSION_8 = OF_VERSION_9 + "DROP TABLE registrations; "
OF_VERSION_7 = OF_VERSION_8 + "DROP TABLE beats; ALTER TABLE notified DROP COLUMN incident; "
"""Makes a file of that version, but for its number."""
