"""A server that is killed under load keeps what it acknowledged, and rings what is due."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidMessage

ROOMS = [f"room{number}" for number in range(8)]
WINDOW = 4
WAIT = 60.0
SERVER = Path(__file__).with_name("ledger.py")


class Ledgers:
    """What the world outside knows, over all the lives of the server: what it sent, what came back, which alarms rang."""

    def __init__(self, storage: Path) -> None:
        self.storage = storage
        self.sent: Counter[str] = Counter()
        self.kept: Counter[str] = Counter()
        self.rung: Counter[str] = Counter()
        self.rings = 0
        self.last: Counter[str] = Counter()
        self.before: Counter[str] = Counter()
        """Of every room the put behind its last entry, and that entry, as they were found after the life before."""
        self._changed = asyncio.Event()

    def told(self, fields: list[Any]) -> None:
        """A line of the server."""
        if fields[0] == "rang":
            self.rings += 1
            self.rung[fields[1]] = max(self.rung[fields[1]], fields[2] or 0)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for what the server tells or acknowledges."""
        async with asyncio.timeout(WAIT):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def write(self, port: int, room: str, delay: Callable[[], float]) -> None:
        """Sends one entry after the other, a few ahead of the answers, until the server is gone."""
        with contextlib.suppress(ConnectionClosed, InvalidMessage, OSError):
            async with connect(f"ws://127.0.0.1:{port}/parties/ledger/{room}", compression=None, close_timeout=0.1) as socket:
                ahead = 0
                while True:
                    while ahead < WINDOW:
                        self.sent[room] += 1
                        ahead += 1
                        await socket.send(f"{self.sent[room]} {delay():.4f}")
                    self.kept[room] = int(await socket.recv())
                    ahead -= 1
                    self._changed.set()

    def found(self, place: Path) -> Counter[str]:
        """The highest entry of every room in the files, which are whole. Reads copies: to recover them is the next server's matter."""
        highest: Counter[str] = Counter()
        shutil.copytree(self.storage, place)
        for file in [place / "host.sqlite3", *place.glob("rooms/*.sqlite3")]:
            with contextlib.closing(sqlite3.connect(file)) as database:
                assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                if file.parent == place:
                    continue
                tables = {name for (name,) in database.execute("SELECT name FROM sqlite_schema")}
                if "entries" not in tables:
                    continue
                ((room,),) = database.execute("SELECT name FROM partywidgets_room")
                numbers = [number for (number,) in database.execute("SELECT number FROM entries ORDER BY number")]
                assert numbers == list(range(1, len(numbers) + 1)), f"{room} has a gap"
                highest[room] = len(numbers)
                row = database.execute("SELECT value FROM partywidgets_kv WHERE key = 'last'").fetchone()
                last = 0 if row is None else int(row[0])
                # The put of an entry comes behind it, and before the next one of that life: only the last one of a life may lack it.
                before = self.before[room]
                lacking = {self.last[room]} if highest[room] <= before + 1 else set()
                assert last in {highest[room], highest[room] - 1} | lacking, f"{room} lost a put"
                assert last >= self.kept[room], f"{room} lost an acknowledged put"
                self.last[room] = last
        shutil.rmtree(place)
        return highest

    async def life(self, chance: random.Random, copies: Path, *, patient: float = 0.8) -> None:
        """One life of the server, from its start to its kill, and what is left of it.

        A patient one sees all alarms ring that are due and loads the server then; another is killed while it rings them.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(SERVER), str(self.storage), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        due = dict(self.kept)
        port = 0
        try:
            async with asyncio.TaskGroup() as group, asyncio.timeout(WAIT):
                while not port:
                    fields = json.loads(await process.stdout.readline())
                    self.told(fields)
                    if fields[0] == "port":
                        port = fields[1]
                        assert Path(fields[2]) == self.storage, "the lock of the one before is still held"
                listening = group.create_task(self._listen(process.stdout))
                if chance.random() < patient:
                    # Nobody is connected: the rooms ring from the table alone.
                    await self.until(lambda: all(self.rung[room] >= number for room, number in due.items()))
                    writers = [group.create_task(self.write(port, room, lambda: chance.choice((0, 0, 0.005, 0.05)))) for room in ROOMS]
                    wanted = self.kept.total() + chance.randint(1, 150)
                    rooms = len(ROOMS) if not due else 0
                    await self.until(lambda: self.kept.total() >= wanted and len(self.kept) >= rooms)
                else:
                    writers = []
                await asyncio.sleep(chance.random() * 0.01)  # anywhere between two steps of the server
                process.kill()
                assert await process.wait() == -9
                await asyncio.gather(listening, *writers)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        found = self.found(copies)
        for room in ROOMS:
            assert self.kept[room] <= found[room] <= self.sent[room], f"{room} lost an acknowledged entry"
            # What was written and not acknowledged is there as well: the client that asks goes on behind it.
            self.sent[room] = self.before[room] = found[room]

    async def _listen(self, stdout: asyncio.StreamReader) -> None:
        while line := await stdout.readline():
            self.told(json.loads(line))


async def killed(times: int, tmp_path: Path) -> Ledgers:
    """So many lives on one directory."""
    ledgers = Ledgers(tmp_path / "storage")
    for number in range(times):
        # The first writes and the last rings, so that no kill goes unseen.
        await ledgers.life(random.Random(number), tmp_path / "copy", patient=0.8 if 0 < number < times - 1 else 1.0)
    assert all(ledgers.kept[room] for room in ROOMS)
    assert ledgers.rings
    return ledgers


async def test_five_kills_under_load(tmp_path: Path) -> None:
    """No acknowledged write is lost, no file is damaged, and alarms that were due ring in the next life with nobody connected."""
    await killed(5, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_two_hundred_kills_under_load(tmp_path: Path) -> None:
    """The same, two hundred times on one directory."""
    await killed(200, tmp_path)
