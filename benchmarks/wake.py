"""From a message to a hibernated room to its answer, beside the same room awake, and beside PartyServer's hibernation on workerd."""

from __future__ import annotations

import argparse
import socket
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .held import asleep, frame, held
from .peer import PEERS, node_peers, started

HIBERNATE_AFTER = 2.0
"""Seconds of silence after which ours hibernate here: longer than the asking takes, so that what is called awake is."""
SETTLE = 15.0
"""Seconds left to workerd, which hibernates a room after 10 of silence."""
MESSAGE = frame("wake")
ANSWER = bytes((0x81, 4)) + b"wake"


def servers(*, with_node: bool) -> dict[str, tuple[list[str | Path], str]]:
    """Every server's command and party, by the name that the table shows."""
    table: dict[str, tuple[list[str | Path], str]] = {}
    for loop in ("asyncio", "uvloop"):
        for auth in ("open", "ticket"):
            room: list[str | Path] = [sys.executable, PEERS / "sleeping_room.py", auth, loop, "0", str(HIBERNATE_AFTER)]
            table[f"ours, {loop}, {auth}"] = (room, "sleeper")
            table[f"ours, {loop}, {auth}, reads storage"] = (room, "remembering")
    if with_node:
        workerd: list[str | Path] = [PEERS / "node_modules/.bin/workerd", "serve", "worker.capnp", "--control-fd=1"]
        table["PartyServer on workerd"] = (workerd, "fanout-hibernating")
    return table


def ask(speaker: socket.socket, listener: socket.socket) -> float:
    """Seconds until the other socket of the room has the message."""
    begin = time.perf_counter()
    speaker.sendall(MESSAGE)
    answer = b""
    while len(answer) < len(ANSWER):
        part = listener.recv(len(ANSWER) - len(answer))
        if not part:
            raise RuntimeError("the server ended a socket instead of answering")
        answer += part
    took = time.perf_counter() - begin
    if answer != ANSWER:
        raise RuntimeError(f"not the answer that was awaited: {answer!r}")
    return took


def once(command: list[str | Path], party: str, rooms: int) -> tuple[list[float], list[float]]:
    """One round: the seconds of every sleeping room's answer, and those of its second one."""
    ours = party != "fanout-hibernating"
    with started(command) as (_, port), held(port) as holder:
        # Two sockets a room, one after the other: one speaks, the other hears.
        holder.open([(party, f"room-{number // 2}") for number in range(2 * rooms)], tickets="ticket" in command)
        if ours:
            asleep(port)
        else:
            holder.watch(SETTLE)
        sleeping, awake = [], []
        for speaker, listener in zip(holder.sockets[::2], holder.sockets[1::2], strict=True):
            sleeping.append(ask(speaker, listener))
            awake.append(ask(speaker, listener))
        return sleeping, awake


def centile(seconds: Sequence[float], part: int) -> float:
    """A percentile, in milliseconds."""
    return statistics.quantiles(seconds, n=100, method="inclusive")[part - 1] * 1000


def main(argv: list[str]) -> None:
    """Prints a line for each server: the median of the rounds' percentiles."""
    parser = argparse.ArgumentParser(prog="./dev bench wake", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1, help="each takes about a minute")
    parser.add_argument("--rooms", type=int, default=400)
    arguments = parser.parse_args(argv)
    table = servers(with_node=node_peers())
    figures: dict[str, list[tuple[list[float], list[float]]]] = {name: [] for name in table}
    for _ in range(arguments.rounds):
        for name, (command, party) in table.items():
            figures[name].append(once(command, party, arguments.rooms))
    print(f"\nmessage to answer, ms, {arguments.rooms} rooms one after the other, median of {arguments.rounds} rounds")
    print(f"{'server':38}{'asleep p50':>12}{'asleep p99':>12}{'awake p50':>12}{'awake p99':>12}")
    for name, measured in figures.items():
        columns = [f"{name:38}"]
        for kind in (0, 1):
            columns += [f"{statistics.median(centile(one[kind], part) for one in measured):>12.2f}" for part in (50, 99)]
        print("".join(columns), flush=True)
