"""Shells in containers whose host is gone: their guard ends them, and nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from partywidgets.terminal.sandboxes.docker import ContainerSandbox
from partywidgets.terminal.sandboxes.kubernetes import KubernetesSandbox
from partywidgets.terminal.sandboxes.remote_shell import ExecShell
from partywidgets.terminal.shell import guard_command
from tests.cri_fixture import CriRuntime, cri_runtime
from tests.engines_fixture import Engine

from .conftest import Open
from .kubernetes_api import api, containerd
from .test_docker import BOTH, engine

__all__ = ["cri_runtime", "engine"]

HOST = """
import asyncio, sys
from partywidgets.terminal.sandboxes import guard, open_sandbox

guard.REPLACED_WITHIN = 1

async def main():
    sandbox = await open_sandbox(sys.argv[1], cols=80, rows=24, nonce="n0nce")
    output = b""
    while b"633;B;n0nce" not in output:
        output += await sandbox.read()
    sandbox.write(b"sleep 777\\r")
    while sandbox._guard._job is None:
        await asyncio.sleep(0.02)
    print("guarded", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("engine", BOTH, indirect=True)
async def test_the_shell_of_a_killed_host(engine: Engine) -> None:
    """It goes with what runs in it; what else is in the container stays."""
    name = engine.start()
    engine.call("exec", "-d", name, "sh", "-c", "sleep 778; true")
    host = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOST, f"{engine.kind}:{name}", stdout=asyncio.subprocess.PIPE, env=dict(os.environ)
    )
    try:
        assert host.stdout is not None
        async with asyncio.timeout(30):
            assert await host.stdout.readline() == b"guarded\n"
            while "sleep 777" not in await asyncio.to_thread(engine.call, "exec", name, "ps"):
                await asyncio.sleep(0.05)
    finally:
        host.send_signal(signal.SIGKILL)
        await host.wait()
    async with asyncio.timeout(30):
        listed = "sh -i"
        while any(word in listed for word in ("sh -i", "sleep 777", "guard")):
            listed = await asyncio.to_thread(engine.call, "exec", name, "ps")
    assert "sleep 778" in listed
    assert "sleep 1000" in listed
    engine.remove(name)


async def _guarded(sandbox: ExecShell, before: str = "") -> str:
    """Waits for a guard, another than `before`: its number."""
    async with asyncio.timeout(20):
        while sandbox._guard is None or sandbox._guard._job is None or sandbox._guard._standing[0] == before:
            await asyncio.sleep(0.02)
    return sandbox._guard._standing[0]


@pytest.mark.parametrize("engine", BOTH, indirect=True)
async def test_a_guard_whose_connection_breaks(engine: Engine, opened: Open) -> None:
    """Another one takes its place, and the shell of a living host goes on; with the terminal both are gone at once."""
    name = engine.start()
    async with opened(f"{engine.kind}:{name}") as shell:
        await shell.prompt()
        assert isinstance(shell.sandbox, ContainerSandbox)
        first = await _guarded(shell.sandbox)
        assert shell.sandbox._guard is not None
        job = shell.sandbox._guard._job
        job.abort()  # type: ignore[union-attr]
        await _guarded(shell.sandbox, first)
        listed = await asyncio.to_thread(engine.call, "exec", name, "ps")
        assert listed.count("partywidgets-guard") == 1
        assert (await shell.command("echo on-$((1+1))"))[0] == 0
    listed = await asyncio.to_thread(engine.call, "exec", name, "ps")
    assert "sh -i" not in listed
    assert "guard" not in listed
    engine.remove(name)


@pytest.mark.docker
async def test_a_guard_in_a_pod(cri_runtime: CriRuntime, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod's shell goes when the host's connections break, over containerd's own channels."""
    monkeypatch.setattr("partywidgets.terminal.sandboxes.guard.REPLACED_WITHIN", 1)
    monkeypatch.setattr("partywidgets.terminal.sandboxes.guard.AGAIN", 1000.0)
    container = await asyncio.to_thread(cri_runtime.start)
    async with api(containerd(cri_runtime, container), container, tmp_path, monkeypatch), opened("kubernetes:shop/web") as shell:
        await shell.prompt()
        assert isinstance(shell.sandbox, KubernetesSandbox)
        await _guarded(shell.sandbox)
        assert shell.sandbox._guard is not None
        shell.sandbox._guard._job.abort()  # type: ignore[union-attr]
        await shell.rest()
        assert (await shell.sandbox.wait_exit()).code == 128 + signal.SIGHUP


def _born(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[19]


@pytest.mark.skipif(sys.platform != "linux", reason="a guard stands where there is /proc")
@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_it_ends_no_other_process(shell: str) -> None:
    """A number that another process has since is left alone, whether it stands there at first or comes to have it; the right one ends."""
    # Whoever runs the tests behind nohup has the hang-up ignored in all that they start.
    default = partial(signal.signal, signal.SIGHUP, signal.SIG_DFL)
    with subprocess.Popen(["sleep", "779"], start_new_session=True, preexec_fn=default) as other:
        born = _born(other.pid)
        late = guard_command(other.pid, str(int(born) - 1), "", "", 0)
        assert subprocess.run([shell, *late[1:]], input=b"end\n", capture_output=True, timeout=20).stdout == b""
        instead = guard_command(other.pid, born, str(other.pid), str(int(born) - 1), 0)
        assert subprocess.run([shell, *instead[1:]], input=b"\n\nover\n", capture_output=True, timeout=20).stdout != b""
        assert psutil.Process(other.pid).status() != psutil.STATUS_ZOMBIE
        right = guard_command(other.pid, born, "", "", 0)
        done = subprocess.Popen([shell, *right[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert other.wait(20) == -signal.SIGHUP
        assert done.communicate(timeout=20)[0].split()[0] == str(done.pid).encode()
