"""Sockets that are held: many handshakes in one thread, answers to pings, and what the server's memory says of them."""

from __future__ import annotations

import contextlib
import json
import resource
import selectors
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence

import psutil

TOKEN = "a-benchmark-on-the-loopback-has-no-secrets"
"""The bearer of peers/sleeping_room.py."""
BATCH = 200
SPARE = 200
"""Descriptors that a process needs beside its sockets."""
PONG = bytes((0x8A, 0x80, 0, 0, 0, 0))
CLOSE = bytes((0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8))


def may_hold(wanted: int, *, each: int = 1) -> int:
    """How many connections a process may hold with `each` descriptors for one, after raising the limit; says what is missing."""
    need = wanted * each + SPARE
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < need:
        with contextlib.suppress(OSError, ValueError):  # only root may, and a container may forbid it: the old limit stays
            resource.setrlimit(resource.RLIMIT_NOFILE, (need, need))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, (hard - SPARE) // each)
    if allowed < wanted:
        print(f"{hard} descriptors a process at most, {each} a connection: {allowed} connections instead of {wanted}", file=sys.stderr)
    return allowed


def resident(pid: int) -> int:
    """Bytes of physical memory that a server and its children hold."""
    server = psutil.Process(pid)
    return sum(process.memory_info().rss for process in (server, *server.children(recursive=True)))


def office(port: int, rooms: Sequence[tuple[str, str]] | None = None) -> object:
    """What the office of sleeping_room.py says: its counts, or a ticket for each of `rooms`."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/parties/office/main", headers={"Authorization": f"Bearer {TOKEN}"})
    if rooms is not None:
        request.data = json.dumps(rooms).encode()
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def asleep(port: int, *, timeout: float = 60.0) -> None:
    """Returns when no hibernating room of sleeping_room.py is awake."""
    deadline = time.monotonic() + timeout
    while True:
        counts = office(port)
        assert isinstance(counts, dict)
        if counts["awake"] == 0:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"{counts['awake']} rooms were still awake after {timeout:.0f} s")
        time.sleep(0.1)


def upgrade(port: int, path: str, headers: str = "") -> bytes:
    """A handshake's request. `headers` are whole lines, each with its line end."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    ).encode()


def frame(message: str) -> bytes:
    """A client's frame with a short text, masked with zeros."""
    payload = message.encode()
    assert len(payload) < 126
    return bytes((0x81, 0x80 | len(payload), 0, 0, 0, 0)) + payload


class Held:
    """Sockets to a server, opened in batches; `watch` answers its pings."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.sockets: list[socket.socket] = []
        self._selector = selectors.DefaultSelector()

    def open(self, rooms: Sequence[tuple[str, str]], *, tickets: bool = False) -> None:
        """One socket to each (party, room) of `rooms`."""
        for at in range(0, len(rooms), BATCH):
            batch = rooms[at : at + BATCH]
            issued = office(self.port, batch) if tickets else [""] * len(batch)
            assert isinstance(issued, list)
            opened = []
            for (party, room), ticket in zip(batch, issued, strict=True):
                offer = f"Sec-WebSocket-Protocol: partywidgets.v1, partywidgets.ticket.{ticket}\r\n" if ticket else ""
                peer = socket.create_connection(("127.0.0.1", self.port), 30)
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peer.sendall(upgrade(self.port, f"/parties/{party}/{room}", offer))
                opened.append(peer)
            for peer in opened:
                self._answered(peer)
                self._selector.register(peer, selectors.EVENT_READ)
                self.sockets.append(peer)
            self.watch(0)

    def _answered(self, peer: socket.socket) -> None:
        head = bytearray()
        while not head.endswith(b"\r\n\r\n"):  # byte by byte at its end: what follows the head is frames
            part = peer.recv(1)
            if not part:
                raise RuntimeError(f"the server on port {self.port} ended a handshake after {bytes(head[:60])!r}")
            head += part
        if not head.startswith(b"HTTP/1.1 101"):
            raise RuntimeError(f"the server on port {self.port} refused a handshake: {bytes(head[:60])!r}")

    def watch(self, seconds: float) -> None:
        """Answers pings for a while. Raises RuntimeError when the server ended a socket."""
        deadline = time.monotonic() + seconds
        while True:
            for key, _ in self._selector.select(max(0.0, deadline - time.monotonic())):
                peer = key.fileobj
                assert isinstance(peer, socket.socket)
                if not peer.recv(4096):
                    raise RuntimeError(f"the server on port {self.port} ended a socket that was held")
                peer.sendall(PONG)
            if time.monotonic() >= deadline:
                return

    def close(self) -> None:
        """Ends all of them with a Close, for whose answer it does not wait."""
        self._selector.close()
        for peer in self.sockets:
            with contextlib.suppress(OSError):  # the server may have gone first
                peer.sendall(CLOSE)
            peer.close()
        self.sockets.clear()


@contextlib.contextmanager
def held(port: int) -> Iterator[Held]:
    """Holds sockets until the block ends."""
    holder = Held(port)
    try:
        yield holder
    finally:
        holder.close()
