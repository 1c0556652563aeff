"""The command line as a user types it, in processes of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

LIMIT = 40
CONFIG = """\
checks: [{id: root, type: host, disk: /}]
sandboxes: {default: "local:/bin/bash"}
auth:
  tokens:
  - {subject: ada, token: "${file:guest-token}", roles: [observer, viewer]}
  - {subject: ben, name: Ben, token: "${file:operator-token}", roles: [operator]}
"""
GUEST = "a-token-of-a-guest-for-tests"
OPERATOR = "a-token-of-an-operator-for-tests"


@dataclass
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one line of a user's mistake."""
        assert "Traceback" not in self.err, self.err
        (line,) = self.err.strip().splitlines()
        return line


@dataclass
class Host:
    """A `partywidgets serve` that listens."""

    process: subprocess.Popen[str]
    url: str
    greeting: str
    token_file: Path

    @property
    def token(self) -> str:
        return self.token_file.read_text().strip()


Run = Callable[..., Ended]
Serve = Callable[..., Host]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing of the user's is touched."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PARTYWIDGETS_")}
    return {**kept, "PARTYWIDGETS_HOME": str(tmp_path / "home"), "SHELL": "/bin/bash", "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config with a shell, a guest who may only look and an operator."""
    (tmp_path / "guest-token").write_text(GUEST)
    (tmp_path / "operator-token").write_text(OPERATOR)
    path = tmp_path / "partywidgets.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    """Runs `partywidgets …` to its end."""

    def run_command(*arguments: str | Path, **more: str) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "partywidgets", *map(str, arguments)],
            env={**environment, **more},
            capture_output=True,
            text=True,
            timeout=LIMIT,
            stdin=subprocess.DEVNULL,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run_command


@pytest.fixture
def serve(environment: dict[str, str], tmp_path: Path) -> Iterator[Serve]:
    """Starts `partywidgets serve …` on a free port with a token file; ends it after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path) -> Host:
        token_file = tmp_path / "token"
        given = [] if "--no-auth" in arguments else ["--token-file", str(token_file)]
        process = subprocess.Popen(
            [sys.executable, "-m", "partywidgets", "serve", "--port", "0", *given, *map(str, arguments)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C"):
                break
        greeting = "".join(lines)
        url = next(line.split()[1] for line in lines if line.strip().startswith("rooms"))
        return Host(process, url.rstrip("/"), greeting, token_file)

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait(LIMIT)
        assert process.stdout is not None
        process.stdout.close()
