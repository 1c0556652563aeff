"""What scans saw, kept on disk: one SQLite file beside the host's rooms.

A scan that was under way when the process died is marked interrupted at the next start.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from ..exceptions import ScanError
from . import looks, rollup
from .history_file import damaged_text
from .model import CheckResult
from .notice import Known
from .past import LAST_SCAN, ROWS, Past, scan_moment, scan_row
from .recorded import KeptBeat, Recorded, Restored, Row, ScanState, StateChange
from .report import ScanReport
from .silence import Ack, Silence

__all__ = ["FILE", "ROWS", "History", "Recorded", "Restored", "Row", "ScanState", "StateChange", "scan_moment"]

T = TypeVar("T")

FILE = "ops-history.sqlite"
CHUNK = 2000
"""Rows removed in one transaction, so that removing a week never keeps a scan waiting."""

_INSERT_CHANGE = f"INSERT INTO changes VALUES ({', '.join('?' * 11)})"

_log = logging.getLogger("partywidgets.scans.history")


class History(Past):
    """The scans of one host. `path` None keeps them in memory, for a scan in a script. An async context manager.

    Opening raises SchemaError for a file that a newer version wrote and StorageError for one that cannot be used; neither changes the file.
    """

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

    async def forget(
        self,
        departed: Sequence[tuple[CheckResult, str]],
        *,
        changes: Sequence[StateChange] = (),
        events: tuple[str, Sequence[Row]] = ("", ()),
    ) -> None:
        """Takes rows out of the present, each for its reason, with their acks; their past stays, and these changes and events (of one kind)
        are the end of it. Who was told of a row is to hear that it is gone: until then it is `departed`."""
        gone, now = [(row.fingerprint,) for row, _ in departed], datetime.now(UTC).timestamp()
        last = [(json.dumps({"row": row.to_wire(), "reason": reason}), now, row.fingerprint) for row, reason in departed]
        kind, bodies = events

        def write(database: sqlite3.Connection) -> None:
            for table in ("latest", "acks"):
                database.executemany(f"DELETE FROM {table} WHERE fingerprint = ?", gone)
            database.executemany("UPDATE notified SET gone = ?, at = ? WHERE fingerprint = ?", last)
            database.executemany(_INSERT_CHANGE, [_change_row(change) for change in changes])
            database.executemany("INSERT INTO events VALUES (?, ?, ?)", [(now, kind, json.dumps(body)) for body in bodies])

        await self.change(write)

    async def beats(self) -> dict[str, KeptBeat]:
        """What is kept of heartbeats, by the fingerprint of their check."""

        def at(seconds: float) -> datetime:
            return datetime.fromtimestamp(seconds, UTC)

        rows = await self._ask("SELECT * FROM beats")
        return {
            row["fingerprint"]: KeptBeat(at(row["since"]), None if row["last"] is None else at(row["last"]), row["count"]) for row in rows
        }

    async def keep_beats(self, beats: Mapping[str, KeptBeat | None]) -> None:
        """Stores what is known of heartbeats, in one transaction; None: nothing is to be known any more."""
        over = [(fingerprint,) for fingerprint, beat in beats.items() if beat is None]
        heard = [
            (fingerprint, beat.since.timestamp(), None if beat.last is None else beat.last.timestamp(), beat.count)
            for fingerprint, beat in beats.items()
            if beat is not None
        ]

        def write(database: sqlite3.Connection) -> None:
            database.executemany("DELETE FROM beats WHERE fingerprint = ?", over)
            database.executemany("INSERT OR REPLACE INTO beats VALUES (?, ?, ?, ?)", heard)

        await self.change(write)

    async def registrations(self) -> list[tuple[str, str, float, str]]:
        """What registries said: domain, server, when (seconds since the epoch), and the answer as JSON text."""
        return [(row["domain"], row["server"], row["at"], row["body"]) for row in await self._ask("SELECT * FROM registrations")]

    async def keep_registrations(self, rows: Sequence[tuple[str, str, float, str]], *, since: float) -> None:
        """Stores what registries said, and forgets what they said before a moment."""

        def write(database: sqlite3.Connection) -> None:
            database.executemany("INSERT OR REPLACE INTO registrations VALUES (?, ?, ?, ?)", rows)
            database.execute("DELETE FROM registrations WHERE at < ?", (since,))

        await self.change(write)

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

    async def note(self, kind: str, body: Row, at: datetime | None = None) -> None:
        """Keeps what somebody said or what a clock did (now, or `at`), for `events()`: an ack, a silence, a message, maintenance."""
        row = ((at or datetime.now(UTC)).timestamp(), kind, json.dumps(body))
        await self._run(self._write, "INSERT INTO events VALUES (?, ?, ?)", [row])

    async def told(self) -> dict[str, dict[str, Known]]:
        """What each target of notifications was told last: target → fingerprint → status, time and incident."""
        found: dict[str, dict[str, Known]] = {}
        for row in await self._ask("SELECT * FROM notified"):
            at = datetime.fromtimestamp(row["at"], UTC)
            found.setdefault(row["target"], {})[row["fingerprint"]] = Known(row["status"], at, row["incident"], bool(row["sure"]))
        return found

    async def departed(self) -> dict[str, list[tuple[CheckResult, str]]]:
        """Rows that are gone, and why, of which targets that know them as failing have not heard so: by target."""
        query = """SELECT 'a row of ' || target || ' that is gone' AS name, target, gone FROM notified
                   WHERE gone IS NOT NULL AND fingerprint NOT IN (SELECT fingerprint FROM latest)"""

        def read(row: sqlite3.Row) -> tuple[str, CheckResult, str]:
            said = json.loads(row["gone"])
            return row["target"], CheckResult.from_wire(said["row"]), str(said["reason"])

        found: dict[str, list[tuple[CheckResult, str]]] = {}
        for target, row, reason in await self._run(self._readable, query, read):
            found.setdefault(target, []).append((row, reason))
        return found

    async def keep_told(self, target: str, told: Mapping[str, Known | None]) -> None:
        """Stores what a target was told of some fingerprints, in one transaction; None: that it is over."""
        over = [(target, fingerprint) for fingerprint, known in told.items() if known is None]
        failing = [
            (target, name, known.status, known.at.timestamp(), known.incident, known.sure)
            for name, known in told.items()
            if known is not None
        ]

        def write(database: sqlite3.Connection) -> None:
            database.executemany("DELETE FROM notified WHERE target = ? AND fingerprint = ?", over)
            database.executemany(
                """INSERT INTO notified (target, fingerprint, status, at, incident, sure) VALUES (?, ?, ?, ?, ?, ?)
                   ON CONFLICT (target, fingerprint) DO UPDATE SET
                   status = excluded.status, at = excluded.at, incident = excluded.incident, sure = excluded.sure""",
                failing,
            )

        await self.change(write)

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
        # Of targets that no config has any more; of the others, what they were still to hear was told long ago.
        strangers = "DELETE FROM notified WHERE at < ? AND fingerprint NOT IN (SELECT fingerprint FROM latest)"
        await self._run(self._write, strangers, [(limit,)])
        for table, key, column in kept:
            query = f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {column} < ? LIMIT {CHUNK})"
            while count := await self._run(self._write, query, [(limit,)]):
                removed += count
        return removed

    # on the storage thread

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
        results: list[tuple[Any, ...]] = []
        latest: list[tuple[Any, ...]] = []
        for item in batch:
            result = item.result
            body = item.body or json.dumps(result.to_wire(), separators=(",", ":"))
            failing = result.status in ("warn", "crit", "unknown")
            success, failure = result.seq if result.status == "ok" else None, result.seq if failing else None
            if not item.looked:
                latest.append((result.fingerprint, result.seq, result.check_id, item.owner, item.hard, item.flips, body, None, None))
                continue
            latest.append((result.fingerprint, result.seq, result.check_id, item.owner, item.hard, item.flips, None, success, failure))
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
        changes = [_change_row(change) for item in batch for change in item.changes]
        with self._transaction() as database:
            database.executemany(f"INSERT OR REPLACE INTO results VALUES ({', '.join('?' * 16)})", results)
            looks.note(database, [item.result for item in batch if item.looked])
            database.executemany(
                """INSERT INTO latest VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL) ON CONFLICT (fingerprint) DO UPDATE SET
                   seq = excluded.seq, check_id = excluded.check_id, owner = excluded.owner, hard = excluded.hard, flips = excluded.flips,
                   body = excluded.body,
                   success_seq = coalesce(excluded.success_seq, success_seq),
                   failure_seq = coalesce(excluded.failure_seq, failure_seq),
                   last_success = CASE WHEN excluded.success_seq IS NULL THEN last_success END,
                   last_failure = CASE WHEN excluded.failure_seq IS NULL THEN last_failure END""",
                latest,
            )
            database.executemany(_INSERT_CHANGE, changes)

    def _finish_scan(self, report: ScanReport, state: ScanState) -> None:
        finished = None if report.finished_at is None else report.finished_at.timestamp()
        row = (finished, state, report.total, json.dumps(report.counts), report.scan_id)
        self._write("UPDATE scans SET finished_at = ?, state = ?, total = ?, counts = ? WHERE scan_id = ?", [row])

    def _restore(self) -> Restored:
        query = """SELECT 'the row of ' || latest.check_id AS name, owner, hard, flips, coalesce(latest.body, results.body, '') AS body
                   FROM latest LEFT JOIN results ON results.seq = latest.seq ORDER BY latest.seq"""
        latest = self._readable(
            query, lambda row: Recorded(CheckResult.from_wire(json.loads(row["body"])), row["owner"], row["hard"], row["flips"])
        )
        interrupted = self._write("UPDATE scans SET state = 'interrupted' WHERE state = 'running'", [()])
        highest = self._db.execute(
            "SELECT max((SELECT coalesce(max(seq), 0) FROM results), (SELECT coalesce(max(seq), 0) FROM latest))"
        ).fetchone()[0]
        last_full = self._db.execute("SELECT max(started_at) FROM scans WHERE trigger = 'schedule'").fetchone()[0]
        return Restored(
            latest=latest,
            acks=self._readable(
                "SELECT 'the ack of ' || fingerprint AS name, body FROM acks", lambda row: Ack.from_wire(json.loads(row["body"]))
            ),
            silences=self._readable(
                "SELECT 'the silence ' || id AS name, body FROM silences", lambda row: Silence.from_wire(json.loads(row["body"]))
            ),
            seq=highest,
            last_full=last_full,
            last_scan=next(
                iter(self._readable(f"SELECT 'scan ' || scan_id AS name, * FROM ({LAST_SCAN})", lambda row: scan_row(dict(row)))), None
            ),
            interrupted=interrupted,
        )

    def _readable(self, query: str, read: Callable[[sqlite3.Row], T]) -> list[T]:
        """What the rows say; of one that cannot be read the log says its `name`: it must not keep a host from starting."""
        found = []
        self._db.text_factory = damaged_text
        try:
            for row in self._db.execute(query):
                try:
                    found.append(read(row))
                except (ValueError, KeyError, TypeError) as error:
                    _log.warning("ops history %s: %s cannot be read and is left out: %r", self.path, row["name"], error)
        finally:
            self._db.text_factory = str
        return found


def _change_row(change: StateChange) -> tuple[Any, ...]:
    return (
        change.seq,
        change.fingerprint,
        change.check_id,
        change.title,
        change.from_status,
        change.to_status,
        change.severity,
        change.phase,
        change.at.timestamp(),
        change.summary,
        change.scan_id,
    )


def _keep_text(text: str, seq: str) -> str:
    """Takes the text of a result that is about to go into the row that names it."""
    found = f"FROM results WHERE results.seq = latest.{seq}"
    return f"UPDATE latest SET {text} = (SELECT body {found}) WHERE {text} IS NULL AND EXISTS (SELECT 1 {found} AND observed_at < ?)"
