"""The network between a page and its server, which can be cut, swallowed and given back."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from playwright.sync_api import Page, expect

from tests.interop.proxy import Proxy

T = TypeVar("T")

LONG = 60_000
"""Milliseconds within which a page is back."""


class Laptop:
    """The network between the page and its server: a TCP proxy on a thread of its own."""

    def __init__(self, to: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._thread.start()
        self._proxy = Proxy.before(to)
        self.proxy = self._run(self._proxy.__aenter__())

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def close(self) -> int:
        """Cuts what there is and lets nothing through; returns how many connections there were."""

        async def cut() -> int:
            held = len(self.proxy.pairs)
            self.proxy.shut()
            return held

        return self._run(cut())

    def open(self) -> None:
        """Lets new connections through."""

        async def let() -> None:
            self.proxy.open = True

        self._run(let())

    def fall_silent(self) -> None:
        """Nothing passes any more on what there is, and nobody is told; later connections work, as in another network."""

        async def silence() -> None:
            self.proxy.silence()

        self._run(silence())

    def attempts(self) -> int:
        """Connections that were tried so far."""
        return self.proxy.arrivals

    def end(self) -> None:
        """Ends the proxy and its thread."""
        self._run(self._proxy.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()


def read_notice(page: Page) -> None:
    """JupyterLab's own notice that its server is away is read: it lies over everything, and comes again with the next question that fails,
    so that what is typed goes into it, unless it is told not to."""
    notice = page.get_by_role("dialog").filter(has_text="Server Connection Error")
    notice.get_by_role("checkbox").check(timeout=LONG)
    notice.get_by_role("button", name="Close").click(timeout=LONG)
    expect(notice).to_have_count(0)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Waits for something outside of the page."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
