"""Minutes, hours and days of history in one row a fingerprint: how often it was in which status, and how long looks took.

Runs on a thread of the history's.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from pydantic_core import from_json

from . import looks
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
"""The columns of what `read` gives."""
Columns = dict[str, list[Any]]
Resolution = Literal["raw", "minute", "hour", "day"]
"""What a row of the past is: one look, or one span."""
RESOLUTIONS: tuple[Resolution, ...] = get_args(Resolution)


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


def _by_column(database: sqlite3.Connection, names: Sequence[str], query: str, params: Sequence[Any]) -> list[list[Any]]:
    """The columns `names` of a query, each as a list: SQLite writes them as JSON, whose parser makes the values in a third of the time
    that rows of them take."""
    arrays = ", ".join(f"json_group_array({name})" for name in names)
    row = database.execute(f"SELECT {arrays} FROM ({query})", params).fetchone()
    return [from_json(text) for text in row]


def _open(database: sqlite3.Connection, span: Span, begin: int, now: float) -> list[tuple[Any, ...]]:
    """What `_figures` gives, for reading: over the hour under way five times as fast as SQLite's windows are."""
    seconds = SECONDS[span]
    cursor = database.cursor()
    cursor.row_factory = None
    first = cursor.execute("SELECT min(observed_at) FROM results WHERE observed_at >= ?", (begin * seconds,)).fetchone()[0]
    span_of = "FROM results WHERE observed_at >= ? AND observed_at < ?"
    # Nearly every look is ok: the others are counted by themselves. Durations come as text, of 15 digits: they have three decimals.
    others = f"SELECT fingerprint, status, count(*) {span_of} AND status <> 'ok' GROUP BY fingerprint, status"
    looks_of = f"SELECT fingerprint, check_id, count(*), group_concat(duration_ms) {span_of} GROUP BY fingerprint"
    rows: list[tuple[Any, ...]] = []
    for place in () if first is None else range(int(first // seconds), int(now // seconds) + 1):
        given = (place * seconds, (place + 1) * seconds)
        seen: dict[str, dict[str, int]] = {}
        for fingerprint, status, count in cursor.execute(others, given):
            seen.setdefault(fingerprint, {})[status] = count
        for fingerprint, check_id, count, text in cursor.execute(looks_of, given):
            rows.append(_row(place, fingerprint, check_id, count, seen.get(fingerprint, {}), sorted(map(float, text.split(",")))))
    return rows


def _open_of(
    database: sqlite3.Connection, span: Span, check: str, fingerprint: str | None, begin: int, now: float
) -> list[tuple[Any, ...]]:
    """As `_open`, of one check: an hour of a thousand others is not gone through for its looks."""
    seconds = SECONDS[span]
    groups: dict[tuple[int, str], list[looks.Look]] = {}
    for look in looks.of_check(database, check, begin * seconds, fingerprint=fingerprint):
        place = int(look[0] // seconds)
        if place <= int(now // seconds):
            groups.setdefault((place, look[2]), []).append(look)
    rows = []
    for (place, name), found in sorted(groups.items()):
        others = Counter(status for _, _, _, status, _ in found if status != "ok")
        rows.append(_row(place, name, check, len(found), others, sorted(duration for *_, duration in found)))
    return rows


def _row(place: int, fingerprint: str, check_id: str, count: int, others: Mapping[str, int], durations: Sequence[float]) -> tuple[Any, ...]:
    ranks = (durations[max(0, -(-count * share // 100) - 1)] for share in (50, 95, 99))
    failing = [others.get(status, 0) for status in ("warn", "crit", "unknown", "skip")] if others else (0, 0, 0, 0)
    return (place, fingerprint, check_id, count, count - sum(failing), *failing, *ranks, durations[-1])


def read(
    database: sqlite3.Connection,
    span: Span,
    *,
    check: str | None,
    hours: float,
    now: float,
    limit: int | None = None,
    fingerprint: str | None = None,
) -> Columns:
    """The spans that ended within the last `hours`, or are under way, the oldest first; the newest `limit` rows. `fingerprint`: one of the
    check's.

    `begin` is in seconds since the epoch.
    """
    seconds = SECONDS[span]
    since, column = int((now - hours * 3600) // seconds), _COLUMN[span]
    where, params = ("check_id = ? AND ", [check]) if check is not None else ("", [])
    if fingerprint is not None:
        where, params = f"{where}fingerprint = ? AND ", [*params, fingerprint]
    # In the order in which they lie there, or its reverse, so that nothing is sorted; a negative limit is none.
    order = f"ORDER BY {column}, fingerprint" if limit is None else f"ORDER BY {column} DESC, fingerprint DESC"
    query = f"SELECT * FROM {_TABLE[span]} WHERE {where}{column} >= ? {order} LIMIT ?"
    values = _by_column(database, (column, *NAMES[1:]), query, (*params, since, -1 if limit is None else limit))
    ended = dict(zip(NAMES, values, strict=True))
    begin = max(since, _next(database, span))
    under_way = _open(database, span, begin, now) if check is None else _open_of(database, span, check, fingerprint, begin, now)
    columns: Columns = {}
    for place, name in enumerate(NAMES):
        ended_here = ended[name] if limit is None else ended[name][::-1]
        columns[name] = ended_here + [row[place] for row in under_way]
        if limit is not None:
            columns[name] = columns[name][-limit:]
    columns["begin"] = [bucket * seconds for bucket in columns["begin"]]
    return columns


def as_rows(columns: Columns) -> list[dict[str, Any]]:
    """The columns as rows of JSON values: `begin` as RFC 3339, and with `uptime`, the share of looks that were ok or warn (skips aside),
    None where there was no look."""
    begins = {moment: wire_time(datetime.fromtimestamp(moment, UTC)) for moment in set(columns["begin"])}
    names = list(columns)
    rows = [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    for row in rows:
        row["begin"] = begins[row["begin"]]
        looked = row["looks"] - row["skip"]
        row["uptime"] = (row["ok"] + row["warn"]) / looked if looked else None
    return rows


def finest(database: sqlite3.Connection, *, check: str | None, hours: float, now: float, limit: int) -> Resolution:
    """The finest resolution that has the whole of the last `hours` in at most about `limit` rows; days where none has.

    A resolution has the whole when it reaches back as far as the coarser ones: raw results and minutes are kept for less time.
    """
    since = now - hours * 3600
    where, params = ("check_id = ? AND ", [check]) if check is not None else ("", [])
    sources: dict[Resolution, tuple[str, str, int]] = {"raw": ("results", "observed_at", 1)}
    sources |= {span: (_TABLE[span], _COLUMN[span], SECONDS[span]) for span in SPANS}

    def reach(name: Resolution, begin: float) -> tuple[str, list[Any]]:
        return looks.since(check, begin) if name == "raw" else (f"{where}{sources[name][1]} >= ?", [*params, begin])

    first: dict[Resolution, float | None] = {}
    for name, (table, column, unit) in sources.items():
        begin = since if name == "raw" else -(-since // unit)  # the span of that moment may tell of looks before it alone
        condition, given = reach(name, begin)
        found = database.execute(f"SELECT min({column}) FROM {table} WHERE {condition}", given).fetchone()[0]
        first[name] = None if found is None else found * unit
    for name, (table, _, unit) in sources.items():
        coarser = SPANS[RESOLUTIONS.index(name) :]
        began = first[name]
        if began is None and any(first[span] is not None for span in coarser):
            continue
        known = ((first[span], SECONDS[span]) for span in coarser)
        if began is not None and any(other is not None and began // length * length > other for other, length in known):
            continue
        begin = since if name == "raw" else since // unit
        condition, given = reach(name, begin)
        query = f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {condition} LIMIT ?)"
        rows = database.execute(query, (*given, limit + 1)).fetchone()[0]
        if name != "raw":  # each fingerprint has a span under way, too
            rows += database.execute(f"SELECT count(*) FROM latest WHERE {where}1", params).fetchone()[0]
        if rows <= limit:
            return name
    return "day"


def keyed(columns: Columns) -> dict[str, list[Any]]:
    """The columns with each fingerprint and check id said once: `keys` are pairs of both, `key` says which one a row is of."""
    places: dict[tuple[str, str], int] = {}
    key = [places.setdefault(pair, len(places)) for pair in zip(columns["fingerprint"], columns["check_id"], strict=True)]
    rest = {name: values for name, values in columns.items() if name not in ("fingerprint", "check_id")}
    return {"keys": [list(pair) for pair in places], "key": key, **rest}
