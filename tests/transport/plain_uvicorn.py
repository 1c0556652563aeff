"""uvicorn as people have it already, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import uvicorn

from ..party.serving import until


@contextlib.asynccontextmanager
async def plain_uvicorn(app: Any) -> AsyncIterator[str]:
    """uvicorn as it comes: no adopt extension."""
    sock = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="websockets-sansio", lifespan="off", timeout_graceful_shutdown=2))
    task = asyncio.create_task(server._serve([sock]))
    try:
        await until(lambda: server.started)
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        sock.close()
