"""Reads a PTY into a pipe, and nothing else: the program that `pump.Pump` starts, by this file's path. The standard library only.

    python -I -S pump_process.py MASTER PIPE CONTROL IDLE_MS

Three inherited descriptors: the master, which does not block; the pipe's end for writing; a pipe's end for reading, of which one byte
means "begin" and the end "give the PTY back". It says that it is there by one byte into the pipe.
"""

import contextlib
import os
import select
import sys

READY = b"\0"
READ_BYTES = 64 * 1024
GLANCE_BYTES = 1 << 20
"""Of output between two looks at the control pipe while the program never pauses."""
LAST_BYTES = 64 * 1024
"""What is read at most once the PTY is wanted back: its kernel keeps some 12 KiB, and a child in the background may write for ever."""


def pump(master: int, pipe: int, control: int, idle_ms: int) -> None:
    """Until the program's end, the pipe's, `idle_ms` milliseconds of silence, or the PTY is wanted back."""
    os.write(pipe, READY)
    if not os.read(control, 1):
        return
    # Hang-up and error are told whatever is asked for.
    waiting = select.poll()
    waiting.register(master, select.POLLIN)
    waiting.register(pipe, 0)
    waiting.register(control, 0)
    wanted = False
    since = 0
    while not wanted or since < LAST_BYTES:
        try:
            piece = os.read(master, READ_BYTES)
        except BlockingIOError:
            if wanted or not (events := waiting.poll(idle_ms)):
                return
        else:
            if not piece:
                return
            since += len(piece)
            while piece:
                piece = piece[os.write(pipe, piece) :]
            events = waiting.poll(0) if not wanted and since >= GLANCE_BYTES else []
            if events:
                since = 0
        ready = {descriptor for descriptor, _ in events}
        if pipe in ready:
            return
        if control in ready:
            waiting.unregister(control)
            wanted, since = True, 0


if __name__ == "__main__":
    with contextlib.suppress(OSError):  # EIO: the program has ended; EPIPE: nobody reads any more
        pump(*map(int, sys.argv[1:5]))
