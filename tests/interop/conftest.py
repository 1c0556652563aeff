"""The real npm `partysocket` in Node, and hosts for it to join."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

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
    if shutil.which("node") is None or shutil.which("npm") is None:
        return _without("Node.js and npm are not installed: the npm partysocket cannot be tried")
    lock = (HERE / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = cache / "partywidgets" / f"interop-{hashlib.sha256(lock).hexdigest()[:16]}"
    place.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copyfile(HERE / name, place / name)
    if not (place / "node_modules" / ".package-lock.json").exists():
        done = subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=place, capture_output=True, text=True, timeout=300)
        if done.returncode:
            return _without(f"npm ci failed, the npm partysocket cannot be tried: {done.stderr.strip()[-300:]}")
    shutil.copyfile(HERE / "client.mjs", place / "client.mjs")
    return place


def _without(reason: str) -> Path:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


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
