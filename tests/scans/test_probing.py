"""Network checks in a process of their own: the same results, the same secrets hidden, and nothing lost when it hangs or ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from partywidgets.app import create_app
from partywidgets.auth import Gate
from partywidgets.config import parse_config
from partywidgets.party.grant import OPEN_ROLES
from partywidgets.redaction import redact
from partywidgets.references import Secrets
from partywidgets.scans import probing
from partywidgets.scans.checks.base import CheckModel, RemediationModel
from partywidgets.scans.checks.dns import DnsCheck
from partywidgets.scans.checks.http import HttpCheck
from partywidgets.scans.checks.tcp import TcpCheck
from partywidgets.scans.checks.tls import TlsCheck
from partywidgets.scans.judge import RunContext, run_check
from partywidgets.scans.model import CheckResult
from partywidgets.scans.packing import packed, unpacked
from partywidgets.scans.probe_worker import Unframed, framed
from partywidgets.scans.probing import ProbeProcess
from tests.ports import kept_port

from .checks.servers import Served, serving, web_server
from .checks.test_tcp import speak

WAIT = 30.0


@contextlib.asynccontextmanager
async def process(*checks: CheckModel, known: Any = tuple) -> AsyncIterator[ProbeProcess]:
    """A process that is ready for these checks, and enough others to be worth it."""
    probes = ProbeProcess(known)
    await probes.put("many.yaml", [HttpCheck(id=f"other-{number}", url="http://127.0.0.1:9/") for number in range(probing.APART_FROM)])
    await probes.put("checks.yaml", checks)
    try:
        await there(probes)
        yield probes
    finally:
        await probes.close()


async def there(probes: ProbeProcess, *, other_than: int = 0) -> int:
    """The process's id, once it is ready."""
    async with asyncio.timeout(WAIT):
        while (pid := probes.pid) is None or pid == other_than:
            await asyncio.sleep(0.02)
    return pid


def said(result: CheckResult) -> dict[str, Any]:
    """What a result says, without what differs from look to look."""
    wire = result.to_wire()
    for name in ("result_id", "started_at", "observed_at", "duration_ms"):
        del wire[name]
    wire["phases_ms"] = sorted(wire["phases_ms"])
    return wire


def context(secrets: Secrets | None = None, base: Path = Path()) -> RunContext:
    """What a host gives its looks."""
    if secrets is None:
        return RunContext(redact=redact)
    return RunContext(resolve=secrets.resolver(base), redact=secrets.redact)


async def test_both_ways_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kind of outcome of every type that another process may look at comes back as this process would have seen it."""
    closed = kept_port()
    monkeypatch.delattr(probing, "run_check")  # so that what is looked at elsewhere is
    async with web_server() as web, serving(speak) as plain:
        place = f"http://127.0.0.1:{web.port}"
        checks: list[CheckModel] = [
            HttpCheck(id="json", url=f"{place}/json", conditions=("status == 200", "body.queue.depth < 5"), labels={"team": "a"}),
            HttpCheck(id="down", url=f"{place}/status/503", remediation=RemediationModel(text="restart it", command="restart")),
            HttpCheck(id="garbage", url=f"{place}/garbage", severity="critical", runbook="https://runbooks.example/garbage"),
            HttpCheck(id="hang", url=f"{place}/hang", timeout=1, retries=1, retry_delay=0.01),
            HttpCheck(id="refused", url=f"http://127.0.0.1:{closed}/", warn="error == 'refused'"),
            TcpCheck(id="port", host="127.0.0.1", port=web.port),
            TlsCheck(id="no tls", host="127.0.0.1", port=plain, timeout=20),
            DnsCheck(id="no dns", name="example.org", resolver=f"127.0.0.1:{closed}", timeout=20),
        ]
        assert all(check.apart for check in checks)
        async with process(*checks) as probes:
            for check in checks:
                there, here = await probes.look(check, context()), await run_check(check, context())
                for result in (there, here):  # the numbers of a moment
                    result.summary = result.summary if "ms" not in result.summary else "in some ms"
                    result.metrics = [metric for metric in result.metrics if metric.unit not in ("ms", "s")]
                assert said(there) == said(here)
                assert there == unpacked(packed(there))


async def test_references_are_resolved_by_the_host_and_stay_hidden(tmp_path: Path) -> None:
    """The process gets what references have become, says it to the target, and hides it and every other known secret in what it saw."""
    (tmp_path / "key").write_text("the-key-of-files\n")
    secrets = Secrets({"SHOP_TOKEN": "correct-horse-battery"})
    secrets.resolve("${file:key}", base=tmp_path)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = head + b"the-key-of-files"
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    async with serving(echo) as port:
        check = HttpCheck(id="echo", url=f"http://127.0.0.1:{port}/", headers={"X-Token": "Bearer ${env:SHOP_TOKEN}"})
        missing = HttpCheck(id="missing", url=f"http://127.0.0.1:{port}/", headers={"X-Token": "${env:NOT_THERE}"})
        async with process(check, missing, known=secrets.values) as probes:
            result = await probes.look(check, context(secrets, tmp_path))
            refused = await probes.look(missing, context(secrets, tmp_path))
    text = result.evidence[0].value
    assert result.status == "ok"
    assert result.evidence[0].redacted
    assert "X-Token" in text or "x-token" in text
    assert "correct-horse" not in text
    assert "the-key" not in text
    assert "NOT_THERE is not set" in refused.summary


async def test_a_killed_process_loses_no_result(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks that were under way in a process that is killed are done by the host, which starts another."""
    monkeypatch.setattr(probing, "BACKOFF", 0.05)
    release = asyncio.Event()
    came = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        await reader.readuntil(b"\r\n\r\n")
        came += 1
        await release.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async with serving(slow) as port:
        checks = [HttpCheck(id=f"slow-{number}", url=f"http://127.0.0.1:{port}/{number}") for number in range(10)]
        async with process(*checks) as probes:
            first = await there(probes)
            looks = [asyncio.create_task(probes.look(check, context())) for check in checks]
            async with asyncio.timeout(WAIT):
                while came < 10:
                    await asyncio.sleep(0.01)
            os.kill(first, signal.SIGKILL)
            async with asyncio.timeout(WAIT):
                while came < 20:
                    await asyncio.sleep(0.01)
            release.set()
            assert [result.status for result in await asyncio.gather(*looks)] == ["ok"] * 10
            assert "was ended by SIGKILL: the host looks itself" in caplog.text
            async with asyncio.timeout(WAIT):
                while probes.pid in (None, first):
                    assert (await probes.look(checks[0], context())).status == "ok"
                    await asyncio.sleep(0.02)
            assert (await probes.look(checks[0], context())).status == "ok"


async def test_a_process_that_hangs_is_killed(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that says nothing past a look's longest is killed, and the host looks."""
    monkeypatch.setattr(probing, "GRACE", 0.2)
    monkeypatch.setattr(probing, "WATCH_SECONDS", 0.1)
    async with web_server() as web:
        check = HttpCheck(id="json", url=f"http://127.0.0.1:{web.port}/json", timeout=3, retry_delay=0)
        async with process(check) as probes:
            pid = await there(probes)
            os.kill(pid, signal.SIGSTOP)
            async with asyncio.timeout(WAIT):
                assert (await probes.look(check, context())).status == "ok"
            assert "hung and was killed" in caplog.text
            assert not psutil.pid_exists(pid)


async def test_a_cancelled_look_ends_in_the_process() -> None:
    """Who stops waiting for a look closes its connection to the target."""
    asked, closed = asyncio.Event(), asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        assert await reader.read() == b""
        closed.set()

    async with serving(hang) as port:
        check = HttpCheck(id="hang", url=f"http://127.0.0.1:{port}/")
        async with process(check) as probes, asyncio.timeout(WAIT):
            look = asyncio.create_task(probes.look(check, context()))
            await asked.wait()
            look.cancel()
            with pytest.raises(asyncio.CancelledError):
                await look
            await closed.wait()


async def test_a_changed_check_is_looked_at_as_it_is_now() -> None:
    """Checks that are put again replace those of their owner alone; one that is gone is still looked at by whoever has it."""
    async with web_server() as web:
        before = HttpCheck(id="one", url=f"http://127.0.0.1:{web.port}/status/500")
        after = HttpCheck(id="one", url=f"http://127.0.0.1:{web.port}/json")
        async with process(before) as probes:
            assert (await probes.look(before, context())).status == "crit"
            await probes.put("checks.yaml", [after])
            assert (await probes.look(after, context())).status == "ok"
            assert (await probes.look(before, context())).status == "crit"


async def test_few_checks_start_no_process() -> None:
    """A host with few checks looks itself."""
    async with web_server() as web:
        before, probes = psutil.Process().children(), ProbeProcess(tuple)
        check = HttpCheck(id="json", url=f"http://127.0.0.1:{web.port}/json")
        await probes.put("checks.yaml", [check])
        assert (await probes.look(check, context())).status == "ok"
        assert probes.pid is None
        assert set(psutil.Process().children()) <= set(before)
        await probes.close()


@contextlib.asynccontextmanager
async def hosting(tmp_path: Path, web: Served, count: int) -> AsyncIterator[tuple[Any, ProbeProcess]]:
    """A host whose config has so many checks of a web server."""
    lines = "".join(f"  - {{id: web-{n}, type: http, url: 'http://127.0.0.1:{web.port}/json'}}\n" for n in range(count))
    config = parse_config(f"checks:\n{lines}", path=str(tmp_path / "checks.yaml"))
    async with create_app(gate=Gate(open_roles=OPEN_ROLES), config=config, storage=tmp_path) as app:
        probes = app.service._probes
        assert probes is not None
        await there(probes)
        yield app, probes


async def test_a_hosts_scan_is_looked_at_there_and_survives_it(tmp_path: Path) -> None:
    """A host with many checks has the process; a scan has every result, also when the process is killed in its middle; it ends with the
    host."""
    async with web_server() as web:
        async with hosting(tmp_path, web, 120) as (app, probes):
            own, pid = psutil.Process(), await there(probes)
            assert pid in [child.pid for child in own.children()]
            report = await app.service.run_scan()
            assert report.counts["ok"] == 120
            scan = app.service.start_scan()
            os.kill(pid, signal.SIGKILL)
            assert (await scan.wait()).counts["ok"] == 120
            app.service._probes._not_before = 0.0
            await app.service.run_scan()
            again = await there(probes, other_than=pid)
        assert not psutil.pid_exists(again)


async def test_the_process_ends_with_its_input() -> None:
    """A host that is killed leaves no process: its pipe is closed by the system. Ctrl-C, and a SIGTERM to all, are the host's alone."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "partywidgets.scans.probe_worker", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    async with asyncio.timeout(WAIT):
        await process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.stdin.close()
        assert await process.wait() == 0


async def test_a_run_that_is_cancelled_before_it_began_is_answered() -> None:
    """Both messages may come in one piece: the run has not begun then, ends as any other that is cancelled, and leaves nothing behind."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "partywidgets.scans.probe_worker", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    check, messages = TcpCheck(id="shop", host="127.0.0.1", port=9), Unframed()
    try:
        async with asyncio.timeout(WAIT):
            # One write of less than a pipe's atomic size: the process reads all of it at once.
            process.stdin.write(framed("checks", {1: check}) + framed("runs", [(7, 1, {})]) + framed("cancel", 7))
            told: list[tuple[str, Any]] = []
            while len(told) < 2:
                told += messages.feed(await process.stdout.read(4096))
    finally:
        process.stdin.close()
        await process.wait()
    assert told == [("ready", None), ("results", [(7, None)])]
