"""A service that takes notifications by Apprise's `json://`, and services whose changes go there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from partywidgets.scans.checks.base import CheckModel
from partywidgets.scans.maintenance import MaintenanceSettings
from partywidgets.scans.notify_settings import NotifySettings
from partywidgets.scans.service import OpsMonitorService

WAIT = 30.0
SECRET = "path-that-nobody-may-see"


@dataclass
class Inbox:
    """What a service took; the next `refuse` messages it answers with 503, the others while `answering`."""

    port: int = 0
    refuse: int = 0
    refused: int = 0
    messages: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    answering: asyncio.Event = field(default_factory=asyncio.Event)

    async def next(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(WAIT):
            return await self.messages.get()

    def resolve(self, text: str) -> str:
        """What the reference of a target holds."""
        return text.replace("${env:INBOX}", f"json://127.0.0.1:{self.port}/{SECRET}")


@asynccontextmanager
async def taking() -> AsyncIterator[Inbox]:
    """A service that takes messages."""
    taken = Inbox()
    taken.answering.set()

    async def take(request: web.Request) -> web.Response:
        if taken.refuse:
            taken.refuse -= 1
            taken.refused += 1
            return web.Response(status=503)
        taken.messages.put_nowait(await request.json())
        await taken.answering.wait()
        return web.Response()

    app = web.Application()
    app.router.add_post(f"/{SECRET}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    taken.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    yield taken
    await runner.cleanup()


def chat(**options: Any) -> NotifySettings:
    """A target that waits for nothing."""
    return NotifySettings.model_validate({"name": "chat", "url": "${env:INBOX}", "group_wait": 0, "retry_delay": "10ms", **options})


@asynccontextmanager
async def telling(
    inbox: Inbox, *checks: CheckModel, directory: Path | None = None, maintenance: Sequence[MaintenanceSettings] = (), **options: Any
) -> AsyncIterator[OpsMonitorService]:
    """A service whose changes go to the inbox."""
    async with OpsMonitorService(directory=directory) as service:
        await service.load_config("a.yaml", checks, notify=[chat(**options)], maintenance=maintenance, resolve=inbox.resolve)
        yield service
