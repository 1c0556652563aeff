"""What the log says of requests that find no room, and how often."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import HTTPConnection
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from partywidgets.exceptions import RefusedError
from partywidgets.party import Grant, Lobby, PartyHost, Server
from partywidgets.partysocket import PartySocket
from partywidgets.transport import notices
from partywidgets.transport.asgi import PartyMiddleware, not_found
from partywidgets.transport.server import serve

from .mirror import serving


def told(caplog: pytest.LogCaptureFixture, text: str) -> list[logging.LogRecord]:
    """The lines that hold a text."""
    return [record for record in caplog.records if text in record.getMessage()]


async def test_a_party_that_is_not_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log says once which one was asked for and which there are; the stranger gets PartyServer's two words, a PartySocket a remedy."""
    async with serving(tmp_path) as run, httpx.AsyncClient() as http:
        for _ in range(3):
            answer = await http.get(run.http + "/parties/Room/x")
            assert (answer.status_code, answer.text) == (400, "Invalid request")
        with pytest.raises(RefusedError, match=r"HTTP 400 \(Invalid request\): look at the party, which is kebab-case"):
            async with PartySocket(host=run.http, party="Room", room="x") as socket:
                await socket.receive()
        [line] = told(caplog, "which is not here")
        assert line.getMessage() == "somebody asked for room 'x' of the party 'Room', which is not here: this host has room"


async def test_a_thousand_parties_that_are_not_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who tries names fills no disk: a bounded number of lines, the last of which says so."""
    monkeypatch.setattr(notices, "LINES", 5)
    async with serving(tmp_path) as run, httpx.AsyncClient() as http:
        for number in range(20):
            await http.get(f"{run.http}/parties/party-{number}/x")
    assert len(told(caplog, "which is not here")) == 5
    assert len(told(caplog, "more such requests")) == 1


async def test_a_host_that_nobody_entered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An app without the lifespan that opens its host: 503, and the log has the remedy instead of nothing."""
    host = PartyHost({"room": Server}, storage=tmp_path)
    async with serve(PartyMiddleware(not_found, host, auth=None), port=0) as server, httpx.AsyncClient() as http:
        assert (await http.get(f"{server.url}parties/room/x")).status_code == 503
        with pytest.raises(InvalidStatus):
            await connect(f"{server.url.replace('http', 'ws')}parties/room/x")
    [line] = told(caplog, "refused with 503")
    assert "room room/x: refused with 503: the host is not open: enter it with `async with PartyHost(...)`" in line.getMessage()


async def test_an_authoriser_that_fails_for_everybody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A database behind it that is away makes one traceback, not one for everybody who tries to come in."""

    def auth(request: HTTPConnection, lobby: Lobby | None) -> Grant:
        raise ConnectionError("no database")

    options: dict[str, Any] = {"auth": auth}
    async with serving(tmp_path, **options) as run, httpx.AsyncClient() as http:
        for _ in range(20):
            assert (await http.get(run.http + "/parties/room/x")).status_code == 500
    [line] = told(caplog, "the authoriser failed")
    assert line.exc_info
