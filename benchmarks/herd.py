"""A herd comes back: 1,000 clients of a server that is killed and started again on its port."""

from __future__ import annotations

import argparse
import asyncio
import os
import selectors
import signal
import socket
import statistics
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

from partywidgets.partysocket import PartySocket

from .held import TOKEN, may_hold, upgrade
from .peer import PEERS, started
from .wake import centile

PATIENCE = 60.0
"""Seconds after which whoever is not back is called lost."""
FIRST_AT_ONCE = 50
"""PartySockets that connect at once before the measurement; after it nobody holds them back."""
SETTLED = 5.5
"""Seconds that they stay connected before the server is killed: after 5 a PartySocket counts its retries afresh."""


def server(auth: str, loop: str, port: int) -> list[str | Path]:
    """The command of our server."""
    return [sys.executable, PEERS / "sleeping_room.py", auth, loop, str(port), "60"]


class Member:
    """A PartySocket with its default timing, and when it tried and was let in."""

    def __init__(self, port: int, token: str | None) -> None:
        self.tried = self.opened = 0.0
        self.handshakes: list[float] = []
        self.socket = PartySocket(
            host=f"127.0.0.1:{port}", party="sleeper", room="herd", query=self._before, token=token, on_open=self._after
        )

    def _before(self) -> None:
        """The query is asked for at the start of every attempt."""
        self.tried = time.monotonic()

    def _after(self) -> None:
        self.opened = time.monotonic()
        self.handshakes.append(self.opened - self.tried)


async def partysockets(auth: str, loop: str, count: int) -> tuple[float, list[float]]:
    """Seconds from the kill until all are back, and each one's handshake: its last attempt from the query to the open socket."""
    token = TOKEN if auth == "ticket" else None
    async with AsyncExitStack() as stack:
        with started(server(auth, loop, 0)) as (pid, port):
            members = [Member(port, token) for _ in range(count)]
            for at in range(0, count, FIRST_AT_ONCE):
                some = members[at : at + FIRST_AT_ONCE]
                for member in some:
                    await stack.enter_async_context(member.socket)
                await asyncio.gather(*(member.socket.opened(PATIENCE) for member in some))
            await asyncio.sleep(SETTLED)
            for member in members:
                member.handshakes.clear()
            os.kill(pid, signal.SIGKILL)
        restart = time.monotonic()
        # In a thread: the herd goes on trying while the server starts.
        new = started(server(auth, loop, port))
        await asyncio.to_thread(new.__enter__)
        stack.callback(new.__exit__, None, None, None)
        ready = time.monotonic()
        while any(not member.handshakes for member in members):
            if time.monotonic() - ready > PATIENCE:
                lost = sum(not member.handshakes for member in members)
                raise RuntimeError(f"{lost} of {count} PartySockets were not back {PATIENCE:.0f} s after the restart")
            await asyncio.sleep(0.02)
        last = max(member.opened for member in members)
        await asyncio.gather(*(member.socket.close() for member in members))
        return last - restart, [member.handshakes[0] for member in members]


def storm(auth: str, loop: str, count: int) -> tuple[float, list[float]]:
    """All handshakes begun in one instant: seconds until the last answer, and each one's, its wait in the server's backlog included."""
    headers = f"Authorization: Bearer {TOKEN}\r\n" if auth == "ticket" else ""
    with started(server(auth, loop, 0)) as (_, port), selectors.DefaultSelector() as selector:
        request, heads, sockets = upgrade(port, "/parties/sleeper/herd", headers), dict[int, bytes](), list[socket.socket]()
        try:
            begin = time.perf_counter()
            for _ in range(count):
                peer = socket.socket()
                sockets.append(peer)
                peer.setblocking(False)
                peer.connect_ex(("127.0.0.1", port))
                selector.register(peer, selectors.EVENT_WRITE)
            took: list[float] = []
            while len(took) < count:
                ready = selector.select(1.0)
                if time.perf_counter() - begin > PATIENCE:
                    raise RuntimeError(f"{count - len(took)} of {count} handshakes had no answer after {PATIENCE:.0f} s")
                for key, events in ready:
                    peer = key.fileobj  # type: ignore[assignment]  # sockets alone were registered
                    if events & selectors.EVENT_WRITE:
                        peer.sendall(request)
                        selector.modify(peer, selectors.EVENT_READ)
                        continue
                    part = peer.recv(4096)
                    head = heads[key.fd] = heads.get(key.fd, b"") + part
                    if b"\r\n\r\n" in head:
                        took.append(time.perf_counter() - begin)
                        selector.unregister(peer)
                    if not part or (b"\r\n" in head and not head.startswith(b"HTTP/1.1 101")):
                        raise RuntimeError(f"refused after {len(took)} handshakes: {head[:60]!r}")
            return took[-1], took
        finally:
            for peer in sockets:
                peer.close()


def main(argv: list[str]) -> None:
    """Prints a line for each kind of client and server: the medians of the rounds."""
    parser = argparse.ArgumentParser(prog="./dev bench herd", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1, help="each takes about a minute")
    parser.add_argument("--clients", type=int, default=1_000)
    arguments = parser.parse_args(argv)
    count = may_hold(arguments.clients)
    print(f"\n{count} clients, median of {arguments.rounds} rounds; PartySockets: seconds since the kill, in one Python process")
    print(f"{'clients and server':40}{'all back, s':>12}{'p50, ms':>10}{'p99, ms':>10}")
    for loop in ("asyncio", "uvloop"):
        for auth in ("open", "ticket"):
            for kind in ("PartySockets", "handshakes at once"):
                measured = [
                    asyncio.run(partysockets(auth, loop, count)) if kind == "PartySockets" else storm(auth, loop, count)
                    for _ in range(arguments.rounds)
                ]
                back = statistics.median(seconds for seconds, _ in measured)
                columns = [f"{f'{kind}, {loop}, {auth}':40}{back:>12.2f}"]
                columns += [f"{statistics.median(centile(each, part) for _, each in measured):>10.0f}" for part in (50, 99)]
                print("".join(columns), flush=True)
