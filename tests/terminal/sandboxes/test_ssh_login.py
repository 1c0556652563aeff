"""Logging in by SSH as a person's own `ssh` would: a real ssh-agent, an ssh_config, jump hosts."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from partywidgets.exceptions import SandboxError
from partywidgets.terminal.sandboxes import open_sandbox
from tests.engines_fixture import listens
from tests.ports import kept_port
from tests.terminal.conftest import Serve

from .conftest import Open
from .sshd import USER, Sshd, sshd

__all__ = ["sshd"]

pytest.importorskip("asyncssh")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sshd: Sshd) -> Path:
    """A person's ~/.ssh that knows the server and has no key; no agent."""
    folder = tmp_path / "home" / ".ssh"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "known_hosts").write_text(sshd.known_hosts.read_text())
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return folder


@pytest.fixture
def agent(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A running ssh-agent without keys, known by the environment."""
    socket = home / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    try:
        while not listens(socket):
            assert process.poll() is None, "ssh-agent ended"
            time.sleep(0.02)
        yield socket
    finally:
        process.terminate()
        process.wait(20)


def give(agent: Path, key: Path) -> None:
    """Loads a key into the agent."""
    subprocess.run(["ssh-add", "-q", key], check=True, timeout=20, env={**os.environ, "SSH_AUTH_SOCK": str(agent)})


async def test_the_keys_of_the_agent_open(sshd: Sshd, agent: Path, opened: Open) -> None:
    """Without a key in the address, one that ssh-agent holds is taken, also behind one that the host does not accept."""
    give(agent, sshd.stranger)
    address = f"ssh:{USER}@127.0.0.1:{sshd.port}?shell=/bin/bash"
    with pytest.raises(SandboxError, match=r"refused the login \(no key of the agent or of ~/\.ssh was accepted\)"):
        await open_sandbox(address, cols=80, rows=24)
    give(agent, sshd.key)
    async with opened(address) as there:
        await there.prompt()


async def test_an_agent_that_is_gone_is_no_login(sshd: Sshd, home: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead agent's socket in the environment is a refused login with the remedy, and the room goes on."""
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "nobody"))
    async with serve(default=f"ssh:{USER}@127.0.0.1:{sshd.port}?shell=/bin/bash") as place, place.watch() as ana:
        reason = (await ana.message("upstream", state="failed"))["reason"]
        assert "refused the login" in reason
        assert "?identity=PATH" in reason
        (home / "id_ed25519").write_bytes(sshd.key.read_bytes())
        (home / "id_ed25519").chmod(0o600)
        assert (await ana.ask("restart"))["ok"] is True
        assert (await ana.ask("run", command="echo by-$((20+22))", timeout_s=20))["result"]["output"] == "by-42"


async def test_an_alias_of_the_config_opens(sshd: Sshd, home: Path, opened: Open) -> None:
    """HostName, User, Port and IdentityFile of ~/.ssh/config count for the alias in the address; sentences name the alias."""
    lines = f"Host box\n  HostName 127.0.0.1\n  User {USER}\n  Port {sshd.port}\n  IdentityFile %s\n  IdentitiesOnly yes\n"
    (home / "config").write_text(lines % sshd.key)
    async with opened("ssh:box?shell=/bin/bash") as there:
        await there.prompt()
        there.sandbox.write(b"exit 3\r")
        await there.rest()
        assert (await there.sandbox.wait_exit()).reason == "the shell on box ended with code 3"
    (home / "config").write_text(lines % sshd.stranger)
    with pytest.raises(SandboxError, match=r"\Abox refused the login"):
        await open_sandbox("ssh:box", cols=80, rows=24)
    (home / "other").write_text(lines % sshd.key)
    async with opened("ssh:box?shell=/bin/bash&config=~/.ssh/other") as there:
        await there.prompt()


async def test_jump_hosts_of_the_config_are_gone_through(sshd: Sshd, home: Path, opened: Open) -> None:
    """ProxyJump leads over each host that it names, with that host's own entry; all connections go when the terminal does."""
    (home / "config").write_text(
        f"Host *\n  IdentityFile {sshd.key}\n  User {USER}\n  Port {sshd.port}\n"
        "Host hop hop2\n  HostName 127.0.0.1\nHost inner\n  HostName 127.0.0.1\n  ProxyJump hop,hop2\n"
    )
    server = psutil.Process(sshd.process.pid)
    await asyncio.to_thread(psutil.wait_procs, server.children(), 20)  # those of a test before may still be leaving
    async with opened("ssh:inner?shell=/bin/bash") as there:
        await there.prompt()
        assert (await there.command("(exit 4)"))[0] == 4
        children = server.children()
        assert len(children) == 3
    await asyncio.to_thread(psutil.wait_procs, children, 20)
    assert not server.children()


async def test_a_jump_host_is_verified_and_named(sshd: Sshd, home: Path) -> None:
    """A jump host with an unknown key, one that refuses us, one that cannot go on: each is named, and no config turns the check off."""
    entry = f"  HostName 127.0.0.1\n  User {USER}\n"
    inner = f"Host inner\n{entry}  Port %d\n  IdentityFile {sshd.key}\n  ProxyJump hop\n"
    hop = f"Host hop\n{entry}  Port {sshd.port}\n  IdentityFile %s\n"
    cases = [
        (
            inner % sshd.port + hop % sshd.key + "  UserKnownHostsFile none\n",
            r"the host key of hop \(ssh-ed25519 SHA256:",
        ),
        (inner % sshd.port + hop % sshd.stranger, r"\Ahop refused the login"),
        (inner % kept_port() + hop % sshd.key, r"no SSH server answers at inner from hop"),
        (inner % sshd.port + "Host hop\n  ProxyJump inner\n", "has more than 8 hosts: does a ProxyJump lead in a circle"),
        (inner.replace("ProxyJump hop", "ProxyJump hop:x") % sshd.port, r"the ProxyJump of inner is not USER@HOST:PORT"),
        (inner.replace("ProxyJump hop", "ProxyJump none") % kept_port(), r"no SSH server answers at inner \("),
        (inner % sshd.port + "Nonsense\n  Port x\n", r"the SSH config for inner cannot be read"),
    ]
    for number, (config, sentence) in enumerate(cases):
        (home / "config").write_text(config)
        (home / "known_hosts").write_text(sshd.known_hosts.read_text() if number else "")
        with pytest.raises(SandboxError, match=sentence) as raised:
            await open_sandbox("ssh:inner", cols=80, rows=24)
        assert "\n" not in str(raised.value)
    with pytest.raises(SandboxError, match=r"there is no SSH config .*/nowhere"):
        await open_sandbox("ssh:inner?config=~/nowhere", cols=80, rows=24)


async def test_an_identity_file_that_is_not_there(sshd: Sshd, home: Path, opened: Open) -> None:
    """A config that names a key which is gone is a clear sentence, or passed over where another one opens."""
    (home / "config").write_text(f"Host box\n  HostName 127.0.0.1\n  User {USER}\n  Port {sshd.port}\n  IdentityFile ~/.ssh/gone\n")
    with pytest.raises(SandboxError, match=r"box refused the login|the SSH config names for box cannot be read"):
        await open_sandbox("ssh:box", cols=80, rows=24)
