"""The real npm `partysocket` in Node, and hosts for it to join."""

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

HERE = Path(__file__).parent
WAIT = 30.0
VERSIONS = ("partysocket-1.1.6", "partysocket")


class NodeClient:
    """One npm PartySocket in a Node process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.seen: list[dict[str, Any]] = []

    async def event(self, kind: str, where: Callable[[dict[str, Any]], bool] = lambda event: True) -> dict[str, Any]:
        """The next event of a kind that fits."""
        assert self.process.stdout is not None
        async with asyncio.timeout(WAIT):
            while line := await self.process.stdout.readline():
                event: dict[str, Any] = json.loads(line)
                self.seen.append(event)
                if event["event"] == kind and where(event):
                    return event
        raise AssertionError(f"the Node client ended without {kind}: {self.seen[-5:]}")

    async def text_with(self, wanted: str) -> str:
        """Reads text frames until they hold `wanted`; returns all of them."""
        text = ""
        while wanted not in text:
            text += (await self.event("message"))["data"]
        return text

    async def message(self, kind: str) -> Any:
        """The data of the next JSON message of a type."""
        event = await self.event("message", lambda event: json.loads(event["data"])["type"] == kind)
        return json.loads(event["data"])["data"]

    async def tell(self, name: str, argument: Any = None) -> None:
        """Has the client do something: send, sendBinary, close, reconnect."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({name: argument}).encode() + b"\n")
        await self.process.stdin.drain()


Join = Callable[..., AbstractAsyncContextManager[NodeClient]]


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """A directory with client.mjs and the locked npm packages, installed once and kept."""
    return installed(HERE, "interop", "client.mjs", untried="the npm partysocket")


@pytest.fixture
def join(node_modules: Path) -> Join:
    """`async with join("partysocket", host="127.0.0.1:8787", party=…, room=…, token=…) as client:`."""

    @asynccontextmanager
    async def start(module: str, *, token: str = "", **options: Any) -> AsyncIterator[NodeClient]:
        options = {"module": module, "origin": f"http://{options['host']}", "minReconnectionDelay": 100, **options}
        process = await asyncio.create_subprocess_exec(
            "node",
            "client.mjs",
            json.dumps(options),
            cwd=node_modules,
            env={**os.environ, "TOKEN": token},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            limit=8 * 1024 * 1024,
        )
        try:
            yield NodeClient(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    return start
