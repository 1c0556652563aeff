"""STARTTLS: what a client says in plain before TLS begins, by protocol."""

from __future__ import annotations

import asyncio
from typing import Literal

from .dial import DialError

StartTls = Literal["smtp", "imap", "pop3", "ftp", "postgres"]

LINES = 100
"""Most lines of one answer."""
SSL_REQUEST = bytes.fromhex("0000000804d2162f")
"""PostgreSQL's SSLRequest (its documentation, "Message Formats")."""


async def ask_for_tls(protocol: StartTls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Talks until the server expects a handshake. Raises DialError of class tls when it does not want one, OSError when it goes away."""
    if protocol == "postgres":
        writer.write(SSL_REQUEST)
        if await reader.read(1) != b"S":
            raise DialError("tls", "the server speaks no TLS: it answered PostgreSQL's SSLRequest with no")
    elif protocol == "smtp":  # RFC 3207
        await _coded(reader, "220")
        writer.write(b"EHLO partywidgets.invalid\r\n")
        if not any(line[4:].strip().upper() == "STARTTLS" for line in await _coded(reader, "250")):
            raise DialError("tls", "the server does not offer STARTTLS")
        writer.write(b"STARTTLS\r\n")
        await _coded(reader, "220")
    elif protocol == "ftp":  # RFC 4217
        await _coded(reader, "220")
        writer.write(b"AUTH TLS\r\n")
        await _coded(reader, "234")
    elif protocol == "pop3":  # RFC 2595
        await _begins(reader, "+OK")
        writer.write(b"STLS\r\n")
        await _begins(reader, "+OK")
    else:  # RFC 9051 §6.2.1
        await _begins(reader, "* OK")
        writer.write(b"a1 STARTTLS\r\n")
        for _ in range(LINES):
            line = await _line(reader)
            if not line.startswith("* "):
                break
        if not line.upper().startswith("A1 OK"):
            raise DialError("tls", f"the server refuses STARTTLS: {line!r}")


async def _line(reader: asyncio.StreamReader) -> str:
    try:
        line = await reader.readline()
    except ValueError:  # longer than the stream's limit
        raise DialError("parse", "the server's line is longer than 64 KiB") from None
    if not line.endswith(b"\n"):
        raise DialError("refused", "the server closed the connection before TLS began")
    return line.decode("utf-8", "replace").rstrip("\r\n")[:200]


async def _begins(reader: asyncio.StreamReader, wanted: str) -> None:
    line = await _line(reader)
    if not line.startswith(wanted):
        raise DialError("tls", f"the server refuses STARTTLS: {line!r} where {wanted} was due")


async def _coded(reader: asyncio.StreamReader, code: str) -> list[str]:
    """The lines of an answer whose last one has a blank behind its code (RFC 5321 §4.2.1)."""
    lines = []
    for _ in range(LINES):
        lines.append(await _line(reader))
        if lines[-1][3:4] != "-":
            break
    if not lines[-1].startswith(code):
        raise DialError("tls", f"the server refuses STARTTLS: {lines[-1]!r} where {code} was due")
    return lines
