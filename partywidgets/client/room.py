"""RoomClient: what all clients of a room share: enter, wait, ask, leave."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar, Self

from ..exceptions import ConnectionClosedError, HostError, PartyError
from ..partysocket import CloseEvent, PartySocket, reconnects
from ..partysocket.changes import Changes
from .patience import patience
from .requests import Requests

REPLY_TIMEOUT = 15.0
"""Seconds within which a room answers a request that runs nothing, or something else comes that it said before."""
BEHIND = 2 * 1024 * 1024
"""Bytes behind which a reply may come at most: a room gives up whoever leaves 1 MiB unread, and lines hold some."""


class RoomClient(ABC):
    """A client of one room: `async with` enters and waits for the room, leaving closes the socket and fails what still waits.

    A subclass opens `socket` with `on_close=self._closed` and `on_end=self._pulse`, and tells by `_arrived` whether the room has said
    what it says first. Everything in it belongs to the loop that started it.
    """

    kind: ClassVar[str]
    """What errors call the room: `terminal`, `ops room`."""
    client_kind: ClassVar[str]
    """What errors call the client: `terminal client`."""
    greeting: ClassVar[str]
    """What the room sends first: `welcome`, `snapshot`."""

    socket: PartySocket

    def __init__(self, room: str, timeout: float) -> None:
        self.room, self.timeout = room, timeout
        self._requests = Requests()
        self._changes = Changes()

    @property
    @abstractmethod
    def _arrived(self) -> bool:
        """True while the room's greeting holds."""

    async def __aenter__(self) -> Self:
        self.start()
        try:
            await self.ready(self.timeout)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def start(self) -> None:
        """Connects, without waiting."""
        self.socket.reconnect()

    async def close(self) -> None:
        """Leaves the room; what runs there keeps running."""
        await self.socket.close()
        self._requests.fail(ConnectionClosedError(f"the {self.client_kind} of {self.room} was closed"))
        self._pulse()

    async def ready(self, timeout: float | None = None) -> None:
        """Waits for the room's greeting until for `timeout` seconds nothing of it comes (None: no limit): one of thousands of rows takes
        its time over a slow line. Raises RefusedError or HostError with the reason."""
        try:
            async with patience(self.socket, timeout):
                while not self._arrived:
                    await self.changed()
        except TimeoutError:
            seen = self.socket.last_close
            reason = f": {seen}" if seen else "; the host is busy or does not answer: try again"
            raise HostError(f"{self.kind} {self.room}: no {self.greeting} within {timeout:g} s{reason}") from None

    async def changed(self) -> None:
        """Waits for the next frame or change of state. Raises RefusedError, HostError, or ConnectionClosedError when nothing more comes."""
        if not self.socket.should_reconnect:
            raise self.socket.failure or ConnectionClosedError(f"the {self.client_kind} of {self.room} is closed")
        await self._changes.next()

    @abstractmethod
    def _put(self, kind: str, fields: dict[str, Any]) -> bool:
        """Sends one message in the room's dialect; False when the socket is down."""

    async def _request(
        self,
        kind: str,
        timeout: float | None,
        fields: dict[str, Any],
        *,
        overdue: type[PartyError] = HostError,
        told: Callable[[str], None] | None = None,
        opened: Callable[[str], None] | None = None,
        patient: bool = False,
    ) -> Any:
        """Sends a request, and returns its reply's `result`. `told` hears what the room says of it before, `opened` the id
        that it was sent with.

        Raises `overdue` after `timeout` seconds, `patient`: of which nothing came; what the room refused, HostError.
        """
        await self.ready(self.timeout)
        request_id, future = self._requests.open(told)
        try:
            if not self._put(kind, {"id": request_id, **fields}):
                raise HostError(f"{self.kind} {self.room}: not connected, {kind} was not sent")
            if opened is not None:
                opened(request_id)
            async with patience(self.socket, timeout, most=BEHIND if patient else 0):
                return await future
        except TimeoutError:
            raise overdue(f"{self.kind} {self.room}: no answer to {kind} within {timeout:g} s") from None
        except asyncio.CancelledError:
            self._gave_up(kind, request_id)
            raise
        finally:
            self._requests.forget(request_id)

    def _gave_up(self, kind: str, request_id: str) -> None:
        """Whoever sent a request was cancelled; the room may be told."""
        return

    def _pulse(self) -> None:
        """Wakes whoever waits for a change."""
        self._changes.tell()

    @abstractmethod
    def _closed(self, event: CloseEvent) -> None:
        """The connection was lost or refused."""


def refuses(event: CloseEvent) -> bool:
    """True when a close says that this client may not come in, and not that the way there is broken."""
    return not reconnects(event)
