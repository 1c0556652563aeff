"""A real OpenSSH server on a loopback port, with keys of its own."""

from __future__ import annotations

import getpass
import os
import pwd
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from tests.debian_package import unpacked
from tests.ports import kept_port

USER = getpass.getuser()


@dataclass
class Sshd:
    """A running server, a key that it accepts, and one that it does not."""

    port: int
    key: Path
    stranger: Path
    known_hosts: Path
    process: subprocess.Popen[bytes]

    def address(self, *, key: Path | None = None, more: str = "") -> str:
        """A sandbox address with everything said, so that this account's own SSH files do not count."""
        known = quote(str(self.known_hosts))
        return f"ssh:{USER}@127.0.0.1:{self.port}?config=none&known_hosts={known}&identity={quote(str(key or self.key))}{more}"

    def processes(self) -> list[psutil.Process]:
        """The listener and what it made of itself for each connection, but not the shells."""
        listener = psutil.Process(self.process.pid)
        return [listener, *(child for child in listener.children(recursive=True) if child.name().startswith("sshd"))]


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """An sshd of Debian's package with its own keys and config."""
    if os.geteuid() != 0:
        pytest.skip("sshd of the unpacked package starts as root only (its privilege separation)")
    root = unpacked("openssh-server", "libwrap0")
    program = root / "usr" / "sbin" / "sshd"
    libraries = {str(found.parent) for found in root.rglob("libwrap.so.0")}
    place = tmp_path_factory.mktemp("sshd")
    place.chmod(0o700)
    for name in ("host", "user", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / name], check=True, timeout=30)
    authorized = place / "authorized_keys"
    authorized.write_text((place / "user.pub").read_text())
    # sshd wants an account `sshd` and a directory /run/sshd: in a mount namespace of its own it has both, the system stays as it is.
    # Its accounts have the tests' plain home: what is in a person's own .bashrc may take a minute.
    accounts, home = place / "passwd", pwd.getpwnam(USER).pw_dir
    known = Path("/etc/passwd").read_text().replace(f":{home}:", f":{os.environ['HOME']}:")
    accounts.write_text(known + "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n")
    script = 'mount --bind "$1" /etc/passwd && mount -t tmpfs -o mode=755 tmpfs /run && mkdir -m 755 /run/sshd && shift && exec "$@"'
    apart = ["unshare", "--mount", "sh", "-c", script, "sh", str(accounts)]
    if subprocess.run([*apart, "true"], capture_output=True, timeout=60).returncode:
        pytest.skip("this machine lets nobody make a mount namespace: sshd cannot be started beside the system")
    port = kept_port()
    known_hosts = place / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{port} {(place / 'host.pub').read_text()}")
    config = place / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {place / 'host'}\nAuthorizedKeysFile {authorized}\nStrictModes no\n"
        "PermitRootLogin prohibit-password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nPidFile none\n"
    )
    log = place / "log"
    environ = {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)}
    with log.open("wb") as errors:
        process = subprocess.Popen([*apart, program, "-D", "-e", "-f", config], stdin=subprocess.DEVNULL, stderr=errors, env=environ)
    try:
        _until_it_listens(process, port, log)
        yield Sshd(port, place / "user", place / "stranger", known_hosts, process)
    finally:
        process.terminate()
        process.wait(20)


def _until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    while True:
        assert process.poll() is None, f"sshd ended: {log.read_text()}"
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=20) as probe:
                assert probe.recv(4, socket.MSG_WAITALL) == b"SSH-"
                return
        except ConnectionRefusedError:
            # It tells nobody that it listens; its end is noticed above, and the test has its own timeout.
            time.sleep(0.02)
