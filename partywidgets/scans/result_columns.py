"""Results of the past by column: a hundred thousand rows as dictionaries are ten times the memory, and most of the time of an answer."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from . import looks

PLAIN: Final = ("seq", "observed_at", "result_id", "duration_ms", "summary")
"""What is another value in each row. `observed_at` is in seconds since the epoch."""
CODED: Final = ("scan_id", "fingerprint", "check_id", "check_type", "target", "title", "status", "severity", "phase", "change")
"""What comes again and again: as the list of its values, and for each row the place of its own among them."""

Columns = dict[str, Any]
"""Column → list, of the plain ones; column → `[values, places]`, of the coded ones."""


def read(database: sqlite3.Connection, *, check: str | None, moment: float, limit: int) -> Columns:
    """The newest `limit` results from `moment` on, in seconds since the epoch, the oldest first; `check`: of one check id."""
    where, params = looks.since(check, moment)
    cursor = database.cursor()
    cursor.row_factory = None
    query = f"SELECT {', '.join(PLAIN + CODED)} FROM results WHERE {where} ORDER BY observed_at DESC, seq DESC LIMIT ?"
    rows = cursor.execute(query, (*params, limit)).fetchall()
    rows.reverse()
    listed = list(zip(*rows, strict=True)) if rows else [()] * len(PLAIN + CODED)
    found: Columns = dict(zip(PLAIN, listed[: len(PLAIN)], strict=True))
    for name, values in zip(CODED, listed[len(PLAIN) :], strict=True):
        places: dict[str, int] = {}
        codes = [places.setdefault(value, len(places)) for value in values]
        found[name] = [list(places), codes]
    return found


def count(columns: Columns) -> int:
    """How many rows there are."""
    return len(columns["seq"])


def newest(columns: Columns, limit: int) -> Columns:
    """The last `limit` rows, 1 or more."""
    plain = {name: columns[name][-limit:] for name in PLAIN}
    return plain | {name: [columns[name][0], columns[name][1][-limit:]] for name in CODED}
