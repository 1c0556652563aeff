"""What who joins a large board is sent: planned in slices, and nothing of what changes meanwhile is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from partywidgets.scans import snapshot
from partywidgets.scans.board import Board
from partywidgets.scans.model import STATUSES, CheckResult, Status, utc_now, uuid7
from partywidgets.scans.report import ScanReport
from partywidgets.scans.snapshot import Planner, plan

from .ops_room import ops_room

ROWS = 1_000


def row(number: int, summary: str = "") -> CheckResult:
    """One of many rows; every tenth fails."""
    status: Status = "crit" if number % 10 == 0 else "ok"
    return CheckResult(f"check-{number}", "http", f"https://host.example/{number}", status, summary=summary or "x" * 400, result_id=uuid7())


def full_board() -> Board:
    """A board that was looked at by nobody yet."""
    board = Board()
    for number in range(ROWS):
        board.place(row(number), owner="test", attempts=1, now=utc_now())
    return board


async def test_a_plan_is_made_in_slices_and_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others have their turn meanwhile; who comes meanwhile gets a plan that has what came since, and all of them share it."""
    monkeypatch.setattr(snapshot, "SLICE", 0.0)
    board = full_board()
    planner = Planner(board)
    first = asyncio.create_task(planner.plan())
    turns = 0
    while turns < 5:
        await asyncio.sleep(0)
        turns += 1
    assert not first.done()
    new = row(ROWS)
    board.place(new, owner="test", attempts=1, now=utc_now())
    later = [asyncio.create_task(planner.plan()) for _ in range(20)]
    names = {name for part in await first for name in part}
    assert (len(names), new.fingerprint in names) == (ROWS, False)
    plans = await asyncio.gather(*later)
    assert {name for part in plans[0] for name in part} == set(board.rows)
    assert all(other is plans[0] for other in plans)
    assert plan(board) is plans[0]
    board.place(row(3), owner="test", attempts=1, now=utc_now())
    assert plan(board) is not plans[0]


async def test_the_first_who_joins_after_a_restart_gets_every_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failing rows first, also when rows come while the snapshot is planned; each row as the room knows it in the end."""
    async with ops_room(tmp_path) as room:
        report = ScanReport(scan_id=uuid7(), results=[row(number) for number in range(ROWS)])
        await room.service.publish(report, broadcast=room.ops.broadcast, actor="test")
    monkeypatch.setattr(snapshot, "SLICE", 0.0)
    async with ops_room(tmp_path) as room, room.join() as person, room.join() as other:
        for summary, number in (("new while it is planned", ROWS), ("changed while it is planned", 7)):
            fresh = ScanReport(scan_id=uuid7(), results=[row(number, summary)])
            await room.service.publish(fresh, broadcast=room.ops.broadcast, actor="test")
        for somebody in (person, other):
            rows = {item["fingerprint"]: item for item in await somebody.snapshot()}
            parts = [message["data"] for message in somebody.messages if message["type"] == "snapshot"]
            assert len(parts) > 1
            first = parts[0]["results"]
            assert 10 < len(first) < len(parts[1]["results"]) / 3, "a screenful comes first, alone"
            statuses = [item["status"] for part in parts for item in part["results"]]
            assert statuses[: ROWS // 10] == ["crit"] * (ROWS // 10)
            assert (parts[0]["role"], parts[0]["name"]) == ("viewer", "Val")
            live = [item for message in somebody.messages if message["type"] == "check-result" for item in message["data"]["results"]]
            rows |= {item["fingerprint"]: item for item in live if item["seq"] >= rows.get(item["fingerprint"], item)["seq"]}
            if len(rows) == ROWS:  # the last came after the snapshot's last part
                (item,) = (await somebody.until("check-result", lambda data: data["results"][0]["check_id"] == f"check-{ROWS}"))["results"]
                rows[item["fingerprint"]] = item
            assert len(rows) == ROWS + 1


async def test_the_first_part_counts_what_is_still_to_come(tmp_path: Path) -> None:
    """Who waits for the rest sees how many rows have each status on the whole board."""
    async with ops_room(tmp_path) as room:
        report = ScanReport(scan_id=uuid7(), results=[row(number) for number in range(ROWS)])
        await room.service.publish(report, broadcast=room.ops.broadcast, actor="test")
        async with room.join() as person:
            await person.snapshot()
            first, *rest = [message["data"] for message in person.messages if message["type"] == "snapshot"]
            assert rest
            assert first["counts"] == dict.fromkeys(STATUSES, 0) | {"crit": ROWS // 10, "ok": ROWS - ROWS // 10}
            assert not any("counts" in part for part in rest)


async def test_rows_over_http_are_encoded_in_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board that nobody has looked at yet is answered whole, the failing rows first."""
    monkeypatch.setattr(snapshot, "SLICE", 0.0)
    async with ops_room(tmp_path) as room, room.http() as client:
        report = ScanReport(scan_id=uuid7(), results=[row(number) for number in range(ROWS)])
        await room.service.publish(report, broadcast=room.ops.broadcast, actor="test")
        room.service.board._encoded.clear()
        told = (await client.get("/api/ops/scans/rows")).json()
        assert [item["status"] for item in told["results"]] == ["crit"] * (ROWS // 10) + ["ok"] * (ROWS - ROWS // 10)
        assert told["epoch"] == room.service.board.epoch
