"""RoomThread: an event loop in a thread of its own, and the bridge to it from every other thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

from .exceptions import HostError

T = TypeVar("T")

log = logging.getLogger("partywidgets.runtime")

STOP_BUDGET = 5.0
"""Seconds that `stop` may take: jupyter_client kills a kernel that needs longer."""


class RoomThread:
    """An event loop in a daemon thread, started at first use (anyio's BlockingPortal is the model).

    Rooms live here, so that neither a running cell nor a busy Jupyter Server holds them up.
    A fork's child has no such thread: using it there raises HostError.
    """

    def __init__(self, name: str = "partywidgets-rooms") -> None:
        self.name = name
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopped = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The room loop, running. Raises HostError after `stop` and in a forked child."""
        if os.getpid() != self._pid:
            raise HostError(
                "the room loop does not live on in a forked process: start a fresh interpreter there, as multiprocessing's 'spawn' does"
            )
        with self._lock:
            if self._stopped:
                raise HostError("the room loop is stopped: make a new RoomThread")
            if self._loop is None:
                started: Future[asyncio.AbstractEventLoop] = Future()
                self._thread = threading.Thread(target=self._main, args=(started,), name=self.name, daemon=True)
                self._thread.start()
                self._loop = started.result(STOP_BUDGET)
            return self._loop

    @property
    def running(self) -> bool:
        """True between the first use and `stop`."""
        return self._loop is not None and not self._stopped and os.getpid() == self._pid

    def is_current(self) -> bool:
        """True when the caller runs on the room loop's thread."""
        return self._thread is not None and threading.get_ident() == self._thread.ident

    def _main(self, started: Future[asyncio.AbstractEventLoop]) -> None:
        # Not uvloop: the rooms' sockets, PTYs and children have all been tested on asyncio's own loop in a thread beside the main one.
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        loop.call_soon(started.set_result, loop)
        try:
            loop.run_forever()
        finally:
            try:
                loop.run_until_complete(self._finish())
            finally:
                asyncio.set_event_loop(None)
                loop.close()

    async def _finish(self) -> None:
        loop = asyncio.get_running_loop()
        rest = {task for task in asyncio.all_tasks(loop) if task is not asyncio.current_task()}
        for task in rest:
            task.cancel()
        if rest:
            _, stuck = await asyncio.wait(rest, timeout=STOP_BUDGET / 2)
            for task in stuck:
                log.warning("a task of the room loop did not end when it was cancelled: %s", task.get_name())
        await loop.shutdown_asyncgens()
        # Not shutdown_default_executor: it waits without a limit for whatever blocks in there.

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        """Runs a plain callback on the room loop, in order, without waiting, from any thread; dropped when the loop has stopped."""
        try:
            self.loop.call_soon_threadsafe(callback, *args)
        except (HostError, RuntimeError) as error:
            log.debug("dropped a call to the room loop: %s", error)

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Starts a coroutine on the room loop; cancelling the future cancels it there."""
        try:
            loop = self.loop
        except HostError:
            coroutine.close()
            raise

        async def held() -> T:
            # asyncio holds tasks weakly: a caller that drops the future must not lose the work.
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                return await coroutine
            finally:
                self._tasks.discard(task)

        try:
            return asyncio.run_coroutine_threadsafe(held(), loop)
        except RuntimeError:
            coroutine.close()
            raise HostError("the room loop is stopped: make a new RoomThread") from None

    def run(self, coroutine: Coroutine[Any, Any, T], *, timeout: float | None = 30.0) -> T:
        """Runs a coroutine on the room loop and waits at most `timeout` seconds (None: for ever).

        Raises TimeoutError, or what the coroutine raised; an interrupt of the waiting thread cancels the coroutine.
        Refuses with RuntimeError to be called from the room loop, which it would block.
        """
        if self.is_current():
            coroutine.close()
            raise RuntimeError("run() would block the room loop that it is called from: await the coroutine instead")
        future = self.submit(coroutine)
        try:
            return future.result(timeout)
        except FutureTimeoutError:
            if future.done():
                raise
            raise TimeoutError(
                f"the room loop did not finish {getattr(coroutine, '__qualname__', 'its work')} within {timeout} s"
            ) from None
        finally:
            future.cancel()

    def stop(self) -> None:
        """Ends the loop and the thread, within 5 s; what still runs is cancelled. Safe to call twice, and from an atexit function."""
        if os.getpid() != self._pid:
            return
        if self.is_current():
            raise RuntimeError("stop() would wait for the thread that it is called from: call it from another one")
        with self._lock:
            self._stopped, loop, thread = True, self._loop, self._thread
        if loop is None or thread is None or not thread.is_alive():
            return
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(loop.stop)
        thread.join(STOP_BUDGET)
        if thread.is_alive():
            log.warning("the room loop did not end within %.0f s and is left behind", STOP_BUDGET)
