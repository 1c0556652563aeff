"""What a service does beside its scans: rows of configs that nobody loads any more."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from partywidgets.scans import housekeeping
from partywidgets.scans.history import History
from partywidgets.scans.model import uuid7, wire_time
from partywidgets.scans.report import ScanReport
from partywidgets.scans.service import OpsMonitorService

from .ops_room import OpsRoom, Play, ScriptedCheck, ops_room


async def statuses(room: OpsRoom) -> dict[str, tuple[str, str]]:
    """Status and summary of each row, by check id, as who comes in now sees them."""
    async with room.join() as person:
        return {row["check_id"]: (row["status"], row["summary"]) for row in await person.snapshot()}


async def test_rows_of_a_config_that_nobody_loaded_again_are_not_shown_as_true(tmp_path: Path, play: Play) -> None:
    """They turn unknown for who is there and who comes, with the reason, at the time of their last look; others stay; a look mends them."""
    play.statuses |= {"yesterday": "crit", "today": "warn"}
    old, new = ScriptedCheck(id="yesterday"), ScriptedCheck(id="today")
    async with ops_room(tmp_path) as room:
        await room.service.load_config("/srv/old.yaml", [old])
        await room.service.load_config("/srv/new.yaml", [new])
        report = await room.ops.run_scan()
        results = {result.check_id: result for result in report.results}
        elsewhere = replace(results["today"], check_id="elsewhere", fingerprint="00000000000000ee", result_id=uuid7())
        await room.service.publish(ScanReport(results=[elsewhere], finished_at=report.finished_at))
    async with ops_room(tmp_path) as room:
        await room.service.load_config("/srv/new.yaml", [new])
        async with room.join() as person:
            await person.snapshot()
            await room.service.orphans.disown_configs()
            told = await person.until("check-result")
        assert [row["check_id"] for row in told["results"]] == ["yesterday"]
        assert told["results"][0]["observed_at"] == wire_time(results["yesterday"].observed_at)
        seen = await statuses(room)
        assert seen["yesterday"][0] == "unknown"
        assert "old.yaml was not loaded since the host started; load it again" in seen["yesterday"][1]
        assert "/srv" not in seen["yesterday"][1]
        assert [seen[name][0] for name in ("today", "elsewhere")] == ["warn", "warn"]
        await room.service.load_config("/srv/old.yaml", [old])
        await room.ops.run_scan()
        assert (await statuses(room))["yesterday"] == ("crit", "it is crit")


async def test_a_part_that_fails_ends_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of ours in one part is logged, and the others go on, and it itself at its next time."""
    monkeypatch.setattr(housekeeping, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(housekeeping, "ROLL_UP_EVERY", 0.0)
    rolled, looked = asyncio.Event(), 0
    async with ops_room(tmp_path) as room:

        async def broken(*, only_ended: bool) -> None:
            nonlocal looked
            looked += 1
            raise RuntimeError("a fault of ours")

        def roll_up(*_: Any) -> Any:
            if looked > 1:
                rolled.set()
            return real(*_)

        real = room.service.history.roll_up
        monkeypatch.setattr(room.service.suppressions, "refresh", broken)
        monkeypatch.setattr(room.service.history, "roll_up", roll_up)
        house = asyncio.create_task(housekeeping.keep_house(room.service))
        await asyncio.wait_for(rolled.wait(), 20)
        house.cancel()
        with pytest.raises(asyncio.CancelledError):
            await house
    assert "acks and silences that are over: failed, and is tried again" in caplog.text


async def test_a_row_that_turned_unknown_is_no_look(tmp_path: Path, play: Play) -> None:
    """It is the present, over a restart too, and a change; the figures, the single results and the last failure stay what was seen."""
    play.statuses["yesterday"] = "crit"
    check = ScriptedCheck(id="yesterday")
    async with ops_room(tmp_path) as room:
        await room.service.load_config("/srv/old.yaml", [check])
        await room.ops.run_scan()
    async with ops_room(tmp_path) as room:
        await room.service.orphans.disown_configs()
    async with ops_room(tmp_path) as room:
        assert (await statuses(room))["yesterday"][0] == "unknown"
        history = room.service.history
        assert [row["status"] for row in await history.history(check="yesterday")] == ["crit"]
        figures = await history.rollups(check="yesterday")
        assert [(hour["looks"], hour["crit"], hour["unknown"]) for hour in figures] == [(1, 1, 0)]
        assert [row["to_status"] for row in await history.changes()] == ["crit", "unknown"]
        witnesses = await history.witnesses(check.fingerprint)
        assert witnesses.failure is not None
        assert witnesses.failure.status == "crit"
        await room.service.load_config("/srv/old.yaml", [check])
        play.statuses["yesterday"] = "ok"
        await room.ops.run_scan()
        assert [row["status"] for row in await history.history(check="yesterday")] == ["crit", "ok"]


async def test_a_row_that_nobody_can_look_at_any_more_is_no_look(tmp_path: Path, play: Play) -> None:
    """The row is unknown and says why; the figures and the single results stay what was seen."""
    play.statuses["gone"] = "crit"
    async with ops_room(tmp_path) as room:
        service = room.service
        await service.load_config("/srv/shop.yaml", [ScriptedCheck(id="gone")])
        await room.ops.run_scan()
        await service.scans.mark_unknown([service.registry.checks["gone"]], "its notebook has gone")
        assert await statuses(room) == {"gone": ("unknown", "its notebook has gone")}
        assert [row["status"] for row in await service.history.history(check="gone")] == ["crit"]
        figures = await service.history.rollups(check="gone")
        assert [(hour["looks"], hour["crit"], hour["unknown"]) for hour in figures] == [(1, 1, 0)]


async def test_who_loads_configs_has_a_while_to_come_back(tmp_path: Path, play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """For some minutes after a start rows are as they were; then the house is kept."""
    play.statuses["yesterday"] = "crit"
    async with ops_room(tmp_path) as room:
        await room.service.load_config("/srv/old.yaml", [ScriptedCheck(id="yesterday")])
        await room.ops.run_scan()
    async with ops_room(tmp_path) as room:
        assert (await statuses(room))["yesterday"][0] == "crit"
    monkeypatch.setattr(housekeeping, "ABANDONED_AFTER", 0.0)
    async with ops_room(tmp_path) as room, room.join() as person:
        rows: list[dict[str, Any]] = await person.snapshot()
        while rows[0]["status"] != "unknown":
            rows = (await person.until("check-result"))["results"]


async def test_old_results_that_could_not_be_removed_are_tried_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not after an hour: a disk that is full waits for it. Nothing of what is seen now is lost by that, so nobody is told."""
    monkeypatch.setattr(housekeeping, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(housekeeping, "ROLL_UP_EVERY", 0.02)
    prune, tried, done = History.prune, 0, asyncio.Event()

    async def failing_twice(self: History, before: datetime, **options: datetime) -> int:
        nonlocal tried
        tried += 1
        await self._run(lambda: self._db.execute(f"PRAGMA query_only = {'ON' if tried <= 2 else 'OFF'}"))
        try:
            return await prune(self, before, **options)
        finally:
            await self._run(lambda: self._db.execute("PRAGMA query_only = OFF"))
            if tried == 3:
                done.set()

    monkeypatch.setattr(History, "prune", failing_twice)
    async with OpsMonitorService() as service:
        async with asyncio.timeout(20):
            await done.wait()
        assert service.snapshot_head()["unkept"] is None
