"""Memory of an idle connection: 10,000 held in 1,000 hibernated rooms, beside PartyServer hibernating on workerd and websockets' server."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

from .held import asleep, held, may_hold, resident
from .peer import PEERS, node_peers, started

WARM = 50
"""Connections held before the first look, so that what a server loads at its first ones is not counted."""
SETTLE = 12.0
"""Seconds until workerd has hibernated a room: 10 of silence."""
HIBERNATE_AFTER = 1.0
"""Seconds of silence after which ours do; shorter than its default of 10 s to save time, it changes no byte."""


def servers(*, with_node: bool) -> dict[str, tuple[list[str | Path], str]]:
    """Every server's command and the party with its rooms, by the name that the table shows."""
    table: dict[str, tuple[list[str | Path], str]] = {
        f"ours, {loop}, {auth}": ([sys.executable, PEERS / "sleeping_room.py", auth, loop, "0", str(HIBERNATE_AFTER)], "sleeper")
        for loop in ("asyncio", "uvloop")
        for auth in ("open", "ticket")
    }
    table["websockets, one room, awake"] = ([sys.executable, PEERS / "websockets_server.py"], "all")
    if with_node:
        workerd: list[str | Path] = [PEERS / "node_modules/.bin/workerd", "serve", "worker.capnp", "--control-fd=1"]
        table["PartyServer on workerd"] = (workerd, "fanout-hibernating")
    return table


# Ours and websockets take one descriptor for a connection.
WORKERD_DESCRIPTORS = 2


def once(command: list[str | Path], party: str, connections: int, rooms: int) -> tuple[float, float]:
    """One measurement: bytes a connection, and seconds that the handshakes took."""
    ours, tickets = party == "sleeper", "ticket" in command
    with started(command) as (pid, port), held(port) as first, held(port) as holder:
        first.open([(party, f"warm-{number % 5}") for number in range(WARM)], tickets=tickets)
        if ours:
            asleep(port)
        first.watch(1.0)
        before = resident(pid)
        begin = time.monotonic()
        holder.open([(party, f"room-{number % rooms}") for number in range(connections)], tickets=tickets)
        took = time.monotonic() - begin
        if ours:
            asleep(port)
        holder.watch(SETTLE if party == "fanout-hibernating" else 1.0)
        return (resident(pid) - before) / connections, took


def main(argv: list[str]) -> None:
    """Prints a line for each server: the median of the rounds, and its ratio to workerd."""
    parser = argparse.ArgumentParser(prog="./dev bench idle", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1, help="each takes about a minute")
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--rooms", type=int, default=1_000)
    arguments = parser.parse_args(argv)
    connections = may_hold(arguments.connections)
    table = servers(with_node=node_peers())
    fewer = may_hold(connections, each=WORKERD_DESCRIPTORS)
    counts = {name: fewer if name == "PartyServer on workerd" else connections for name in table}
    counts["websockets, one room, awake"] = connections // 4  # its handshakes are slow, and its figure grows with the count alone
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in table}
    for _ in range(arguments.rounds):
        for name, (command, party) in table.items():
            try:
                figures[name].append(once(command, party, counts[name], arguments.rooms))
            except (OSError, RuntimeError) as error:
                print(f"{name}: {error}", file=sys.stderr)
    print(f"\nidle connections in {arguments.rooms} rooms, median of {arguments.rounds} rounds")
    print(f"{'server':30}{'held':>8}{'bytes a connection':>20}{'x PartyServer':>15}{'handshakes/s':>14}")
    for name, measured in figures.items():
        if not measured:
            print(f"{name:30}{'':>8}{'none':>20}")
            continue
        size = statistics.median(size for size, _ in measured)
        ratios = [own / other for (own, _), (other, _) in zip(measured, figures.get("PartyServer on workerd", []), strict=False)]
        ratio = f"{statistics.median(ratios):>15.2f}" if ratios else " " * 15
        rate = counts[name] / statistics.median(took for _, took in measured)
        print(f"{name:30}{counts[name]:>8}{size:>20,.0f}{ratio}{rate:>14,.0f}", flush=True)
