"""Ten thousand sockets in a thousand rooms that sleep."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from .dormitory import SUBJECTS, token_of
from .serving import Raw, upgrade_request

SERVER = Path(__file__).with_name("dormitory.py")
WAIT = 180.0


class Rooms:
    """Which rooms are awake, as the server tells it."""

    def __init__(self) -> None:
        self.awake: set[str] = set()
        self.starts: Counter[str] = Counter()
        self.answered = False
        self._changed = asyncio.Event()

    async def listen(self, stdout: asyncio.StreamReader) -> None:
        """Reads until the server ends."""
        while line := await stdout.readline():
            what, name = json.loads(line)
            if what == "awake":
                self.awake.add(name)
                self.starts[name] += 1
            elif what == "asleep":
                self.awake.discard(name)
            else:
                self.answered = True
            self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for what the server tells."""
        async with asyncio.timeout(WAIT):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


async def joined(port: int, room: str, number: int, turn: asyncio.Semaphore) -> Raw:
    """A socket with an id and a person of its own."""
    bearer = f"Authorization: Bearer {token_of(SUBJECTS[number % len(SUBJECTS)])}"
    async with turn, asyncio.timeout(WAIT):
        raw = Raw(*await asyncio.open_connection("127.0.0.1", port, limit=4096))
        raw.writer.write(upgrade_request(port, f"/parties/room/{room}?_pk={number}&x={number}", [bearer]))
        head = await raw.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        return raw


async def heard(raw: Raw) -> Any:
    """What the room told a socket: why, and all that it knows of it."""
    async with asyncio.timeout(WAIT):
        first, length = await raw.reader.readexactly(2)
        assert first == 0x81
        if length == 126:
            length = int.from_bytes(await raw.reader.readexactly(2), "big")
        return json.loads(await raw.reader.readexactly(length))


async def held(sockets: int, rooms: int, storage: Path) -> None:
    """All of them join, are told what they are, sleep, and are told the same when a message, a request or an alarm wakes their room."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SERVER), str(storage), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    everyone: list[Raw] = []
    dormitory = Rooms()
    names = [f"room{number}" for number in range(rooms)]
    try:
        async with asyncio.TaskGroup() as group:
            _, port = json.loads(await process.stdout.readline())
            listening = group.create_task(dormitory.listen(process.stdout))
            turn = asyncio.Semaphore(100)
            joining = [group.create_task(joined(port, names[number % rooms], number, turn)) for number in range(sockets)]
            everyone = [await task for task in joining]
            for raw in everyone[:rooms]:
                raw.writer.write(b"\x81\x80\0\0\0\0")
            before = [await heard(raw) for raw in everyone]
            for number, (_, known) in enumerate(before):
                colour = "red" if number % 2 else "blue"
                assert known[:4] == [str(number), [str(number), colour], [colour], {"number": number}]
                uri = f"http://127.0.0.1:{port}/parties/room/{names[number % rooms]}?_pk={number}&x={number}"
                assert (known[4], known[5], known[7]) == (SUBJECTS[number % len(SUBJECTS)], ["peer"], uri)
            process.stdin.write(b"\n")
            await dormitory.until(lambda: dormitory.answered)  # all that it told before has been read
            await dormitory.until(lambda: not dormitory.awake)
            starts = dict(dormitory.starts)
            assert len(starts) == rooms
            headers = {"Authorization": f"Bearer {token_of(SUBJECTS[0])}"}
            async with httpx.AsyncClient(timeout=WAIT, headers=headers) as http:
                for number, name in enumerate(names):
                    if number % 3 == 0:
                        everyone[number].writer.write(b"\x81\x80\0\0\0\0")
                    elif number % 3 == 1:
                        answer = await http.get(f"http://127.0.0.1:{port}/parties/room/{name}")
                        assert answer.text == str(sockets // rooms)
                    else:
                        process.stdin.write(name.encode() + b"\n")
                        await process.stdin.drain()
            for number, raw in enumerate(everyone):
                why = ("message", "request", "alarm")[number % rooms % 3]
                assert await heard(raw) == [why, before[number][1]]
            await dormitory.until(lambda: all(dormitory.starts[name] > starts[name] for name in names))
            process.kill()
            await listening
    finally:
        for raw in everyone:
            raw.writer.transport.abort()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()


async def test_three_hundred_sockets_of_thirty_rooms_wake_as_they_were(tmp_path: Path) -> None:
    """Ids, tags, grants, state and uri are the same after a message, a request and an alarm."""
    await held(300, 30, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_ten_thousand_sockets_of_a_thousand_rooms_wake_as_they_were(tmp_path: Path) -> None:
    """The same for ten thousand."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 12_000:
        pytest.skip(f"a process may open {hard} files here, and this needs 12,000: raise `ulimit -Hn`")
    with contextlib.ExitStack() as restored:
        if soft != resource.RLIM_INFINITY and soft < 12_000:
            resource.setrlimit(resource.RLIMIT_NOFILE, (12_000, hard))
            restored.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        await held(10_000, 1_000, tmp_path)
