"""Taking connections from a listening socket, for the bundled server.

asyncio's own `create_server` takes as many as the backlog in one turn of the loop, and when the process has no more files it fails as
often, with a traceback in the log each time and a retry for each (CPython's `_accept_connection`): after that it does nothing else.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable

ACCEPTS_A_TURN = 64
"""Connections taken in one turn of the loop, so that those who are there are served in between."""

RETRY = 1.0
"""Seconds without a look at the door when the process has no more files."""

LOOK_AGAIN = 0.02
"""Seconds without a look at the door when there is no place for newcomers."""

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

logger = logging.getLogger("partywidgets.transport")


class Acceptor:
    """Gives each connection of a listening socket a protocol, from `start` to `stop`.

    At most `limit` TLS handshakes are under way, each for `handshake_timeout` seconds; further connections wait in the kernel. So do
    they while `full` says that there is no place.
    """

    def __init__(
        self,
        listening: socket.socket,
        make: Callable[[], asyncio.Protocol],
        *,
        ssl_context: ssl.SSLContext | None,
        handshake_timeout: float,
        limit: int,
        full: Callable[[], bool],
    ) -> None:
        self._listening = listening
        self._make = make
        self._ssl = ssl_context
        self._handshake_timeout = handshake_timeout if ssl_context is not None else None
        self._limit = limit
        self._full = full
        self._loop = asyncio.get_running_loop()
        self._beginning: set[asyncio.Task[None]] = set()
        self._reading = False
        self._stopped = False
        self._again: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Takes connections from now on."""
        self._listening.setblocking(False)
        self._resume()

    def stop(self) -> None:
        """Takes no more, and drops those whose TLS handshake is under way."""
        self._stopped = True
        self._pause()
        if self._again is not None:
            self._again.cancel()
        for task in self._beginning:
            task.cancel()

    def _resume(self) -> None:
        self._again = None
        if not self._reading and not self._stopped:
            self._reading = True
            self._loop.add_reader(self._listening.fileno(), self._accept)

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._listening.fileno())

    def _rest(self, seconds: float) -> None:
        self._pause()
        self._again = self._loop.call_later(seconds, self._resume)

    def _accept(self) -> None:
        for _ in range(ACCEPTS_A_TURN):
            if len(self._beginning) >= self._limit:
                self._pause()
                return
            if self._full():
                self._rest(LOOK_AGAIN)
                return
            try:
                connection, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    raise
                logger.error("no connection can be taken (%s), again in %g s: raise `ulimit -n`", error.strerror, RETRY)
                self._rest(RETRY)
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._begin(connection), name="partywidgets accept")
            self._beginning.add(task)
            task.add_done_callback(self._begun)

    async def _begin(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, connection, ssl=self._ssl, ssl_handshake_timeout=self._handshake_timeout)
        except (OSError, TimeoutError) as error:
            logger.info("a connection ended before its first request: %s", error or type(error).__name__)
        except BaseException:
            connection.close()
            raise

    def _begun(self, task: asyncio.Task[None]) -> None:
        self._beginning.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a connection could not be taken", exc_info=error)
        if self._again is None:
            self._resume()


__all__ = ["Acceptor"]
