"""Ports of the loopback address that nobody else can get while the tests run."""

from __future__ import annotations

import socket

_held: list[socket.socket] = []


def kept_port() -> int:
    """A port that nobody listens on, kept until the process ends: a connection is refused, and nobody is given it by the system.

    A program that a test starts may listen on it all the same, as servers ask for with SO_REUSEADDR.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    _held.append(held)
    return int(held.getsockname()[1])
