"""A real xterm (headless, in Node) that tells its cells."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.node_packages import installed
from tests.terminal.conftest import serve

__all__ = ["serve"]

HERE = Path(__file__).parent
WAIT = 60.0
Step = bytes | tuple[int, int]
"""Output, or a new size in columns and rows."""


class Xterm:
    """One Node process; every question gets a fresh terminal."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def shows(self, size: tuple[int, int], steps: Sequence[Step]) -> dict[str, Any]:
        """What a terminal that starts with this size shows after these steps."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        sent = [base64.b64encode(step).decode() if isinstance(step, bytes) else step for step in steps]
        self._process.stdin.write(json.dumps({"cols": size[0], "rows": size[1], "steps": sent}).encode() + b"\n")
        async with asyncio.timeout(WAIT):
            await self._process.stdin.drain()
            answer: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return answer


@pytest.fixture(scope="session")
def xterm_place() -> Path:
    """A directory with cells.mjs and the locked npm packages, installed once and kept."""
    return installed(HERE, "screens", "cells.mjs", untried="screens beside xterm.js")


@pytest.fixture
async def xterm(xterm_place: Path) -> AsyncIterator[Xterm]:
    """A process that answers until the test ends."""
    process = await asyncio.create_subprocess_exec(
        "node", "cells.mjs", cwd=xterm_place, stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=256 << 20
    )
    try:
        yield Xterm(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
