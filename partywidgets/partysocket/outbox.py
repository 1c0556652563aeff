"""What a client has to send: kept for its next connection, or queued to the open one, in bounded room."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

logger = logging.getLogger(__name__)


class Outbox:
    """Messages in order, the newest dropped when there is no room.

    `max_kept` messages wait while the socket is down, and `max_bytes` in all. `label` names the socket in the log.
    """

    def __init__(self, label: Callable[[], str], *, max_kept: int, max_bytes: int) -> None:
        self._label = label
        self.max_kept = max_kept
        self.max_bytes = max_bytes
        self._kept: deque[str | bytes] = deque()
        self.queued: deque[str | bytes] = deque()
        """Handed to the open socket, the next one first: `sent` takes it away."""
        self.size = 0
        """Bytes of all that waits."""
        self.written = 0
        """Messages that went out."""
        self._dropped = 0

    def put(self, message: str | bytes, *, is_open: bool) -> bool:
        """True when it was queued to the open socket; else it was kept for the next one, or dropped with a log line."""
        size = _size(message)
        fits = self.size + size <= self.max_bytes
        if is_open and fits:
            self.queued.append(message)
            self.size += size
            return True
        if is_open or not fits or len(self._kept) >= self.max_kept:
            self._drop(size, is_open=is_open)
            return False
        self._kept.append(message)
        self.size += size
        return False

    def opened(self) -> None:
        """A socket is there for what was kept."""
        self._tell_dropped()
        self.queued.extend(self._kept)
        self._kept.clear()

    def sent(self) -> None:
        """The first of the queued was written."""
        self.size -= _size(self.queued.popleft())
        self.written += 1

    def closed(self) -> None:
        """The socket is gone, and what was queued to it."""
        self.size -= sum(map(_size, self.queued))
        self.queued.clear()
        self._tell_dropped()

    def empty(self) -> list[str | bytes]:
        """Takes out what is kept for the next connection."""
        kept = list(self._kept)
        self._kept.clear()
        self.size -= sum(map(_size, kept))
        return kept

    def _drop(self, size: int, *, is_open: bool) -> None:
        """Tells of the first message of a connection, or of a time without one, that finds no room; of the others how many they were."""
        self._dropped += 1
        if self._dropped == 1:
            waiting = f"{len(self._kept) + len(self.queued)} messages of {self.size} bytes wait"
            state = "open" if is_open else "not connected"
            logger.log(self._level, "%s: %s and %s, a message of %d bytes is dropped", self._label(), state, waiting, size)

    def _tell_dropped(self) -> None:
        if self._dropped > 1:
            logger.log(self._level, "%s: %d messages in all were dropped", self._label(), self._dropped)
        self._dropped = 0

    @property
    def _level(self) -> int:
        # Whoever has nothing kept wants it dropped.
        return logging.WARNING if self.max_kept else logging.DEBUG


def sendable(message: str | bytes | bytearray | memoryview) -> str | bytes:
    """A message as it can be kept and sent. Raises TypeError when it is neither text nor bytes."""
    if isinstance(message, str):
        # A surrogate without its other half has no bytes in UTF-8: such a frame would hold up all behind it.
        return message if message.isascii() else message.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if not isinstance(message, (bytes, bytearray, memoryview)):
        raise TypeError(f"a message is str or bytes, got {type(message).__name__}: encode it first, for example with json.dumps")
    return bytes(message)


def _size(message: str | bytes) -> int:
    return len(message.encode("utf-8", "replace")) if isinstance(message, str) else len(message)
