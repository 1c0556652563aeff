"""Shells by a real OpenSSH server on a loopback port."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

from partywidgets.exceptions import SandboxError
from partywidgets.terminal.sandboxes import open_sandbox
from tests.ports import kept_port
from tests.terminal.conftest import Serve

from .conftest import Open
from .sshd import USER, Sshd, sshd

__all__ = ["sshd"]

pytest.importorskip("asyncssh")


@pytest.mark.parametrize("shell", ["/bin/bash", "/usr/bin/zsh", "/bin/sh"])
async def test_a_shell_over_ssh_tells_codes_and_size(sshd: Sshd, opened: Open, shell: str) -> None:
    """Each shell marks its commands; it has the size, follows a resize, starts in `cwd`, and its exit code arrives."""
    async with opened(sshd.address(more=f"&shell={shell}&cwd=/usr"), cols=91, rows=33) as there:
        await there.prompt()
        assert (await there.command("(exit 4)"))[0] == 4
        code, output = await there.command("stty size; pwd; echo $SSH_CONNECTION; env | grep -c __PW_")
        assert "33 91" in output
        assert "/usr\r\n" in output
        assert f"127.0.0.1 {sshd.port}" in output
        assert "\n0\r\n" in output
        assert code == 1
        await there.sandbox.resize(100, 40)
        assert "40 100" in (await there.command("stty size"))[1]
        there.sandbox.write(b"exit 7\r")
        await there.rest()
        end = await there.sandbox.wait_exit()
        assert (end.code, end.reason) == (7, f"the shell on {USER}@127.0.0.1:{sshd.port} ended with code 7")


async def test_paused_output_waits_over_there(sshd: Sshd, opened: Open) -> None:
    """A paused shell blocks in its write once SSH's window is full, and loses nothing when read again."""
    async with opened(sshd.address(more="&shell=/bin/bash")) as there:
        await there.prompt()
        there.sandbox.pause()
        there.sandbox.write(b"head -c 6000000 /dev/zero | tr '\\0' x; echo; echo all-$((40+2)) \r")
        reading = asyncio.ensure_future(there.sandbox.read())
        done, _ = await asyncio.wait([reading], timeout=0.2)
        assert not done
        there.sandbox.resume()
        there.output += await reading
        await there.until(lambda: b"all-42" in there.output)
        assert there.output.count(b"x") >= 6_000_000


async def test_run_and_restart_in_a_room(sshd: Sshd, serve: Serve) -> None:
    """`run` gives code and output of the remote command; the exit is told to all, and restart connects anew."""
    async with serve(default=sshd.address(more="&shell=/bin/bash")) as place, place.watch() as ana:
        await ana.running()
        result = (await ana.ask("run", command="echo over-$((2+3)); (exit 6)", timeout_s=20))["result"]
        assert (result["exit_code"], result["output"]) == (6, "over-5")
        await ana.type("exit 3\r")
        assert (await ana.message("exit"))["code"] == 3
        assert (await ana.ask("restart"))["ok"] is True
        await ana.until(lambda: len(ana.of("welcome")) == 2)
        assert (await ana.ask("run", command="echo again", timeout_s=20))["result"]["output"] == "again"


async def test_what_is_refused_is_told_in_the_bar(sshd: Sshd, serve: Serve, tmp_path: Path) -> None:
    """A refused key, an unknown host key and a port where nobody listens each become one sentence, and the room stays."""
    nobody = tmp_path / "known_hosts"
    nobody.write_text("")
    unknown = f"ssh:{USER}@127.0.0.1:{sshd.port}?config=none&known_hosts={quote(str(nobody))}&identity={quote(str(sshd.key))}"
    wrong_host = tmp_path / "changed"
    wrong_host.write_text(f"[127.0.0.1]:{sshd.port} {sshd.stranger.with_suffix('.pub').read_text()}")
    changed = f"ssh:{USER}@127.0.0.1:{sshd.port}?config=none&known_hosts={quote(str(wrong_host))}&identity={quote(str(sshd.key))}"
    closed = sshd.address().replace(f":{sshd.port}", f":{kept_port()}")
    cases = {
        "key": (sshd.address(key=sshd.stranger), "refused the login (the key was not accepted)"),
        "unknown": (unknown, f"is not in {nobody}: compare it with the host's own, then connect once with `ssh -p"),
        "changed": (changed, "has changed: it is ssh-ed25519 SHA256:"),
        "closed": (closed, "no SSH server answers at"),
        "default": (sshd.address(more="&shell=/bin/bash"), ""),
    }
    async with serve(**{name: address for name, (address, _) in cases.items()}) as place:
        for name, (_, sentence) in cases.items():
            async with place.watch(room=f"r-{name}", query=f"?sandboxId={name}") as ana:
                if sentence:
                    reason = (await ana.message("upstream", state="failed"))["reason"]
                    assert sentence in reason
                    assert "\n" not in reason
                    # The room goes on: it can be asked, and started again.
                    assert (await ana.ask("restart"))["ok"] is True
                else:
                    await ana.running()


async def test_a_key_with_a_passphrase(sshd: Sshd, opened: Open, tmp_path: Path) -> None:
    """A key encrypted as ssh-keygen does it opens with its passphrase; without it, or with another, it is refused with the remedy."""
    pytest.importorskip("bcrypt")
    locked = tmp_path / "locked"
    shutil.copy(sshd.key, locked)
    locked.chmod(0o600)
    rekey = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open it", "-f", str(locked)]
    await asyncio.to_thread(subprocess.run, rekey, check=True, timeout=60, stdout=subprocess.DEVNULL)
    async with opened(sshd.address(key=locked, more="&passphrase=open+it&shell=/bin/bash")) as shell:
        await shell.prompt()
    for passphrase in ("", "&passphrase=other"):
        with pytest.raises(SandboxError, match="give its passphrase="):
            await open_sandbox(sshd.address(key=locked, more=passphrase), cols=80, rows=24, nonce="0" * 16)


async def test_a_shell_without_marks(sshd: Sshd, serve: Serve) -> None:
    """Another program than a shell that we know is shown, and `run` says at once which shells it needs."""
    async with serve(default=sshd.address(more="&shell=/bin/cat")) as place, place.watch() as ana:
        assert "open the terminal with bash, zsh or sh" in (await ana.ask("run", command="true", timeout_s=20))["error"]
        await ana.type("echoed\r")
        await ana.shows(b"echoed\r\nechoed")


async def test_the_text_of_a_key_from_a_secret_works(sshd: Sshd, opened: Open) -> None:
    """`key=` takes the private key itself, as `${file:PATH}` in a config puts it there, pluses and all."""
    address = f"ssh:{USER}@127.0.0.1:{sshd.port}?config=none&known_hosts={sshd.known_hosts}&shell=/bin/bash&key={sshd.key.read_text()}"
    async with opened(address) as there:
        await there.prompt()


async def test_a_config_cannot_turn_verification_off(sshd: Sshd, tmp_path: Path) -> None:
    """`UserKnownHostsFile none` in an ssh_config does not make an unknown host known."""
    config = tmp_path / "config"
    config.write_text("Host *\n  UserKnownHostsFile none\n  StrictHostKeyChecking no\n")
    address = f"ssh:{USER}@127.0.0.1:{sshd.port}?config={quote(str(config))}&identity={quote(str(sshd.key))}"
    with pytest.raises(SandboxError, match="the host key of"):
        await open_sandbox(address, cols=80, rows=24)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("ssh:", "needs a host"),
        ("ssh:@box", "needs a host"),
        ("ssh:box:99999", "needs a host"),
        ("ssh:box?colour=red", "has no option 'colour'"),
        ("ssh:box?identity=/no/such/key", "the SSH key /no/such/key cannot be read"),
        ("ssh:box?key=hush-no-key", "the SSH key of the option key cannot be used"),
        ("ssh:box?known_hosts=/no/such/file", "there is no known_hosts file /no/such/file"),
    ],
)
async def test_wrong_ssh_addresses_are_one_sentence(address: str, sentence: str) -> None:
    """Each mistake is named before anything is connected, and no secret is repeated."""
    with pytest.raises(SandboxError, match=r"\A[^\n]*\Z") as raised:
        await open_sandbox(address, cols=80, rows=24)
    assert sentence in str(raised.value)
    assert "hush" not in str(raised.value)
