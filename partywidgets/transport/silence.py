"""What the kernel knows of a peer that nobody hears from: when it last sent something, whether it still could, and what it has taken.

A room that is too busy reads nothing more from a socket, so the answer to a ping is not seen. It arrives all the same, as long as there
is room for it. Linux keeps the time of the last data (`tcpi_last_data_recv`, linux/tcp.h) and how full the buffer is (`SO_MEMINFO`,
linux/sock_diag.h).

On a slow line a ping waits in the kernel behind what was sent before it, and a socket takes the next bytes in lumps of a third of its
buffer. Linux counts what the peer's machine has acknowledged (`tcpi_bytes_acked`) and what it has not (`SIOCOUTQ`, the same as `TIOCOUTQ`).
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
import termios
from typing import Any

LAST_DATA = 52
"""Where in struct tcp_info the milliseconds since the last data stand."""
ACKNOWLEDGED = 120
"""Where in it the number of bytes that the peer's machine has acknowledged stands, of 64 bits."""
TICK = 0.02
"""Seconds that are taken off: the kernel counts in ticks of up to 10 ms, and an answer must not seem to be older than its question."""
MEMORY = 55
"""SO_MEMINFO; its first two words are the bytes taken and the bytes allowed of what was received."""


def last_heard(sock: Any) -> float | None:
    """Seconds since data of the peer came in last, read or not, less a tick; None where that is not to be had."""
    known = _ask(sock, socket.IPPROTO_TCP, getattr(socket, "TCP_INFO", 0), LAST_DATA + 4)
    return None if known is None else max(0.0, float(struct.unpack_from("=I", known, LAST_DATA)[0]) / 1000 - TICK)


def has_room(sock: Any) -> bool | None:
    """True where the peer could surely have said something: less than half of the buffer is taken. None where that is not to be had."""
    known = _ask(sock, socket.SOL_SOCKET, MEMORY, 8)
    if known is None:
        return None
    taken, allowed = struct.unpack_from("=2I", known)
    return bool(taken * 2 < allowed)


def acknowledged(sock: Any) -> int | None:
    """Bytes sent that the peer's machine has acknowledged since the connection began; None where that is not to be had."""
    known = _ask(sock, socket.IPPROTO_TCP, getattr(socket, "TCP_INFO", 0), ACKNOWLEDGED + 8)
    return None if known is None else int(struct.unpack_from("=Q", known, ACKNOWLEDGED)[0])


def under_way(sock: Any) -> int | None:
    """Bytes that the kernel has taken for the peer and its machine has not acknowledged; None where that is not to be had."""
    if acknowledged(sock) is None:
        return None
    try:
        return int(struct.unpack("=i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))[0])
    except OSError:
        return None


def _ask(sock: Any, level: int, option: int, size: int) -> bytes | None:
    """The beginning of a socket's option; None for what is not a TCP socket of Linux, or closed."""
    if sys.platform != "linux" or sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    try:
        known: bytes = sock.getsockopt(level, option, 256)
    except (OSError, ValueError):
        return None
    return known if len(known) >= size else None


__all__ = ["acknowledged", "has_room", "last_heard", "under_way"]
