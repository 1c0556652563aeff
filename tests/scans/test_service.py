"""OpsMonitorService: one path for every scan, what it tells, and its ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import sqlite3
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from partywidgets.exceptions import ScanError, StorageError
from partywidgets.scans import board, lapse, suppressions
from partywidgets.scans.history import FILE
from partywidgets.scans.housekeeping import SLICE
from partywidgets.scans.model import CheckResult, Evidence, Status
from partywidgets.scans.report import ScanReport
from partywidgets.scans.service import OpsMonitorService, Selection
from partywidgets.scans.snapshot import Snapshot, plan

from .ops_room import Play, ScriptedCheck


class Told:
    """A BroadcastCallback that keeps what it was told."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, kind: str, message: dict[str, Any]) -> None:
        self.messages.append((kind, message))

    def kinds(self) -> list[str]:
        """The types in order."""
        return [kind for kind, _ in self.messages]


async def test_a_scan_in_a_script() -> None:
    """Without a directory and without a room: a report, and its frame."""
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [ScriptedCheck(id="one")])
        report = await service.run_scan()
        assert report.counts["ok"] == 1
        assert list(report.df["status"]) == ["ok"]
        assert report.finished_at is not None
    with pytest.raises(StorageError, match="not running"):
        await service.run_scan()


async def test_selections(play: Play) -> None:
    """By id, by labels, by fingerprint, all; a disabled check only by its id."""
    checks = [
        ScriptedCheck(id="web", labels={"team": "web", "zone": "eu"}),
        ScriptedCheck(id="db", labels={"team": "data", "zone": "eu"}),
        ScriptedCheck(id="off", labels={"zone": "eu"}, enabled=False),
    ]
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", checks)

        async def ran(selection: Selection) -> list[str]:
            return sorted(result.check_id for result in (await service.run_scan(selection)).results)

        assert await ran(Selection()) == ["db", "web"]
        assert await ran(Selection(labels={"zone": "eu"})) == ["db", "web"]
        assert await ran(Selection(labels={"zone": "eu", "team": "data"})) == ["db"]
        assert await ran(Selection(checks=("off",))) == ["off"]
        assert await ran(Selection(fingerprints=(checks[0].fingerprint,))) == ["web"]
        with pytest.raises(ScanError, match="no check is called 'wb': did you mean 'web'"):
            await service.run_scan(Selection(checks=("wb",)))


async def test_results_stream_in_batches(play: Play) -> None:
    """Results come while the scan runs, in far fewer messages than results, and the last count is the total."""
    gate = asyncio.Event()

    async def before(check_id: str) -> None:
        if check_id == "last":
            await gate.wait()

    play.before = before
    told = Told()
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [ScriptedCheck(id=f"c{number}") for number in range(300)] + [ScriptedCheck(id="last")])
        first = asyncio.Event()

        def broadcast(kind: str, message: dict[str, Any]) -> None:
            told(kind, message)
            if kind == "check-result" and message["done"] == 300:
                first.set()

        scan = asyncio.create_task(service.run_scan(broadcast=broadcast))
        async with asyncio.timeout(20):
            await first.wait()
        assert "scan-result" not in told.kinds()
        gate.set()
        await scan
    batches = [message for kind, message in told.messages if kind == "check-result"]
    assert sum(len(batch["results"]) for batch in batches) == 301
    assert len(batches) < 60
    assert batches[-1]["done"] == batches[-1]["total"] == 301
    sequence = [batch["seq"] for batch in batches]
    assert sequence == sorted(sequence)
    assert told.kinds()[0] == "scan-started"
    assert told.kinds()[-1] == "scan-result"


async def test_cancelling_the_caller_ends_the_scan(play: Play) -> None:
    """A cancelled run_scan cancels its looks; what was seen stays, everyone is told, and the history says cancelled."""
    begun = asyncio.Event()

    async def before(check_id: str) -> None:
        if check_id == "slow":
            begun.set()
            await asyncio.sleep(3600)

    play.before = before
    told = Told()
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [ScriptedCheck(id="fast"), ScriptedCheck(id="slow", timeout=3600)])
        task = asyncio.create_task(service.run_scan(broadcast=told))
        async with asyncio.timeout(20):
            await begun.wait()
            while "check-result" not in told.kinds():
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert told.kinds()[-1] == "scan-result"
        assert [row["check_id"] for row in told.messages[-1][1]["results"]] == ["fast"]
        assert [scan["state"] for scan in await service.history.scans()] == ["cancelled"]
        assert service.running() == []
    assert play.at_once == 0


async def test_leaving_the_service_ends_everything(play: Play) -> None:
    """Leaving `async with` cancels scans under way and leaves no task behind."""

    begun = asyncio.Event()

    async def before(check_id: str) -> None:
        begun.set()
        await asyncio.Event().wait()

    play.before = before
    before_tasks = asyncio.all_tasks()
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [ScriptedCheck(id="slow", timeout=3600, every=1)])
        service.start_scan()
        async with asyncio.timeout(20):
            await begun.wait()
    assert asyncio.all_tasks() == before_tasks
    assert play.at_once == 0


async def test_rows_are_encoded_in_slices_before_anybody_can_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart every row is encoded once, a slice in a turn of the loop; the first snapshot finds them all and encodes none."""
    rows = 5 * SLICE + 1
    async with OpsMonitorService(directory=tmp_path) as service:
        await service.publish(ScanReport(results=[CheckResult(f"c{number}", "tcp", "db:5432", "ok") for number in range(rows)]))
    turn, encoded, json_of = 0, Counter[int](), board._json
    loop = asyncio.get_running_loop()

    def count_turns() -> None:
        nonlocal turn
        turn += 1
        counting[0] = loop.call_soon(count_turns)

    def counted(row: CheckResult) -> str:
        encoded[turn] += 1
        return json_of(row)

    counting = [loop.call_soon(count_turns)]
    monkeypatch.setattr(board, "_json", counted)
    try:
        async with OpsMonitorService(directory=tmp_path) as service:
            before = encoded.total()
            snapshot = Snapshot(service.board, {}, plan(service.board))
            told = [json.loads(snapshot.next_part())["data"]["results"] for _ in range(1000) if not snapshot.done]
    finally:
        counting[0].cancel()
    assert sum(map(len, told)) == before == encoded.total() == rows
    assert max(encoded.values()) <= SLICE


async def test_the_last_scan_is_the_last_of_many(play: Play) -> None:
    """Checks that run by their interval, or a row that is looked at again, do not take the place of the last scan that was asked for."""
    async with OpsMonitorService() as service:
        told = asyncio.Event()
        service.announcer.broadcast = lambda kind, message: told.set() if kind == "scan-result" else None
        await service.load_config("a.yaml", [ScriptedCheck(id="often", every=0.1), ScriptedCheck(id="asked")])
        async with asyncio.timeout(20):
            await told.wait()
            assert service.last_scan is not None
            assert service.last_scan["trigger"] == "interval"
            report = await service.run_scan()
            told.clear()
            await told.wait()
            again = Selection(fingerprints=(report.results[0].fingerprint,))
            await service.run_scan(again, trigger="recheck")
        assert service.last_scan["scan_id"] == report.scan_id
        last = await service.history.last_scan()
        assert last is not None
        assert last["scan_id"] == report.scan_id


async def test_secrets_of_the_host_are_removed_from_reports_made_elsewhere() -> None:
    """A published report that holds a secret of this host's configs is kept and told without it, its evidence marked redacted."""
    evidence = [Evidence("text", "log", "password=hunter22 user=ana"), Evidence("text", "other", "nothing")]
    result = CheckResult("x", "tcp", "db:5432", "crit", summary="hunter22 was refused", evidence=evidence)
    told = Told()
    async with OpsMonitorService(redact=lambda text: text.replace("hunter22", "***")) as service:
        await service.publish(ScanReport(results=[result]), broadcast=told)
        stored = await service.history.report(told.messages[0][1]["scan_id"])
    assert stored is not None
    assert "hunter22" not in stored
    assert "hunter22" not in json.dumps(told.messages)
    row = told.messages[-1][1]["results"][0]
    assert row["summary"] == "*** was refused"
    assert [(item["value"], item["redacted"]) for item in row["evidence"]] == [("password=*** user=ana", True), ("nothing", False)]


async def test_dependencies_suppress(play: Play) -> None:
    """A failing check whose dependency fails too is suppressed by it, and shows which."""
    play.statuses.update(router="crit", shop="crit")
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [ScriptedCheck(id="router"), ScriptedCheck(id="shop", depends_on=("router",))])
        await service.run_scan(Selection(checks=("router",)))
        report = await service.run_scan(Selection(checks=("shop",)))
    suppression = report.results[0].suppression
    assert suppression is not None
    assert (suppression.by, suppression.id) == ("dependency", "router")


async def test_what_a_row_may_wait_for_is_looked_at_when_it_fails(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shop fails between two looks at the router: the router is looked at now, not in an hour, and the shop is found to wait for it."""
    monkeypatch.setattr(suppressions, "FRESH", 0.0)
    ended: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    async with OpsMonitorService() as service:
        service.announcer.broadcast = lambda kind, message: ended.put_nowait(message) if kind == "scan-result" else None
        router, shop = ScriptedCheck(id="router", every=3600), ScriptedCheck(id="shop", depends_on=("router",))
        await service.load_config("a.yaml", [router, shop])
        async with asyncio.timeout(20):
            assert (await ended.get())["results"][0]["check_id"] == "router"
            play.statuses.update(router="crit", shop="crit")
            await service.run_scan(Selection(checks=("shop",)))
            assert (await ended.get())["results"][0]["check_id"] == "router"
        assert play.looks["router"] == 2
        waits = service.board.rows[shop.fingerprint].suppression
        assert waits is not None
        assert waits.id == "router"


async def test_of_two_that_depend_on_each_other_one_is_told(play: Play) -> None:
    """Two configs may do that, and no one sees it: the row that failed first stays the one that people hear of."""
    play.statuses.update(router="crit", shop="crit")
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [ScriptedCheck(id="router", depends_on=("shop",))])
        await service.load_config("b.yaml", [ScriptedCheck(id="shop", depends_on=("router",))])
        for _ in range(2):
            seen = {}
            for name in ("router", "shop"):
                seen[name] = (await service.run_scan(Selection(checks=(name,)))).results[0].suppression
            assert seen["router"] is None
            assert seen["shop"] is not None


async def test_a_soft_problem_is_looked_at_again_soon(play: Play) -> None:
    """While a problem is soft the next look comes after retry_delay, not after the interval."""
    play.statuses["one"] = "crit"
    hard = asyncio.Event()

    def broadcast(kind: str, message: dict[str, Any]) -> None:
        if kind == "scan-result" and message["results"][0]["state"]["phase"] == "hard":
            hard.set()

    async with OpsMonitorService() as service:
        service.announcer.broadcast = broadcast
        await service.load_config("a.yaml", [ScriptedCheck(id="one", every=3600, attempts=3, retry_delay=0.5)])
        async with asyncio.timeout(20):
            await hard.wait()
    assert play.looks["one"] == 3


async def test_cron_looks_by_itself(play: Play) -> None:
    """A check with a cron of every second is looked at by the schedule, and its trigger says so."""
    seen: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def listen(kind: str, message: dict[str, Any]) -> None:
        if kind == "scan-result":
            seen.put_nowait(message)

    async with OpsMonitorService() as service:
        service.announcer.broadcast = listen
        await service.load_config("a.yaml", [ScriptedCheck(id="timed", cron="* * * * * *"), ScriptedCheck(id="asked")])
        async with asyncio.timeout(20):
            scans = [await seen.get(), await seen.get()]
    assert [(scan["trigger"], [one["check_id"] for one in scan["results"]]) for scan in scans] == [("interval", ["timed"])] * 2
    assert "asked" not in play.looks


@pytest.mark.parametrize("failing", ["raises", "hangs"])
async def test_a_broadcast_that_fails_does_not_end_the_scan(failing: str, caplog: pytest.LogCaptureFixture, monkeypatch: Any) -> None:
    """A callback that raises, or never returns, costs a log line that names the room; the scan and its report are whole."""
    monkeypatch.setattr("partywidgets.scans.announcer.BROADCAST_TIMEOUT", 0.05)

    async def broadcast(kind: str, message: dict[str, Any]) -> None:
        if failing == "raises":
            raise RuntimeError("the room is on fire")
        await asyncio.sleep(3600)

    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [ScriptedCheck(id="one")])
        report = await service.run_scan(broadcast=broadcast)
    assert report.counts["ok"] == 1
    assert "ops-monitor-broadcast/main" in caplog.text


async def test_a_full_disk_does_not_end_the_scan(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """When the history cannot be written, scans go on and are broadcast, and the log says what is missing."""
    told = Told()
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [ScriptedCheck(id="one")])
        await service.history._run(lambda: service.history._db.execute("PRAGMA query_only = ON"))
        report = await service.run_scan(broadcast=told)
        await service.history._run(lambda: service.history._db.execute("PRAGMA query_only = OFF"))
        again = await service.run_scan()
    assert report.counts["ok"] == again.counts["ok"] == 1
    assert told.kinds() == ["scan-started", "check-result", "scan-result"]
    assert "without their history" in caplog.text


async def test_a_directory_that_was_removed_is_said_as_a_full_disk_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLite writes on and says nothing: what the host knows of its directory is told to people, and when it is there again."""
    monkeypatch.setattr(lapse, "QUIET", 0.0)
    told, gone = Told(), [True]
    async with OpsMonitorService() as service:
        service.announcer.broadcast = told
        service.storage_lost = lambda: gone[0]
        await service.load_config("a.yaml", [ScriptedCheck(id="one")])
        await service.run_scan()
        assert service.snapshot_head()["unkept"] == "its directory was moved or removed"
        gone[0] = False
        await service.run_scan()
        await service.run_scan()
        assert service.snapshot_head()["unkept"] is None
    assert [data["reason"] for kind, data in told.messages if kind == "unkept"] == ["its directory was moved or removed", None]
    assert "scans go on without their history (1 times by now): its directory was moved or removed" in caplog.text


async def test_a_history_file_that_was_removed_is_said_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody makes room on the disk with it, under a host that writes on: people hear it, and when the file is there again. Who looks
    back meanwhile makes no other file in its place."""
    monkeypatch.setattr(lapse, "QUIET", 0.0)
    told, file = Told(), tmp_path / FILE
    async with OpsMonitorService(directory=tmp_path) as service:
        service.announcer.broadcast = told
        await service.load_config("a.yaml", [ScriptedCheck(id="one")])
        await service.run_scan()
        assert service.snapshot_head()["unkept"] is None
        file.rename(tmp_path / "elsewhere")
        await service.run_scan()
        assert service.snapshot_head()["unkept"] == "its file was moved or removed"
        with pytest.raises(sqlite3.OperationalError, match="unable to open database file"):
            await asyncio.to_thread(service.history._looked, lambda database: None)  # as a reader's thread that is new
        assert not file.exists()
        (tmp_path / "elsewhere").rename(file)
        await service.run_scan()
        await service.run_scan()
        assert service.snapshot_head()["unkept"] is None
    assert [data["reason"] for kind, data in told.messages if kind == "unkept"] == ["its file was moved or removed", None]
    assert "its file was moved or removed: put it back, or restart the host, which begins a new one" in caplog.text


async def test_a_config_that_is_refused_is_told_once_without_secrets() -> None:
    """Everyone hears why the changed file is not in force, who comes later too, and when it is."""
    told = Told()
    async with OpsMonitorService(redact=lambda text: text.replace("hunter2", "***")) as service:
        service.announcer.broadcast = told
        for _ in range(2):
            await service.refuse_config("a.yaml:1:2: unknown key 'hunter2'" + "!" * 1000)
        (refused,) = [data["reason"] for kind, data in told.messages if kind == "config-refused"]
        assert refused.startswith("a.yaml:1:2: unknown key '***'!!")
        assert len(refused) == 300
        assert service.snapshot_head()["config_refused"] == refused
        await service.refuse_config(None)
        assert service.snapshot_head()["config_refused"] is None
    assert [data["reason"] for kind, data in told.messages if kind == "config-refused"] == [refused, None]


async def test_a_full_disk_is_said_once_and_its_end_too(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A scan writes several times and there are many: the log does not grow with each, and says when writing works again. People are told
    both, and who comes in between finds it in the snapshot."""
    monkeypatch.setattr(lapse, "QUIET", 0.0)
    told = Told()
    async with OpsMonitorService() as service:
        service.announcer.broadcast = told
        await service.load_config("a.yaml", [ScriptedCheck(id="one")])
        await service.history._run(lambda: service.history._db.execute("PRAGMA query_only = ON"))
        for _ in range(3):
            await service.run_scan()
        lines = [record.getMessage() for record in caplog.records if "history" in record.getMessage()]
        assert len(lines) == 1, lines
        assert service.snapshot_head()["unkept"] == "attempt to write a readonly database"
        await service.history._run(lambda: service.history._db.execute("PRAGMA query_only = OFF"))
        await service.run_scan()
        await service.run_scan()
        assert service.snapshot_head()["unkept"] is None
    assert [data["reason"] for kind, data in told.messages if kind == "unkept"] == ["attempt to write a readonly database", None]
    lines = [record.getMessage() for record in caplog.records if "history" in record.getMessage()]
    assert len(lines) == 2, lines
    assert re.fullmatch(r"the history is written again: it lacks what came \d+ times meanwhile", lines[1])


async def test_the_log_tells_each_hard_change_once(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    """What a check became, in one line, when it is sure: not that it was ok from the beginning, not each look, not a soft problem nor
    its end."""
    caplog.set_level(logging.INFO)
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [ScriptedCheck(id="one", attempts=2, severity="high")])
        statuses: tuple[Status, ...] = ("ok", "ok", "crit", "ok", "crit", "crit", "crit", "ok", "ok", "crit", "ok")
        for status in statuses:
            play.statuses["one"] = status
            await service.run_scan()
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("check one")]
    assert told == ["check one is crit (high): it is crit", "check one is ok (high): it is ok"]


async def test_a_start_that_fails_leaves_nothing_open(tmp_path: Path) -> None:
    """A history that opens but cannot be read back ends the start with its reason; its threads end too, and it starts once mended."""
    async with OpsMonitorService(directory=tmp_path):
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as database:
        database.execute("ALTER TABLE silences RENAME TO elsewhere")
    before = set(threading.enumerate())
    service = OpsMonitorService(directory=tmp_path)
    with pytest.raises(StorageError, match="no such table"):
        await service.__aenter__()
    assert not service.started
    assert not [thread for thread in threading.enumerate() if thread not in before and "ops-history" in thread.name]
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as database:
        database.execute("ALTER TABLE elsewhere RENAME TO silences")
    async with service:
        assert service.started


async def test_a_report_is_taken_whole_though_its_sender_hangs_up() -> None:
    """Who publishes and is gone midway leaves no scan under way: its results are on the board, in the history, and told."""
    begun, let, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(kind: str, message: dict[str, Any]) -> None:
        if kind == "scan-started":
            begun.set()
            await let.wait()
        elif kind == "scan-result":
            ended.set()

    async with OpsMonitorService() as service:
        report = ScanReport(results=[CheckResult("elsewhere", "tcp", "db:5432", "crit")])
        sending = asyncio.ensure_future(service.publish(report, broadcast=slow))
        await begun.wait()
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
        let.set()
        async with asyncio.timeout(10):
            await ended.wait()
        assert [scan["state"] for scan in await service.history.scans()] == ["finished"]
        assert [row["check_id"] for row in await service.history.history()] == ["elsewhere"]
        with pytest.raises(ScanError, match="already in the history"):
            await service.publish(report)
