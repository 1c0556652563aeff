"""The icmp check on loopback, where this process may ping, and the sentence where it may not."""

from __future__ import annotations

import socket

import pytest

from partywidgets.scans.checks import icmp
from partywidgets.scans.checks.dial import DialError
from partywidgets.scans.checks.icmp import IcmpCheck

from .servers import look


async def test_loopback() -> None:
    """Loopback answers every request."""
    try:
        icmp._opened(socket.AF_INET).sock.close()
    except DialError as error:
        pytest.skip(error.message)
    result = await look(IcmpCheck(id="x", host="127.0.0.1", count=2, interval=0.01, conditions=("received == 2", "loss_percent == 0.0")))
    assert result.status == "ok", result.summary


async def test_not_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither socket may be opened the status is unknown and says what to allow."""

    def refuse(*_: object) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refuse)
    result = await look(IcmpCheck(id="x", host="127.0.0.1"))
    assert result.status == "unknown"
    assert "ping_group_range" in result.summary


def test_checksum() -> None:
    """The worked example of RFC 1071 §3: the sum is ddf2, its complement 220d."""
    assert icmp.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D
