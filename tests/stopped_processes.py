"""Real processes that hang for a while."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import psutil


@contextmanager
def stopped(processes: Iterable[psutil.Process]) -> Iterator[None]:
    """As a host that hangs: the kernel holds its connections open, and nothing is read or written."""
    kept = list(processes)
    for process in kept:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in kept:
            process.send_signal(signal.SIGCONT)
