"""STARTTLS: the certificate behind each protocol's word in plain, and servers that do not want it."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from partywidgets.scans.checks.starttls import StartTls
from partywidgets.scans.checks.tcp import TcpCheck
from partywidgets.scans.checks.tls import TlsCheck

from .servers import Authority, Handler, look, serving

TALKS: dict[StartTls, list[bytes]] = {
    "smtp": [b"220 hi\r\n", b"250-mail\r\n250 STARTTLS\r\n", b"220 go\r\n"],
    "imap": [b"* OK hi\r\n", b"* CAPABILITY IMAP4rev2\r\na1 OK go\r\n"],
    "pop3": [b"+OK hi\r\n", b"+OK go\r\n"],
    "ftp": [b"220-long\r\n220 hi\r\n", b"234 go\r\n"],
    "postgres": [b"", b"S"],
}


def talking(protocol: StartTls, tls: ssl.SSLContext) -> Handler:
    """A server that says its lines, one after each of the client's, and then speaks TLS."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *rest = TALKS[protocol]
        writer.write(first)
        for said in rest:
            await (reader.readexactly(8) if protocol == "postgres" else reader.readline())
            writer.write(said)
        await writer.start_tls(tls)
        writer.write(b"secret greeting\r\n")
        await writer.drain()
        await reader.read()

    return handle


@pytest.mark.parametrize("protocol", list(TALKS))
async def test_certificate_behind(protocol: StartTls, tmp_path: Path) -> None:
    """The tls check sees the certificate, and the tcp check what is said behind the handshake."""
    authority = Authority(tmp_path)
    async with serving(talking(protocol, authority.server_context())) as port:
        where = {
            "id": "x",
            "host": "127.0.0.1",
            "port": port,
            "server_name": "localhost",
            "starttls": protocol,
            "ca_file": authority.ca_file,
        }
        shown = await look(TlsCheck.model_validate({**where, "conditions": ("verified", "'localhost' in names")}))
        assert shown.status == "ok", shown.summary
        said = await look(TcpCheck.model_validate({**where, "expect": "secret greeting"}))
        assert said.status == "ok", said.summary


async def test_refused() -> None:
    """A mail server without STARTTLS is crit, with the reason."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        await reader.readline()
        writer.write(b"250 mail\r\n")
        await writer.drain()
        await reader.read()

    async with serving(handle) as port:
        result = await look(TlsCheck(id="x", host="127.0.0.1", port=port, starttls="smtp"))
    assert (result.status, result.error and result.error.kind) == ("crit", "tls")
    assert "does not offer STARTTLS" in result.summary
