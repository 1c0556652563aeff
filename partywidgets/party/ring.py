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
# struct io_uring_cqe as words of 4 bytes: user_data (2), result, flags.
RESULT, TAKEN = 4, 2
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
        size = max(order + self._slots * 4, results + self._finishes * RESULT * 4)
        self._words = memoryview(mmap.mmap(self._descriptor, size, offset=RINGS_AT)).cast("I")
        self._taken_up, self._submitted = submissions[0] // 4, submissions[1] // 4
        self._read, self._finished = completions[0] // 4, completions[1] // 4
        self._results = results // 4
        self._words[order // 4 : order // 4 + self._slots] = array("I", range(self._slots))
        entries = memoryview(mmap.mmap(self._descriptor, self._slots * ENTRY * 4, offset=ENTRIES_AT))
        self._entries, self._pairs = entries.cast("I"), entries.cast("Q")
        for slot in range(self._slots):
            self._entries[slot * ENTRY] = OP_SEND
            self._entries[slot * ENTRY + MESSAGE_FLAGS] = MSG_DONTWAIT | MSG_NOSIGNAL
            self._entries[slot * ENTRY + SLOT] = slot

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
        short: list[tuple[int, int]] = []
        for start in range(0, len(descriptors), self._slots):
            short += self._write(descriptors[start : start + self._slots], address, len(encoded))
        return short

    def _write(self, descriptors: Sequence[int], address: int, size: int) -> list[tuple[int, int]]:
        words, slots, count = self._words, self._slots, len(descriptors)
        tail = words[self._submitted]
        first = tail % slots
        ahead = min(count, slots - first)
        self._fill(first, descriptors[:ahead], address, size)
        self._fill(0, descriptors[ahead:], address, size)
        words[self._submitted] = (tail + count) & WRAP
        with contextlib.suppress(OSError):
            self._call(SYS_ENTER, self._descriptor, count, count, ENTER_GETEVENTS, None, 0)
        # What was not taken up is not to be sent by the next call.
        words[self._submitted] = words[self._taken_up]
        read = words[self._read]
        finished = (words[self._finished] - read) & WRAP
        begin = read % self._finishes
        here = min(finished, self._finishes - begin)
        expected = array("I", (size,))
        if (
            finished == count
            and self._column(begin, here, TAKEN) == expected * here
            and self._column(0, finished - here, TAKEN) == expected * (finished - here)
        ):
            words[self._read] = (read + finished) & WRAP
            return []
        taken = dict(
            zip(*(self._column(begin, here, at).tolist() + self._column(0, finished - here, at).tolist() for at in (0, TAKEN)), strict=True)
        )
        words[self._read] = (read + finished) & WRAP
        short = []
        for place, descriptor in enumerate(descriptors):
            amount = taken.get((first + place) % slots, 0)
            if amount != size:
                short.append((descriptor, 0 if amount >> 31 else amount))  # as a signed number it is an errno
        return short

    def _fill(self, first: int, descriptors: Sequence[int], address: int, size: int) -> None:
        end = first + len(descriptors)
        self._entries[first * ENTRY + DESCRIPTOR : end * ENTRY : ENTRY] = array("I", descriptors)
        self._entries[first * ENTRY + LENGTH : end * ENTRY : ENTRY] = array("I", (size,)) * len(descriptors)
        self._pairs[first * ENTRY // 2 + ADDRESS : end * ENTRY // 2 : ENTRY // 2] = array("Q", (address,)) * len(descriptors)

    def _column(self, first: int, count: int, word: int) -> memoryview[int]:
        begin = self._results + first * RESULT
        return self._words[begin + word : begin + count * RESULT : RESULT]


def open_ring() -> Ring | None:
    """A ring, or None where this process can have none."""
    if sys.platform != "linux":
        return None
    try:
        return Ring()
    except OSError:
        return None
