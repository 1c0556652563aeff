"""A script in Node that a test talks to: one JSON value a line, both ways."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

LINE_BYTES = 64 * 1024 * 1024


class NodeProgram:
    """A running script. `seen` are the events that it wrote so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.seen: list[dict[str, Any]] = []

    async def tell(self, name: str, argument: Any = None) -> None:
        """Has the script do something."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({name: argument}).encode() + b"\n")
        await self.process.stdin.drain()

    async def next(self) -> dict[str, Any]:
        """The next event that it writes; fails when it has ended."""
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        assert line, f"the Node process ended: {self.seen[-5:]}"
        event: dict[str, Any] = json.loads(line)
        self.seen.append(event)
        return event


@asynccontextmanager
async def node_process(script: str, place: Path, options: dict[str, Any], **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs a script of `place` with its options as JSON; killed at the end."""
    process = await asyncio.create_subprocess_exec(
        "node",
        script,
        json.dumps(options),
        cwd=place,
        env={**os.environ, **environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        limit=LINE_BYTES,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
