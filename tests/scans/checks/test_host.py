"""The host check against this machine's own /proc, processes, ports and disks."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from pathlib import Path

import pytest
from pydantic import ValidationError

from partywidgets.scans.checks import host
from partywidgets.scans.checks.host import HostCheck
from tests.ports import kept_port

from .servers import look

PYTHON = Path(sys.executable).resolve().name
"""The name of this program."""


def check(**given: object) -> HostCheck:
    """A host check."""
    return HostCheck.model_validate({"id": "here", "timeout": 10, **given})


async def test_disk(tmp_path: Path) -> None:
    """A disk's figures are those of the file system."""
    result = await look(check(disk=str(tmp_path), warn="used_percent > 100", crit="free_bytes < 1"))
    usage = os.statvfs(tmp_path)
    metrics = {metric.name: metric for metric in result.metrics}
    assert (result.status, result.target) == ("ok", f"disk {tmp_path}")
    assert metrics["total_bytes"].value == usage.f_blocks * usage.f_frsize
    assert (metrics["used_percent"].unit, metrics["free_bytes"].unit) == ("%", "B")
    assert (await look(check(disk=str(tmp_path), warn="used_percent >= 0"))).status == "warn"


async def test_missing_disk() -> None:
    """A path that is not there is crit."""
    result = await look(check(disk="/nonexistent"))
    assert (result.status, result.summary) == ("crit", "disk /nonexistent: there is no such path")


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("memory", {"used_percent", "available_bytes", "total_bytes", "swap_used_percent", "swap_total_bytes"}),
        ("cpu", {"used_percent", "iowait_percent", "steal_percent", "count"}),
        ("load", {"load1", "load5", "load15", "count", "load1_per_cpu"}),
    ],
)
async def test_figures(what: str, names: set[str]) -> None:
    """Memory, CPUs and load give their figures as metrics."""
    given: dict[str, object] = {what: True}
    if what == "cpu":
        given["interval"] = "50ms"
    result = await look(check(**given))
    assert result.status == "ok"
    assert {metric.name for metric in result.metrics} == names
    assert result.summary.startswith(f"{what}: ")


async def test_process() -> None:
    """A process must exist, by the name of its program; its end is noticed."""
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE)
    try:
        result = await look(check(process=PYTHON))
        assert result.status == "ok"
        assert str(child.pid) in result.evidence[0].value.split(", ")
    finally:
        child.kill()
        await child.wait()
    result = await look(check(process="no-such-program"))
    assert (result.status, result.summary) == ("crit", "no-such-program: no such process runs")
    assert result.evidence == []  # no empty list of pids under a failing row
    assert (await look(check(process="no-such-program", conditions=["count == 0"]))).status == "ok"


async def test_port() -> None:
    """A port must be listened on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        result = await look(check(port=sock.getsockname()[1], conditions=["listening", "addresses == ['127.0.0.1']"]))
    assert result.status == "ok"
    free = kept_port()
    result = await look(check(port=free))
    assert (result.status, result.summary) == ("crit", f"nobody listens on port {free}")


async def test_hung_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that hangs is unknown by `timeout`, and is not looked at again while it does."""
    release = threading.Event()
    monkeypatch.setattr(host, "_disk", lambda path: release.wait(30) and {})
    first = await look(check(disk="/hung", timeout=0.2))
    second = await look(check(disk="/hung", timeout=0.2))
    release.set()
    assert (first.status, first.error and first.error.kind, first.summary) == ("unknown", "timeout", "disk /hung: no answer within 200ms")
    assert (second.status, second.summary) == ("unknown", "disk /hung: the last look still hangs")


@pytest.mark.parametrize(
    "given",
    [{}, {"disk": "/", "memory": True}, {"memory": True, "warn": "load1 > 3"}, {"port": 0}, {"cpu": True, "interval": "20s"}, {"disk": ""}],
)
def test_faults_of_the_author(given: dict[str, object]) -> None:
    """One thing, and only its own values."""
    with pytest.raises(ValidationError):
        check(**given)
