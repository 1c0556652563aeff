"""The npm `partysocket`, unchanged, in Node against the bundled server: 1.1.6, the version of PartyKit's guide, and the newest."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from partywidgets.app import create_app
from partywidgets.auth import Gate, Identity
from partywidgets.client.ops import OpsClient
from partywidgets.config import parse_config
from partywidgets.party import Connection, PartyHost, Server
from partywidgets.party.grant import OWNER_ROLES
from partywidgets.partysocket import fetch_url
from partywidgets.transport.server import serve
from tests.ports import kept_port

from .conftest import VERSIONS, WAIT, Join

pytestmark = pytest.mark.node

TOKEN = "a-token-of-the-owner-for-tests"
CONFIG = """\
sandboxes: {default: "local:/bin/bash", sandbox-456: "local:/bin/bash"}
checks:
  - {id: truth, type: exec, command: ["/bin/true"]}
  - {id: lie, type: exec, command: ["/bin/sh", "-c", "echo BAD; exit 2"]}
"""
QUICK: dict[str, Any] = {"min_reconnection_delay": 0.05}


def gate() -> Gate:
    """A gate that knows the owner."""
    return Gate(tokens={TOKEN: Identity("owner", "Owner", OWNER_ROLES)})


@contextlib.asynccontextmanager
async def host(storage: Path, port: int = 0) -> AsyncIterator[int]:
    """The whole app on a real port."""
    guard = gate()
    async with create_app(gate=guard, config=parse_config(CONFIG), storage=storage) as app, serve(app.asgi, port=port) as server:
        guard.bind_address(server.port)
        yield server.port


@pytest.mark.parametrize("version", VERSIONS)
async def test_connection(tmp_path: Path, join: Join, version: str) -> None:
    """The guide's connection test: the upgrade works, with a ticket by `query`, and without a credential it does not."""
    async with host(tmp_path) as port:
        place = {"host": f"127.0.0.1:{port}", "party": "ops-monitor-broadcast", "room": "main"}
        async with join(version, **place, token=TOKEN, ticketAs="query") as client:
            opened = await client.event("open")
            assert opened["protocol"] == ""
            snapshot = await client.message("snapshot")
            assert snapshot["checks"] == 2
        async with join(version, **place) as stranger:
            await stranger.event("error")
            assert not any(event["event"] == "open" for event in stranger.seen)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", [None, "api/workers/worker-123/terminal"])
async def test_terminal(tmp_path: Path, join: Join, version: str, path: str | None) -> None:
    """The guide's proxy test: terminal output comes as text frames and nothing else, and what is sent is typed."""
    options: dict[str, Any] = {"basePath": path} if path else {}
    async with (
        host(tmp_path) as port,
        join(
            version,
            host=f"127.0.0.1:{port}",
            party="terminal-server",
            room="worker-123",
            query={"sandboxId": "sandbox-456"},
            token=TOKEN,
            ticketAs="query",
            **options,
        ) as client,
    ):
        await client.event("open")
        first = await client.text_with("\x1b[?2004h")  # bash is at its prompt
        assert first.startswith("\x1bc")
        await client.tell("send", "echo hello-$((6*7))\r")
        await client.text_with("hello-42")
        assert not any(event["binary"] for event in client.seen if event["event"] == "message")


async def test_broadcast(tmp_path: Path, join: Join) -> None:
    """The guide's broadcast and multiple clients tests: everyone gets the same scan-result, whichever route and version they use."""
    async with host(tmp_path) as port, contextlib.AsyncExitStack() as stack:
        place = {"host": f"127.0.0.1:{port}", "party": "ops-monitor-broadcast", "room": "main", "token": TOKEN, "ticketAs": "query"}
        clients = [
            await stack.enter_async_context(join(version, **place, **options))
            for version in VERSIONS
            for options in ({}, {"basePath": "api/ops/broadcast"})
        ]
        for client in clients:
            await client.message("snapshot")
        ops = await stack.enter_async_context(OpsClient(f"http://127.0.0.1:{port}", token=TOKEN))
        report = await ops.scan()
        results = [await client.message("scan-result") for client in clients]
        assert all(result == results[0] for result in results)
        assert results[0]["scan_id"] == report.scan_id
        assert results[0]["counts"]["crit"] == 1


@pytest.mark.parametrize("version", VERSIONS)
async def test_reconnection(tmp_path: Path, join: Join, version: str) -> None:
    """The guide's reconnection test: the host restarts on its port; the client comes back by itself with a fresh ticket and goes on."""
    place: dict[str, Any] = {"party": "ops-monitor-broadcast", "room": "main", "token": TOKEN, "ticketAs": "query"}
    async with contextlib.AsyncExitStack() as stack:
        port = kept_port()
        async with host(tmp_path, port):
            client = await stack.enter_async_context(join(version, host=f"127.0.0.1:{port}", **place))
            first = await client.event("open")
            await client.message("snapshot")
        assert (await client.event("close"))["code"] == 1012
        async with host(tmp_path, port):
            again = await client.event("open")
            assert again["id"] == first["id"]
            await client.message("snapshot")
            async with OpsClient(f"http://127.0.0.1:{port}", token=TOKEN, **QUICK) as ops:
                report = await ops.scan(["truth"])
            assert (await client.message("scan-result"))["scan_id"] == report.scan_id


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_spent_ticket(tmp_path: Path, join: Join, version: str) -> None:
    """A ticket works once: the second handshake with it is finished and closed with 4401, so that a client can tell stop from retry."""
    async with host(tmp_path) as port:
        place = {"host": f"127.0.0.1:{port}", "party": "ops-monitor-broadcast", "room": "main"}
        answer = await fetch_url(
            "POST", f"http://127.0.0.1:{port}/tickets", token=TOKEN, json={"party": "ops-monitor-broadcast", "room": "main"}
        )
        ticket = answer.json()["ticket"]
        async with join(version, **place, ticket=ticket, ticketAs="query") as client:
            await client.message("snapshot")
        async with join(version, **place, ticket=ticket, ticketAs="query") as late:
            assert (await late.event("close"))["code"] == 4401
            assert not any(event["event"] == "message" for event in late.seen)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_ticket_as_subprotocol(tmp_path: Path, join: Join, version: str) -> None:
    """A ticket offered beside a dialect is taken and the dialect selected, never the ticket."""
    async with (
        host(tmp_path) as port,
        join(version, host=f"127.0.0.1:{port}", party="ops-monitor-broadcast", room="main", token=TOKEN, ticketAs="protocol") as client,
    ):
        assert (await client.event("open"))["protocol"] == "partywidgets.v1"
        await client.message("snapshot")


class Echo(Server):
    """Says everything back."""

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        if message == "who":
            connection.send(connection.id)
        elif message == "bye":
            connection.close(4000, "by the room")
        else:
            connection.send(message)


@pytest.mark.parametrize("version", VERSIONS)
async def test_frames(tmp_path: Path, join: Join, version: str) -> None:
    """Text, binary, ids and closes pass as between PartySocket and PartyServer."""
    async with (
        PartyHost({"echo": Echo}, storage=tmp_path) as rooms,
        serve(rooms, port=0, auth=None) as server,
        join(version, host=f"127.0.0.1:{server.port}", party="echo", room="a b", id="me") as client,
    ):
        await client.tell("send", "early, before open: ünïcode")
        opened = await client.event("open")
        assert opened["id"] == "me"
        assert await client.event("message") == {"event": "message", "binary": False, "data": "early, before open: ünïcode"}
        await client.tell("sendBinary", "00ff10")
        assert await client.event("message") == {"event": "message", "binary": True, "data": "00ff10"}
        await client.tell("send", "x" * 300_000)
        assert len((await client.event("message"))["data"]) == 300_000
        await client.tell("send", "who")
        assert (await client.event("message"))["data"] == "me"
        await client.tell("send", "bye")
        assert (await client.event("close"))["code"] == 4000
        await client.event("open")
        await client.tell("close", [4321, "enough"])
        assert (await client.event("close"))["code"] == 4321


@pytest.mark.parametrize("version", VERSIONS)
async def test_reconnect(tmp_path: Path, join: Join, version: str) -> None:
    """reconnect() of the client gives another connection with the same id, and the room forgets the first."""
    async with (
        PartyHost({"echo": Echo}, storage=tmp_path) as rooms,
        serve(rooms, port=0, auth=None) as server,
        join(version, host=f"127.0.0.1:{server.port}", party="echo", room="r") as client,
    ):
        first = await client.event("open")
        await client.tell("reconnect")
        assert (await client.event("open"))["id"] == first["id"]
        await client.tell("send", "alive")
        assert (await client.event("message"))["data"] == "alive"
        room = await rooms.get_server_by_name("echo", "r")
        async with asyncio.timeout(WAIT):
            while len(room.get_connections()) != 1:
                await asyncio.sleep(0.01)
