"""The tcp check against banners, silence and TLS."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from partywidgets.scans.checks.tcp import TcpCheck
from tests.ports import kept_port

from .servers import Authority, look, serving


async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that greets, and answers PING."""
    writer.write(b"220 mail.example ESMTP\r\n")
    await writer.drain()
    if await reader.readline() == b"PING\r\n":
        writer.write(b"+PO")
        await writer.drain()
        writer.write(b"NG\r\n")
        await writer.drain()
    await reader.read()


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that says nothing."""
    await reader.read()


async def test_connects() -> None:
    """A port that accepts is ok; nothing is read unless somebody asks."""
    async with serving(hold) as port:
        result = await look(TcpCheck(id="mail", host="127.0.0.1", port=port, conditions=("connected",)))
    assert (result.status, result.target) == ("ok", f"127.0.0.1:{port}")
    assert result.evidence == []


async def test_banner() -> None:
    """An expression on `banner` makes the check read the first line."""
    async with serving(speak) as port:
        result = await look(TcpCheck(id="mail", host="127.0.0.1", port=port, conditions=("banner.startsWith('220 ')",)))
    assert (result.status, result.conditions[0].actual) == ("ok", "220 mail.example ESMTP")


async def test_send_and_expect() -> None:
    """What is sent is answered, and read until it holds what is expected, however it is cut."""
    async with serving(speak) as port:
        result = await look(TcpCheck(id="mail", host="127.0.0.1", port=port, send="PING\r\n", expect="+PONG"))
    assert (result.status, result.evidence[0].value) == ("ok", "220 mail.example ESMTP\n+PONG\n")


async def test_unexpected() -> None:
    """Another banner than the expected one is crit, and shown."""
    async with serving(speak) as port:
        result = await look(TcpCheck(id="mail", host="127.0.0.1", port=port, expect='SSH-"2"', timeout=2))
    assert (result.status, result.conditions[0].expr) == ("crit", r'banner.contains("SSH-\"2\"")')
    assert result.conditions[0].actual == "220 mail.example ESMTP"


async def test_silence() -> None:
    """A server that says nothing in time is `timeout`."""
    async with serving(hold) as port:
        result = await look(TcpCheck(id="mail", host="127.0.0.1", port=port, expect="220", timeout=0.2))
    assert result.error is not None
    assert (result.status, result.error.kind) == ("crit", "timeout")


async def test_refused() -> None:
    """A closed port is `refused`; a check may want just that."""
    result = await look(TcpCheck(id="mail", host="127.0.0.1", port=(port := kept_port())))
    assert result.error is not None
    assert (result.status, result.error.kind) == ("crit", "refused")
    expected = await look(TcpCheck(id="mail", host="127.0.0.1", port=port, conditions=("error == 'refused' && !connected",)))
    assert (expected.status, "refused" in expected.summary) == ("ok", True), expected.summary


@pytest.mark.parametrize(("name", "status"), [("localhost", "ok"), ("other.example", "crit")])
async def test_tls(tmp_path: Path, name: str, status: str) -> None:
    """With `tls` the banner comes through a verified handshake, or not at all."""
    authority = Authority(tmp_path)
    async with serving(speak, authority.server_context(name)) as port:
        check = TcpCheck(id="mail", host="127.0.0.1", server_name="localhost", port=port, tls=True, ca_file=authority.ca_file, expect="220")
        result = await look(check)
    assert result.status == status
    assert (result.error is None) == (status == "ok")
