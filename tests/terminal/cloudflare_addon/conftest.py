"""The xterm addons of the real npm `@cloudflare/sandbox`, in Node."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.node_packages import installed
from tests.terminal.conftest import serve

__all__ = ["serve"]

HERE = Path(__file__).parent
WAIT = 60.0


class Page:
    """An xterm with the addon, in a Node process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.text = ""
        """What its terminal shows."""
        self.seen: list[dict[str, Any]] = []

    async def _next(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        assert line, f"the Node process ended: {self.seen[-5:]}"
        event: dict[str, Any] = json.loads(line)
        self.seen.append(event)
        if event["event"] == "screen":
            self.text = event["text"]
        return event

    async def event(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next event of a kind with these fields."""
        async with asyncio.timeout(WAIT):
            while True:
                event = await self._next()
                if event["event"] == kind and all(event[name] == value for name, value in fields.items()):
                    return event

    async def shows(self, wanted: str) -> None:
        """Waits until the text is on its screen or above it."""
        async with asyncio.timeout(WAIT):
            while wanted not in self.text:
                await self._next()

    async def tell(self, name: str, argument: Any = None) -> None:
        """Has the page do something: connect, type, resize, cut."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({name: argument}).encode() + b"\n")
        await self.process.stdin.drain()


OpenPage = Callable[..., AbstractAsyncContextManager[Page]]


@pytest.fixture(scope="session")
def addon_place() -> Path:
    """A directory with addon.mjs and the locked npm packages, installed once and kept."""
    return installed(HERE, "cloudflare-addon", "addon.mjs", untried="Cloudflare's addons")


@pytest.fixture
def page(addon_place: Path) -> OpenPage:
    """`async with page("@cloudflare/sandbox", place.url, path, reconnect=False) as page:` an xterm of 80 by 24, not yet connected."""

    @asynccontextmanager
    async def start(package: str, url: str, path: str, *, reconnect: bool = False) -> AsyncIterator[Page]:
        options = {"module": f"{package}/xterm", "host": url.partition("//")[2], "path": path, "reconnect": reconnect}
        process = await asyncio.create_subprocess_exec(
            "node",
            "addon.mjs",
            json.dumps(options),
            cwd=addon_place,
            env={**os.environ, "TOKEN": "pia-token-for-the-tests"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            limit=8 << 20,
        )
        try:
            yield Page(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    return start
