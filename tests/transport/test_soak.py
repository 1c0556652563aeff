"""A minute of coming and going leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection

from .lit import WAIT, Lit, Watch, lit

PAGE = os.sysconf("SC_PAGE_SIZE")


def files(pid: int) -> int:
    """Open files of a process, without the ring that a host opens once for its first crowd and keeps."""
    opened = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            opened += os.readlink(entry) != "anon_inode:[io_uring]"
    return opened


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def slope(points: list[tuple[float, float]]) -> float:
    """Of the line through these points that fits best, by least squares."""
    middle_x, middle_y = sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)
    above = sum((x - middle_x) * (y - middle_y) for x, y in points)
    below = sum((x - middle_x) ** 2 for x, _ in points)
    return above / below


async def soaked(tmp_path: Path, *, connections: int, churn: int, seconds: float) -> None:
    """So many connections, of which so many a second leave, well or not, and others come."""
    chance = random.Random(1)
    loop = asyncio.get_running_loop()
    open_: dict[str, tuple[ClientConnection, Watch]] = {}
    names = iter(range(1_000_000))

    async def come(beacon: Lit) -> None:
        name = f"c{next(names)}"
        client = await beacon.connect(name, open_timeout=WAIT)
        open_[name] = (client, Watch(client))

    async def go(name: str) -> None:
        client, watch = open_.pop(name)
        if chance.random() < 0.5:
            client.transport.abort()
        else:
            await client.close()
        await watch.task

    async with lit(tmp_path, "--period", "0.05") as beacon:
        async with beacon.connect("first") as keeper:  # the room stays for the whole time
            keeping = Watch(keeper)
            await keeping.reach(10)
            before = await beacon.look()
            pid = beacon.process.pid
            files_before = files(pid)
            await asyncio.gather(*(come(beacon) for _ in range(connections)))
            points: list[tuple[float, float]] = []
            began = loop.time()
            turns = 0
            while (now := loop.time() - began) < seconds:
                await asyncio.gather(*(go(name) for name in chance.sample(list(open_), churn // 4)))
                await asyncio.gather(*(come(beacon) for _ in range(churn // 4)))
                turns += 1
                points.append((now / 3600, memory(pid) / 2**20))
                await asyncio.sleep(max(0.0, began + turns * 0.25 - loop.time()))
            for _, watch in open_.values():
                await watch.reach(5)
            most = files(pid)
            await asyncio.gather(*(go(name) for name in list(open_)))
            await beacon.until(["first"])
            async with asyncio.timeout(WAIT):
                while (await beacon.look())["tasks"] > before["tasks"] or files(pid) > files_before:
                    await asyncio.sleep(0.1)
            await keeping.reach(5)
            rest = points[len(points) // 2 :]
            print(
                f"{next(names)} came and went in {seconds:g} s; {most} files at most, {files(pid)} before and after; "
                f"RSS {rest[-1][1]:.1f} MiB, slope {slope(rest):+.1f} MiB an hour"
            )
        with contextlib.suppress(asyncio.CancelledError):
            await keeping.task


async def test_a_few_come_and_go(tmp_path: Path) -> None:
    """Twenty connections, two seconds: tasks and files are back where they were."""
    await soaked(tmp_path, connections=20, churn=20, seconds=2.0)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_two_hundred_come_and_go_for_a_minute(tmp_path: Path) -> None:
    """Twenty a second of two hundred: the same, and the memory's slope is printed."""
    await soaked(tmp_path, connections=200, churn=20, seconds=60.0)
