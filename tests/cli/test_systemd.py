"""What systemd and its journal hear of `partywidgets serve`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import LIMIT


class Managed:
    """A host whose standard error is a socket, as a unit's is the journal's, and whose manager listens at `address`."""

    def __init__(self, config: Path, environment: dict[str, str], address: str, *, port: int = 0) -> None:
        self.heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.heard.settimeout(LIMIT)
        self.heard.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self.journal, theirs = socket.socketpair()
        self.journal.settimeout(LIMIT)
        there = os.fstat(theirs.fileno())
        command = [sys.executable, "-m", "partywidgets", "serve", "--port", str(port), str(config)]
        self.process = subprocess.Popen(
            command,
            env={**environment, "NOTIFY_SOCKET": address, "JOURNAL_STREAM": f"{there.st_dev}:{there.st_ino}"},
            stdout=subprocess.DEVNULL,
            stderr=theirs.fileno(),
        )
        theirs.close()

    def said(self) -> str:
        """The next message to the manager."""
        return self.heard.recv(4096).decode()

    def logged(self, word: str) -> str:
        """The next line of the journal with `word` in it."""
        lines = self.journal.makefile("r", encoding="utf-8")
        return next(line for line in lines if word in line)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(LIMIT)
        self.journal.close()
        self.heard.close()


@pytest.mark.parametrize("abstract", [False, True])
def test_the_manager_is_told(abstract: bool, config: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """That it serves once it listens, how a reload went, and that it ends."""
    managed = Managed(config, environment, f"@partywidgets-test-{os.getpid()}" if abstract else str(tmp_path / "notify"))
    try:
        first = managed.said()
        assert first.startswith("READY=1\nSTATUS=1 check, listening at http://127.0.0.1:")
        right = config.read_text()
        config.write_text(right.replace("type: host", "type: hots"))
        managed.process.send_signal(signal.SIGHUP)
        assert "STATUS=the config was not reloaded, the former one stays in force: " in (refused := managed.said())
        assert "unknown check type 'hots'" in refused
        config.write_text(right)
        managed.process.send_signal(signal.SIGHUP)
        assert managed.said() == "STATUS=1 check"
        managed.process.terminate()
        assert managed.said() == "STOPPING=1\nSTATUS="
        assert managed.process.wait(LIMIT) == 0
    finally:
        managed.close()


def test_its_lines_have_their_priority_in_the_journal(config: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """So that `journalctl -p warning` has what it should; the time is the journal's own."""
    managed = Managed(config, environment, str(tmp_path / "notify"))
    try:
        managed.said()
        config.write_text("checks: [")
        managed.process.send_signal(signal.SIGHUP)
        assert managed.logged("was not reloaded").startswith("<3>ERROR partywidgets.serve: the config was not reloaded")
    finally:
        managed.close()


def test_why_it_does_not_start_is_an_error_there(config: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """Nothing says that it is ready, so that `systemctl start` fails too."""
    config.write_text("checks: [{id: root, type: hots}]")
    managed = Managed(config, environment, str(tmp_path / "notify"))
    try:
        assert managed.logged("unknown check type").startswith("<3>partywidgets: ")
        assert managed.process.wait(LIMIT) == 1
        managed.heard.setblocking(False)
        with pytest.raises(BlockingIOError):
            managed.said()
    finally:
        managed.close()


def test_another_program_s_journal_is_not_ours(config: Path, environment: dict[str, str]) -> None:
    """A shell of a unit passes the variable on; what is a person's to read there has no numbers."""
    command = [sys.executable, "-m", "partywidgets", "validate", str(config.with_name("nothing.yaml"))]
    done = subprocess.run(command, env={**environment, "JOURNAL_STREAM": "1:2"}, capture_output=True, text=True, timeout=LIMIT)
    assert done.stderr.startswith("partywidgets: ")
