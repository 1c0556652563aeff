"""Work that runs on another loop: await it from any loop, or call `wait()` in a plain script."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..exceptions import MissingNameError, WaitTimeoutError
from .warning import show

T = TypeVar("T")

TURN_SECONDS = 0.5
"""How often a loop that awaits is woken: ipykernel hears of an interrupt at its loop's next turn, and the signal itself wakes none."""

logger = logging.getLogger(__name__)


class Handle(Generic[T]):
    """What `run()` and `scan()` return: `await handle`, or `handle.wait()` in code that cannot await.

    It wraps a `concurrent.futures.Future`. Awaiting may be repeated, from any loop and several at once; giving up on an await leaves the
    work running, `cancel()` ends it. `loop` is the loop that does the work: `wait()` refuses to block it. What `note` is given is printed
    to stderr by whoever awaits it or waits for it, so in a notebook below the cell that does; so is `left` when an await is given up
    (a cell was interrupted), and `given_up` is called then.
    What the work warned of is in `heard`, and shown at the line that takes its result.
    """

    def __init__(
        self,
        future: concurrent.futures.Future[T],
        label: str,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        left: str = "",
        given_up: Callable[[], None] | None = None,
        heard: list[str] | None = None,
    ) -> None:
        self._future, self.label, self._loop, self._left, self._given_up = future, label, loop, left, given_up
        self._heard = [] if heard is None else heard
        self._looked_at = False
        self._notes: list[str] = []
        self._noted: list[Callable[[], None]] = []

    @classmethod
    def start(cls, coroutine: Coroutine[Any, Any, T], label: str, *, loop: asyncio.AbstractEventLoop) -> Handle[T]:
        """Starts a coroutine on `loop`, which may run in this thread or another."""
        return cls(asyncio.run_coroutine_threadsafe(coroutine, loop), label, loop=loop)

    def __await__(self) -> Generator[Any, None, T]:
        return self._arrive().__await__()

    async def _arrive(self) -> T:
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()

        def tell(_: object = None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop that waited is closed: nobody is there to be told
                loop.call_soon_threadsafe(arrived.set)

        self._future.add_done_callback(tell)
        self._noted.append(tell)
        try:
            while not self._future.done():
                self._print_notes()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TURN_SECONDS):
                        await arrived.wait()
                arrived.clear()
        except asyncio.CancelledError as error:
            self._give_up()
            raise error.with_traceback(None) from None  # whoever interrupted a cell looks at that cell's line
        finally:
            self._noted.remove(tell)
        return self.result()

    def _give_up(self) -> None:
        self._looked_at = True
        if self._future.done():
            return
        if self._left:
            print(self._left, file=sys.stderr)
        if self._given_up is not None:
            self._given_up()

    def note(self, sentence: str) -> None:
        """Something to be said before the work is done; from any thread."""
        self._notes.append(sentence)
        for tell in list(self._noted):
            tell()

    def _print_notes(self) -> None:
        while self._notes:
            print(self._notes.pop(0), file=sys.stderr)

    def wait(self, timeout: float | None = None) -> T:
        """Blocks until the work is done, at most `timeout` seconds (None: no limit), and returns its result.

        Raises WaitTimeoutError, a TimeoutError (the work goes on), what the work raised, and RuntimeError on the very loop that does the
        work, where only `await` can do.
        """
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is not None and running is self._loop and not self._future.done():
            raise RuntimeError(f"wait() would block the loop that does this work: write `await` before {self.label!r} instead")
        self._looked_at = True
        woken = threading.Event()
        self._future.add_done_callback(lambda _: woken.set())
        self._noted.append(woken.set)
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            while not self._future.done():
                self._print_notes()
                if not woken.wait(None if deadline is None else deadline - time.monotonic()):
                    break
                woken.clear()
        except KeyboardInterrupt as error:
            if self._given_up is not None:
                self._given_up()
            raise error.with_traceback(None) from None
        finally:
            self._noted.remove(woken.set)
        if not self._future.done():
            raise WaitTimeoutError(f"{self.label!r} is not done after {timeout:g} s and goes on: wait() again, or cancel()")
        return self._take()

    def result(self) -> T:
        """The result of finished work, or its exception raised. Raises RuntimeError while it runs."""
        if not self._future.done():
            raise RuntimeError(f"{self.label} is still running: await it")
        return self._take()

    def _take(self) -> T:
        self._looked_at = True
        while self._heard:
            show(self._heard.pop(0))
        return self._future.result()

    def cancel(self) -> bool:
        """Cancels the work; False if it had ended already."""
        self._looked_at = True
        return self._future.cancel()

    @property
    def done(self) -> bool:
        """True when the work has ended: with a result, an error or a cancellation."""
        return self._future.done()

    if not TYPE_CHECKING:  # for a type checker it has what it has

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):  # what Python and Jupyter look for
                raise AttributeError(f"'Handle' object has no attribute {name!r}")
            raise MissingNameError(self._not_yet(f"has no {name!r}", f"result.{name}"), name=name)

        def __getitem__(self, key: object) -> Any:
            raise TypeError(self._not_yet("has no items", f"result[{key!r:.60}]"))

    def _not_yet(self, lacks: str, wanted: str) -> str:
        return (
            f"this handle on {self.label!r} {lacks}: `result = await …` gives its result, then {wanted}; in a plain script "
            "`result = ….wait()`"
        )

    def _failure(self) -> BaseException | None:
        return concurrent.futures.CancelledError() if self._future.cancelled() else self._future.exception()

    def __repr__(self) -> str:
        if not self._future.done():
            return f"running: {self.label} (await it)"
        if self._future.cancelled():
            return f"cancelled: {self.label}"
        failure = self._failure()
        return repr(self._future.result()) if failure is None else f"failed: {self.label}: {failure}"

    def _repr_html_(self) -> str | None:
        if not self._future.done() or self._failure() is not None:
            return None
        make = getattr(self._future.result(), "_repr_html_", None)
        html = make() if callable(make) else None
        return html if isinstance(html, str) else None

    def __del__(self) -> None:
        if self._future.done() and not self._looked_at and not self._future.cancelled():
            failure = self._future.exception()
            if failure is not None:
                logger.warning("%s failed and nobody looked: %s", self.label, failure)
