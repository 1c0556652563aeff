"""Who reads more slowly than rows come: is not cut, hears how far a scan is, and has every row as it is in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from partywidgets.client.ops import OpsClient
from partywidgets.scans.model import CheckResult, Status, uuid7
from partywidgets.scans.removal import remove
from partywidgets.scans.report import ScanReport

from ..slow_line import SlowLine
from .ops_room import OpsRoom, ops_room, token_of

ROWS = 1_500
RATE = 1_500_000
"""Bytes a second of the slow line: of what the scans tell a fifth, or less."""


def report(number: int) -> ScanReport:
    """What a runner elsewhere saw: every row anew, some two megabytes."""
    results = []
    for row in range(ROWS):
        target, details = f"https://host.example/{row}", "d" * 1_000
        results.append(CheckResult(f"check-{row}", "http", target, "ok", summary=f"scan {number}", details=details, result_id=uuid7()))
    return ScanReport(results=results)


async def scan(room: OpsRoom, number: int) -> None:
    """Tells everyone in the room of such a report."""
    await room.service.publish(report(number), broadcast=room.ops.broadcast, actor="test")


@asynccontextmanager
async def slow_client(room: OpsRoom, heard: list[tuple[str, dict[str, Any]]]) -> AsyncIterator[OpsClient]:
    """A client behind a slow line. `heard` takes what it hears."""
    async with (
        SlowLine.before(int(room.url.rstrip("/").rsplit(":", 1)[1]), rate=RATE) as line,
        OpsClient(f"http://127.0.0.1:{line.port}", token=token_of("val-viewer"), timeout=60.0) as slow,
    ):
        slow.on_message = lambda kind, data: heard.append((kind, data))
        yield slow


async def caught_up(room: OpsRoom, slow: OpsClient) -> None:
    """Returns when the client has each row as the board has it."""
    async with asyncio.timeout(60):
        while {name: row.seq for name, row in room.service.board.rows.items()} != {name: row["seq"] for name, row in slow.rows.items()}:
            await slow.changed()


@pytest.mark.timeout(150)
async def test_a_slow_reader_skips_versions_and_ends_with_every_row(tmp_path: Path) -> None:
    """Ten scans in a row are more than its line takes: it stays in the room on fewer rows, beside one who is told of all."""
    heard: list[tuple[str, dict[str, Any]]] = []
    async with ops_room(tmp_path) as room, room.join() as quick, slow_client(room, heard) as slow:
        for number in range(10):
            await asyncio.gather(scan(room, number), quick.until("scan-result"))
        told = [message["data"]["results"] for message in quick.messages if message["type"] == "check-result"]
        assert sum(map(len, told)) == 10 * ROWS
        await caught_up(room, slow)
        assert {row["summary"] for row in slow.rows.values()} == {"scan 9"}
        updates = [data for kind, data in heard if kind == "check-result"]
        assert sum(len(data["results"]) for data in updates) < 10 * ROWS
        assert any(data["total"] == ROWS and not data["results"] for data in updates), "it heard how far a scan was"
        assert [data["scan_id"] for kind, data in heard if kind == "scan-result"] == [
            message["data"]["scan_id"] for message in quick.messages if message["type"] == "scan-result"
        ]
        assert "snapshot" not in [kind for kind, _ in heard], "it was cut, and came again"
        assert slow.running == {}


@pytest.mark.timeout(150)
async def test_a_row_goes_while_somebody_is_behind(tmp_path: Path) -> None:
    """Its end is told at once, as is a message without rows: they could not be told later."""
    heard: list[tuple[str, dict[str, Any]]] = []
    async with ops_room(tmp_path) as room, slow_client(room, heard) as slow:
        room.service.announcer.broadcast = room.ops.broadcast
        for number in range(3):
            await scan(room, number)
        assert slow.rows.keys() != room.service.board.rows.keys(), "the line is too fast for this test"
        gone = next(iter(room.service.board.rows))
        await remove(room.service, {gone: "its check was taken out"}, "test")
        await room.ops.broadcast("check-result", {"seq": 0, "scan_id": "own", "done": 1, "total": 2, "results": []})
        await caught_up(room, slow)
        assert len(slow.rows) == ROWS - 1
        assert "own" in [data["scan_id"] for kind, data in heard if kind == "check-result"]


async def flip(room: OpsRoom, status: Status) -> None:
    """A network goes down, or comes back: every row is another than it was."""
    told = report(0)
    for result in told.results:
        result.status, result.summary, result.details = status, f"the network is {status}: " + "s" * 180, ""
    await room.service.publish(told, broadcast=room.ops.broadcast, actor="test")


@pytest.mark.timeout(150)
async def test_a_network_goes_down_and_comes_back(tmp_path: Path) -> None:
    """Every row changes, again and again: a slow reader is not cut, hears how many changes it was not told, and has every row as it is."""
    heard: list[tuple[str, dict[str, Any]]] = []
    async with ops_room(tmp_path) as room, room.join() as quick, slow_client(room, heard) as slow:
        for status in ("ok", "crit", "ok", "crit"):
            await asyncio.gather(flip(room, status), quick.until("scan-result"))
        await caught_up(room, slow)
        assert {row["status"] for row in slow.rows.values()} == {"crit"}
        assert "snapshot" not in [kind for kind, _ in heard], "it was cut, and came again"
        told = [message["data"] for message in quick.messages if message["type"] == "state-change"]
        assert len(told) == 3 * ROWS

        def known() -> int:
            return sum(1 if kind == "state-change" else data["changes"] for kind, data in heard if kind in ("state-change", "skipped"))

        async with asyncio.timeout(60):
            while known() < len(told):
                await slow.changed()
        assert known() == len(told)
        skipped = [data for kind, data in heard if kind == "skipped"]
        assert skipped, "the line is too fast for this test"
        first = min(change["at"] for change in told)
        assert all(first <= data["since"] for data in skipped)


async def test_changes_of_one_turn_are_told_one_by_one(tmp_path: Path) -> None:
    """Who keeps up, and knows the single message alone, hears each change, behind its row."""
    async with ops_room(tmp_path) as room, room.join() as quick:
        for status in ("ok", "crit"):
            await asyncio.gather(flip(room, status), quick.until("scan-result"))
        changes = [message["data"] for message in quick.messages if message["type"] == "state-change"]
        assert len({change["seq"] for change in changes}) == ROWS
        assert {(change["from"], change["to"]) for change in changes} == {("ok", "crit")}
        assert "skipped" not in [message["type"] for message in quick.messages]
