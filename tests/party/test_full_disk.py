"""Databases on a disk without room: a real one, of 2 MiB, in a mount namespace of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import asyncio, sys
from pathlib import Path
from partywidgets.exceptions import StorageError
from partywidgets.party import PartyHost, Server
from partywidgets.scans.history import FILE, History

async def begin(what):
    try:
        async with what:
            pass
    except StorageError as error:
        print(error)

async def main():
    directory = Path(sys.argv[1])
    for _ in range(2):
        async with PartyHost({"room": Server}, storage=directory), History(directory / FILE):
            pass
        with open(directory / "fill", "wb", buffering=0) as fill:
            try:
                while True:
                    fill.write(bytes(4096))
            except OSError:
                pass
        await begin(PartyHost({"room": Server}, storage=directory))
        await begin(History(directory / FILE))
        (directory / "fill").unlink()

asyncio.run(main())
"""
MOUNTED = 'mount -t tmpfs -o size=2m,mode=700 tmpfs "$1" 2>/dev/null || exit 77; exec "$2" -c "$3" "$1"'


def test_a_start_on_a_full_disk(tmp_path: Path) -> None:
    """It is one sentence that asks for room, whatever SQLite calls it there; with room again the files are as they were."""
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", MOUNTED, "sh", tmp_path, sys.executable, SCRIPT], capture_output=True, text=True, timeout=60
    )
    if done.returncode in (1, 77) and not done.stdout and "Traceback" not in done.stderr:
        pytest.skip("this user may not mount a file system")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert all(line.endswith("make room on its disk") for line in lines), lines
