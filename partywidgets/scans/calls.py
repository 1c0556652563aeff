"""People's functions, called where they cannot hold up a room: coroutines on a loop of their own, plain functions in a thread each.

A coroutine past its deadline is cancelled. A plain function cannot be ended, so it is reported, abandoned, and not called again under
the same key while it runs; the same holds for a coroutine that blocks its loop, which gets a new one.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

CLEANUP = 1.0
"""Seconds that a cancelled coroutine has to end."""
BLOCKED = 0.3
"""Seconds in which a loop must listen, else something in it blocks it: less than a look has past its deadline, so that it is told."""
_TASK = "check "


class StillRunningError(Exception):
    """The last call under this key has not ended yet."""


class OverdueError(Exception):
    """The call did not end within its time."""


class LeftError(Exception):
    """The function left by what no loop may meet: SystemExit, KeyboardInterrupt, StopIteration, its own cancellation. That is the cause."""


@dataclass(slots=True)
class _Loop:
    """A loop in a daemon thread."""

    loop: asyncio.AbstractEventLoop
    thread: threading.Thread


class Calls:
    """Calls functions under keys. `with Calls() as calls`: closing cancels the coroutines; plain functions that still run are left to
    their daemon threads."""

    def __init__(self, name: str = "partywidgets-checks") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: _Loop | None = None
        self._running: dict[str, Future[Any]] = {}
        self._closed = False

    def __enter__(self) -> Calls:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def running(self, key: str) -> bool:
        """Whether a call under this key has not ended."""
        with self._lock:
            return key in self._running

    async def call(self, key: str, function: Callable[[], Any], timeout: float) -> Any:
        """What the function returns, its coroutine awaited. `timeout` is seconds.

        Raises what it raises if that is an Exception, else LeftError; OverdueError past the time, StillRunningError while the last call
        under the key runs.
        """
        done: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("calls are closed")
            if key in self._running:
                raise StillRunningError(f"{key} still runs from the last time")
            self._running[key] = done
        # An object whose __call__ is async, too: noqa, since B004 thinks of callable().
        coroutine = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
        home = self._own_loop() if coroutine else None
        try:
            cancel = self._start_thread(key, function, done) if home is None else self._start_coroutine(home.loop, key, function, done)
        except BaseException:
            self._ended(key)
            raise
        waiter = asyncio.wrap_future(done)
        try:
            await asyncio.wait({waiter}, timeout=timeout)
            if waiter.done():
                return waiter.result()
            cancel()
            if home is not None:
                listens = threading.Event()
                _soon(home.loop, listens.set)
                await asyncio.wait({waiter}, timeout=BLOCKED)
                if not waiter.done() and not listens.is_set():
                    raise OverdueError(self._blocked(home, key))
                await asyncio.wait({waiter}, timeout=CLEANUP)
                if not waiter.done():
                    logger.error("%s ignores its cancellation or blocks its loop; it was abandoned and the others get a new loop", key)
                    self._drop_loop(home)
            raise OverdueError
        except asyncio.CancelledError:
            cancel()
            raise
        finally:
            waiter.add_done_callback(_seen)

    def close(self) -> None:
        """Cancels every coroutine and ends the loop. Does not wait for plain functions."""
        with self._lock:
            self._closed, home = True, self._loop
        self._drop_loop(home)
        if home is not None and home.thread is not threading.current_thread():
            home.thread.join(timeout=2 * CLEANUP)

    def _start_thread(self, key: str, function: Callable[[], Any], done: Future[Any]) -> Callable[[], None]:
        context = contextvars.copy_context()

        def run() -> None:
            try:
                result = context.run(function)
            except BaseException as error:
                self._settle(key, done, error=error)
            else:
                self._settle(key, done, result)

        threading.Thread(target=run, name=f"{self._name}: {key}", daemon=True).start()
        return lambda: None

    def _start_coroutine(
        self, loop: asyncio.AbstractEventLoop, key: str, function: Callable[[], Coroutine[Any, Any, Any]], done: Future[Any]
    ) -> Callable[[], None]:
        tasks: list[asyncio.Task[None]] = []
        told = False

        async def run() -> None:
            try:
                result = await function()
            except asyncio.CancelledError as error:
                self._settle(key, done, error=OverdueError(str(error)) if told else error)
                raise
            except BaseException as error:
                self._settle(key, done, error=error)
            else:
                self._settle(key, done, result)

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled():
                task.exception()
            if not done.done():  # cancelled before it began
                self._settle(key, done, error=OverdueError())

        def start() -> None:
            task = loop.create_task(run(), name=f"{_TASK}{key}")
            tasks.append(task)
            task.add_done_callback(ended)

        def cancel() -> None:
            nonlocal told
            told = True
            for task in tasks:
                task.cancel()

        loop.call_soon_threadsafe(start)
        return lambda: _soon(loop, cancel)

    def _settle(self, key: str, done: Future[Any], result: Any = None, error: BaseException | None = None) -> None:
        self._ended(key)
        if not done.set_running_or_notify_cancel():
            return
        if error is None:
            done.set_result(result)
        elif isinstance(error, Exception) and not isinstance(error, StopIteration):
            done.set_exception(error)
        else:  # a task passes SystemExit on to its loop, which ends by it; a future takes no StopIteration
            left = LeftError(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
            left.__cause__ = error
            done.set_exception(left)

    def _ended(self, key: str) -> None:
        with self._lock:
            self._running.pop(key, None)

    def _own_loop(self) -> _Loop:
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=_run_loop, args=(loop,), name=self._name, daemon=True)
                thread.start()
                self._loop = _Loop(loop, thread)
            return self._loop

    def _blocked(self, home: _Loop, key: str) -> str:
        """Gives the others a new loop; the words say who holds this one."""
        holding = asyncio.current_task(home.loop)
        holder = "another" if holding is None else holding.get_name().removeprefix(_TASK)
        if holder == key:
            logger.error("%s blocks the loop of async checks; it was abandoned and the others get a new loop", key)
        self._drop_loop(home)
        who = "it blocks" if holder == key else f"{holder} blocked"
        return f"{who} the loop of async checks: what waits without await belongs into a plain def"

    def _drop_loop(self, home: _Loop | None) -> None:
        """Stops a loop as soon as it listens; the next coroutine gets a new one."""
        if home is None:
            return
        with self._lock:
            if self._loop is home:
                self._loop = None
        _soon(home.loop, home.loop.stop)


def _seen(waiter: asyncio.Future[Any]) -> None:
    if not waiter.cancelled():
        waiter.exception()  # an abandoned call's late error was reported as its time-out already


def _soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:  # the loop is closed: nothing runs on it
        return


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel("the loop of async checks ended: one of them blocked it, or the process ends")
        loop.run_until_complete(asyncio.wait(tasks, timeout=CLEANUP) if tasks else asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


_shared: Calls | None = None
_shared_lock = threading.Lock()


def shared_calls() -> Calls:
    """The process's own Calls, for probes; its threads are daemons."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = Calls()
        return _shared
