"""Hours of coming and going: what a server's memory, open files and tasks do while connections come and go at a steady rate."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import os
import random
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from websockets.asyncio.client import ClientConnection

from tests.transport.lit import WAIT, Lit, Watch, lit

from .held import resident

TURNS = 4
"""So many times a second some leave and others come."""

LEAST = 8
"""Looks at the memory below which nothing is said of its slope."""


def files(pid: int) -> int:
    """Open files of a process, without the ring that a host opens once for its first crowd and keeps."""
    opened = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            opened += os.readlink(entry) != "anon_inode:[io_uring]"
    return opened


async def settled_files(pid: int) -> int:
    """Open files of a process once they have been as many for half a second: it may still be closing what came before."""
    seen = [files(pid)]
    while len(seen) < 6 or len(set(seen[-6:])) > 1:
        await asyncio.sleep(0.1)
        seen.append(files(pid))
    return seen[-1]


def slope(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Of the line through these points that fits best by least squares, and half of its 95 % interval, as if they were independent."""
    line = statistics.linear_regression(*zip(*points, strict=True))
    middle = statistics.fmean(x for x, _ in points)
    off = sum((y - line.intercept - line.slope * x) ** 2 for x, y in points)
    spread = sum((x - middle) ** 2 for x, _ in points)
    return line.slope, 1.96 * math.sqrt(off / (len(points) - 2) / spread)


@dataclass
class Soak:
    """What was seen. Files and tasks are those of the server before anybody came, at most, and after all were gone."""

    came: int = 0
    seconds: float = 0.0
    files: tuple[int, int, int] = (0, 0, 0)
    tasks: tuple[int, int, int] = (0, 0, 0)
    memory: list[tuple[float, float]] = field(default_factory=list)
    """Hours since the beginning, and MiB of RSS."""

    @property
    def settled(self) -> list[tuple[float, float]]:
        """The second half: in the first one the allocator still grows to what the crowd needs."""
        return self.memory[len(self.memory) // 2 :]

    def lines(self) -> list[str]:
        """What there is to say, a line each."""
        said = [
            f"{self.came} connections came and went in {self.seconds:.0f} s, {self.came / self.seconds:.1f} a second",
            "files  {} before, {} at most, {} after".format(*self.files),
            "tasks  {} before, {} at most, {} after".format(*self.tasks),
        ]
        if len(self.settled) >= LEAST:
            grows, unsure = slope(self.settled)
            each = grows * 2**20 / (self.came / self.seconds * 3600)
            said.append(
                f"RSS    {self.memory[0][1]:.1f} MiB at first, {self.memory[-1][1]:.1f} at last; in the second half "
                f"{grows:+.1f} ± {unsure:.1f} MiB an hour, {each:+.0f} bytes a connection"
            )
        return said


async def soak(
    storage: Path, *, connections: int, churn: float, seconds: float, tell: Callable[[Soak], None] = lambda so_far: None
) -> Soak:
    """So many connections to one room, of which so many a second leave, with a Close or without, and others come. All go at the end.

    Every connection checks that it misses no message (`Watch`). `tell` hears about every minute. Raises TimeoutError when tasks or files
    are not back where they were within `WAIT`.
    """
    chance = random.Random(1)
    loop = asyncio.get_running_loop()
    here: dict[str, tuple[ClientConnection, Watch]] = {}
    seen = Soak()

    async def come(beacon: Lit) -> None:
        name = f"c{seen.came}"
        seen.came += 1
        client = await beacon.connect(name, open_timeout=WAIT)
        here[name] = (client, Watch(client))

    async def go(name: str) -> None:
        client, watch = here.pop(name)
        if chance.random() < 0.5:
            client.transport.abort()
        else:
            await client.close()
        await watch.task

    async with lit(storage, "--period", "0.05") as beacon:
        pid = beacon.process.pid
        async with beacon.connect("first") as keeper:  # the room stays for the whole time
            keeping = Watch(keeper)
            await keeping.reach(10)
            tasks_before, files_before = (await beacon.look())["tasks"], await settled_files(pid)
            files_most = tasks_most = 0
            await asyncio.gather(*(come(beacon) for _ in range(connections)))
            began = loop.time()
            turns = told = 0
            while (now := loop.time() - began) < seconds:
                changing = round((turns + 1) * churn / TURNS) - round(turns * churn / TURNS)
                await asyncio.gather(*(go(name) for name in chance.sample(list(here), min(changing, len(here)))))
                await asyncio.gather(*(come(beacon) for _ in range(changing)))
                turns += 1
                seen.seconds = loop.time() - began
                if turns % TURNS == 0:
                    seen.memory.append((now / 3600, resident(pid) / 2**20))
                    files_most = max(files_most, files(pid))
                    tasks_most = max(tasks_most, (await beacon.look())["tasks"])
                if seen.seconds >= 60 * (told + 1):  # by the clock: a busy machine makes fewer turns
                    told += 1
                    seen.files, seen.tasks = (files_before, files_most, files(pid)), (tasks_before, tasks_most, tasks_most)
                    tell(seen)
                await asyncio.sleep(max(0.0, began + turns / TURNS - loop.time()))
            seen.seconds = loop.time() - began
            await asyncio.gather(*(watch.reach(5) for _, watch in here.values()))
            await asyncio.gather(*(go(name) for name in list(here)))
            await beacon.until(["first"])
            async with asyncio.timeout(WAIT):
                while (tasks_after := (await beacon.look())["tasks"]) > tasks_before or files(pid) > files_before:
                    await asyncio.sleep(0.1)
            await keeping.reach(5)
            seen.files, seen.tasks = (files_before, files_most, files(pid)), (tasks_before, tasks_most, tasks_after)
        with contextlib.suppress(asyncio.CancelledError):
            await keeping.task
    return seen


def main(argv: list[str]) -> None:
    """Prints what was seen, and the memory so far every minute."""
    parser = argparse.ArgumentParser(prog="./dev bench soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--churn", type=float, default=20.0, help="connections a second that leave, and others that come")
    arguments = parser.parse_args(argv)

    def tell(so_far: Soak) -> None:
        print(f"{so_far.seconds / 60:5.0f} min  {so_far.came} came  {so_far.memory[-1][1]:.1f} MiB", flush=True)

    print(f"\n{arguments.connections} connections, {arguments.churn:g} a second come and go, 20 messages a second to each", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        seconds = arguments.minutes * 60
        seen = asyncio.run(soak(Path(folder), connections=arguments.connections, churn=arguments.churn, seconds=seconds, tell=tell))
    print("\n".join(seen.lines()), flush=True)
