"""The bundled server behind TLS of its own."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path

import httpx
import trustme
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from websockets.asyncio.client import connect

from partywidgets.party import Connection, Server

from ..party.serving import received, running


class Echo(Server):
    """Says everything back."""

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        connection.send(message)

    def on_request(self, request: Request) -> Response:
        return PlainTextResponse("here")


async def test_tls(tmp_path: Path) -> None:
    """With an SSL context the same rooms are on https and wss."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    async with running(Echo, tmp_path, serve_ssl_context=context) as run, httpx.AsyncClient(verify=client) as http:
        assert run.server.url.startswith("https://")
        assert (await http.get(run.url(scheme="https"))).status_code == 200
        async with connect(run.url(scheme="wss"), ssl=client, max_size=None) as socket_:
            await socket_.send("x" * 500_000)
            assert await received(socket_) == "x" * 500_000
            await socket_.close(4000, "bye")
            assert socket_.close_code == 4000


async def test_a_tls_handshake_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    """A connection that says nothing, and one that says nonsense, end within head_timeout; others are served."""
    authority = trustme.CA()
    server_side, client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    authority.configure_trust(client_side)
    async with (
        running(Echo, tmp_path, serve_ssl_context=server_side, serve_head_timeout=2.0) as run,
        asyncio.timeout(20),
    ):
        for said in (b"GET / HTTP/1.1\r\n\r\n", b""):
            reader, writer = await asyncio.open_connection("127.0.0.1", run.server.port)
            writer.write(said)
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
            writer.close()
        async with connect(run.url(scheme="wss"), ssl=client_side) as client:
            await client.send("x")
            assert await received(client) == "x"
