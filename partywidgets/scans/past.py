"""Reading what was: scans, results, changes, events and figures."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ..exceptions import ScanError
from . import looks, proof, result_columns, rollup
from .history_file import HistoryFile
from .model import CheckResult, parse_time, wire_time
from .proof import Proof
from .recorded import Row
from .witnesses import Witnesses

SCANS, ROWS = 1000, 1_000_000
"""Most scans in one list, and most rows in one answer."""

LAST_SCAN = "SELECT * FROM scans WHERE state = 'finished' ORDER BY trigger IN ('interval', 'recheck'), finished_at DESC LIMIT 1"
"""The scan that finished last; one of the checks that were just due, or of a row that was looked at again, counts only when there is no
other."""

_RESULT_COLUMNS = (
    "seq, observed_at, scan_id, result_id, fingerprint, check_id, check_type, target, title, "
    "status, severity, phase, change, duration_ms, summary"
)


class Past(HistoryFile):
    """What a history answers. Every moment in an answer is RFC 3339 in UTC."""

    async def scans(self, *, limit: int = 50, before: datetime | None = None) -> list[Row]:
        """Scans, the newest first, without results. `limit` is 1 to 1000.

        Keys: scan_id, trigger, actor, started_at, finished_at, state (running, finished, interrupted, cancelled), total, counts.
        """
        query = "SELECT * FROM scans WHERE started_at < ? ORDER BY started_at DESC, scan_id DESC LIMIT ?"
        moment = before.timestamp() if before else 1e12
        return [scan_row(row) for row in await self._ask(query, (moment, max(1, min(limit, SCANS))))]

    async def scan(self, scan_id: str) -> Row | None:
        """One scan as in `scans()`, None when there is none of that id."""
        rows = await self._ask("SELECT * FROM scans WHERE scan_id = ?", (scan_id,))
        return scan_row(rows[0]) if rows else None

    async def report(self, scan_id: str) -> str | None:
        """The whole ScanReport of a scan, as JSON text with its `state`; failing and changed results first. None: no such id."""
        return await self.look(lambda database: _report(database, scan_id))

    async def last_scan(self) -> Row | None:
        """The scan that finished last; one of just what was due, or of a row looked at again, counts only when there is no other."""
        rows = await self._ask(LAST_SCAN)
        return scan_row(rows[0]) if rows else None

    async def history(self, *, check: str | None = None, hours: float = 24.0, limit: int = 100_000) -> list[Row]:
        """Results of the last `hours`, the oldest first (the newest `limit` of them, at most a million); `check`: of one check id."""
        since = datetime.now(UTC).timestamp() - hours * 3600
        where, params = looks.since(check, since)
        query = f"SELECT {_RESULT_COLUMNS} FROM results WHERE {where} ORDER BY observed_at DESC, seq DESC LIMIT ?"
        return await self.look(lambda database: _oldest_first(database, query, (*params, max(1, min(limit, ROWS))), "observed_at"))

    async def columns(self, *, check: str | None = None, hours: float = 24.0, limit: int = 100_000) -> result_columns.Columns:
        """As `history`, by column (`scans/result_columns.py`): for whoever makes a table of them."""
        moment, most = datetime.now(UTC).timestamp() - hours * 3600, max(1, min(limit, ROWS))
        return await self.look(lambda database: result_columns.read(database, check=check, moment=moment, limit=most))

    async def changes(self, *, check: str | None = None, hours: float = 24.0, limit: int = 100_000) -> list[Row]:
        """State changes of the last `hours`, the oldest first.

        Keys: seq, at, fingerprint, check_id, title, from_status, to_status, severity, phase, summary, scan_id.
        """
        since = datetime.now(UTC).timestamp() - hours * 3600
        where, params = ("check_id = ? AND at >= ?", [check, since]) if check is not None else ("at >= ?", [since])
        query = f"SELECT * FROM changes WHERE {where} ORDER BY at DESC, seq DESC LIMIT ?"
        return await self.look(lambda database: _oldest_first(database, query, (*params, max(1, min(limit, ROWS))), "at"))

    async def events(self, *, hours: float = 24.0, limit: int = 10_000) -> list[Row]:
        """What people said and did, whom `notify` told, and what maintenance did in the last `hours`, the oldest first.

        Keys: at; kind, which is ack, ack-withdrawn, ack-ended, silence, silence-lifted, silence-ended, remedy, check-removed, notified,
        not-notified, or maintenance- or waiver-began and -ended; subject (a fingerprint, matchers, or the name of a window, a waiver or a
        target), title (of a remedy's or a removed check's row, of a message, or a silence's labels), actor, reason (of a remedy: what ran
        and what came of it), until, each None where the kind has none.
        """
        since, most = datetime.now(UTC).timestamp() - hours * 3600, max(1, min(limit, ROWS))

        def read(database: sqlite3.Connection) -> list[Row]:
            query = "SELECT at, kind, body FROM events WHERE at >= ? ORDER BY at DESC, rowid DESC LIMIT ?"
            said = [_event(dict(row)) for row in reversed(database.execute(query, (since, most)).fetchall())]
            done = [Proof.from_wire(wire).to_event() for wire in proof.read(database, hours=hours, limit=most)]
            return sorted(said + done, key=lambda event: str(event["at"]))[-most:]

        return await self.look(read)

    async def rollups(self, *, check: str | None = None, hours: float = 24.0, limit: int | None = None) -> list[Row]:
        """Whole hours of the last `hours`, the oldest first (the newest `limit` of them; None: all).

        Keys: `begin` and `hour`, which are equal, fingerprint, check_id, looks, a count for each status, p50_ms, p95_ms, p99_ms, max_ms,
        uptime (0 to 1).
        """
        now = datetime.now(UTC).timestamp()

        def read(database: sqlite3.Connection) -> list[Row]:
            rows = rollup.as_rows(rollup.read(database, "hour", check=check, hours=hours, now=now, limit=limit))
            return [{**row, "hour": row["begin"]} for row in rows]

        return await self.look(read)

    async def finest(self, *, check: str | None = None, hours: float = 24.0, limit: int = 100_000) -> rollup.Resolution:
        """In which form the whole of the last `hours` is at most about `limit` rows: single results where they fit, else spans."""
        now = datetime.now(UTC).timestamp()
        return await self.look(lambda database: rollup.finest(database, check=check, hours=hours, now=now, limit=limit))

    async def figures(
        self, *, check: str | None = None, hours: float = 24.0, span: rollup.Span = "hour", limit: int | None = None
    ) -> rollup.Columns:
        """As `rollups`, by column: what a table of tens of thousands of rows is made of. `begin` is in seconds since the epoch. The newest
        `limit` rows; None: all.

        The span under way, and what has not been summed up yet, is read from the results.
        """
        now = datetime.now(UTC).timestamp()
        return await self.look(lambda database: rollup.read(database, span, check=check, hours=hours, now=now, limit=limit))

    async def diff(self, a: str, b: str) -> list[Row]:
        """What differs between scan `a` and the later scan `b`.

        Keys: fingerprint, check_id, title, status_a, status_b, summary_a, summary_b, change, which is new (only in b), absent (only in
        a), resolved (ok in b, not in a) or updated. Raises ScanError for an unknown scan.
        """
        for scan_id in (a, b):
            if await self.scan(scan_id) is None:
                raise ScanError(f"no scan {scan_id!r} is kept: ops.scans() and GET /api/ops/scans list them")
        query = "SELECT fingerprint, check_id, title, status, summary FROM results WHERE scan_id = ? ORDER BY seq"
        before = {row["fingerprint"]: row for row in await self._ask(query, (a,))}
        after = {row["fingerprint"]: row for row in await self._ask(query, (b,))}
        rows = []
        for name in sorted(before.keys() | after.keys(), key=lambda name: ((after.get(name) or before[name])["check_id"], name)):
            old, new = before.get(name), after.get(name)
            if old is not None and new is not None and old["status"] == new["status"]:
                continue
            shown = new or old or {}
            change = "new" if old is None else "absent" if new is None else "resolved" if new["status"] == "ok" else "updated"
            rows.append(
                {
                    "fingerprint": name,
                    "check_id": shown["check_id"],
                    "title": shown["title"],
                    "status_a": old and old["status"],
                    "status_b": new and new["status"],
                    "summary_a": old and old["summary"],
                    "summary_b": new and new["summary"],
                    "change": change,
                }
            )
        return rows

    async def witnesses(self, fingerprint: str) -> Witnesses:
        """The last success and the last failure of a fingerprint, with their evidence."""
        texts = ", ".join(
            f"coalesce(last_{kind}, (SELECT body FROM results WHERE results.seq = latest.{kind}_seq)) AS last_{kind}"
            for kind in ("success", "failure")
        )
        rows = await self._ask(f"SELECT {texts} FROM latest WHERE fingerprint = ?", (fingerprint,))
        bodies = (rows[0]["last_success"], rows[0]["last_failure"]) if rows else (None, None)
        return Witnesses(*(None if body is None else CheckResult.from_wire(json.loads(body)) for body in bodies))


def _report(database: sqlite3.Connection, scan_id: str) -> str | None:
    found = database.execute("SELECT * FROM scans WHERE scan_id = ?", (scan_id,)).fetchone()
    if found is None:
        return None
    head = {"schema": "partywidgets.scan/1", **scan_row(dict(found))}
    badness = "CASE status WHEN 'crit' THEN 0 WHEN 'unknown' THEN 1 WHEN 'warn' THEN 2 WHEN 'skip' THEN 3 ELSE 4 END"
    order = f"{badness}, change = 'unchanged', seq"
    bodies = [row[0] for row in database.execute(f"SELECT body FROM results WHERE scan_id = ? ORDER BY {order}", (scan_id,))]
    return json.dumps({**head, "more": None})[:-1] + ', "results": [' + ",".join(bodies) + "]}"


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else wire_time(datetime.fromtimestamp(seconds, UTC))


def _oldest_first(database: sqlite3.Connection, query: str, params: Sequence[Any], column: str) -> list[Row]:
    """The rows of a query for the newest first, `column` of them as RFC 3339. Runs on a thread of the history's, as there may be many."""
    rows = [dict(row) for row in database.execute(query, params)]
    rows.reverse()
    for row in rows:
        row[column] = _time(row[column])
    return rows


def _event(row: Row) -> Row:
    body = json.loads(row["body"])
    subject = body.get("fingerprint") or body.get("name") or json.dumps(body.get("matchers", {}))
    labels = {} if "name" in body else body.get("matchers", {})
    until = body.get("until") or body.get("end")
    return {
        "at": _time(row["at"]),
        "kind": row["kind"],
        "subject": subject,
        "title": body.get("title") or ", ".join(f"{name}={value}" for name, value in labels.items()) or None,
        "actor": body.get("actor"),
        "reason": body.get("reason"),
        "until": until,
    }


def scan_row(row: Row) -> Row:
    """A scan as `scans()` gives it, from the row of its table."""
    return {**row, "started_at": _time(row["started_at"]), "finished_at": _time(row["finished_at"]), "counts": json.loads(row["counts"])}


def scan_moment(row: Row) -> datetime:
    """When a scan of `scans()` started."""
    return parse_time(row["started_at"])
