"""Minutes, hours and days of history in one row a fingerprint: how often it was in which status, and how long looks took.

Runs on the storage thread.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from .model import wire_time

Span = Literal["minute", "hour", "day"]
SPANS: tuple[Span, ...] = get_args(Span)
SECONDS: dict[Span, int] = {"minute": 60, "hour": 3600, "day": 86_400}
AT_ONCE: dict[Span, int] = {"minute": 60, "hour": 1, "day": 1}
"""Spans summed up in one transaction, so that a week missed does not keep a scan waiting."""

_TABLE: dict[Span, str] = {"minute": "rollups_minute", "hour": "rollups", "day": "rollups_day"}
_COLUMN: dict[Span, str] = {"minute": "minute", "hour": "hour", "day": "day"}

TABLES = "".join(
    f"""
CREATE TABLE IF NOT EXISTS {_TABLE[span]} (
  {_COLUMN[span]} INTEGER NOT NULL, fingerprint TEXT NOT NULL, check_id TEXT NOT NULL, looks INTEGER NOT NULL, ok INTEGER NOT NULL,
  warn INTEGER NOT NULL, crit INTEGER NOT NULL, unknown INTEGER NOT NULL, skip INTEGER NOT NULL,
  p50_ms REAL, p95_ms REAL, p99_ms REAL, max_ms REAL,
  PRIMARY KEY ({_COLUMN[span]}, fingerprint)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS {_TABLE[span]}_check ON {_TABLE[span]} (check_id, {_COLUMN[span]});
"""
    for span in SPANS
)

NAMES = ("begin", "fingerprint", "check_id", "looks", "ok", "warn", "crit", "unknown", "skip", "p50_ms", "p95_ms", "p99_ms", "max_ms")
"""The columns of what `read` gives, before `uptime`."""
Columns = dict[str, list[Any]]


def _figures(span: Span, where: str) -> str:
    # Percentiles are nearest-rank: the smallest duration that at least that share of the looks did not exceed.
    bucket = f"CAST(observed_at / {SECONDS[span]} AS INTEGER)"
    return f"""
SELECT bucket, fingerprint, max(check_id), count(*), sum(status = 'ok'), sum(status = 'warn'), sum(status = 'crit'),
  sum(status = 'unknown'), sum(status = 'skip'), min(duration_ms) FILTER (WHERE place * 100 >= looks * 50),
  min(duration_ms) FILTER (WHERE place * 100 >= looks * 95),
  min(duration_ms) FILTER (WHERE place * 100 >= looks * 99), max(duration_ms)
FROM (
  SELECT {bucket} AS bucket, fingerprint, check_id, status, duration_ms,
    row_number() OVER (PARTITION BY {bucket}, fingerprint ORDER BY duration_ms) AS place,
    count(*) OVER (PARTITION BY {bucket}, fingerprint) AS looks
  FROM results WHERE {where}
) GROUP BY bucket, fingerprint"""


def _next(database: sqlite3.Connection, span: Span) -> int:
    """The first span that is not summed up."""
    done = database.execute(f"SELECT max({_COLUMN[span]}) FROM {_TABLE[span]}").fetchone()[0]
    return 0 if done is None else int(done) + 1


def roll_up(database: sqlite3.Connection, span: Span, now: float) -> bool:
    """Sums up whole spans that have ended, `AT_ONCE` at most. True: there is more to do. Runs inside the caller's transaction."""
    seconds = SECONDS[span]
    current, begin = int(now // seconds), _next(database, span) * seconds
    first = database.execute("SELECT min(observed_at) FROM results WHERE observed_at >= ?", (begin,)).fetchone()[0]
    if first is None or int(first // seconds) >= current:
        return False
    begin = int(first // seconds)
    end = min(current, begin + AT_ONCE[span])
    query = _figures(span, "observed_at >= ? AND observed_at < ?")
    database.execute(f"INSERT OR REPLACE INTO {_TABLE[span]} {query}", (begin * seconds, end * seconds))
    return end < current


def expire(span: Span, before: float) -> tuple[str, list[tuple[int]]]:
    """What removes spans that began before a moment."""
    return f"DELETE FROM {_TABLE[span]} WHERE {_COLUMN[span]} < ?", [(int(before // SECONDS[span]),)]


def read(database: sqlite3.Connection, span: Span, *, check: str | None, hours: float, now: float) -> Columns:
    """The spans that ended within the last `hours`, or are under way, the oldest first.

    `begin` is in seconds since the epoch; `uptime` the share of looks that were ok or warn (skips aside), None where there was no look.
    """
    seconds = SECONDS[span]
    since, column = int((now - hours * 3600) // seconds), _COLUMN[span]
    where, params = ("check_id = ? AND ", [check]) if check is not None else ("", [])
    order = f"ORDER BY {column}, check_id, fingerprint"
    cursor = database.cursor()
    cursor.row_factory = None  # plain tuples: three times as fast for what becomes columns at once
    rows = cursor.execute(f"SELECT * FROM {_TABLE[span]} WHERE {where}{column} >= ? {order}", (*params, since)).fetchall()
    open_since = max(since, _next(database, span)) * seconds
    rows += cursor.execute(_figures(span, f"{where}observed_at >= ?") + " ORDER BY 1, 3, 2", (*params, open_since)).fetchall()
    columns: Columns = dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True)) if rows else {name: [] for name in NAMES}
    columns["begin"] = [bucket * seconds for bucket in columns["begin"]]
    figures = zip(columns["looks"], columns["skip"], columns["ok"], columns["warn"], strict=True)
    columns["uptime"] = [(ok + warn) / (looks - skip) if looks > skip else None for looks, skip, ok, warn in figures]
    return columns


def as_rows(columns: Columns) -> list[dict[str, Any]]:
    """The columns as rows of JSON values: `begin` as RFC 3339."""
    begins = {moment: wire_time(datetime.fromtimestamp(moment, UTC)) for moment in set(columns["begin"])}
    names = list(columns)
    rows = [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    for row in rows:
        row["begin"] = begins[row["begin"]]
    return rows
