"""`partywidgets serve` with functions, and with a config that changes under it: real processes, real signals."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pexpect  # type: ignore[import-untyped]
import pytest

from partywidgets.client.ops import OpsClient

from .conftest import LIMIT

MODULE = """\
import os
import partywidgets as pw

@pw.check(id="pid", every="1h")
def pid():
    return os.getpid()
"""


class Served:
    """A host whose log is read."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process, self.url = process, url
        self.log: list[str] = []

    async def logged(self, part: str) -> str:
        """Waits for a log line, from the last one read on."""
        assert self.process.stderr is not None
        async with asyncio.timeout(LIMIT):
            while line := (await self.process.stderr.readline()).decode():
                self.log.append(line)
                if part in line:
                    return line
        raise AssertionError(f"the host ended without {part!r}: {self.log}")


@pytest.fixture
async def serve(environment: dict[str, str], tmp_path: Path) -> AsyncIterator[Any]:
    """Starts `partywidgets serve CONFIG …` without authentication on a free port; kills it after the test."""
    started: list[asyncio.subprocess.Process] = []

    async def start(*arguments: str | Path) -> Served:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *["-m", "partywidgets", "serve", "--port", "0", "--no-auth", *map(str, arguments)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout is not None
        url = ""
        async with asyncio.timeout(LIMIT):
            while line := (await process.stdout.readline()).decode():
                if line.strip().startswith("rooms"):
                    url = line.split()[1]
                if line.startswith("Ctrl-C"):
                    break
        return Served(process, url)

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def row(ops: OpsClient, check_id: str) -> dict[str, Any]:
    """Waits for a check's row."""
    async with asyncio.timeout(LIMIT):
        while True:
            found = next((row for row in ops.rows.values() if row["check_id"] == check_id and row["status"] != "skip"), None)
            if found is not None:
                return dict(found)
            await asyncio.sleep(0.05)


async def gone(pid: int) -> None:
    """Waits until a process has ended."""
    async with asyncio.timeout(LIMIT):
        with contextlib.suppress(ProcessLookupError):
            while True:
                os.kill(pid, 0)
                await asyncio.sleep(0.02)


def write(directory: Path, config: str, module: str = MODULE) -> Path:
    """Writes a config and its module, each in one go as editors do: who watches them sees no half."""
    for name, text in (("serve_checks.py", module), ("partywidgets.yaml", config)):
        (directory / f"{name}.new").write_text(text)
        (directory / f"{name}.new").rename(directory / name)
    return directory / "partywidgets.yaml"


async def test_functions_under_serve_end_with_it(serve: Any, tmp_path: Path) -> None:
    """They run on the schedule in a process of their own, which outlives the SIGTERM that a service manager sends to all, and no host."""
    config = write(tmp_path, "modules: [serve_checks]\n")
    host = await serve(config)
    async with OpsClient(host.url) as ops:
        found = await row(ops, "pid")
        pid = int(found["metrics"][0]["value"])
        assert pid != host.process.pid
        os.kill(pid, signal.SIGTERM)
        (again,) = (await ops.recheck([found["fingerprint"]])).results
        assert (again.status, again.metrics[0].value) == ("ok", pid)
    host.process.kill()
    await host.process.wait()
    await gone(pid)


async def refused(host: Served, reason: str | None) -> None:
    """Waits until who joins the room is told that the config is refused, and why; None: that it is in force."""
    heads: list[Any] = []
    async with asyncio.timeout(LIMIT):
        while not heads or heads[-1]["config_refused"] != reason:
            async with OpsClient(host.url, on_message=lambda kind, data: heads.append(data) if kind == "snapshot" else None):
                pass


async def test_sighup_loads_the_config_again(serve: Any, tmp_path: Path) -> None:
    """New checks come, old ones go, acks stay; a broken file is refused with line and column, and the former config goes on."""
    failing = "{id: failing, type: file, path: /nowhere, every: 1h}"
    config = write(tmp_path, f"checks: [{failing}, {{id: old, type: host, disk: /, every: 1h}}]\n")
    host = await serve(config)
    async with OpsClient(host.url) as ops:
        async with asyncio.timeout(LIMIT):
            while len(ops.rows) < 2:
                await asyncio.sleep(0.05)
        fingerprint = next(row["fingerprint"] for row in ops.rows.values() if row["check_id"] == "failing")
        await ops.ack(fingerprint, "known")

        write(tmp_path, f"modules: [serve_checks]\nchecks: [{failing}]\n")
        host.process.send_signal(signal.SIGHUP)
        assert "was reloaded: 2 checks" in await host.logged("partywidgets.serve")
        pid = (await row(ops, "pid"))["fingerprint"]
        async with asyncio.timeout(LIMIT):
            while any(row["check_id"] == "old" and row["status"] != "skip" for row in ops.rows.values()):
                await asyncio.sleep(0.05)
        assert ops.rows[fingerprint]["suppression"]["by"] == "ack"

        write(tmp_path, f"checks: [{failing}]\nlimits: {{totl: 3}}\n")
        host.process.send_signal(signal.SIGHUP)
        refusal = await host.logged("partywidgets.serve")
        assert f"{config}:2:10: limits: unknown key 'totl', did you mean 'total'?" in refusal
        assert "the former one stays in force" in refusal
        await refused(host, "partywidgets.yaml:2:10: limits: unknown key 'totl', did you mean 'total'?")
        assert (await ops.recheck([pid])).counts["ok"] == 1

        write(tmp_path, "modules: [serve_checks]\n", "import partywidgets\n1 / 0\n")
        host.process.send_signal(signal.SIGHUP)
        assert "serve_checks.py:2: the module serve_checks cannot be imported: ZeroDivisionError" in await host.logged("partywidgets.serve")
        await refused(host, "serve_checks.py:2: the module serve_checks cannot be imported: ZeroDivisionError: division by zero")
        assert (await ops.recheck([pid])).counts["ok"] == 1

        for nothing in ("", "# the checks of the shop\n"):
            write(tmp_path, nothing)
            host.process.send_signal(signal.SIGHUP)
            assert "there is nothing in the file: write `checks: []` to take all checks out" in await host.logged("partywidgets.serve")
        await refused(host, "partywidgets.yaml: there is nothing in the file: write `checks: []` to take all checks out")
        assert (await ops.recheck([pid])).counts["ok"] == 1

        write(tmp_path, "auth: {hosts: [ops.example.com]}\n")
        host.process.send_signal(signal.SIGHUP)
        assert "0 checks; not applied before the next start: auth" in await host.logged("partywidgets.serve")
        await refused(host, None)
    host.process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(host.process.wait(), LIMIT) == 0


async def test_watch_loads_what_changes(serve: Any, tmp_path: Path) -> None:
    """With --watch an edited config, or an edited module, is loaded without a signal."""
    config = write(tmp_path, "checks: []\n")
    host = await serve(config, "--watch")
    write(tmp_path, "modules: [serve_checks]\n")
    await host.logged("was reloaded: 1 check")
    write(tmp_path, "modules: [serve_checks]\n", MODULE + "\n@pw.check\ndef another(): ...\n")
    await host.logged("was reloaded: 2 checks")  # each file's change may be seen by itself


def test_a_terminal_that_is_closed_ends_the_host(environment: dict[str, str], tmp_path: Path) -> None:
    """The same signal means two things: asked for it loads again, from a terminal that went away it stops, as without a config."""
    config = write(tmp_path, "checks: []\n")
    arguments = ["-m", "partywidgets", "serve", str(config), "--port", "0", "--no-auth"]
    child = pexpect.spawn(sys.executable, arguments, env=environment, timeout=LIMIT)
    ended: list[tuple[int, int]] = []
    try:
        child.expect_exact("Ctrl-C stops")
        os.kill(child.pid, signal.SIGHUP)
        child.expect_exact("was reloaded: 0 checks")
        os.close(child.child_fd)
        waiting = threading.Thread(target=lambda: ended.append(os.waitpid(child.pid, 0)), daemon=True)
        waiting.start()
        waiting.join(LIMIT)
        assert ended == [(child.pid, 0)]
    finally:
        if not ended:
            os.kill(child.pid, signal.SIGKILL)
