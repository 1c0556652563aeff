"""How long things took, on the loop that serves: uvloop's clock stands still within a turn, and counts whole milliseconds."""

from __future__ import annotations

import socket
import sys

import pytest

from partywidgets.scans.checks import icmp
from partywidgets.scans.checks.base import CheckModel
from partywidgets.scans.checks.dial import DialError
from partywidgets.scans.checks.exec import ExecCheck
from partywidgets.scans.checks.icmp import IcmpCheck
from partywidgets.scans.checks.tcp import TcpCheck
from tests.ports import kept_port

from .servers import look

uvloop = pytest.importorskip("uvloop")


def test_durations_are_finer_than_a_millisecond() -> None:
    """Of some looks of each kind not every duration, phase and round trip is a whole number of milliseconds."""
    checks: list[CheckModel] = [
        TcpCheck(id="tcp", host="127.0.0.1", port=kept_port()),
        ExecCheck(id="exec", command=(sys.executable, "-S", "-c", "")),
    ]
    try:
        icmp._opened(socket.AF_INET).sock.close()
        checks.append(IcmpCheck(id="icmp", host="127.0.0.1"))
    except DialError:
        pass

    async def numbers(check: CheckModel) -> list[float]:
        found: list[float] = []
        for _ in range(4):
            result = await look(check)
            found += [metric.value for metric in result.metrics if metric.name.endswith("_ms")]
        return found

    for check in checks:
        found = uvloop.run(numbers(check))
        assert len(found) >= 4
        assert any(value % 1 for value in found), (check.id, found)
