"""Rooms behind a real nginx, set up by the words of the guide to a team's host."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import trustme
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from partywidgets.auth import Gate, Identity
from partywidgets.party import Connection, PartyHost, Server
from partywidgets.party.grant import OWNER_ROLES
from partywidgets.partysocket import PartySocket
from partywidgets.transport.server import serve
from tests.debian_package import unpacked
from tests.ports import kept_port

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "team-host.md"
TOKEN = "the-token-of-this-test-behind-nginx"
WAIT = 30.0

CONFIG = """
daemon off; worker_processes 1; pid {place}/pid; error_log {place}/log; {user}
events {{ }}
http {{
  client_body_temp_path {place}/body; proxy_temp_path {place}/proxy;
  fastcgi_temp_path {place}/fastcgi; uwsgi_temp_path {place}/uwsgi; scgi_temp_path {place}/scgi;
  {blocks}
}}
"""


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


class Nginx:
    """It listens at `port` for `ops.example.com`, with the rooms at its root and below `/ops/`."""

    def __init__(self, port: int, trust: ssl.SSLContext) -> None:
        self.port, self.trust = port, trust
        self.master: asyncio.subprocess.Process | None = None

    def workers(self) -> set[int]:
        """The processes that hold its connections."""
        assert self.master is not None
        return {worker.pid for worker in psutil.Process(self.master.pid).children()}

    async def cut(self) -> None:
        """Kills its workers, and with them every connection; others follow at once."""
        before = self.workers()
        for worker in before:
            os.kill(worker, signal.SIGKILL)
        async with asyncio.timeout(WAIT):
            while not (now := self.workers()) or now & before:
                await asyncio.sleep(0.02)

    async def listens(self) -> None:
        async with asyncio.timeout(WAIT):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.05)


def guides(own: int, port: int, certificate: Path) -> str:
    """The guide's blocks for this machine: the whole server, with the location for a path put into it."""
    whole, below = (str(block) for block in re.findall(r"```nginx\n(.*?)```", GUIDE.read_text(), re.S))
    head, brace, rest = whole.partition("  location / {")
    assert brace
    text = head + below + brace + rest
    for written, here in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{own} ssl;"),
        ("cert.pem", str(certificate)),
        ("key.pem", str(certificate)),
        ("127.0.0.1:8787", f"127.0.0.1:{port}"),
    ):
        assert written in text
        text = text.replace(written, here)
    return text


@contextlib.asynccontextmanager
async def nginx(place: Path, port: int) -> AsyncIterator[Nginx]:
    """One in front of the rooms at `port`; killed at the end."""
    program, own = unpacked("nginx") / "usr/sbin/nginx", kept_port()
    authority, certificate = trustme.CA(), place / "certificate.pem"
    authority.issue_cert("ops.example.com", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    user = "user root;" if os.geteuid() == 0 else ""
    config = place / "nginx.conf"
    config.write_text(CONFIG.format(place=place, user=user, blocks=guides(own, port, certificate)))
    front = Nginx(own, trust)
    front.master = await asyncio.create_subprocess_exec(
        program, "-c", config, "-p", place, "-e", place / "log", stderr=asyncio.subprocess.DEVNULL, start_new_session=True
    )
    try:
        await front.listens()
        yield front
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(front.master.pid, signal.SIGKILL)
        await front.master.wait()


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


async def test_another_page_stays_out_behind_nginx(tmp_path: Path) -> None:
    """Its Origin comes through as it was sent, and counts."""
    async with behind(tmp_path) as (front, _), httpx.AsyncClient(verify=front.trust, timeout=WAIT) as http:
        headers = {"Authorization": f"Bearer {TOKEN}", "Origin": "https://elsewhere.example"}
        assert (await http.get(f"https://127.0.0.1:{front.port}/parties/chat/a", headers=headers)).status_code == 403
