"""Rooms behind a real nginx, set up by the words of the guide to a team's host."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from partywidgets.auth import Gate, Identity
from partywidgets.exceptions import RefusedError
from partywidgets.party import Connection, PartyHost, Server
from partywidgets.party.grant import OWNER_ROLES
from partywidgets.partysocket import PartySocket
from partywidgets.transport.server import serve
from tests.nginx_process import WAIT, Nginx, nginx

TOKEN = "the-token-of-this-test-behind-nginx"


class Chat(Server):
    """Tells everybody what is said, and its URL to who asks over HTTP."""

    resumable = True

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        if message == "out":
            connection.close(4000, "as you asked")
        else:
            self.broadcast(message)

    async def on_request(self, request: Request) -> Response:
        return PlainTextResponse(f"{self.name} {request.headers['host']} {request.scope['raw_path'].decode()} {len(await request.body())}")


@contextlib.asynccontextmanager
async def behind(tmp_path: Path) -> AsyncIterator[tuple[Nginx, PartyHost]]:
    gate = Gate(tokens={TOKEN: Identity("owner", "owner", OWNER_ROLES)}, hosts=["ops.example.com"])
    async with (
        PartyHost({"chat": Chat}, storage=tmp_path / "rooms") as host,
        serve(host, port=0, auth=gate) as server,
        nginx(tmp_path, server.port) as front,
    ):
        yield front, host


@pytest.mark.parametrize("path", ["", "/ops"])
async def test_rooms_behind_nginx(tmp_path: Path, path: str) -> None:
    """Requests, messages of every size and a Close pass; who lost its connection to a proxy that was killed gets all that it missed."""
    resumed: list[bool] = []
    async with behind(tmp_path) as (front, host), asyncio.timeout(3 * WAIT):
        root = f"https://127.0.0.1:{front.port}{path}"
        async with httpx.AsyncClient(verify=front.trust, timeout=WAIT) as http:
            posted = await http.post(
                f"{root}/parties/chat/a%20b/deeper", content=b"x" * 300_000, headers={"Authorization": f"Bearer {TOKEN}"}
            )
            assert posted.text == "a b ops.example.com /parties/chat/a%20b/deeper 300000"
            assert (await http.get(f"{root}/parties/chat/a")).status_code == 401
        options: dict[str, Any] = {"host": root, "party": "chat", "room": "a b", "token": TOKEN, "ssl": front.trust}
        options |= {"min_reconnection_delay": 0.1, "connection_timeout": WAIT}
        async with PartySocket(**options, resume=True, on_resumed=resumed.append) as socket:
            await socket.opened(WAIT)
            for said in ("ünï", b"\x00\xff", "x" * 500_000):
                socket.send(said)
                assert await socket.receive() == said
            room = await host.get_server_by_name("chat", "a b")
            await front.cut()
            for number in range(50):
                room.broadcast(str(number))
            assert [await socket.receive() for _ in range(50)] == [str(number) for number in range(50)]
            assert resumed == [True]
            socket.send("out")
            while socket.last_close is None or socket.last_close.code != 4000:
                await asyncio.sleep(0.02)
            assert socket.last_close.reason == "as you asked"


async def test_a_location_without_the_upgrade_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """nginx by itself keeps a handshake's Upgrade: the client ends with what to write into its config, and the host's log says it too."""
    async with behind(tmp_path) as (front, _), asyncio.timeout(WAIT):
        with pytest.raises(RefusedError, match=r"HTTP 426 .*proxy_http_version 1\.1"):
            async with PartySocket(
                host=f"https://127.0.0.1:{front.port}/bare", party="chat", room="a", token=TOKEN, ssl=front.trust, connection_timeout=WAIT
            ) as socket:
                await socket.opened(WAIT)
    assert [record.message for record in caplog.records if "room chat/a: a WebSocket's handshake came without" in record.message]


async def test_another_page_stays_out_behind_nginx(tmp_path: Path) -> None:
    """Its Origin comes through as it was sent, and counts."""
    async with behind(tmp_path) as (front, _), httpx.AsyncClient(verify=front.trust, timeout=WAIT) as http:
        headers = {"Authorization": f"Bearer {TOKEN}", "Origin": "https://elsewhere.example"}
        assert (await http.get(f"https://127.0.0.1:{front.port}/parties/chat/a", headers=headers)).status_code == 403
