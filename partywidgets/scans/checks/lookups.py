"""The threads that look names up: nobody waits for one that hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

MOST = 32
"""Look-ups at once. A resolver that does not answer keeps each for as long as the system tries it: half a minute and more."""


class Lookups(Executor):
    """As ThreadPoolExecutor, in daemon threads: Python's own are waited for at the end of a process, so that a host could not be stopped,
    and a scan did not come back, while a resolver does not answer."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._waiting: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._threads = 0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Calls `fn` in the next thread that is free."""
        done: Future[T] = Future()
        self._waiting.put((done, lambda: fn(*args, **kwargs)))
        if not self._idle.acquire(blocking=False):
            with self._lock:
                if self._threads < self._most:
                    self._threads += 1
                    threading.Thread(target=self._work, name=f"partywidgets-resolve_{self._threads}", daemon=True).start()
        return done

    def _work(self) -> None:
        while True:
            done, call = self._waiting.get()
            if done.set_running_or_notify_cancel():
                try:
                    done.set_result(call())
                except BaseException as error:
                    done.set_exception(error)
            del done, call  # what was found is not kept until the next is asked for
            self._idle.release()
