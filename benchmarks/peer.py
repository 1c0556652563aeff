"""Servers to measure: built once, started on a free port, ended by their pid."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).parent
PEERS = HERE / "peers"
BUILD = Path(tempfile.gettempdir()) / f"partywidgets-benchmarks-{os.getuid()}"


def plain_shells() -> None:
    """Makes every shell a bash in a plain home: what is in a person's own .bashrc may take a minute."""
    home = BUILD / "home"
    BUILD.mkdir(mode=0o700, exist_ok=True)
    home.mkdir(exist_ok=True)
    (home / ".bashrc").write_text("PS1='$ '\n")
    os.environ |= {"SHELL": "/bin/bash", "HOME": str(home)}


def compiled(source: Path) -> Path:
    """The program built from one C file, rebuilt when the file is newer."""
    BUILD.mkdir(mode=0o700, exist_ok=True)
    program = BUILD / source.stem
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["cc", "-O2", "-o", program, source], check=True)
    return program


def node_peers() -> bool:
    """Installs the npm peers once; False, with a line saying so, where npm cannot."""
    if shutil.which("npm") is None:
        print("no npm on this machine: what needs Node.js is left out", file=sys.stderr)
        return False
    if not all(
        (PEERS / "node_modules" / name).exists() for name in ("workerd", "@xterm/headless", "ag-grid-community", "@perspective-dev/client")
    ):
        done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=PEERS)
        if done.returncode != 0:
            print("npm ci failed: what needs Node.js is left out", file=sys.stderr)
            return False
    worker = PEERS / "worker.js"
    if not worker.exists() or worker.stat().st_mtime < (PEERS / "worker.ts").stat().st_mtime:
        bundle: list[str | Path] = [
            PEERS / "node_modules/.bin/esbuild",
            "worker.ts",
            "--bundle",
            "--format=esm",
            "--external:cloudflare:*",
            "--outfile=worker.js",
            "--log-level=error",
        ]
        subprocess.run(bundle, cwd=PEERS, check=True)
    return True


def _port(line: str) -> int | None:
    """The port in a server's line: `ready PORT`, that of `partywidgets serve`, or workerd's control message."""
    if line.startswith("ready "):
        return int(line.split()[1])
    if line.startswith("  rooms "):
        return int(line.rsplit(":", 1)[1].rstrip("/\n"))
    if line.startswith("{"):
        event = json.loads(line)
        if event.get("event") == "listen":
            return int(event["port"])
    return None


@contextlib.contextmanager
def started(command: Sequence[str | Path], *, cwd: Path = PEERS, timeout: float = 30.0) -> Iterator[tuple[int, int]]:
    """Starts a server and yields its (pid, port); ends it, also when the measurement fails."""
    with tempfile.TemporaryFile(mode="w+") as said:  # its notices, shown only when it does not start
        # Unbuffered: a line that waits in a buffer here is one that select does not see.
        process = subprocess.Popen([str(part) for part in command], cwd=cwd, stdout=subprocess.PIPE, stderr=said, bufsize=0)
        assert process.stdout is not None
        try:
            deadline = time.monotonic() + timeout
            port = None
            while port is None:
                ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
                line = process.stdout.readline().decode() if ready else ""
                if not line:
                    said.seek(0)
                    print(said.read()[-2000:], file=sys.stderr)
                    raise RuntimeError(f"no port from {command[0]} within {timeout:.0f} s (exit code {process.poll()})")
                port = _port(line)
            yield process.pid, port
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
            process.stdout.close()
