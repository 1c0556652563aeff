"""What scans saw, kept on disk: one SQLite file beside the host's rooms.

WAL, `synchronous=NORMAL`: a committed batch survives a crash of the process (kill -9), not a power cut within the last second.
Everything runs on one storage thread, in call order. A scan that was under way when the process died is marked interrupted at the
next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar

from ..exceptions import ScanError, StorageError
from ..party.storage import keep_private
from . import history_schema as schema
from . import rollup
from .model import CheckResult, ScanReport, Status, parse_time, wire_time
from .silence import Ack, Silence

T = TypeVar("T")
Row = dict[str, Any]
ScanState = Literal["running", "finished", "interrupted", "cancelled"]

FILE = "ops-history.sqlite"
CHUNK = 2000
"""Rows removed in one transaction, so that removing a week never keeps a scan waiting."""
SCANS, ROWS = 1000, 1_000_000
"""Most scans in one list, and most rows in one answer."""

_log = logging.getLogger("partywidgets.scans.history")

_LAST_SCAN = "SELECT * FROM scans WHERE state = 'finished' ORDER BY trigger = 'interval', finished_at DESC LIMIT 1"

_RESULT_COLUMNS = (
    "seq, observed_at, scan_id, result_id, fingerprint, check_id, check_type, target, title, "
    "status, severity, phase, change, duration_ms, summary"
)


@dataclass(frozen=True, slots=True)
class StateChange:
    """One row of `changes()`: a fingerprint went from one status to another, or a status became hard."""

    seq: int
    fingerprint: str
    check_id: str
    title: str
    from_status: Status | None
    to_status: Status
    severity: str
    phase: str
    at: datetime
    summary: str
    scan_id: str
    hardening: bool = False
    """True: the status did not change, it became hard. Kept, not broadcast."""

    def to_wire(self) -> dict[str, Any]:
        """The `state-change` message's data."""
        return {
            "seq": self.seq,
            "fingerprint": self.fingerprint,
            "check_id": self.check_id,
            "title": self.title,
            "from": self.from_status,
            "to": self.to_status,
            "severity": self.severity,
            "at": wire_time(self.at),
            "summary": self.summary,
        }


@dataclass(frozen=True, slots=True)
class Recorded:
    """A result as it goes to disk, with what `state.Standing` holds beyond it and the config (or runner) whose check it is of."""

    result: CheckResult
    owner: str
    hard: Status | None
    flips: str
    changes: tuple[StateChange, ...] = ()
    body: str | None = None
    """The result as JSON text, where somebody has made it already."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a start finds: the last result of each fingerprint, acks and silences, the highest `seq`, and the last scan."""

    latest: list[Recorded]
    acks: list[Ack]
    silences: list[Silence]
    seq: int
    last_full: float | None
    last_scan: Row | None
    interrupted: int


class History:
    """The scans of one host. `path` None keeps them in memory, for a scan in a script. An async context manager.

    Opening raises SchemaError for a file that a newer version wrote and StorageError for one that cannot be used; neither changes the file.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._database: sqlite3.Connection | None = None
        self._thread: ThreadPoolExecutor | None = None

    async def __aenter__(self) -> History:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="partywidgets-ops-history")
        try:
            await self._run(self._open)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown(wait=True)

    # what a start finds

    async def restore(self) -> Restored:
        """Marks scans that a crash cut off as interrupted, and reads what the last run left."""
        return await self._run(self._restore)

    # writing

    async def begin_scan(self, report: ScanReport, *, actor: str | None = None) -> None:
        """Records that a scan has started. Raises ScanError when a scan of that id is there already."""
        await self._run(self._begin_scan, report, actor)

    async def record(self, batch: Sequence[Recorded]) -> None:
        """Keeps results and changes, in one transaction."""
        if batch:
            await self._run(self._record, batch)

    async def finish_scan(self, report: ScanReport, state: ScanState) -> None:
        """Records how a scan ended."""
        await self._run(self._finish_scan, report, state)

    async def forget(self, fingerprints: Iterable[str]) -> None:
        """Takes fingerprints out of the present; their past stays."""
        gone = [(fingerprint,) for fingerprint in fingerprints]
        await self._run(self._write, "DELETE FROM latest WHERE fingerprint = ?", gone)
        await self._run(self._write, "DELETE FROM notified WHERE fingerprint = ?", gone)

    async def keep_ack(self, fingerprint: str, ack: Ack | None) -> None:
        """Stores an ack, or with None removes it."""
        if ack is None:
            await self._run(self._write, "DELETE FROM acks WHERE fingerprint = ?", [(fingerprint,)])
        else:
            await self._run(self._write, "INSERT OR REPLACE INTO acks VALUES (?, ?)", [(fingerprint, json.dumps(ack.to_wire()))])

    async def keep_silence(self, silence_id: str, silence: Silence | None) -> None:
        """Stores a silence, or with None removes it."""
        if silence is None:
            await self._run(self._write, "DELETE FROM silences WHERE id = ?", [(silence_id,)])
        else:
            await self._run(self._write, "INSERT OR REPLACE INTO silences VALUES (?, ?)", [(silence_id, json.dumps(silence.to_wire()))])

    async def note(self, kind: str, body: Row) -> None:
        """Keeps what somebody said or what a clock did, for `events()`: an ack, a silence, a maintenance window."""
        row = (datetime.now(UTC).timestamp(), kind, json.dumps(body))
        await self._run(self._write, "INSERT INTO events VALUES (?, ?, ?)", [row])

    async def told(self) -> dict[str, dict[str, str]]:
        """What each target of notifications was told last: target → fingerprint → status."""
        found: dict[str, dict[str, str]] = {}
        for row in await self._run(self._read, "SELECT * FROM notified", ()):
            found.setdefault(row["target"], {})[row["fingerprint"]] = row["status"]
        return found

    async def keep_told(self, target: str, told: Mapping[str, str | None]) -> None:
        """Stores what a target was told of some fingerprints; None: that it is over."""
        over = [(target, fingerprint) for fingerprint, status in told.items() if status is None]
        failing = [(target, fingerprint, status) for fingerprint, status in told.items() if status is not None]
        await self._run(self._write, "DELETE FROM notified WHERE target = ? AND fingerprint = ?", over)
        await self._run(self._write, "INSERT OR REPLACE INTO notified VALUES (?, ?, ?)", failing)

    async def keep_bodies(self, results: Sequence[CheckResult]) -> None:
        """Stores the present form of results whose suppression changed; nothing is added to the past."""
        rows = [(json.dumps(result.to_wire()), result.fingerprint) for result in results]
        await self._run(self._write, "UPDATE latest SET body = ? WHERE fingerprint = ?", rows)

    async def roll_up(self, now: datetime) -> None:
        """Sums up the minutes, hours and days that have ended, so that their figures stay when their results go."""
        for span in rollup.SPANS:
            while await self._run(self._roll_up, span, now.timestamp()):
                pass

    async def prune(self, before: datetime, *, rollups_before: datetime | None = None, minutes_before: datetime | None = None) -> int:
        """Removes results, changes, events and scans older than `before`, in chunks between which other work goes on; returns how many
        rows. Figures by the hour and the day go by `rollups_before`, those by the minute by `minutes_before`."""
        removed, limit = 0, before.timestamp()
        ends: dict[rollup.Span, datetime | None] = {"minute": minutes_before, "hour": rollups_before, "day": rollups_before}
        for span, moment in ends.items():
            if moment is not None:
                removed += await self._run(self._write, *rollup.expire(span, moment.timestamp()))
        kept = (
            ("results", "seq", "observed_at"),
            ("changes", "rowid", "at"),
            ("events", "rowid", "at"),
            ("scans", "scan_id", "started_at"),
        )
        for text, seq in (("body", "seq"), ("last_success", "success_seq"), ("last_failure", "failure_seq")):
            await self._run(self._write, _keep_text(text, seq), [(limit,)])
        for table, key, column in kept:
            query = f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {column} < ? LIMIT {CHUNK})"
            while count := await self._run(self._write, query, [(limit,)]):
                removed += count
        return removed

    # reading

    async def scans(self, *, limit: int = 50, before: datetime | None = None) -> list[Row]:
        """Scans, the newest first, without results. `limit` is 1 to 1000.

        Keys: scan_id, trigger, actor, started_at, finished_at, state (running, finished, interrupted, cancelled), total, counts.
        """
        query = "SELECT * FROM scans WHERE started_at < ? ORDER BY started_at DESC, scan_id DESC LIMIT ?"
        moment = before.timestamp() if before else 1e12
        return [_scan(row) for row in await self._run(self._read, query, (moment, max(1, min(limit, SCANS))))]

    async def scan(self, scan_id: str) -> Row | None:
        """One scan as in `scans()`, None when there is none of that id."""
        rows = await self._run(self._read, "SELECT * FROM scans WHERE scan_id = ?", (scan_id,))
        return _scan(rows[0]) if rows else None

    async def report(self, scan_id: str) -> str | None:
        """The whole ScanReport of a scan, as JSON text with its `state`; failing and changed results first. None: no such id."""
        return await self._run(self._report, scan_id)

    async def last_scan(self) -> Row | None:
        """The scan that finished last; one of the checks that were just due counts only when there is no other."""
        rows = await self._run(self._read, _LAST_SCAN, ())
        return _scan(rows[0]) if rows else None

    async def history(self, *, check: str | None = None, hours: float = 24.0, limit: int = 100_000) -> list[Row]:
        """Results of the last `hours`, the oldest first (the newest `limit` of them, at most a million); `check`: of one check id."""
        since = datetime.now(UTC).timestamp() - hours * 3600
        where, params = ("check_id = ? AND observed_at >= ?", [check, since]) if check is not None else ("observed_at >= ?", [since])
        query = f"SELECT {_RESULT_COLUMNS} FROM results WHERE {where} ORDER BY observed_at DESC, seq DESC LIMIT ?"
        rows = await self._run(self._read, query, (*params, max(1, min(limit, ROWS))))
        return [_timed(row, "observed_at") for row in reversed(rows)]

    async def changes(self, *, check: str | None = None, hours: float = 24.0, limit: int = 100_000) -> list[Row]:
        """State changes of the last `hours`, the oldest first.

        Keys: seq, at, fingerprint, check_id, title, from_status, to_status, severity, phase, summary, scan_id.
        """
        since = datetime.now(UTC).timestamp() - hours * 3600
        where, params = ("check_id = ? AND at >= ?", [check, since]) if check is not None else ("at >= ?", [since])
        query = f"SELECT * FROM changes WHERE {where} ORDER BY at DESC, seq DESC LIMIT ?"
        rows = await self._run(self._read, query, (*params, max(1, min(limit, ROWS))))
        return [_timed(row, "at") for row in reversed(rows)]

    async def events(self, *, hours: float = 24.0, limit: int = 10_000) -> list[Row]:
        """What people said and what maintenance did in the last `hours`, the oldest first.

        Keys: at; kind, which is ack, ack-withdrawn, silence, silence-lifted, silence-ended, maintenance-began or maintenance-ended; and
        subject (a fingerprint, matchers or the window's name), actor, reason, until, each None where the kind has none.
        """
        since = datetime.now(UTC).timestamp() - hours * 3600
        query = "SELECT at, kind, body FROM events WHERE at >= ? ORDER BY at DESC, rowid DESC LIMIT ?"
        rows = await self._run(self._read, query, (since, max(1, min(limit, ROWS))))
        return [_event(row) for row in reversed(rows)]

    async def rollups(self, *, check: str | None = None, hours: float = 24.0, span: rollup.Span = "hour") -> list[Row]:
        """Whole minutes, hours or days of the last `hours`, the oldest first.

        Keys: `begin`, fingerprint, check_id, looks, a count for each status, p50_ms, p95_ms, p99_ms, max_ms, uptime (0 to 1); for hours
        `hour` as well, which equals `begin`.
        """
        rows = rollup.as_rows(await self.figures(check=check, hours=hours, span=span))
        return [{**row, "hour": row["begin"]} for row in rows] if span == "hour" else rows

    async def finest(self, *, check: str | None = None, hours: float = 24.0, limit: int = 100_000) -> rollup.Resolution:
        """In which form the whole of the last `hours` is at most about `limit` rows: single results where they fit, else spans."""
        now = datetime.now(UTC).timestamp()
        return await self._run(lambda: rollup.finest(self._db, check=check, hours=hours, now=now, limit=limit))

    async def figures(
        self, *, check: str | None = None, hours: float = 24.0, span: rollup.Span = "hour", limit: int | None = None
    ) -> rollup.Columns:
        """As `rollups`, by column: what a table of tens of thousands of rows is made of. `begin` is in seconds since the epoch. The newest
        `limit` rows; None: all.

        The span under way, and what has not been summed up yet, is read from the results.
        """
        now = datetime.now(UTC).timestamp()
        return await self._run(lambda: rollup.read(self._db, span, check=check, hours=hours, now=now, limit=limit))

    async def diff(self, a: str, b: str) -> list[Row]:
        """What differs between scan `a` and the later scan `b`.

        Keys: fingerprint, check_id, title, status_a, status_b, summary_a, summary_b, change, which is new (only in b), absent (only in
        a), resolved (ok in b, not in a) or updated. Raises ScanError for an unknown scan.
        """
        for scan_id in (a, b):
            if await self.scan(scan_id) is None:
                raise ScanError(f"no scan {scan_id!r} is kept: list them with GET /api/ops/scans")
        query = "SELECT fingerprint, check_id, title, status, summary FROM results WHERE scan_id = ? ORDER BY seq"
        before = {row["fingerprint"]: row for row in await self._run(self._read, query, (a,))}
        after = {row["fingerprint"]: row for row in await self._run(self._read, query, (b,))}
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

    async def witnesses(self, fingerprint: str) -> tuple[CheckResult | None, CheckResult | None]:
        """The last success and the last failure of a fingerprint, with their evidence."""
        texts = ", ".join(
            f"coalesce(last_{kind}, (SELECT body FROM results WHERE results.seq = latest.{kind}_seq)) AS last_{kind}"
            for kind in ("success", "failure")
        )
        rows = await self._run(self._read, f"SELECT {texts} FROM latest WHERE fingerprint = ?", (fingerprint,))
        if not rows:
            return None, None
        success, failure = (body and CheckResult.from_wire(json.loads(body)) for body in (rows[0]["last_success"], rows[0]["last_failure"]))
        return success, failure

    # on the storage thread

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        if self._thread is None:
            raise StorageError("the ops history is closed: use it inside `async with`")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)
        except sqlite3.Error as error:
            raise StorageError(f"the ops history {self.path or 'in memory'} cannot be used: {error}; {_remedy(error)}") from error

    @property
    def _db(self) -> sqlite3.Connection:
        assert self._database is not None
        return self._database

    def _open(self) -> None:
        if self.path is not None:
            try:
                keep_private(self.path)
            except OSError as error:
                reason = error.strerror or error
                raise StorageError(f"the ops history {self.path} cannot be used: {reason}; make its directory writable") from error
        database = sqlite3.connect(
            ":memory:" if self.path is None else self.path, isolation_level=None, check_same_thread=False, timeout=5.0
        )
        try:
            database.row_factory = sqlite3.Row
            schema.prepare(database, self.path)
            database.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            database.close()
            raise
        self._database = database

    def _close(self) -> None:
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):  # a full disk must not keep the host from ending
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._database.close()
            self._database = None

    @contextlib.contextmanager
    def _transaction(self) -> Any:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def _write(self, query: str, rows: Sequence[Sequence[Any]]) -> int:
        with self._transaction() as database:
            return int(database.executemany(query, rows).rowcount)

    def _read(self, query: str, params: Sequence[Any]) -> list[Row]:
        return [dict(row) for row in self._db.execute(query, params)]

    def _roll_up(self, span: rollup.Span, now: float) -> bool:
        with self._transaction() as database:
            return rollup.roll_up(database, span, now)

    def _begin_scan(self, report: ScanReport, actor: str | None) -> None:
        row = (
            report.scan_id,
            report.trigger,
            actor,
            report.started_at.timestamp(),
            None,
            "running",
            report.total,
            json.dumps(report.counts),
        )
        try:
            self._write("INSERT INTO scans VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [row])
        except sqlite3.IntegrityError:
            raise ScanError(f"the scan {report.scan_id} is already in the history: give every scan an id of its own") from None

    def _record(self, batch: Sequence[Recorded]) -> None:
        results, latest, changes = [], [], []
        for item in batch:
            result = item.result
            body = item.body or json.dumps(result.to_wire(), separators=(",", ":"))
            failing = result.status in ("warn", "crit", "unknown")
            results.append(
                (
                    result.seq,
                    result.scan_id,
                    result.result_id,
                    result.fingerprint,
                    result.check_id,
                    result.check_type,
                    result.target,
                    result.title,
                    result.status,
                    result.severity,
                    result.state.phase,
                    result.change,
                    result.observed_at.timestamp(),
                    result.duration_ms,
                    result.summary,
                    body,
                )
            )
            success, failure = result.seq if result.status == "ok" else None, result.seq if failing else None
            latest.append((result.fingerprint, result.seq, result.check_id, item.owner, item.hard, item.flips, success, failure))
            changes += [
                (
                    c.seq,
                    c.fingerprint,
                    c.check_id,
                    c.title,
                    c.from_status,
                    c.to_status,
                    c.severity,
                    c.phase,
                    c.at.timestamp(),
                    c.summary,
                    c.scan_id,
                )
                for c in item.changes
            ]
        with self._transaction() as database:
            database.executemany(f"INSERT OR REPLACE INTO results VALUES ({', '.join('?' * 16)})", results)
            database.executemany(
                """INSERT INTO latest VALUES (?, ?, ?, ?, ?, ?, NULL, ?, ?, NULL, NULL) ON CONFLICT (fingerprint) DO UPDATE SET
                   seq = excluded.seq, check_id = excluded.check_id, owner = excluded.owner, hard = excluded.hard, flips = excluded.flips,
                   body = NULL,
                   success_seq = coalesce(excluded.success_seq, success_seq),
                   failure_seq = coalesce(excluded.failure_seq, failure_seq),
                   last_success = CASE WHEN excluded.success_seq IS NULL THEN last_success END,
                   last_failure = CASE WHEN excluded.failure_seq IS NULL THEN last_failure END""",
                latest,
            )
            database.executemany(f"INSERT INTO changes VALUES ({', '.join('?' * 11)})", changes)

    def _finish_scan(self, report: ScanReport, state: ScanState) -> None:
        finished = None if report.finished_at is None else report.finished_at.timestamp()
        row = (finished, state, report.total, json.dumps(report.counts), report.scan_id)
        self._write("UPDATE scans SET finished_at = ?, state = ?, total = ?, counts = ? WHERE scan_id = ?", [row])

    def _report(self, scan_id: str) -> str | None:
        found = self._db.execute("SELECT * FROM scans WHERE scan_id = ?", (scan_id,)).fetchone()
        if found is None:
            return None
        head = {"schema": "partywidgets.scan/1", **_scan(dict(found))}
        badness = "CASE status WHEN 'crit' THEN 0 WHEN 'unknown' THEN 1 WHEN 'warn' THEN 2 WHEN 'skip' THEN 3 ELSE 4 END"
        order = f"{badness}, change = 'unchanged', seq"
        bodies = [row[0] for row in self._db.execute(f"SELECT body FROM results WHERE scan_id = ? ORDER BY {order}", (scan_id,))]
        return json.dumps({**head, "more": None})[:-1] + ', "results": [' + ",".join(bodies) + "]}"

    def _restore(self) -> Restored:
        latest = []
        query = """SELECT latest.check_id, owner, hard, flips, coalesce(latest.body, results.body, '') AS body
                   FROM latest LEFT JOIN results ON results.seq = latest.seq ORDER BY latest.seq"""
        for row in self._db.execute(query):
            try:
                latest.append(Recorded(CheckResult.from_wire(json.loads(row["body"])), row["owner"], row["hard"], row["flips"]))
            except ValueError as error:
                _log.warning("ops history %s: the row of %s cannot be read and is left out: %s", self.path, row["check_id"], error)
        interrupted = self._write("UPDATE scans SET state = 'interrupted' WHERE state = 'running'", [()])
        highest = self._db.execute(
            "SELECT max((SELECT coalesce(max(seq), 0) FROM results), (SELECT coalesce(max(seq), 0) FROM latest))"
        ).fetchone()[0]
        last_full = self._db.execute("SELECT max(started_at) FROM scans WHERE trigger = 'schedule'").fetchone()[0]
        last = self._db.execute(_LAST_SCAN).fetchone()
        return Restored(
            latest=latest,
            acks=[Ack.from_wire(json.loads(row["body"])) for row in self._db.execute("SELECT body FROM acks")],
            silences=[Silence.from_wire(json.loads(row["body"])) for row in self._db.execute("SELECT body FROM silences")],
            seq=highest,
            last_full=last_full,
            last_scan=None if last is None else _scan(dict(last)),
            interrupted=interrupted,
        )


_REMEDIES = {
    sqlite3.SQLITE_FULL: "is the disk full?",
    sqlite3.SQLITE_READONLY: "make the file and its directory writable",
    sqlite3.SQLITE_CANTOPEN: "make its directory writable",
    sqlite3.SQLITE_NOTADB: "move the file away to begin a new history",
    sqlite3.SQLITE_CORRUPT: "move the file away to begin a new history",
    sqlite3.SQLITE_BUSY: "end the program that holds it",
    sqlite3.SQLITE_IOERR: "look at the disk, whose reads or writes fail",
}


def _remedy(error: sqlite3.Error) -> str:
    # An extended code holds its primary one in the lowest byte.
    return _REMEDIES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "start the host again, or move the file away to begin a new history")


def _keep_text(text: str, seq: str) -> str:
    """Takes the text of a result that is about to go into the row that names it."""
    found = f"FROM results WHERE results.seq = latest.{seq}"
    return f"UPDATE latest SET {text} = (SELECT body {found}) WHERE {text} IS NULL AND EXISTS (SELECT 1 {found} AND observed_at < ?)"


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else wire_time(datetime.fromtimestamp(seconds, UTC))


def _timed(row: Row, column: str) -> Row:
    row[column] = _time(row[column])
    return row


def _event(row: Row) -> Row:
    body = json.loads(row["body"])
    subject = body.get("fingerprint") or body.get("name") or json.dumps(body.get("matchers", {}))
    until = body.get("until") or body.get("end")
    return {
        "at": _time(row["at"]),
        "kind": row["kind"],
        "subject": subject,
        "actor": body.get("actor"),
        "reason": body.get("reason"),
        "until": until,
    }


def _scan(row: Row) -> Row:
    return {**row, "started_at": _time(row["started_at"]), "finished_at": _time(row["finished_at"]), "counts": json.loads(row["counts"])}


def scan_moment(row: Row) -> datetime:
    """When a scan of `scans()` started."""
    return parse_time(row["started_at"])
