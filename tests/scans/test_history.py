"""The history on disk: what comes back, what a crash leaves, what is removed in time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import stat
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from partywidgets.exceptions import ScanError, StorageError
from partywidgets.scans import background, looks, rollup
from partywidgets.scans.export import changes_frame, diff_frame, figures_frame, history_frame, hours_frame, scans_frame
from partywidgets.scans.frame import results_frame
from partywidgets.scans.history import FILE, History, Recorded, StateChange
from partywidgets.scans.history_file import CHECKPOINT, PAGE
from partywidgets.scans.model import Status, utc_now
from partywidgets.scans.report import ScanReport
from partywidgets.scans.service import OpsMonitorService

from .ops_room import Play, ScriptedCheck
from .stored import result


async def test_scans_and_results_come_back_as_frames(tmp_path: Path, play: Play) -> None:
    """Two scans with a change between them: frames with UTC times and ordered categoricals, and what differs."""
    async with OpsMonitorService(directory=tmp_path) as service:
        await service.load_config("a.yaml", [ScriptedCheck(id="one", severity="high"), ScriptedCheck(id="two")])
        first = await service.run_scan()
        play.statuses["one"] = "crit"
        second = await service.run_scan()
        history = history_frame(await service.history.history(hours=1))
        changes = changes_frame(await service.history.changes(hours=1))
        diff = diff_frame(await service.history.diff(first.scan_id, second.scan_id))
        scans = scans_frame(await service.history.scans())
    assert list(history["status"]) == ["ok", "ok", "crit", "ok"]
    assert str(history["observed_at"].dtype) == "datetime64[ms, UTC]"
    assert history["observed_at"].is_monotonic_increasing
    assert (history.index.name, list(history.index)) == ("time", list(history["observed_at"])), "a plot's axis is time"
    assert len(history.resample("1h")["duration_ms"].max()) >= 1
    assert list(history.groupby("observed_at").size()) != []
    assert len(history[history["status"] >= "warn"]) == 1
    assert history["severity"].cat.ordered
    assert list(changes["to_status"]) == ["crit"]
    assert list(changes["from_status"]) == ["ok"]
    assert list(diff["change"]) == ["updated"]
    assert [counts["crit"] for counts in scans["counts"]] == [1, 0]
    assert (scans["finished_at"] >= scans["started_at"]).all()


async def test_seq_goes_on_after_a_restart(tmp_path: Path, play: Play) -> None:
    """A new start of the host counts on from the highest seq, so that what it sees takes the place of nothing that was seen before."""
    seqs = []
    for _ in range(3):
        async with OpsMonitorService(directory=tmp_path) as service:
            await service.load_config("a.yaml", [ScriptedCheck(id="one"), ScriptedCheck(id="two")])
            seqs += [result.seq for result in (await service.run_scan()).results]
            kept = history_frame(await service.history.history(hours=1))
    assert sorted(seqs) == list(range(1, 7))
    assert len(kept) == 6


async def test_empty_frames_have_the_same_types(tmp_path: Path) -> None:
    """No rows give a frame with the columns and dtypes that rows give."""
    then = utc_now() - timedelta(hours=2)
    async with History(tmp_path / FILE) as history:
        one = result(1, then, "crit")
        change = StateChange(1, one.fingerprint, "c", "c", None, "crit", "medium", "hard", then, "down", "s1")
        await history.begin_scan(ScanReport("s1", started_at=then, total=1))
        await history.record([Recorded(one, "a", None, "", changes=(change,))])
        await history.finish_scan(ScanReport("s1", started_at=then, finished_at=utc_now(), results=[one]), "finished")
        await history.begin_scan(ScanReport("s2", started_at=utc_now()))
        await history.finish_scan(ScanReport("s2", finished_at=utc_now()), "finished")
        await history.roll_up(utc_now())
        figures = rollup.keyed(await history.figures(hours=48))
        spans, none = figures_frame(figures), figures_frame({name: [] for name in figures})
        assert [kind(spans[name]) for name in spans] == [kind(none[name]) for name in none]
        assert (len(none), str(none.index.dtype), str(spans.index.dtype)) == (0, "datetime64[ms, UTC]", "datetime64[ms, UTC]")
        assert (list(spans["status"]), list(spans["looks"]), list(spans["uptime"])) == (["crit"], [1], [0.0])
        filled = {
            history_frame: await history.history(hours=48),
            changes_frame: await history.changes(hours=48),
            diff_frame: await history.diff("s1", "s2"),
            hours_frame: await history.rollups(hours=48),
            scans_frame: await history.scans(),
        }
    for make, rows in filled.items():
        frame, empty = make(rows), make([])
        assert (len(frame) > 0, len(empty)) == (True, 0), make
        assert list(empty.columns) == list(frame.columns)
        assert [kind(frame[name]) for name in frame] == [kind(empty[name]) for name in frame]
        for name in {"phase", "change"} & set(frame):
            ours = results_frame([one])[name].cat.categories
            assert list(frame[name].cat.categories) == list(empty[name].cat.categories) == list(ours), "the frames of a host have the same"


def kind(column: pd.Series[Any]) -> str:
    """A column's dtype by name; an ordered one with its order."""
    return str(list(column.cat.categories)) if column.dtype.name == "category" and column.cat.ordered else column.dtype.name


KILLED = """
import asyncio, sys
from pathlib import Path
from tests.scans.ops_room import PLAY, ScriptedCheck
from partywidgets.scans.service import OpsMonitorService

async def main():
    async def before(check_id):
        if check_id == "hangs":
            print("hanging", flush=True)
            await asyncio.sleep(3600)
    PLAY.before = before
    async with OpsMonitorService(directory=Path(sys.argv[1])) as service:
        checks = [ScriptedCheck(id=f"c{n}") for n in range(200)] + [ScriptedCheck(id="hangs", timeout=3600)]
        await service.load_config("a.yaml", checks)
        await service.run_scan(broadcast=lambda kind, data: print(kind, data.get("done"), len(data.get("results", ())), flush=True))

asyncio.run(main())
"""


async def test_kill_9_during_a_scan(tmp_path: Path) -> None:
    """After kill -9 in the middle of a scan the file is whole, what had been told is there, and the scan is marked interrupted."""
    root = Path(__file__).parents[2]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(tmp_path), stdout=asyncio.subprocess.PIPE, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert process.stdout is not None
    told = 0
    async with asyncio.timeout(50):
        while told < 200:
            words = (await process.stdout.readline()).decode().split()
            assert words, "the process ended by itself"
            if words[0] == "check-result":
                told += int(words[2])
                assert int(words[1]) == told
        process.send_signal(signal.SIGKILL)
        await process.wait()
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    async with OpsMonitorService(directory=tmp_path) as service:
        scans = await service.history.scans()
        assert [(scan["state"], scan["finished_at"]) for scan in scans] == [("interrupted", None)]
        report = json.loads(await service.history.report(scans[0]["scan_id"]) or "")
        assert len(report["results"]) == told == 200
        assert len(service.board.rows) == 200
        assert service.last_scan is None


"""What makes a file of this version one of version 5."""
"""What makes a file of this version one of version 4."""


async def test_the_past_of_a_row_that_stays_as_it_is(tmp_path: Path) -> None:
    """A row without a change in a week has its looks and hours all the same."""
    async with History(tmp_path / FILE) as history:
        for seq in (1, 2):
            await history.record([Recorded(result(seq, utc_now(), "ok"), "a", None, "")])
        name = result(1, utc_now()).fingerprint
        past = await history.look(lambda database: background.read_past(database, "c", name))
        assert (past["changes"], past["remedy"]) == ([], None)
        assert [status for _, _, status in past["looks"]] == ["ok", "ok"]
        assert sum(hour["looks"] for hour in past["hours"]) == 2


@pytest.mark.parametrize("behind", [looks.BEHIND, 10])
async def test_the_span_under_way_has_the_figures_that_it_will_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind: int) -> None:
    """Minutes, hours and days read before they are summed up are those that are summed up then, to the last digit; of one check too."""
    monkeypatch.setattr(looks, "BEHIND", behind)
    begin = datetime(2026, 11, 23, 9, 59, 30, tzinfo=UTC)
    async with History(tmp_path / FILE) as history:
        batch = []
        for number in range(1, 500):
            one = result(number, begin + timedelta(seconds=number), "crit" if number % 7 == 0 else "skip" if number % 11 == 0 else "ok")
            one.duration_ms = round(number * 37 % 101 / 7, 3)
            batch.append(Recorded(one, "a", None, ""))
        await history.record(batch)
        now = (begin + timedelta(days=2)).timestamp()
        for span in rollup.SPANS:
            before = await history._run(lambda span=span: rollup.read(history._db, span, check=None, hours=72, now=now))
            for name in (None, batch[0].result.fingerprint):
                alone = await history._run(
                    lambda span=span, name=name: rollup.read(history._db, span, check="c", fingerprint=name, hours=72, now=now)
                )
                assert alone == before
            await history._run(lambda span=span: [None for _ in range(2000) if not rollup.roll_up(history._db, span, now)][:1])
            after = await history._run(lambda span=span: rollup.read(history._db, span, check="c", hours=72, now=now))
            assert before == after
            assert sum(after["looks"]) == 499


async def test_the_finest_resolution_that_has_the_whole(tmp_path: Path) -> None:
    """Single results where they fit; where they do not, or are kept no longer, the finest figures that reach back as far."""
    async with History(tmp_path / FILE) as history:
        assert await history.finest(hours=48) == "raw"
        begin = utc_now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=40)
        seconds = [*range(0, 600, 10), *range(20 * 3600, 20 * 3600 + 600, 10)]
        batch = [Recorded(result(number, begin + timedelta(seconds=at)), "a", None, "") for number, at in enumerate(seconds, 1)]
        await history.record(batch)
        await history.roll_up(utc_now())
        assert await history.finest(hours=48, limit=120) == "raw"
        assert await history.finest(hours=48, limit=119) == "minute"
        assert await history.finest(hours=48, limit=20) == "hour"
        assert await history.finest(hours=48, limit=1) == "day"
        assert await history.finest(hours=48, limit=119, check="another") == "raw"
        await history.prune(begin + timedelta(hours=1), minutes_before=begin)
        assert await history.finest(hours=48) == "minute"
        await history.prune(begin, minutes_before=begin + timedelta(hours=1))
        assert await history.finest(hours=48) == "hour"
        assert await history.finest(hours=30) == "raw"


async def test_only_a_full_disk_is_called_full(tmp_path: Path) -> None:
    """A database that has reached the room it has is full; a table that is gone is another matter."""
    async with History(tmp_path / FILE) as history:
        await history._run(lambda: history._db.execute("PRAGMA max_page_count = 1").fetchall())
        with pytest.raises(StorageError, match="make room on its disk"):
            await history.record([Recorded(result(n, utc_now(), evidence="x" * 4000), "a", None, "") for n in range(200)])
        await history._run(lambda: history._db.execute("PRAGMA max_page_count = 100000").fetchall())
        await history._run(lambda: history._db.execute("DROP TABLE changes").fetchall())
        with pytest.raises(StorageError, match="no such table: changes") as refused:
            await history.changes()
        assert "disk full" not in str(refused.value)


async def test_a_long_look_back_holds_up_no_scan(tmp_path: Path) -> None:
    """While a look back goes on, results are written and another look is answered; and each sees one moment."""
    begun, gate = threading.Event(), threading.Event()

    def count(database: sqlite3.Connection) -> int:
        return int(database.execute("SELECT count(*) FROM results").fetchone()[0])

    def long(database: sqlite3.Connection) -> tuple[int, int]:
        before = count(database)
        begun.set()
        assert gate.wait(20)
        return before, count(database)

    async with asyncio.timeout(30), History(tmp_path / FILE) as history:
        await history.record([Recorded(result(1, utc_now()), "a", None, "")])
        looking = asyncio.ensure_future(history.look(long))
        assert await asyncio.to_thread(begun.wait, 20)
        await history.record([Recorded(result(2, utc_now()), "a", None, "")])
        assert await history.look(count) == 2
        gate.set()
        assert await looking == (1, 1)


async def test_the_log_goes_into_the_file_while_batches_come(tmp_path: Path) -> None:
    """What is in the log is brought into the file beside the writing, and the log begins anew."""
    path, limit = tmp_path / FILE, CHECKPOINT * PAGE
    log, seq, longest = path.with_name(path.name + "-wal"), 0, 0
    async with asyncio.timeout(60), History(path) as history:
        while path.stat().st_size < 2 * limit:
            batch = [Recorded(result(seq + n, utc_now(), evidence="x" * 4000), "a", None, "") for n in range(1, 201)]
            seq += len(batch)
            await history.record(batch)
            longest = max(longest, log.stat().st_size)
            if history._checkpoint is not None:
                await history._checkpoint
        assert longest < 2 * limit
        assert (await history.look(lambda database: database.execute("SELECT count(*) FROM results").fetchone()[0])) == seq


async def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """The database and the files beside it are 0600; one of an earlier version that others could read is taken from them."""
    path = tmp_path / FILE
    for _ in range(2):
        async with History(path) as history:
            await history.record([Recorded(result(1, utc_now()), "a", None, "")])
            names = {
                file.name: stat.S_IMODE(file.stat().st_mode)
                for file in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm")))
            }
        assert set(names.values()) == {0o600}
        os.chmod(path, 0o644)


async def test_retention_removes_what_is_old(tmp_path: Path) -> None:
    """Pruning removes results and scans before a moment, however many, and keeps the row of the present."""
    async with History(tmp_path / FILE) as history:
        old, now = utc_now() - timedelta(days=8), utc_now()
        await history.begin_scan(ScanReport("s1", started_at=old))
        await history.record([Recorded(result(number, old), "a", None, "") for number in range(1, 4501)])
        await history.record([Recorded(result(5000, now), "a", None, "")])
        assert await history.prune(now - timedelta(days=7)) == 4501
        assert [row["seq"] for row in await history.history(hours=24 * 30)] == [5000]
        assert await history.scans() == []
        assert len((await history.restore()).latest) == 1


async def test_hours_stay_when_their_results_go(tmp_path: Path) -> None:
    """Ended hours become one row each, with counts, uptime and nearest-rank percentiles; they outlive the results they were made of."""
    now = utc_now()
    hour = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=30)
    async with History(tmp_path / FILE) as history:
        batch = []
        for number in range(1, 101):
            status: Status = "crit" if number <= 10 else "warn" if number <= 20 else "ok"
            one = result(number, hour + timedelta(seconds=number), status)
            one.duration_ms = float(number)
            batch.append(Recorded(one, "a", None, ""))
        batch.append(Recorded(result(101, hour + timedelta(hours=27), "unknown"), "a", None, ""))
        batch.append(Recorded(result(102, now), "a", None, ""))
        await history.record(batch)
        await history.roll_up(now)
        await history.roll_up(now)
        await history.prune(now + timedelta(seconds=1), rollups_before=hour)
        assert await history.history(hours=48) == []
        frame = hours_frame(await history.rollups(check="c", hours=48))
        assert list(frame["looks"]) == [100, 1]
        assert list(frame["uptime"]) == [0.9, 0.0]
        assert list(frame.iloc[0][["crit", "warn", "ok"]]) == [10, 10, 80]
        assert list(frame.iloc[0][["p50_ms", "p95_ms", "p99_ms", "max_ms"]]) == [50.0, 95.0, 99.0, 100.0]
        await history.prune(utc_now(), rollups_before=hour + timedelta(hours=1))
        assert len(await history.rollups(hours=48)) == 1


async def test_the_last_success_and_the_last_failure_stay(tmp_path: Path) -> None:
    """The evidence of the last failure is there after many successes, and the other way round."""
    async with History(tmp_path / FILE) as history:
        now = utc_now()
        steps: list[tuple[Status, str]] = [("ok", "good 1"), ("crit", "bad 1"), ("crit", "bad 2"), ("ok", "good 2"), ("ok", "good 3")]
        for number, (status, evidence) in enumerate(steps, 1):
            await history.record([Recorded(result(number, now, status, evidence), "a", None, "")])
        success, failure = await history.witnesses(result(1, now).fingerprint)
        assert success is not None
        assert failure is not None
        assert (success.evidence[0].value, failure.evidence[0].value) == ("good 3", "bad 2")


async def test_a_scan_id_is_taken_once(tmp_path: Path) -> None:
    """A second scan of the same id is refused; asking for an unknown one in a diff says which."""
    async with History(tmp_path / FILE) as history:
        await history.begin_scan(ScanReport("s1"))
        with pytest.raises(ScanError, match="already in the history"):
            await history.begin_scan(ScanReport("s1"))
        with pytest.raises(ScanError, match="no scan 'nope' is kept"):
            await history.diff("s1", "nope")


async def test_closed_history_says_so() -> None:
    """Outside its block the history gives a sentence, not a fault of the library's."""
    history = History(None)
    with pytest.raises(StorageError, match="use it inside"):
        await history.scans()
    async with history:
        assert await history.scans() == []


async def test_a_clock_that_goes_back_keeps_the_order_of_seq(tmp_path: Path) -> None:
    """The row of the present is the one that came last, whatever its clock said."""
    async with History(tmp_path / FILE) as history:
        now = datetime(2026, 11, 23, tzinfo=UTC)
        await history.record([Recorded(result(1, now, "crit"), "a", None, "")])
        await history.record([Recorded(result(2, now - timedelta(hours=1), "ok"), "a", None, "")])
        restored = await history.restore()
        assert [(item.result.seq, item.result.status) for item in restored.latest] == [(2, "ok")]
        assert restored.seq == 2


async def test_a_look_that_takes_long_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """Millions of results are looked at for longer than a host has to stop: it is told that the look was ended."""
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def for_ever(database: sqlite3.Connection) -> None:
        loop.call_soon_threadsafe(begun.set)
        database.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n").fetchone()

    async with asyncio.timeout(30):
        async with History(tmp_path / FILE) as history:
            looking = asyncio.ensure_future(history.look(for_ever))
            await begun.wait()
        with pytest.raises(StorageError, match="interrupted"):
            await looking
