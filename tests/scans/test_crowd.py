"""The seed at depth: two hundred people on `main`, coming and going while the schedule scans."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from partywidgets.scans.channel import PARTY, ROOM
from partywidgets.scans.settings import ScheduleSettings

from .ops_room import Person, Play, ScriptedCheck, ops_room

STAYING, VISITING = 120, 80
SCANS = 5
"""Scans of the schedule, one a second, that everybody must hear of."""
PATIENCE = 120.0
JOINING = 10
"""People who knock at once; the two cores of a small machine are no part of what is tested."""


def heard(person: Person) -> list[str]:
    """The scans that a person knows to be over, in the order they were told: by the snapshot, then by each `scan-result`."""
    ids: list[str] = []
    for message in person.messages:
        told = message["data"]
        if message["type"] == "snapshot":
            told = told.get("scan")
        elif message["type"] != "scan-result":
            continue
        if told is not None and told["scan_id"] not in ids:
            ids.append(told["scan_id"])
    return ids


def assert_without_gap(ids: list[str], finished: list[str]) -> None:
    """What a person heard is a run of the scans that finished: nothing is missing between the first and the last.

    Two scans that end at the same moment may be told in either order.
    """
    assert ids, "nothing was told"
    places = sorted(finished.index(scan_id) for scan_id in ids)
    assert places == list(range(places[0], places[-1] + 1))


def heard_enough(ids: list[str], finished: list[str]) -> bool:
    """Whether the scans that everybody must hear of were told, or one was missed: two later ones were told since."""
    return set(finished[:SCANS]) <= set(ids) or len(set(ids) & set(finished[SCANS:])) > 1


@pytest.mark.timeout(180)
async def test_nobody_misses_a_scan_result_while_two_hundred_come_and_go(tmp_path: Path, play: Play) -> None:
    """Of two hundred people each knows every scheduled scan since it came; who comes late has the last one in the snapshot."""
    finished: list[str] = []
    enough = asyncio.Event()
    door = asyncio.Semaphore(JOINING)
    visits: list[list[str]] = []

    async with ops_room(tmp_path) as room:
        tell = room.ops.broadcast

        async def broadcast(kind: str, message: dict[str, Any]) -> None:
            if kind == "scan-result":
                finished.append(message["scan_id"])
            await tell(kind, message)

        room.service.announcer.broadcast = broadcast

        async def stay(ready: asyncio.Semaphore) -> list[str]:
            await door.acquire()
            try:
                joining = room.join()
                person = await joining.__aenter__()
            finally:
                door.release()
            try:
                await person.snapshot()
                ready.release()
                while not (enough.is_set() and heard_enough(heard(person), finished)):
                    await person.receive()
                return heard(person)
            finally:
                await joining.__aexit__(None, None, None)

        async def visit(results: int) -> None:
            """Comes, hears `results` scans end, goes; again, until the others have heard enough."""
            while not enough.is_set():
                async with door:
                    joining = room.join()
                    person = await joining.__aenter__()
                try:
                    await person.snapshot()
                    for _ in range(results):
                        await person.until("scan-result")
                    visits.append(heard(person))
                finally:
                    await joining.__aexit__(None, None, None)

        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as crowd:
            ready = asyncio.Semaphore(0)
            staying = [crowd.create_task(stay(ready)) for _ in range(STAYING)]
            for _ in range(STAYING):
                await ready.acquire()
            visiting = [crowd.create_task(visit(1 + number % 3)) for number in range(VISITING)]
            checks = [ScriptedCheck(id=f"check-{number}") for number in range(5)]
            await room.service.load_config("a.yaml", checks, schedule=ScheduleSettings(full="* * * * * *"))
            watcher = room.join()
            async with watcher as person:
                while len(finished) < SCANS:
                    await person.until("scan-result")
            enough.set()
            everything = [await task for task in staying]
            await asyncio.wait(visiting)
        told = set(finished)  # the schedule goes on: a later one may be told while these are looked up
        kept = {scan["scan_id"] for scan in await room.service.history.scans(limit=1000)}

    assert told <= kept
    for ids in everything:
        assert set(finished[:SCANS]) <= set(ids)
        assert_without_gap(ids, finished)
    assert len(visits) >= VISITING
    for ids in visits:
        assert_without_gap(ids, finished)


@pytest.mark.timeout(180)
async def test_who_does_not_read_is_told_by_the_end_of_its_socket(tmp_path: Path, play: Play) -> None:
    """A person who reads nothing is cut, which it sees; coming again it has the last scan, and the others missed nothing."""
    finished: list[str] = []
    async with ops_room(tmp_path) as room:
        room.host.slow_consumer_cap = 256 * 1024
        await room.service.load_config("a.yaml", [ScriptedCheck(id=f"check-{number}") for number in range(300)])
        async with room.join() as reader, room.join() as sleeper:
            await reader.snapshot()
            await sleeper.snapshot()
            server = await room.host.get_server_by_name(PARTY, ROOM)
            async with asyncio.timeout(PATIENCE):
                while len(list(server.get_connections())) > 1:
                    report, _ = await asyncio.gather(room.ops.scheduled(), reader.until("scan-result"))
                    finished.append(report.scan_id)
            with pytest.raises(ConnectionClosed):
                await sleeper.until("never")
            assert_without_gap(heard(sleeper), finished)
            assert len(heard(sleeper)) < len(finished)
            assert heard(reader) == finished
        async with room.join() as again:
            await again.snapshot()
            assert heard(again) == finished[-1:]
