"""A grant that was ended, on each way into a host."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from partywidgets.app import TERMINALS
from partywidgets.auth import Identity
from partywidgets.scans.model import CheckResult
from partywidgets.scans.server import RUNNER

from .running_app import Running, running

RICH = Subprotocol("partywidgets.terminal.v1")
KIM, OLA = "token-of-kim-who-is-a-runner", "token-of-ola-who-is-an-operator"


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Running]:
    """An app on a real port, with a runner's token and an operator's."""
    people = {KIM: Identity("kim", "Kim", frozenset({"runner"})), OLA: Identity("ola", "Ola", frozenset({"operator", "viewer"}))}
    async with running(tmp_path, people=people) as started, asyncio.timeout(60):
        yield started


def end(app: Running, subject: str) -> int:
    """Ends all that a subject's token opened; how many sockets."""
    return app.app.revoke(next(held[1] for held in app.app.gate._tokens.values() if held[0].subject == subject))


async def told(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next JSON message of a kind."""
    async for frame in socket:
        if isinstance(frame, str) and (message := json.loads(frame))["type"] == kind:
            return dict(message)
    raise AssertionError(f"closed before {kind!r} came")


async def closing_code(socket: ClientConnection) -> int:
    """With what the host closes it, whatever came before."""
    with contextlib.suppress(ConnectionClosed):
        async for _ in socket:
            pass
    assert socket.close_code is not None
    return socket.close_code


ROOMS = ["/parties/terminal-server/w1", "/api/workers/w1/terminal", "/parties/ops-monitor-broadcast/main", "/api/ops/broadcast"]


@pytest.mark.parametrize("path", ROOMS)
async def test_a_rooms_every_name_is_closed(app: Running, path: str) -> None:
    """An open socket ends with 4401; the token opens none by that name, and none of the tickets that it fetched."""
    party, room = ("terminal-server", "w1") if "w1" in path else ("ops-monitor-broadcast", "main")
    ticket = await app.ticket(party, room, token=OLA)
    async with connect(app.ws + path, additional_headers=app.bearer(OLA)) as socket:
        assert end(app, "ola") == 1
        assert await closing_code(socket) == 4401
    with pytest.raises(InvalidStatus) as refused:
        await connect(app.ws + path, additional_headers=app.bearer(OLA))
    assert refused.value.response.status_code == 401
    async with connect(f"{app.ws}{path}?ticket={ticket}") as late:
        assert await closing_code(late) == 4401
    status, _ = await app.json("GET", path, token=OLA)
    assert status == 401


async def test_a_resume_ticket_ends_with_its_grant(app: Running) -> None:
    """What a terminal gave a page so that it comes back by itself: it is good for ten minutes, but not for that."""
    path = f"{app.ws}/api/workers/w1/terminal"
    async with connect(path, additional_headers=app.bearer(OLA), subprotocols=[RICH]) as socket:
        given = (await told(socket, "ticket"))["ticket"]
        assert end(app, "ola") == 1
        assert await closing_code(socket) == 4401
    async with connect(f"{path}?ticket={given}", subprotocols=[RICH]) as late:
        assert await closing_code(late) == 4401


async def test_a_runners_late_result_counts_for_nothing(app: Running) -> None:
    """Its grant was ended while it ran a check: what it says then is not believed, its checks go, and it does not come back."""
    ops = f"{app.ws}/api/ops/broadcast"
    async with (
        connect(ops, additional_headers=app.bearer()) as watcher,
        connect(ops, additional_headers=app.bearer(KIM), subprotocols=[Subprotocol(RUNNER)]) as runner,
    ):
        offer = {"id": "o", "runner": "r", "checks": [{"id": "mine", "timeout": 3600}]}
        await runner.send(json.dumps({"type": "offer", "data": offer}))
        assert (await told(runner, "reply"))["data"]["ok"]
        await watcher.send(json.dumps({"type": "scan", "data": {"checks": ["mine"]}}))
        run = (await told(runner, "run"))["data"]
        assert end(app, "kim") == 1
        result = CheckResult("mine", "function", "mine", "ok").to_wire()
        # Before its own side has read the Close.
        await runner.send(json.dumps({"type": "result", "data": {"run_id": run["run_id"], "check_id": "mine", "result": result}}))
        assert await closing_code(runner) == 4401
        report = (await told(watcher, "scan-result"))["data"]
        assert (report["counts"]["ok"], report["counts"]["unknown"]) == (0, 1)
        assert report["results"] == []  # its check went with it
        assert "mine" not in app.app.service.registry.checks
    with pytest.raises(InvalidStatus) as refused:
        await connect(ops, additional_headers=app.bearer(KIM), subprotocols=[Subprotocol(RUNNER)])
    assert refused.value.response.status_code == 401
    status, _ = await app.json("POST", "/api/ops/scans", token=KIM, json={"report": {"scan_id": "mine", "results": []}})
    assert status == 401


LONG = 64 * 1024 * 1024
"""Bytes of a recording: more than kernels hold between two programs."""


async def test_the_download_of_a_recording_ends_in_the_middle(app: Running) -> None:
    """Whoever reads slowly has what was sent so far, and no more of it."""
    folder = app.app.host.room_storage(TERMINALS, "w1").folder("recordings")
    folder.mkdir(parents=True)
    with (folder / "20260101-120000.cast").open("wb") as cast:
        cast.truncate(LONG)
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    path = "/parties/terminal-server/w1/recordings/20260101-120000.cast"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{app.port}\r\nAuthorization: Bearer {OLA}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"content-length: %d\r\n" % LONG in head.lower()
    end(app, "ola")
    count = 0
    while piece := await reader.read(65536):
        count += len(piece)
    writer.close()
    await writer.wait_closed()
    assert 0 < count < LONG
