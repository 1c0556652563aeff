"""The real npm `partysocket` in Node, and hosts for it to join."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.node_packages import installed
from tests.node_program import NodeProgram, node_process

HERE = Path(__file__).parent
WAIT = 30.0
VERSIONS = ("partysocket-1.1.6", "partysocket")


class NodeClient(NodeProgram):
    """One npm PartySocket in a Node process of its own."""

    async def event(self, kind: str, where: Callable[[dict[str, Any]], bool] = lambda event: True) -> dict[str, Any]:
        """The next event of a kind that fits."""
        async with asyncio.timeout(WAIT):
            while True:
                event = await self.next()
                if event["event"] == kind and where(event):
                    return event

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
        async with node_process("client.mjs", node_modules, options, TOKEN=token) as process:
            yield NodeClient(process)

    return start
