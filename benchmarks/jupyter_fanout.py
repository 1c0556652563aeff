"""Fan-out through the Jupyter Server extension, N=50 W=8, beside `websockets.broadcast` and our own server."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .fanout import once
from .peer import HERE, PEERS, compiled

SUBSCRIBERS, WINDOW = 50, 8
TOKEN = "benchmark"
PEER = "websockets.broadcast"


@contextlib.contextmanager
def jupyter() -> Iterator[int]:
    """A Jupyter Server with the extension and the benchmark's room, in folders of its own; yields its port."""
    with tempfile.TemporaryDirectory() as home:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "JPY_", "PARTYWIDGETS"))}
        environ |= {f"JUPYTER_{kind}_DIR": f"{home}/{kind.lower()}" for kind in ("CONFIG", "RUNTIME", "DATA")}
        environ |= {"PARTYWIDGETS_HOME": f"{home}/state", "PYTHONPATH": str(HERE.parent)}
        extensions = {"partywidgets": False, "partywidgets.extension": False, "benchmarks.peers.jupyter_room": True, "jupyterlab": False}
        command = [
            sys.executable,
            "-m",
            "jupyter_server",
            "--allow-root",
            "--ServerApp.open_browser=False",
            "--ServerApp.port=0",
            "--ServerApp.ip=127.0.0.1",
        ]
        command += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={home}", f"--ServerApp.jpserver_extensions={extensions}"]
        log = Path(home) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=home, env=environ, stdout=output, stderr=output)
        try:
            yield _port(process, Path(home) / "runtime" / f"jpserver-{process.pid}.json", log)
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


def through_jupyter(seconds: float) -> float:
    """One measurement through the extension: deliveries a second."""
    with jupyter() as port:
        load: list[str | Path] = [compiled(HERE / "load.c"), "127.0.0.1", str(port), "/partywidgets/parties/fanout/room"]
        done = subprocess.run(
            [*load, str(SUBSCRIBERS), str(WINDOW), str(seconds)],
            env={**os.environ, "LOAD_HEADER": f"Authorization: token {TOKEN}"},
            capture_output=True,
            text=True,
        )
    if done.returncode != 0:
        raise RuntimeError(f"through Jupyter: {done.stderr.strip()}")
    return float(json.loads(done.stdout)["deliveries_per_s"])


def main(argv: list[str]) -> None:
    """Prints a line for each server: the median of the rounds, and of its ratios to `websockets.broadcast`."""
    parser = argparse.ArgumentParser(prog="./dev bench jupyter-fanout", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args(argv)
    room = PEERS / "room.py"
    table: dict[str, list[str | Path]] = {
        PEER: [sys.executable, PEERS / "websockets_server.py"],
        "ours, asyncio, ticket": [sys.executable, room, "ticket", "asyncio"],
        "ours, uvloop, ticket": [sys.executable, room, "ticket", "uvloop"],
    }
    figures: dict[str, list[float]] = {name: [] for name in ("ours, through Jupyter", *table)}
    for _ in range(arguments.rounds):
        figures["ours, through Jupyter"].append(through_jupyter(arguments.seconds))
        for name, command in table.items():
            figures[name].append(once(name, command, SUBSCRIBERS, WINDOW, arguments.seconds))
    print(f"\nN={SUBSCRIBERS} W={WINDOW}, 200-byte text, median of {arguments.rounds} rounds of {arguments.seconds:g} s")
    print(f"{'server':26}{'deliveries/s':>14}{'x ' + PEER:>25}")
    for name, measured in figures.items():
        ratio = statistics.median(own / other for own, other in zip(measured, figures[PEER], strict=True))
        print(f"{name:26}{statistics.median(measured):>14,.0f}{ratio:>25.2f}", flush=True)
