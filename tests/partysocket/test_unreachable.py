"""A host that cannot be reached: what is said, and what to do about it, alike by WebSocket and by HTTP."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import pytest
import trustme

from partywidgets.exceptions import HostError
from partywidgets.partysocket import CloseEvent, PartySocket, fetch_url
from partywidgets.unreachable import unreachable

from .conftest import WAIT


async def both_ways(root: str, fast: dict[str, Any]) -> tuple[str, str]:
    """The reason of a PartySocket's first attempt, and the error of a request."""
    closes: asyncio.Queue[CloseEvent] = asyncio.Queue()
    async with PartySocket(host=root, room="r", on_close=closes.put_nowait, **fast):
        closed = await asyncio.wait_for(closes.get(), WAIT)
    with pytest.raises(HostError) as refused:
        await fetch_url("GET", f"{root}/hello", timeout=WAIT)
    return closed.reason, str(refused.value)


async def test_https_where_no_tls_is_spoken(fast: dict[str, Any]) -> None:
    """https to a host without a certificate: both say to write http."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What an HTTP server says to the beginning of TLS."""
        await reader.read(65536)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        for said in await both_ways(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", fast):
            assert said.endswith("if the host has no certificate, write http:// in place of https://")


async def test_a_certificate_that_nobody_signed(fast: dict[str, Any]) -> None:
    """A certificate of an unknown authority: both name the reason, and the variable that names a file with the right one."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        for said in await both_ways(f"https://127.0.0.1:{port}", fast):
            assert "its certificate is not trusted (unable to get local issuer certificate): SSL_CERT_FILE names a file" in said


async def test_a_name_that_cannot_be(fast: dict[str, Any]) -> None:
    """A name that no lookup is made for is an error of its own, with the question whether the URL is right."""
    for said in await both_ways("http://bad..name", fast):
        assert "its name cannot be looked up (a part of it is empty, or has more than 63 characters)" in said
        assert said.endswith("): is the URL right?")


def test_a_name_that_is_not_known() -> None:
    """The resolver's words without its number."""
    error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert unreachable(error) == "its name cannot be looked up (Name or service not known): is the URL right?"
