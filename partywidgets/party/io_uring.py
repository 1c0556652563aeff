"""Ring: many sends in one system call, where Linux's io_uring is to be had.

A flush to 200 sockets is 200 system calls, and each has its price before the first byte is looked at. io_uring takes all of them at once
(io_uring_setup(2), io_uring_enter(2), linux/io_uring.h). No send blocks and all are done when the call returns, so nothing here is
asynchronous: a `Ring` does what `sender.write_each` does. Where the kernel refuses it (another system, a container's seccomp filter,
`kernel.io_uring_disabled`), there is none, and the plain loop serves.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import struct
import sys
from array import array
from collections.abc import Sequence

ENTRIES = 512
"""Sends of one system call: 32 KiB of entries and 24 KiB of order and results a ring. More sockets take several calls."""

# The numbers are the same on every architecture of Linux.
SYS_SETUP, SYS_ENTER = 425, 426
SETUP_SUBMIT_ALL, SETUP_COOP_TASKRUN, SETUP_SINGLE_ISSUER = 1 << 7, 1 << 8, 1 << 12
ENTER_GETEVENTS = 1
OP_SEND = 26
MSG_DONTWAIT, MSG_NOSIGNAL = 0x40, 0x4000
RINGS_AT, ENTRIES_AT = 0, 0x10000000

# struct io_uring_params: sq_entries, cq_entries, flags, five more words, two reserved, then ten words of offsets for each ring.
PARAMETERS, FLAGS, SUBMISSIONS, COMPLETIONS = 30, 2, 10, 20
# struct io_uring_sqe as words of 4 bytes: opcode and flags, descriptor, offset (2), address (2), length, send's flags, user_data (2), …
ENTRY, DESCRIPTOR, LENGTH, MESSAGE_FLAGS, SLOT = 16, 1, 6, 7, 8
ADDRESS = 2
"""Of an entry as words of 8 bytes, of which it has `ENTRY // 2`."""
FINISH = struct.Struct("=QiI")
"""struct io_uring_cqe: user_data, result, flags."""
TAKEN = 2
"""Its result, as words of 4 bytes."""
WRAP = 0xFFFFFFFF


class Ring:
    """One io_uring, used by the thread that made it. Raises OSError when the kernel has none for this process."""

    def __init__(self, entries: int = ENTRIES) -> None:
        """`entries` is a power of two; more sockets than that take several system calls."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.syscall.restype = ctypes.c_long
        words = (ctypes.c_uint32 * PARAMETERS)()
        words[FLAGS] = SETUP_SUBMIT_ALL | SETUP_COOP_TASKRUN | SETUP_SINGLE_ISSUER
        self._descriptor = self._call(SYS_SETUP, ctypes.c_uint(entries), ctypes.byref(words))
        try:
            self._map(list(words))
        except BaseException:
            self.close()
            raise

    def _map(self, words: list[int]) -> None:
        self._slots, self._finishes = words[0], words[1]
        submissions, completions = words[SUBMISSIONS:COMPLETIONS], words[COMPLETIONS:PARAMETERS]
        order, results = submissions[6], completions[5]
        size = max(order + self._slots * 4, results + self._finishes * FINISH.size)
        mapped = mmap.mmap(self._descriptor, size, offset=RINGS_AT)
        self._words = memoryview(mapped).cast("I")
        self._taken_up, self._submitted = submissions[0] // 4, submissions[1] // 4
        self._read, self._finished = completions[0] // 4, completions[1] // 4
        self._results = memoryview(mapped)[results : results + self._finishes * FINISH.size]
        self._order = self._words[order // 4 : order // 4 + self._slots]
        self._places = memoryview(array("I", range(self._slots)))
        entries = memoryview(mmap.mmap(self._descriptor, self._slots * ENTRY * 4, offset=ENTRIES_AT))
        self._entries, self._pairs = entries.cast("I"), entries.cast("Q")
        for slot in range(self._slots):
            self._entries[slot * ENTRY] = OP_SEND
            self._entries[slot * ENTRY + MESSAGE_FLAGS] = MSG_DONTWAIT | MSG_NOSIGNAL
            self._entries[slot * ENTRY + SLOT] = slot
        self._laid: list[int] = []
        self._address = self._size = -1
        self._expected = memoryview(array("I", (word for slot in range(self._slots) for word in (slot, 0, 0, 0))))
        """The results of sends that took all, in the order of the entries."""

    def _call(self, number: int, *arguments: object) -> int:
        done = int(self._libc.syscall(number, *arguments))
        if done < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return done

    def close(self) -> None:
        """Gives the ring back. A second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def write_each(self, descriptors: Sequence[int], encoded: bytes) -> list[tuple[int, int]]:
        """Writes `encoded` to every descriptor; (descriptor, bytes taken) of those that did not take it all, as `sender.write_each`.

        A send that the kernel did not take up, for want of memory for example, has taken nothing.
        """
        address = ctypes.cast(ctypes.c_char_p(encoded), ctypes.c_void_p).value or 0
        if len(descriptors) <= self._slots:
            return self._write(descriptors, address, len(encoded))
        short: list[tuple[int, int]] = []
        for start in range(0, len(descriptors), self._slots):
            short += self._write(descriptors[start : start + self._slots], address, len(encoded))
        return short

    def _write(self, descriptors: Sequence[int], address: int, size: int) -> list[tuple[int, int]]:
        words, slots, count = self._words, self._slots, len(descriptors)
        self._lay(descriptors, address, size)
        # The entries stay where they are, one a socket; what goes round is the order in which the kernel is to take them.
        tail = words[self._submitted]
        first = tail % slots
        ahead = min(count, slots - first)
        self._order[first : first + ahead] = self._places[:ahead]
        if ahead < count:
            self._order[: count - ahead] = self._places[ahead:count]
        words[self._submitted] = (tail + count) & WRAP
        with contextlib.suppress(OSError):
            self._call(SYS_ENTER, self._descriptor, count, count, ENTER_GETEVENTS, None, 0)
        # What was not taken up is not to be sent by the next call.
        words[self._submitted] = words[self._taken_up]
        read = words[self._read]
        finished = (words[self._finished] - read) & WRAP
        begin = read % self._finishes * FINISH.size
        end = begin + finished * FINISH.size
        results = self._results[begin:end].tobytes()
        if end > self._finishes * FINISH.size:
            results += self._results[: end - self._finishes * FINISH.size].tobytes()
        words[self._read] = (read + finished) & WRAP
        if results == self._expected[: count * FINISH.size // 4].tobytes():
            return []
        # An errno stands there as a negative number.
        taken = {slot: amount for slot, amount, _ in FINISH.iter_unpack(results)}
        return [(descriptor, max(taken.get(slot, 0), 0)) for slot, descriptor in enumerate(descriptors) if taken.get(slot) != size]

    def _lay(self, descriptors: Sequence[int], address: int, size: int) -> None:
        """Writes into the entries what differs from the last call: most flushes of a room go to the same sockets."""
        count = len(descriptors)
        if descriptors != self._laid:
            self._laid = list(descriptors)
            self._entries[DESCRIPTOR : count * ENTRY : ENTRY] = array("I", descriptors)
            self._address = self._size = -1
        if address != self._address:
            self._address = address
            self._pairs[ADDRESS : count * ENTRY // 2 : ENTRY // 2] = array("Q", (address,)) * count
        if size != self._size:
            self._size = size
            sizes = array("I", (size,)) * count
            self._entries[LENGTH : count * ENTRY : ENTRY] = sizes
            self._expected[TAKEN : count * FINISH.size // 4 : FINISH.size // 4] = sizes


def open_ring() -> Ring | None:
    """A ring, or None where this process can have none."""
    if sys.platform != "linux":
        return None
    try:
        return Ring()
    except OSError:
        return None
