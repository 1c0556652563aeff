"""The file of the history: what other versions left becomes one of this version, or is refused and left alone."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from partywidgets.exceptions import SchemaError, StorageError
from partywidgets.scans import background, rollup
from partywidgets.scans import history_schema as schema
from partywidgets.scans.checks.file import FileCheck
from partywidgets.scans.checks.heartbeat import HeartbeatCheck
from partywidgets.scans.history import FILE, History, Recorded, StateChange
from partywidgets.scans.model import Status, Suppression, utc_now
from partywidgets.scans.notice import Known
from partywidgets.scans.report import ScanReport
from partywidgets.scans.service import OpsMonitorService
from partywidgets.scans.silence import Ack, Silence

from .stored import OF_VERSION_7, result


async def test_another_versions_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A file with an unknown schema version gives one sentence that names it, and is not changed."""
    path = tmp_path / FILE
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript("CREATE TABLE future (x); PRAGMA user_version = 99;")
    before = path.read_bytes()
    with pytest.raises(SchemaError, match="schema version 99 and this partywidgets knows version 10: use the version that wrote it"):
        await OpsMonitorService(directory=tmp_path).__aenter__()
    assert path.read_bytes() == before


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """A damaged file gives one sentence with a remedy."""
    (tmp_path / FILE).write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(StorageError, match="cannot be used: file is not a database; move the file away to begin a new history"):
        await OpsMonitorService(directory=tmp_path).__aenter__()


OF_VERSION_6 = OF_VERSION_7 + ("ALTER TABLE notified DROP COLUMN at; INSERT INTO notified VALUES ('chat', 'f', 'crit');")
OF_VERSION_5 = OF_VERSION_6 + (
    "DROP INDEX changes_row; DROP INDEX changes_check; DROP INDEX scans_last; "
    "DROP INDEX scans_running; DROP INDEX proofs_row; DROP INDEX proofs_at;"
)
WITHOUT_LOOKS = f"""
{OF_VERSION_5}
DROP TRIGGER looks_gone; DROP TABLE looks; DROP TABLE looks_end; CREATE INDEX results_check ON results (check_id, observed_at);
"""


async def test_a_file_of_version_4_becomes_one_of_this_version(tmp_path: Path) -> None:
    """Its index of checks goes, and the results of one check are found, the old ones and those that come."""
    path = tmp_path / FILE
    async with History(path) as history:
        await history.record([Recorded(result(1, utc_now(), "crit"), "a", None, "")])
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(WITHOUT_LOOKS + "PRAGMA user_version = 4;")
    for seq in (2, 3):
        async with History(path) as history:
            await history.record([Recorded(result(seq, utc_now(), "ok"), "a", None, "")])
            assert [row["seq"] for row in await history.history(check="c")] == [*range(1, seq + 1)]
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone()[0] == schema.SCHEMA_VERSION
        assert not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'results_check'").fetchall()


@pytest.mark.parametrize("with_proofs", [False, True])
async def test_a_file_of_version_5_becomes_one_of_this_version(tmp_path: Path, with_proofs: bool) -> None:
    """Its changes and remedies stay, and those of one row are found by an index; a file that never kept a remedy opens too."""
    path = tmp_path / FILE
    change = StateChange(1, "f" * 16, "c", "C", "ok", "crit", "high", "hard", utc_now(), "down", "s", False)
    looked = result(1, utc_now(), "crit")
    async with History(path) as history:
        await history.record([Recorded(looked, "a", None, "", (change,))])
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(OF_VERSION_5 + ("" if with_proofs else "DROP TABLE proofs;") + "PRAGMA user_version = 5;")
    for _ in range(2):
        async with History(path) as history:
            past = await history.look(lambda database: background.read_past(database, "c", change.fingerprint))
            assert (past["remedy"], [told["to"] for told in past["changes"]]) == (None, ["crit"])
            assert [row["seq"] for row in await history.history(check="c")] == [1]
            assert [row["to_status"] for row in await history.changes(check="c")] == ["crit"]
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone()[0] == schema.SCHEMA_VERSION


async def test_what_was_told_under_version_6_counts_as_told_when_it_is_opened(tmp_path: Path) -> None:
    """It did not keep when: nobody is reminded at once of what may have been told a minute ago."""
    path, before = tmp_path / FILE, utc_now()
    async with History(path):
        pass
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(OF_VERSION_6 + "PRAGMA user_version = 6;")
    async with History(path) as history:
        known = (await history.told())["chat"]["f"]
        assert known.status == "crit"
        assert before - timedelta(seconds=2) < known.at < utc_now() + timedelta(seconds=2)
        later = Known("warn", utc_now())
        await history.keep_told("chat", {"f": later})
    async with History(path) as history:
        assert await history.told() == {"chat": {"f": later}}


async def test_a_file_that_version_7_wrote_goes_on(tmp_path: Path) -> None:
    """Its rows, acks and what was told stay, a job is as long silent as its last row says, and from then on beats are kept."""
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as database:
        database.executescript((Path(__file__).parent / "history_of_version_7.sql").read_text())
    job = HeartbeatCheck(id="nightly", secret="a-secret-of-version-7", within=10**9)
    for count in (2, 3):
        async with OpsMonitorService(directory=tmp_path) as service:
            missing = next(row for row in service.board.rows.values() if row.check_id == "missing")
            assert missing.suppression is not None
            assert (missing.status, missing.suppression.actor) == ("crit", "Ana")
            assert (await service.history.told())["a.yaml#chat"][missing.fingerprint].status == "crit"
            await service.load_config("a.yaml", [job, FileCheck(id="missing", path="/nowhere/at-all")])
            kept = (await service.history.beats())[job.fingerprint]
            assert kept.count == count
            assert kept.last is not None
            assert count > 2 or kept.last < utc_now() - timedelta(seconds=10)
            assert await service.beats.hear(job.secret)
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as database:
        assert database.execute("PRAGMA user_version").fetchone()[0] == schema.SCHEMA_VERSION


async def test_results_of_one_check_are_found_sorted_in_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether many results came since or few, in order or late by another scan: those of one check come, each once; removed ones go."""
    monkeypatch.setattr("partywidgets.scans.looks.BEHIND", 10)
    begin = utc_now() - timedelta(hours=1)
    order = [*range(1, 21), *range(31, 45), *range(21, 31), *range(45, 50)]
    async with History(tmp_path / FILE) as history:
        for place, seq in enumerate(order, 1):
            looked = result(seq, begin + timedelta(seconds=seq), "ok")
            looked.check_id = "even" if seq % 2 == 0 else "odd"
            await history.record([Recorded(looked, "a", None, "")])
            for name, rest in (("even", 0), ("odd", 1)):
                told = [row["seq"] for row in await history.history(check=name)]
                assert told == [one for one in sorted(order[:place]) if one % 2 == rest]
        assert await history.finest(check="even", hours=2, limit=24) == "raw"
        assert await history.prune(begin + timedelta(seconds=40)) == 39
        assert [row["seq"] for row in await history.history(check="even")] == [40, 42, 44, 46, 48]
        left = "SELECT count(*) FROM looks WHERE seq NOT IN (SELECT seq FROM results)"
        assert await history._run(lambda: history._db.execute(left).fetchone()[0]) == 0


@pytest.mark.parametrize("with_table", [False, True])
async def test_a_file_of_version_1_becomes_one_of_this_version(tmp_path: Path, with_table: bool) -> None:
    """Its rows stay, hours are summed up from them, and a second opening finds nothing more to do; a file before the table has it then."""
    path = tmp_path / FILE
    then = utc_now() - timedelta(hours=3)
    async with History(path) as history:
        await history.record([Recorded(result(1, then, "crit"), "a", None, "")])
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(WITHOUT_LOOKS + ("" if with_table else "DROP TABLE rollups;") + "PRAGMA user_version = 1;")
    for _ in range(2):
        async with History(path) as history:
            await history.roll_up(utc_now())
            assert [row["status"] for row in await history.history(hours=4)] == ["crit"]
            assert [row["crit"] for row in await history.rollups(hours=5)] == [1]
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone()[0] == schema.SCHEMA_VERSION


LATEST_OF_VERSION_3 = """
CREATE INDEX results_observed ON results (observed_at);
CREATE TABLE latest (
  fingerprint TEXT PRIMARY KEY, seq INTEGER NOT NULL, check_id TEXT NOT NULL, owner TEXT NOT NULL, hard TEXT, flips TEXT NOT NULL,
  body TEXT NOT NULL, last_success TEXT, last_failure TEXT
) WITHOUT ROWID;
"""


async def test_a_file_of_version_3_becomes_one_of_this_version(tmp_path: Path) -> None:
    """What the row of the present, the last success and the last failure held as text is there, and gives way to newer results."""
    path = tmp_path / FILE
    good, bad, newer = (result(number, utc_now(), status, evidence) for number, status, evidence in OF_VERSION_3)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(schema.TABLES + LATEST_OF_VERSION_3 + rollup.TABLES + schema._OF_VERSION_3 + "PRAGMA user_version = 3;")
        texts = [json.dumps(one.to_wire()) for one in (bad, good, bad)]
        database.execute("INSERT INTO latest VALUES (?, 2, 'c', 'a', 'crit', '01', ?, ?, ?)", (good.fingerprint, *texts))
        database.commit()
    async with History(path) as history:
        restored = await history.restore()
        assert [(item.result.to_wire(), item.hard, item.flips) for item in restored.latest] == [(bad.to_wire(), "crit", "01")]
        assert await evidence_of(history, good.fingerprint) == ("good", "bad")
        await history.record([Recorded(newer, "a", "ok", "011")])
        assert await evidence_of(history, good.fingerprint) == ("newer", "bad")
        assert [item.result.seq for item in (await history.restore()).latest] == [3]


OF_VERSION_3: list[tuple[int, Status, str]] = [(1, "ok", "good"), (2, "crit", "bad"), (3, "ok", "newer")]


async def evidence_of(history: History, fingerprint: str) -> tuple[str | None, str | None]:
    """The evidence of the last success and of the last failure."""
    success, failure = await history.witnesses(fingerprint)
    return None if success is None else success.evidence[0].value, None if failure is None else failure.evidence[0].value


async def test_the_present_stays_when_its_results_go(tmp_path: Path) -> None:
    """The last result, success and failure of a fingerprint outlive retention, with their evidence; a newer suppression stays, too."""
    old = utc_now() - timedelta(days=8)
    async with History(tmp_path / FILE) as history:
        for number, status, evidence in OF_VERSION_3:
            await history.record([Recorded(result(number, old, status, evidence), "a", None, "")])
        assert await history.prune(utc_now() - timedelta(days=7)) == 3
        assert await history.history(hours=24 * 30) == []
        fingerprint = result(1, old).fingerprint
        assert await evidence_of(history, fingerprint) == ("newer", "bad")
        (kept,) = (await history.restore()).latest
        assert (kept.result.seq, kept.result.evidence[0].value) == (3, "newer")
        acked = result(3, old, "ok", "newer")
        acked.suppression = Suppression("ack", "x", None, "Ana", "known")
        await history.keep_bodies([acked])
        assert (await history.restore()).latest[0].result.suppression == acked.suppression
        await history.record([Recorded(result(4, utc_now(), "crit", "again"), "a", None, "")])
        assert (await history.restore()).latest[0].result.suppression is None
        assert await evidence_of(history, fingerprint) == ("newer", "again")


async def test_what_cannot_be_read_back_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A damaged row, ack, silence or scan is named in the log and keeps no host from starting; the others are there."""
    async with History(tmp_path / FILE) as history:
        await history.begin_scan(ScanReport("s1", trigger="manual"))
        await history.record([Recorded(result(1, utc_now()), "a", None, "")])
        await history.finish_scan(ScanReport("s1", finished_at=utc_now()), "finished")
        for fingerprint in ("whole", "torn"):
            await history.keep_ack(fingerprint, Ack(fingerprint, "known", "ana", utc_now(), None))
        await history.keep_silence("quiet", Silence({"check_id": "c"}, "known", "ana", utc_now(), utc_now(), "quiet"))
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as database:
        database.executescript(
            """UPDATE results SET body = '[';
            UPDATE acks SET body = '{}' WHERE fingerprint = 'torn';
            UPDATE silences SET body = '[]';
            UPDATE scans SET counts = '';"""
        )
    async with History(tmp_path / FILE) as history:
        restored = await history.restore()
    assert ([ack.fingerprint for ack in restored.acks], restored.silences, restored.latest) == (["whole"], [], [])
    assert (restored.last_scan, restored.seq) == (None, 1)
    for name in ("the row of c", "the ack of torn", "the silence quiet", "scan s1"):
        assert f"{name} cannot be read and is left out" in caplog.text


async def test_a_flipped_bit_in_a_text_costs_its_character(tmp_path: Path) -> None:
    """A byte that is no UTF-8 keeps no host from starting, and nobody from looking back: the row is there, with a sign in its place."""
    async with History(tmp_path / FILE) as history:
        await history.record([Recorded(result(number, utc_now(), evidence="seen"), "a", None, "") for number in (1, 2)])
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as database:
        database.executescript(
            """UPDATE results SET body = replace(body, '"seen"', CAST(x'2273ff656e22' AS TEXT));
            UPDATE results SET summary = CAST(x'ff' AS TEXT);"""
        )
    async with History(tmp_path / FILE) as history:
        (row,) = (await history.restore()).latest
        assert row.result.evidence[0].value == "s\N{REPLACEMENT CHARACTER}en"
        past = await history.history(hours=1)
        assert [found["summary"] for found in past] == ["\N{REPLACEMENT CHARACTER}"] * 2
