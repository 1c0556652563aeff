"""The seed's ops tests: broadcast, scheduled, multiple clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from partywidgets.scans.channel import PARTY, ROOM
from partywidgets.scans.checks.http import HttpCheck
from partywidgets.scans.checks.tcp import TcpCheck
from partywidgets.scans.schedule import Scheduler
from partywidgets.scans.settings import ScheduleSettings

from .ops_room import Play, ScriptedCheck, ops_room


class Shop:
    """A small HTTP server that the test can break."""

    def __init__(self) -> None:
        self.status = "200 OK"
        self.port = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One response for each request."""
        while (line := await reader.readline()) not in (b"\r\n", b""):
            del line
        writer.write(f"HTTP/1.1 {self.status}\r\nContent-Length: 4\r\nConnection: close\r\n\r\nshop".encode())
        await writer.drain()
        writer.close()


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    shop = Shop()
    server = await asyncio.start_server(shop.answer, "127.0.0.1", 0)
    async with server:
        shop.port = server.sockets[0].getsockname()[1]
        yield shop


async def test_broadcast(tmp_path: Path, shop: Shop) -> None:
    """A scan's results reach a connected client: started, results as they come, the finished report with the values seen."""
    async with ops_room(tmp_path) as room, room.join() as person:
        checks = [
            HttpCheck(id="shop", url=f"http://127.0.0.1:{shop.port}/health", conditions=("status == 200",), severity="critical"),
            TcpCheck(id="port", host="127.0.0.1", port=shop.port),
        ]
        await room.service.load_config("shop.yaml", checks)
        assert await person.snapshot() == []
        shop.status = "503 Down"
        report = await room.ops.run_scan()
        started = await person.until("scan-started")
        finished = await person.until("scan-result")
    assert started["scan_id"] == finished["scan_id"] == report.scan_id
    assert started["total"] == 2
    assert finished["schema"] == "partywidgets.scan/1"
    assert finished["counts"] == {"ok": 1, "warn": 0, "crit": 1, "unknown": 0, "skip": 0}
    first = finished["results"][0]
    assert (first["check_id"], first["status"], first["severity"]) == ("shop", "crit", "critical")
    assert first["conditions"][0]["actual"] == "503"
    assert first["duration_ms"] > 0
    assert {message["type"] for message in person.messages} == {"snapshot", "scan-started", "check-result", "state-change", "scan-result"}
    streamed = [row["check_id"] for message in person.messages if message["type"] == "check-result" for row in message["data"]["results"]]
    assert sorted(streamed) == ["port", "shop"]


async def test_scheduled(tmp_path: Path, shop: Shop) -> None:
    """A scan that the schedule starts (a cron expression with seconds) broadcasts the same messages."""
    async with ops_room(tmp_path) as room, room.join() as person:
        checks = [HttpCheck(id="shop", url=f"http://127.0.0.1:{shop.port}/", conditions=("status == 200",))]
        await room.service.load_config("shop.yaml", checks, schedule=ScheduleSettings(full="* * * * * *"))
        for _ in range(2):
            finished = await person.until("scan-result")
            started = [message["data"] for message in person.messages if message["type"] == "scan-started"]
            (begun,) = (one for one in started if one["scan_id"] == finished["scan_id"])  # a later one may have begun meanwhile
            assert begun["trigger"] == finished["trigger"] == "schedule"
            assert [row["status"] for row in finished["results"]] == ["ok"]


async def test_interval(tmp_path: Path, play: Play) -> None:
    """A check with `every` is looked at again and again, and everyone is told."""
    async with ops_room(tmp_path) as room, room.join() as person:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="often", every=0.2), ScriptedCheck(id="asked")])
        for _ in range(3):
            finished = await person.until("scan-result")
            assert finished["trigger"] == "interval"
            assert [row["check_id"] for row in finished["results"]] == ["often"]
    assert play.looks["often"] >= 3
    assert "asked" not in play.looks


async def test_multiple_clients(tmp_path: Path) -> None:
    """Two hundred clients, on both paths, all get each of three scan-results, in order."""
    async with ops_room(tmp_path) as room, AsyncExitStack() as stack:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="one"), ScriptedCheck(id="two")])
        paths = ("parties/ops-monitor-broadcast/main", "api/ops/broadcast")
        people = [await stack.enter_async_context(room.join(path=paths[number % 2])) for number in range(200)]
        reports = [await room.ops.run_scan() for _ in range(3)]
        for person in people:
            seen = [(await person.until("scan-result"))["scan_id"] for _ in range(3)]
            assert seen == [report.scan_id for report in reports]


async def test_all_three_ways_broadcast_the_same(tmp_path: Path) -> None:
    """A cell's run_scan(broadcast=…), the entry point and the scheduled handler give scan-results of one form."""
    async with ops_room(tmp_path) as room, room.join() as person:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="one")])
        await room.service.run_scan(broadcast=room.ops.broadcast)
        await room.ops.run_scan()
        await room.ops.scheduled()
        results = [await person.until("scan-result") for _ in range(3)]
    assert [result["trigger"] for result in results] == ["manual", "manual", "schedule"]
    keys = [set(result) for result in results]
    assert keys[0] == keys[1] == keys[2]
    assert [result["results"][0]["change"] for result in results] == ["new", "unchanged", "unchanged"]


async def test_scan_without_broadcast_tells_nobody(tmp_path: Path) -> None:
    """run_scan without a callback is kept, and shown to who joins later, but not broadcast."""
    async with ops_room(tmp_path) as room:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="one")])
        async with room.join() as early:
            assert await early.snapshot() == []
            report = await room.service.run_scan()
            told = await room.ops.run_scan()
            assert (await early.until("scan-result"))["scan_id"] == told.scan_id != report.scan_id
        async with room.join() as late:
            assert [row["check_id"] for row in await late.snapshot()] == ["one"]


async def test_nobody_misses_a_scan_result_while_people_come_and_go(tmp_path: Path, play: Play) -> None:
    """While the schedule scans and people come and go, everyone gets each scan-result between joining and leaving, once and in order."""
    play.statuses["two"] = "warn"
    async with ops_room(tmp_path, hibernate_after=0.05) as room, AsyncExitStack() as stack:
        steady = [await stack.enter_async_context(room.join()) for _ in range(10)]
        await room.service.load_config("a.yaml", [ScriptedCheck(id="one", every=0.05), ScriptedCheck(id="two", every=0.07)])
        stays: list[tuple[str | None, list[str]]] = []

        async def visitor() -> None:
            for _ in range(5):
                async with room.join() as person:
                    await person.snapshot()
                    told = [(await person.until("scan-result"))["scan_id"] for _ in range(4)]
                    scan = person.messages[0]["data"]["scan"]
                    stays.append((scan and scan["scan_id"], told))

        await asyncio.gather(*(visitor() for _ in range(20)))
        await room.service.load_config("a.yaml", [])
        last = await room.ops.run_scan()
        seen = []
        for person in steady:
            told: list[str] = []
            while not told or told[-1] != last.scan_id:
                told.append((await person.until("scan-result"))["scan_id"])
            seen.append(told)
    assert all(told == seen[0] for told in seen)
    order = {scan_id: number for number, scan_id in enumerate(seen[0])}
    assert len(order) == len(seen[0])
    assert len(stays) == 100
    for before, told in stays:
        places = [order[scan_id] for scan_id in told]
        assert places == list(range(places[0], places[0] + 4))
        assert before is None or before not in order or order[before] in (places[0] - 1, places[0])


async def test_the_rooms_alarm_follows_the_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a scan the room's alarm is set to the next full scan; when it rings, also after a restart, the schedule looks at the clock."""
    yearly, secondly = ScheduleSettings(full="0 0 1 1 *"), ScheduleSettings(full="* * * * * *")
    async with ops_room(tmp_path) as room:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="one")], schedule=yearly)
        await room.ops.run_scan()
        main = await room.host.get_server_by_name(PARTY, ROOM)
        assert await main.storage.get_alarm() == room.service.scheduler.next_full()
        async with room.join() as person:
            await room.service.load_config("a.yaml", [ScriptedCheck(id="one")], schedule=secondly)
            await person.until("scan-result", lambda data: data["trigger"] == "schedule")
    rang = asyncio.Event()
    monkeypatch.setattr(Scheduler, "wake", lambda scheduler: rang.set())
    async with ops_room(tmp_path):
        async with asyncio.timeout(20):
            await rang.wait()


async def test_a_callback_and_the_room_are_told_the_same(tmp_path: Path, play: Play) -> None:
    """The room gets rows as the text that they were encoded to once; a callback of somebody else's gets them as values, equal in all."""
    heard: list[tuple[str, dict[str, Any]]] = []
    async with ops_room(tmp_path) as room, room.join() as val:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="one", severity="high"), ScriptedCheck(id="two")])
        await val.snapshot()

        async def by_values(kind: str, message: dict[str, Any]) -> None:
            heard.append((kind, message))
            await room.ops.broadcast(kind, message)

        await room.service.run_scan(broadcast=by_values)
        rows = [row for kind, message in heard if kind == "check-result" for row in message["results"]]
        told: list[dict[str, Any]] = []
        while len(told) < 2:
            told += (await val.until("check-result"))["results"]
        assert told == rows
        await val.until("scan-result")
        await room.ops.run_scan()
        again: list[dict[str, Any]] = []
        while len(again) < 2:
            again += (await val.until("check-result", lambda data: {*data} == {"seq", "scan_id", "done", "total", "results"}))["results"]
        assert [row["result_id"] for row in again] != [row["result_id"] for row in told]
        assert again == [room.service.board.rows[row["fingerprint"]].to_wire() for row in again]
