"""Crowd: the members of a room that get the same bytes, written to their sockets in one go.

Most of a broadcast's time is the kernel's sends; what a room can save is what Python adds to each. So the descriptors of all sockets that
may be written to directly stand in one list, which holds as long as nobody comes, goes or falls behind.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .fanout import Outlet
    from .sender import Sender

FEW = 8
"""Up to so many members that are left out are removed from a copy of the list; for more, the list is made anew."""


class Crowd:
    """Members by how they are written to, as they are now: `direct` by descriptor, and `others` through their wires."""

    __slots__ = ("_descriptors", "direct", "others")

    def __init__(self, members: Iterable[Outlet]) -> None:
        self.direct: dict[int, Outlet] = {}
        self.others: list[Outlet] = []
        for outlet in members:
            descriptor = outlet.wire.descriptor
            if descriptor < 0:
                self.others.append(outlet)
            else:
                self.direct[descriptor] = outlet
        self._descriptors = list(self.direct)

    def write(self, encoded: bytes, without: Collection[Outlet], sender: Sender) -> None:
        """Writes `encoded` to the `direct` members that are not in `without`; what a socket does not take is its wire's to queue."""
        descriptors = self._descriptors
        if len(without) > FEW:
            descriptors = [descriptor for descriptor, outlet in self.direct.items() if outlet not in without]
        elif without:
            descriptors = descriptors.copy()
            for outlet in without:
                if (descriptor := outlet.wire.descriptor) in self.direct:
                    descriptors.remove(descriptor)
        for descriptor, taken in sender.write_each(descriptors, encoded):
            self.direct[descriptor].wire.follow(encoded, taken)
