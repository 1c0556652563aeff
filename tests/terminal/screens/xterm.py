"""A real xterm (headless, in Node) that tells its cells."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from typing import Any

WAIT = 60.0
Step = bytes | tuple[int, int]
"""Output, or a new size in columns and rows."""


class Xterm:
    """One Node process; every question gets a fresh terminal."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def shows(self, size: tuple[int, int], steps: Sequence[Step], *, last: int = 0) -> dict[str, Any]:
        """What a terminal that starts with this size shows after these steps; `last`: so many rows of each buffer, 0 for all."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        sent = [base64.b64encode(step).decode() if isinstance(step, bytes) else step for step in steps]
        self._process.stdin.write(json.dumps({"cols": size[0], "rows": size[1], "steps": sent, "last": last}).encode() + b"\n")
        async with asyncio.timeout(WAIT):
            await self._process.stdin.drain()
            answer: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return answer
