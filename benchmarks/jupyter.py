"""A Jupyter Server to measure, in folders of its own."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from .peer import HERE

TOKEN = "benchmark"
HEADER = f"Authorization: token {TOKEN}"


@contextlib.contextmanager
def jupyter(extensions: Mapping[str, bool]) -> Iterator[tuple[int, int]]:
    """Starts one with these extensions on or off beside those of Jupyter itself; ours is off unless named. Yields (pid, port)."""
    with tempfile.TemporaryDirectory() as home:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "JPY_", "PARTYWIDGETS"))}
        environ |= {f"JUPYTER_{kind}_DIR": f"{home}/{kind.lower()}" for kind in ("CONFIG", "RUNTIME", "DATA")}
        environ |= {"PARTYWIDGETS_HOME": f"{home}/state", "PYTHONPATH": str(HERE.parent), "SHELL": "/bin/bash"}
        chosen = {"partywidgets": False, "partywidgets.extension": False, "jupyterlab": False, **extensions}
        command = [sys.executable, "-m", "jupyter_server", "--allow-root", "--ServerApp.open_browser=False", "--ServerApp.port=0"]
        command += ["--ServerApp.ip=127.0.0.1", f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={home}"]
        command.append(f"--ServerApp.jpserver_extensions={chosen}")
        log = Path(home) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=home, env=environ, stdout=output, stderr=output)
        try:
            yield process.pid, _port(process, Path(home) / "runtime" / f"jpserver-{process.pid}.json", log)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


def _port(process: subprocess.Popen[bytes], file: Path, log: Path) -> int:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError, KeyError):  # not written yet, or half
            port = int(json.loads(file.read_text())["port"])
            socket.create_connection(("127.0.0.1", port), 1).close()  # it writes the file before it listens
            return port
        time.sleep(0.05)
    raise RuntimeError(f"the Jupyter Server did not start:\n{log.read_text()[-2000:]}")
