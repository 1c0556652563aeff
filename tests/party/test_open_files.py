"""Storage in a process that may open no more files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import asyncio, os, resource, sys
from partywidgets.party import PartyHost, Server
from partywidgets.exceptions import StorageError

async def main():
    async with PartyHost({"room": Server}, storage=sys.argv[1]) as host:
        here, there = [(await host.get_server_by_name("room", name)).storage for name in ("here", "there")]
        await here.put("x", 1)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        for number in range(3, 400):
            try:
                os.fstat(number)
            except OSError:
                break
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
        await here.put("x", 2)
        try:
            await there.put("x", 1)
        except StorageError as error:
            print(error)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await there.put("x", 3)
        print(await here.get("x"), await there.get("x"))

asyncio.run(main())
"""


def test_a_room_that_cannot_open_its_storage(tmp_path: Path) -> None:
    """The sentence is of open files, not of who may write; what is open goes on, and the room has its storage once there are some again."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, tmp_path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    refusal, values = done.stdout.splitlines()
    assert refusal.endswith("this process may open no more files: raise `ulimit -n`, or LimitNOFILE= of its unit")
    assert values == "2 3"
