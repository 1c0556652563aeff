"""What came before one row, for who opens its details: its hours, its last changes, looks and remedy, from the history's file."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import Any

from . import looks, proof, rollup
from .model import wire_time

LOOKS = 120
"""Most looks of a row: what a line of some hundred pixels can show."""
CHANGES = 20
HOURS = 168
"""How far changes and remedies go back."""
DAY = 24
"""How far hours and looks go back."""


def read_changes(database: sqlite3.Connection, fingerprint: str) -> list[dict[str, Any]]:
    """The last state changes of a row, the newest first, as `state-change` messages have them. Runs on a thread of the history's."""
    since = datetime.now(UTC).timestamp() - HOURS * 3600
    # One more than is told: whether the oldest is a change or a problem that hardened, the row before it says.
    query = """SELECT seq, fingerprint, check_id, title, from_status, to_status, severity, at, summary FROM changes
               WHERE at >= ? AND fingerprint = ? ORDER BY at DESC, seq DESC LIMIT ?"""
    rows = database.execute(query, (since, fingerprint, 2 * CHANGES + 1)).fetchall()
    told = []
    for place, row in enumerate(rows):
        before = rows[place + 1] if place + 1 < len(rows) else None
        seq, name, check, title, source, status, severity, at, summary = row
        if before is not None and before[5] == status:
            continue  # it hardened, which is no other status
        change = {"seq": seq, "fingerprint": name, "check_id": check, "title": title, "from": source, "to": status}
        told.append({**change, "severity": severity, "at": wire_time(datetime.fromtimestamp(at, UTC)), "summary": summary})
    return told[:CHANGES]


def read_looks(database: sqlite3.Connection, check: str, fingerprint: str) -> list[tuple[str, float, str]]:
    """When a row was looked at within the last day, how many milliseconds that took, and its status: the oldest first."""
    since = datetime.now(UTC).timestamp() - DAY * 3600
    found = looks.of_check(database, check, since, fingerprint=fingerprint, limit=LOOKS)
    return [(wire_time(datetime.fromtimestamp(at, UTC)), duration, status) for at, _, _, status, duration in found]


def read_past(database: sqlite3.Connection, check: str, fingerprint: str) -> dict[str, Any]:
    """The answer to `past`: hours and looks of a day, changes and the last remedy of a week. Runs on the history's storage thread."""
    now = datetime.now(UTC).timestamp()
    hours = rollup.as_rows(rollup.read(database, "hour", check=check, fingerprint=fingerprint, hours=DAY, now=now))
    proofs = proof.read(database, hours=HOURS, fingerprint=fingerprint, limit=1)
    return {
        "hours": [{**row, "hour": row["begin"]} for row in hours],
        "remedy": proofs[-1] if proofs else None,
        "changes": read_changes(database, fingerprint),
        "looks": read_looks(database, check, fingerprint),
    }
