"""The beacon as a process, and clients that check that no number is missing."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from .beacon import TOKEN

ROOT = Path(__file__).parents[2]
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
WAIT = 60.0


class Lit:
    """A beacon that runs."""

    def __init__(self, process: asyncio.subprocess.Process, address: str, port: int) -> None:
        self.process = process
        self.port = port
        self.place = f"{address}:{port}/parties/beacon/r"

    def connect(self, id: str, **options: Any) -> connect:
        """A client of its room."""
        return connect(f"ws://{self.place}?_pk={id}", additional_headers=HEADERS, compression=None, ping_interval=None, **options)

    async def look(self) -> dict[str, Any]:
        """How many tasks it has, who is in its room, whom it does not read, and the most that each had unread."""
        async with httpx.AsyncClient(timeout=WAIT) as http:
            answer: dict[str, Any] = (await http.get(f"http://{self.place}", headers=HEADERS)).json()
            return answer

    async def until(self, ids: Sequence[str]) -> None:
        """Waits until these, and nobody else, are in the room."""
        there: list[str] = []
        try:
            async with asyncio.timeout(WAIT):
                while sorted(there := (await self.look())["ids"]) != sorted(ids):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"in the room are {there}, not {ids}") from None


@contextlib.asynccontextmanager
async def lit(storage: Path, *options: str, within: Sequence[str] = (), address: str = "127.0.0.1", log: Any = None) -> AsyncIterator[Lit]:
    """A beacon; `within` is a command in front of it."""
    process = await asyncio.create_subprocess_exec(
        *within, sys.executable, "-m", "tests.transport.beacon", str(storage), "--bind", address, *options,
        cwd=ROOT, stdout=subprocess.PIPE, stderr=log,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(WAIT):
            line = await process.stdout.readline()
        assert line, "the beacon did not start"
        yield Lit(process, address, int(line))
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


class Watch:
    """Reads a client for as long as it is open, and checks that each number follows the last."""

    def __init__(self, client: ClientConnection) -> None:
        self.client = client
        self.first: int | None = None
        self.last = -1
        self._moved = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self._read(), name="watch")

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in self.client:
                number = int(message.split()[0])
                assert self.first is None or number == self.last + 1, f"after {self.last} came {number}"
                self.first = number if self.first is None else self.first
                self.last = number
                self._moved.set()

    async def reach(self, further: int = 50) -> None:
        """Waits until so many more have come. Raises what reading raised."""
        goal = self.last + further
        async with asyncio.timeout(WAIT):
            while self.last < goal:
                self._moved.clear()
                moving = asyncio.ensure_future(self._moved.wait())
                await asyncio.wait((moving, self.task), return_when=asyncio.FIRST_COMPLETED)
                moving.cancel()
                if self.task.done():
                    self.task.result()
                    raise AssertionError(f"the socket ended with {self.client.close_code} after {self.last}")
