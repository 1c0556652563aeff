"""Milliseconds of a room's first write, which makes its SQLite file, of one after it, and of its file's closing; SQLite alone beside it."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from partywidgets.party import PartyHost, Server
from partywidgets.party.storage import ROOM_SCHEMA

INSERT = "INSERT OR REPLACE INTO partywidgets_kv VALUES ('x', '1')"
STEPS = ("first write", "second write", "close")
Times = list[tuple[float, ...]]


class Room(Server):
    """Keeps what it is given."""


async def ours(folder: Path, rooms: int) -> Times:
    """Of every room, what its own code waits for each step."""
    times: Times = []
    async with PartyHost({"room": Room}, storage=folder) as host:
        for number in range(rooms):
            storage = (await host.get_server_by_name("room", f"room-{number}")).storage
            marks = [time.perf_counter()]
            for step in (storage.put("x", 1), storage.put("x", 2), storage.close()):
                await step
                marks.append(time.perf_counter())
            times.append(tuple(after - before for before, after in itertools.pairwise(marks)))
    return times


def alone(folder: Path, rooms: int) -> Times:
    """The same file made as SQLite makes it when it is told nothing else."""
    times: Times = []
    for number in range(rooms):
        marks = [time.perf_counter()]
        database = sqlite3.connect(folder / f"{number}.sqlite3", isolation_level=None)
        steps: tuple[Callable[[], object], ...] = (
            lambda: database.executescript(f"PRAGMA journal_mode=WAL; BEGIN; {ROOM_SCHEMA} COMMIT; {INSERT};"),  # noqa: B023
            lambda: database.execute(INSERT),  # noqa: B023
            database.close,
        )
        for step in steps:
            step()
            marks.append(time.perf_counter())
        times.append(tuple(after - before for before, after in itertools.pairwise(marks)))
    return times


def main(argv: list[str]) -> None:
    """Prints the median and the 99th percentile of each step."""
    parser = argparse.ArgumentParser(prog="./dev bench first-write", description=__doc__)
    parser.add_argument("--rooms", type=int, default=200)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        measured = {
            "ours": asyncio.run(ours(Path(folder) / "ours", arguments.rooms)),
            "SQLite alone": alone(Path(folder), arguments.rooms),
        }
    print(f"\n{arguments.rooms} rooms, ms: median, p99")
    print(" " * 16 + "".join(f"{step:>24}" for step in STEPS))
    for name, times in measured.items():
        columns = [sorted(step) for step in zip(*times, strict=True)]
        cells = [f"{statistics.median(step) * 1000:.2f}, {step[int(len(step) * 0.99)] * 1000:.2f}" for step in columns]
        print(f"{name:16}" + "".join(f"{cell:>24}" for cell in cells), flush=True)
