"""What came before one row, for who opens its details: its last changes, and how long its last looks took. Read from the history's file."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import Any

from . import looks
from .model import wire_time

LOOKS = 120
"""Most looks of a row: what a line of some hundred pixels can show."""
CHANGES = 20
HOURS = 168
"""How far changes go back; looks go back a day."""


def read_changes(database: sqlite3.Connection, fingerprint: str) -> list[dict[str, Any]]:
    """The last state changes of a row, the newest first, as `state-change` messages have them. Runs on a thread of the history's."""
    since = datetime.now(UTC).timestamp() - HOURS * 3600
    # One more than is told: whether the oldest is a change or a problem that hardened, the row before it says.
    query = """SELECT seq, fingerprint, check_id, title, from_status, to_status, severity, at, summary FROM changes
               WHERE at >= ? AND fingerprint = ? ORDER BY at DESC, seq DESC LIMIT ?"""
    rows = database.execute(query, (since, fingerprint, 2 * CHANGES + 1)).fetchall()
    told = []
    for row, before in zip(rows, [*rows[1:], None], strict=True):
        seq, name, check, title, source, status, severity, at, summary = row
        if before is not None and before[5] == status:
            continue  # it hardened, which is no other status
        change = {"seq": seq, "fingerprint": name, "check_id": check, "title": title, "from": source, "to": status}
        told.append({**change, "severity": severity, "at": wire_time(datetime.fromtimestamp(at, UTC)), "summary": summary})
    return told[:CHANGES]


def read_looks(database: sqlite3.Connection, check: str, fingerprint: str) -> list[tuple[str, float, str]]:
    """When a row was looked at within the last day, how many milliseconds that took, and its status: the oldest first."""
    where, params = looks.since(check, datetime.now(UTC).timestamp() - 24 * 3600)
    query = f"""SELECT observed_at, duration_ms, status FROM results WHERE {where} AND fingerprint = ?
                ORDER BY observed_at DESC, seq DESC LIMIT ?"""
    rows = database.execute(query, (*params, fingerprint, LOOKS)).fetchall()
    return [(wire_time(datetime.fromtimestamp(at, UTC)), duration, status) for at, duration, status in reversed(rows)]
