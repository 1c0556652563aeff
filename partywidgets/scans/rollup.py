"""Hours of history in one row a fingerprint: how often it was in which status, and how long looks took. Runs on the storage thread."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import Any

from .model import wire_time

HOUR = 3600
HOURS_AT_ONCE = 24
"""Hours rolled up in one transaction, so that a week missed does not keep a scan waiting."""

TABLE = """
CREATE TABLE rollups (
  hour INTEGER NOT NULL, fingerprint TEXT NOT NULL, check_id TEXT NOT NULL, looks INTEGER NOT NULL, ok INTEGER NOT NULL,
  warn INTEGER NOT NULL, crit INTEGER NOT NULL, unknown INTEGER NOT NULL, skip INTEGER NOT NULL,
  p50_ms REAL, p95_ms REAL, p99_ms REAL, max_ms REAL,
  PRIMARY KEY (hour, fingerprint)
) WITHOUT ROWID;
CREATE INDEX rollups_check ON rollups (check_id, hour);
"""

# Percentiles are nearest-rank: the smallest duration that at least that share of the looks did not exceed.
_ROLL_UP = f"""
INSERT OR REPLACE INTO rollups
SELECT hour, fingerprint, max(check_id), count(*), sum(status = 'ok'), sum(status = 'warn'), sum(status = 'crit'), sum(status = 'unknown'),
  sum(status = 'skip'), min(duration_ms) FILTER (WHERE place * 100 >= looks * 50),
  min(duration_ms) FILTER (WHERE place * 100 >= looks * 95),
  min(duration_ms) FILTER (WHERE place * 100 >= looks * 99), max(duration_ms)
FROM (
  SELECT CAST(observed_at / {HOUR} AS INTEGER) AS hour, fingerprint, check_id, status, duration_ms,
    row_number() OVER (PARTITION BY CAST(observed_at / {HOUR} AS INTEGER), fingerprint ORDER BY duration_ms) AS place,
    count(*) OVER (PARTITION BY CAST(observed_at / {HOUR} AS INTEGER), fingerprint) AS looks
  FROM results WHERE observed_at >= ? AND observed_at < ?
) GROUP BY hour, fingerprint
"""


def roll_up(database: sqlite3.Connection, now: float) -> bool:
    """Rolls up whole hours that have ended, a day's at most. True: there is more to do. Runs inside the caller's transaction."""
    current = int(now // HOUR)
    done = database.execute("SELECT max(hour) FROM rollups").fetchone()[0]
    begin = 0 if done is None else (done + 1) * HOUR
    first = database.execute("SELECT min(observed_at) FROM results WHERE observed_at >= ?", (begin,)).fetchone()[0]
    if first is None or int(first // HOUR) >= current:
        return False
    first_hour = int(first // HOUR)
    end = min(current, first_hour + HOURS_AT_ONCE)
    database.execute(_ROLL_UP, (first_hour * HOUR, end * HOUR))
    return end < current


def read(database: sqlite3.Connection, *, check: str | None, hours: float, now: float) -> list[dict[str, Any]]:
    """The hours that ended within the last `hours`, the oldest first; `uptime` is the share of looks that were ok or warn (skips aside)."""
    where, params = ("check_id = ? AND ", [check]) if check is not None else ("", [])
    query = f"SELECT * FROM rollups WHERE {where}hour >= ? ORDER BY hour, check_id, fingerprint"
    rows = []
    for row in database.execute(query, (*params, int((now - hours * HOUR) // HOUR))):
        looked = row["looks"] - row["skip"]
        uptime = (row["ok"] + row["warn"]) / looked if looked else None
        rows.append({**dict(row), "hour": wire_time(datetime.fromtimestamp(row["hour"] * HOUR, UTC)), "uptime": uptime})
    return rows
