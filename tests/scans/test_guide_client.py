"""The guide's own client, real npm partysocket in Node, on the whole app with tickets."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from partywidgets.app import App, create_app
from partywidgets.auth import Gate
from partywidgets.transport.server import serve
from tests.ports import kept_port

from .ops_room import PEOPLE, ScriptedCheck, token_of

ROOT = Path(__file__).parents[2]
WAIT = 30.0

pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif(
        shutil.which("node") is None or not (ROOT / "ts/node_modules/ws").is_dir(), reason="needs Node.js and ts/node_modules"
    ),
]


class GuideClient:
    """A Node process with a PartySocket; what it prints, line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def until(self, kind: str) -> Any:
        """The data of its next message of a kind."""
        assert self.process.stdout is not None
        async with asyncio.timeout(WAIT):
            while line := await self.process.stdout.readline():
                message = json.loads(line)
                if message["type"] == kind:
                    return message["data"]
        raise AssertionError("the client ended")


@asynccontextmanager
async def guide_client(url: str, package: str) -> AsyncIterator[GuideClient]:
    """Starts the client; it is killed at the end."""
    arguments = [str(Path(__file__).parent / "guide_client.mjs"), url, token_of("val-viewer"), package]
    process = await asyncio.create_subprocess_exec("node", *arguments, stdout=asyncio.subprocess.PIPE, limit=1 << 20)
    try:
        yield GuideClient(process)
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def running(directory: Path, port: int = 0) -> AsyncIterator[tuple[App, str]]:
    """The whole app on a port."""
    app = create_app(gate=Gate(tokens={token_of(name): person for name, person in PEOPLE.items()}, hosts=None), storage=directory)
    async with app, serve(app.asgi, port=port) as server:
        await app.service.load_config("a.yaml", [ScriptedCheck(id="one"), ScriptedCheck(id="two")])
        yield app, server.url


@pytest.mark.parametrize("package", ["partysocket", "partysocket-1.1.6"])
async def test_scan_results_reach_the_guides_client(tmp_path: Path, package: str) -> None:
    """Two clients with tickets through `query` get the scan-result of each of two scans."""
    async with running(tmp_path) as (app, url), guide_client(url, package) as first, guide_client(url, package) as second:
        for client in (first, second):
            await client.until("snapshot")
        for _ in range(2):
            report = await app.ops.run_scan()
            for client in (first, second):
                result = await client.until("scan-result")
                assert result["scan_id"] == report.scan_id
                assert [row["status"] for row in result["results"]] == ["ok", "ok"]


@pytest.mark.parametrize("package", ["partysocket", "partysocket-1.1.6"])
async def test_the_guides_client_comes_back_after_a_restart(tmp_path: Path, package: str) -> None:
    """When the server restarts on its port, PartySocket reconnects with a new ticket, gets a snapshot and the next scan-result."""
    port = kept_port()
    async with running(tmp_path, port) as (app, url):
        client_context = guide_client(url, package)
        client = await client_context.__aenter__()
        await client.until("snapshot")
        await app.ops.run_scan()
        await client.until("scan-result")
    try:
        assert await client.until("close") == 1012
        async with running(tmp_path, port) as (app, url):
            await client.until("snapshot")
            report = await app.ops.run_scan()
            assert (await client.until("scan-result"))["scan_id"] == report.scan_id
    finally:
        await client_context.__aexit__(None, None, None)
