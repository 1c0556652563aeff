"""An index of the results by check and time, filled thousands at a time.

An index of `results` would do the same, and would write a page of its own for nearly every result of a scan: two fifths of the work of
keeping one (`benchmarks/history.py`). So the newest results are not in it yet; whoever asks for a check's reads those one by one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from .model import CheckResult

BEHIND = 8192
"""Most results that are not in it yet."""

TABLES = """
CREATE TABLE looks (
  check_id TEXT NOT NULL, observed_at REAL NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (check_id, observed_at, seq)
) WITHOUT ROWID;
CREATE TABLE looks_end (seq INTEGER NOT NULL);
INSERT INTO looks SELECT check_id, observed_at, seq FROM results ORDER BY check_id, observed_at, seq;
INSERT INTO looks_end SELECT coalesce(max(seq), 0) FROM results;
CREATE TRIGGER looks_gone AFTER DELETE ON results BEGIN
  DELETE FROM looks WHERE check_id = old.check_id AND observed_at = old.observed_at AND seq = old.seq;
END;
"""

_INSERT = "INSERT OR REPLACE INTO looks"


def note(database: sqlite3.Connection, results: Sequence[CheckResult]) -> None:
    """Sorts in what is due after these were written. Runs inside the caller's transaction."""
    if not results:
        return
    end = database.execute("SELECT seq FROM looks_end").fetchone()[0]
    # Two scans write beside each other: the one's results may come after the other's later ones were sorted in.
    late = [(result.check_id, result.observed_at.timestamp(), result.seq) for result in results if result.seq <= end]
    if late:
        database.executemany(f"{_INSERT} VALUES (?, ?, ?)", late)
    highest = max(result.seq for result in results)
    if highest - end >= BEHIND:
        order = "ORDER BY check_id, observed_at, seq"
        database.execute(f"{_INSERT} SELECT check_id, observed_at, seq FROM results WHERE seq > ? {order}", (end,))
        database.execute("UPDATE looks_end SET seq = ?", (highest,))


def since(check: str | None, moment: float) -> tuple[str, list[Any]]:
    """The condition on `results` for what was observed from a moment on, of one check id or of all, and its parameters."""
    if check is None:
        return "observed_at >= ?", [moment]
    sorted_in = "SELECT seq FROM looks WHERE check_id = ? AND observed_at >= ?"
    newest = "SELECT seq FROM results WHERE seq > (SELECT seq FROM looks_end) AND +check_id = ? AND +observed_at >= ?"
    return f"seq IN ({sorted_in} UNION ALL {newest}) AND +check_id = ? AND +observed_at >= ?", [check, moment] * 3


Look = tuple[float, int, str, str, float]
"""When, its seq, the fingerprint, the status, and how many milliseconds it took."""


def of_check(database: sqlite3.Connection, check: str, moment: float, *, fingerprint: str | None = None, limit: int = -1) -> list[Look]:
    """The newest `limit` looks of a check (of one fingerprint of it) from a moment on, the oldest first; a negative limit is none.

    What is asked for stands in an index: a thousand looks are found without reading a result, each of which lies on a page of its own.
    """
    row, given = ("AND result.fingerprint = ?", [fingerprint]) if fingerprint is not None else ("", [])
    columns = "result.observed_at, result.seq, result.fingerprint, result.status, result.duration_ms"
    sorted_in = f"""SELECT {columns} FROM looks CROSS JOIN results AS result INDEXED BY results_observed
      ON result.observed_at = looks.observed_at AND result.seq = looks.seq {row}
      WHERE looks.check_id = ? AND looks.observed_at >= ? ORDER BY looks.observed_at DESC, looks.seq DESC LIMIT ?"""
    newest = f"""SELECT {columns} FROM results AS result
      WHERE seq > (SELECT seq FROM looks_end) AND +check_id = ? AND +observed_at >= ? {row.replace("result.", "+result.")}"""
    cursor = database.cursor()
    cursor.row_factory = None
    found: list[Look] = cursor.execute(sorted_in, (*given, check, moment, limit)).fetchall()
    found += cursor.execute(newest, (check, moment, *given)).fetchall()
    found.sort()
    return found if limit < 0 else found[max(0, len(found) - limit) :]
