"""Fan-out through the Jupyter Server extension, N=50 W=8, beside `websockets.broadcast` and our own server."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from .fanout import once
from .jupyter import HEADER, jupyter
from .peer import HERE, PEERS, compiled

SUBSCRIBERS, WINDOW = 50, 8
PEER = "websockets.broadcast"


def through_jupyter(seconds: float) -> float:
    """One measurement through the extension: deliveries a second."""
    with jupyter({"benchmarks.peers.jupyter_room": True}) as (_, port):
        load: list[str | Path] = [compiled(HERE / "load.c"), "127.0.0.1", str(port), "/partywidgets/parties/fanout/room"]
        done = subprocess.run(
            [*load, str(SUBSCRIBERS), str(WINDOW), str(seconds)],
            env={**os.environ, "LOAD_HEADER": HEADER},
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
