"""Sender: writes the same bytes to many sockets, with as few system calls as the kernel allows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .io_uring import Ring

MANY = 64
"""Sockets from which one system call for all is worth what it takes to prepare (`./dev bench fanout`)."""
SWITCH = "PARTYWIDGETS_IO_URING"
"""`0` in the environment: a system call for each socket, whatever the kernel offers."""


def write_each(descriptors: Sequence[int], encoded: bytes) -> list[tuple[int, int]]:
    """Writes `encoded` to every descriptor, none of which blocks; (descriptor, bytes taken) of those that did not take it all."""
    write, size = os.write, len(encoded)
    short: list[tuple[int, int]] = []
    for descriptor in descriptors:
        try:
            if (taken := write(descriptor, encoded)) != size:
                short.append((descriptor, taken))
        except OSError:
            short.append((descriptor, 0))
    return short


class Sender:
    """How the sockets of one host are written to, on its loop.

    `io_uring`: whether a ring may be used where the kernel offers one; None: unless `PARTYWIDGETS_IO_URING` is `0`.
    """

    def __init__(self, *, io_uring: bool | None = None) -> None:
        self._ring: Ring | None = None
        self._may_open = os.environ.get(SWITCH) != "0" if io_uring is None else io_uring

    def write_each(self, descriptors: Sequence[int], encoded: bytes) -> list[tuple[int, int]]:
        """As the function of this name."""
        if len(descriptors) < MANY:
            return write_each(descriptors, encoded)
        if self._may_open:
            # At the first use: a host without crowds needs none, and the ring belongs to the thread that makes it.
            from .io_uring import open_ring

            self._ring, self._may_open = open_ring(), False
        return write_each(descriptors, encoded) if self._ring is None else self._ring.write_each(descriptors, encoded)

    def close(self) -> None:
        """Gives the ring back; from now on there is a system call for each socket."""
        self._may_open = False
        if self._ring is not None:
            self._ring.close()
            self._ring = None
