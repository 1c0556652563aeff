"""Fan-out: deliveries a second from one publisher to N subscribers of a room, beside five other servers."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from .peer import BUILD, HERE, PEERS, compiled, node_peers, started

POINTS = ((200, 8), (200, 1), (1000, 4))


def servers(*, with_node: bool) -> dict[str, list[str | Path]]:
    """Every server's command, by the name that the table shows."""
    room = PEERS / "room.py"
    table: dict[str, list[str | Path]] = {
        "ours, asyncio, open": [sys.executable, room, "open", "asyncio"],
        "ours, asyncio, ticket": [sys.executable, room, "ticket", "asyncio"],
        "ours, uvloop, open": [sys.executable, room, "open", "uvloop"],
        "ours, uvloop, ticket": [sys.executable, room, "ticket", "uvloop"],
        "websockets.broadcast": [sys.executable, PEERS / "websockets_server.py"],
        "C, one send a message": [compiled(PEERS / "fanout.c"), "0", "single"],
        "C, joined": [compiled(PEERS / "fanout.c"), "0", "join"],
    }
    if with_node:
        table["Node ws"] = ["node", PEERS / "ws_server.mjs"]
        table["PartyServer on workerd"] = [PEERS / "node_modules/.bin/workerd", "serve", "worker.capnp", "--control-fd=1"]
    return table


def once(name: str, command: list[str | Path], subscribers: int, window: int, seconds: float) -> float:
    """One measurement: deliveries a second."""
    path = "/parties/fanout/room"
    tickets = BUILD / "tickets"
    extra: list[str | Path] = []
    if "ticket" in command:
        command = [*command, tickets, str(subscribers + 1)]
        extra = [tickets]
    with started(command) as (_, port):
        done = subprocess.run(
            [compiled(HERE / "load.c"), "127.0.0.1", str(port), path, str(subscribers), str(window), str(seconds), *extra],
            capture_output=True,
            text=True,
        )
    if done.returncode != 0:
        raise RuntimeError(f"{name}: {done.stderr.strip()}")
    return float(json.loads(done.stdout)["deliveries_per_s"])


def main(argv: list[str]) -> None:
    """Prints one table a point: the median of the rounds, and its ratio to PartyServer and to the joining C server, round by round."""
    parser = argparse.ArgumentParser(prog="./dev bench fanout", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args(argv)
    table = servers(with_node=node_peers())
    for subscribers, window in POINTS:
        figures: dict[str, list[float]] = {name: [] for name in table}
        for _ in range(arguments.rounds):
            for name, command in table.items():
                figures[name].append(once(name, command, subscribers, window, arguments.seconds))
        print(f"\nN={subscribers} W={window}, 200-byte text, median of {arguments.rounds} rounds of {arguments.seconds:g} s")
        print(f"{'server':26}{'deliveries/s':>14}{'x PartyServer':>15}{'x C joined':>12}")
        for name, measured in sorted(figures.items(), key=lambda item: -statistics.median(item[1])):
            columns = [f"{name:26}{statistics.median(measured):>14,.0f}"]
            for peer, width in (("PartyServer on workerd", 15), ("C, joined", 12)):
                ratios = [own / other for own, other in zip(measured, figures.get(peer, []), strict=False)]
                columns.append(f"{statistics.median(ratios):>{width}.2f}" if ratios else " " * width)
            print("".join(columns), flush=True)
