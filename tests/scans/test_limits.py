"""How much a service does at once: checks in all, of a host, of a type and of one id, scans, and checks that hang."""

from __future__ import annotations

import asyncio
import logging
from typing import Literal

import pytest
from pydantic import ValidationError

from partywidgets.exceptions import ScanError
from partywidgets.scans.check_decorator import check, forget, registered_checks
from partywidgets.scans.checks.base import CheckModel, Probe, ProbeContext
from partywidgets.scans.checks.tcp import TcpCheck
from partywidgets.scans.execution import host_of
from partywidgets.scans.service import OpsMonitorService
from partywidgets.scans.settings import LimitSettings

from .ops_room import Play, ScriptedCheck


async def test_limits(play: Play) -> None:
    """Never more at once than the limit in all, nor than the limit against one host."""
    hosts: dict[str, int] = {}
    most: dict[str, int] = {}

    async def before(check_id: str) -> None:
        host = check_id.partition("-")[0]
        hosts[host] = hosts.get(host, 0) + 1
        most[host] = max(most.get(host, 0), hosts[host])
        for _ in range(5):
            await asyncio.sleep(0)
        hosts[host] -= 1

    play.before = before
    async with OpsMonitorService(limits=LimitSettings(total=7, per_host=3)) as service:
        checks = [ScriptedCheck(id=f"{host}-{number}", host=host) for host in ("a", "b", "c", "d") for number in range(20)]
        await service.load_config("a.yaml", checks)
        report = await service.run_scan()
    assert report.counts["ok"] == 80
    assert play.most_at_once <= 7
    assert max(most.values()) <= 3


async def test_limits_of_a_type() -> None:
    """Never more at once of a type than its limit; another type takes the places that are left."""
    running, most, met = 0, 0, asyncio.Event()
    loop = asyncio.get_running_loop()

    def function(number: int) -> None:
        async def probe() -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.02)
            running -= 1

        probe.__qualname__ = f"limited_{number}"
        check(id=f"f{number}")(probe)

    async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop.call_soon(met.set)
        writer.close()
        await writer.wait_closed()

    for number in range(8):
        function(number)
    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    functions = [entry.check for entry in registered_checks([__name__]) if entry.check.id.startswith("f")]
    try:
        port = server.sockets[0].getsockname()[1]
        async with server, OpsMonitorService(limits=LimitSettings(per_type={"function": 2})) as service:
            await service.load_config("a.yaml", [*functions, TcpCheck(id="tcp", host="127.0.0.1", port=port)])
            report = await service.run_scan()
            await asyncio.wait_for(met.wait(), 20)
    finally:
        for one in functions:
            forget(one.function)
    assert report.counts["ok"] == 9
    assert most == 2


def test_limits_name_types_that_are_there() -> None:
    """A misspelt type is refused with the one that was probably meant."""
    with pytest.raises(ValidationError, match="unknown check type 'htpt', did you mean 'http'"):
        LimitSettings(per_type={"htpt": 3})


async def test_one_check_is_never_looked_at_twice_at_once(play: Play) -> None:
    """Two scans of one check run it one after the other; each has a result of its own."""
    gate = asyncio.Event()
    begun = asyncio.Event()

    async def before(check_id: str) -> None:
        begun.set()
        await gate.wait()

    play.before = before
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [ScriptedCheck(id="one")])
        scans = [service.start_scan() for _ in range(3)]
        async with asyncio.timeout(20):
            await begun.wait()
            gate.set()
            reports = [await scan.wait() for scan in scans]
    assert play.most_at_once == 1
    assert play.looks == {"one": 3}
    assert len({report.results[0].result_id for report in reports}) == 3
    assert {report.results[0].scan_id for report in reports} == {report.scan_id for report in reports}


async def test_what_waits_in_a_scan_is_not_due_again(play: Play) -> None:
    """The schedule passes over a check that a scan under way has not begun yet: it is about to be looked at anyway."""
    gate, begun = asyncio.Event(), asyncio.Event()

    async def before(check_id: str) -> None:
        begun.set()
        await gate.wait()

    play.before = before
    async with OpsMonitorService(limits=LimitSettings(total=1)) as service:
        await service.load_config("a.yaml", [ScriptedCheck(id=f"check-{number}") for number in range(10)])
        scan = service.start_scan()
        async with asyncio.timeout(20):
            await begun.wait()
            assert not service.bench.busy("check-9")
            await service.scans.scheduled(["check-0", "check-9"])
            assert service.running() == [scan]
            gate.set()
            await scan.wait()
            assert play.looks == {f"check-{number}": 1 for number in range(10)}
            await service.scans.scheduled(["check-9"])
            (again,) = service.running()
            assert (await again.wait()).total == 1


async def test_too_many_scans(play: Play) -> None:
    """The seventeenth scan at once is refused with a sentence; those under way go on."""
    gate = asyncio.Event()

    async def before(check_id: str) -> None:
        await gate.wait()

    play.before = before
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [ScriptedCheck(id="one")])
        scans = [service.start_scan() for _ in range(16)]
        with pytest.raises(ScanError, match="16 scans are under way"):
            service.start_scan()
        gate.set()
        assert [(await scan.wait()).counts["ok"] for scan in scans] == [1] * 16


class Hung(CheckModel):
    """A check that hangs, and with `stubborn` ignores its cancellation until it is let go."""

    type: Literal["hung"] = "hung"
    stubborn: bool = False

    @property
    def target(self) -> str:
        return "hung"

    async def probe(self, context: ProbeContext) -> Probe:
        while True:
            try:
                await LET_GO[self.id].wait()
                return Probe(self.target)
            except asyncio.CancelledError:
                if not self.stubborn:
                    raise


LET_GO: dict[str, asyncio.Event] = {}


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_hung_check_is_ended(stubborn: bool, caplog: pytest.LogCaptureFixture) -> None:
    """A check that hangs, even one that ignores its cancellation, ends as a timeout; the others are not held up."""
    LET_GO["hung"] = asyncio.Event()
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [Hung(id="hung", timeout=0.2, stubborn=stubborn), ScriptedCheck(id="other")])
        with caplog.at_level(logging.CRITICAL):
            report = await service.run_scan()
        results = {result.check_id: result for result in report.results}
        assert results["other"].status == "ok"
        assert results["hung"].status in ("crit", "unknown")
        assert results["hung"].error is not None
        assert results["hung"].error.kind == "timeout"
        LET_GO["hung"].set()
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("http://shop.example:8080/x", "shop.example"),
        ("db.example:5432", "db.example"),
        ("[::1]:80", "::1"),
        ("exec", "exec"),
        ("http://[", "http://["),
    ],
)
def test_host_of(target: str, host: str) -> None:
    """The limit per host counts by the host of a URL or of host:port."""
    assert host_of(target) == host
