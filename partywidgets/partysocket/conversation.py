"""One open connection of a client: reads it, writes what is queued, and leaves a peer that takes nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from .changes import Changes
from .close_event import CloseEvent
from .dial import Ear
from .outbox import Outbox

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

logger = logging.getLogger(__name__)


class Conversation:
    """From a finished handshake to the end of its socket: `hold` until something ends it, then `end`, once each.

    `take` gets each frame in order; the next one is read when it returns. `changes` tells of what is put into `outbox`, and is told when
    all of that was written. `label` names the socket in the log. With `pings` (interval and timeout in seconds) a peer that takes nothing
    of what it is sent for both together is left; with None it is not. `close_timeout` bounds the closing handshake.
    """

    def __init__(
        self,
        socket: ClientConnection,
        outbox: Outbox,
        changes: Changes,
        *,
        label: str,
        take: Callable[[str | bytes], Awaitable[None]],
        pings: tuple[float | None, float | None],
        ear: Ear,
        close_timeout: float,
    ) -> None:
        self._socket, self._outbox, self._changes = socket, outbox, changes
        self._label, self._take, self._pings, self._close_timeout = label, take, pings, close_timeout
        self._ear = ear
        self._since = asyncio.get_running_loop().time()
        self._workers: list[asyncio.Future[Any]] = []
        self._over = False

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return asyncio.get_running_loop().time() - self._since

    def includes(self, task: asyncio.Task[Any] | None) -> bool:
        """True for a task that `end` waits for, and that must not wait for it in turn."""
        return task in self._workers

    async def hold(self, opening: Awaitable[None], asked: asyncio.Event) -> None:
        """Returns when the socket is at its end, or somebody `asked` for that.

        `opening` begins first, but nothing waits for it: it may wait for a message.
        """
        workers = [
            asyncio.ensure_future(work) for work in (opening, self._read(), self._write(), self._watch(), self._ping(), asked.wait())
        ]
        self._workers = [*workers]
        await asyncio.wait({workers[1], workers[-1]}, return_when=asyncio.FIRST_COMPLETED)

    async def end(self, code: int, reason: str) -> CloseEvent:
        """Closes the socket with `code` unless it is closed, and ends its tasks. Returns how it ended.

        A callback that does not end when it is cancelled is waited for as long as the handshake, and then left to itself. Cancelled
        itself, it leaves neither the socket nor a task.
        """
        try:
            await self._hang_up(code, reason)
        finally:
            workers, self._workers = self._workers, []
            self._over = True
            for worker in workers:
                worker.cancel()
        if workers:
            ended, late = await asyncio.wait(workers, timeout=self._close_timeout)
            for worker in ended:
                if not worker.cancelled() and (error := worker.exception()) is not None:
                    logger.error("%s: this connection failed", self._label, exc_info=error)
            if late:
                logger.warning(
                    "%s: a callback did not end within %g s of being cancelled and is left to itself: end it where CancelledError comes",
                    self._label,
                    self._close_timeout,
                )
        closed = self._socket.close_code if self._socket.close_code is not None else 1006
        return CloseEvent(closed, self._socket.close_reason or "", closed != 1006)

    async def _hang_up(self, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(self._close_timeout + 0.5):
                await self._socket.close(code, reason)
        except Exception as error:
            logger.info("%s: no clean close: %s", self._label, error or type(error).__name__)
            self._socket.transport.abort()
        except asyncio.CancelledError:
            self._socket.transport.abort()
            raise

    async def _read(self) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            async for frame in self._socket:
                await self._take(frame)
                if self._over:  # a callback took the cancelling for itself
                    return
        except ConnectionClosed:
            return

    async def _write(self) -> None:
        """Sends what is queued. A dead socket is left to the reader, which still takes what had arrived."""
        from websockets.exceptions import ConnectionClosed

        try:
            while True:
                while self._outbox.queued:
                    await self._socket.send(self._outbox.queued[0])
                    self._outbox.sent()
                self._changes.tell()
                await self._changes.next()
        except ConnectionClosed:
            return

    async def _ping(self) -> None:
        """Leaves a peer of which nothing is heard behind a ping. It is pinged while it sends, too: so it hears that we are there."""
        from websockets.exceptions import ConnectionClosed

        interval, timeout = self._pings
        clock = asyncio.get_running_loop().time
        while interval is not None:
            await asyncio.sleep(interval)
            asked = clock()
            try:
                await self._socket.ping()  # waits where it takes nothing: see _watch
            except ConnectionClosed:
                return
            while timeout is not None and self._ear.at < asked:
                if clock() >= asked + timeout:
                    logger.info("%s: the host said nothing for %g s after a ping, connecting anew", self._label, timeout)
                    self._socket.transport.abort()
                    return
                await asyncio.sleep(timeout / 20)

    async def _watch(self) -> None:
        """Leaves a peer that takes nothing: a ping finds one that is gone, but waits behind what is not taken."""
        interval, timeout = self._pings
        if interval is None or timeout is None:
            return
        before: tuple[int, int] | None = None
        while True:
            await asyncio.sleep(interval + timeout)
            waiting = (self._outbox.written, self._socket.transport.get_write_buffer_size()) if self._outbox.queued else None
            if waiting is not None and waiting == before:
                logger.warning("%s: the host took nothing of what it was sent for %g s, connecting anew", self._label, interval + timeout)
                self._socket.transport.abort()
                return
            before = waiting
