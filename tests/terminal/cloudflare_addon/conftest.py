"""The xterm addons of the real npm `@cloudflare/sandbox`, in Node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.node_packages import installed
from tests.node_program import NodeProgram, node_process
from tests.terminal.conftest import serve

__all__ = ["serve"]

HERE = Path(__file__).parent
WAIT = 60.0


class Page(NodeProgram):
    """An xterm with the addon, in a Node process of its own."""

    text = ""
    """What its terminal shows."""

    async def next(self) -> dict[str, Any]:
        """The next event; `text` follows the screen."""
        event = await super().next()
        if event["event"] == "screen":
            self.text = event["text"]
        return event

    async def event(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next event of a kind with these fields."""
        async with asyncio.timeout(WAIT):
            while True:
                event = await self.next()
                if event["event"] == kind and all(event[name] == value for name, value in fields.items()):
                    return event

    async def shows(self, wanted: str) -> None:
        """Waits until the text is on its screen or above it."""
        async with asyncio.timeout(WAIT):
            while wanted not in self.text:
                await self.next()


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
        async with node_process("addon.mjs", addon_place, options, TOKEN="pia-token-for-the-tests") as process:
            yield Page(process)

    return start
