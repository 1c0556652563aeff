"""The last stretch of a terminal's output, addressed by offset. Pure, no I/O."""

from __future__ import annotations

from collections import deque

_SEGMENT = 32 * 1024
"""Small pieces are joined up to this many bytes, so that a room of one-byte echoes does not hold a million objects."""


class Ring:
    """Keeps at least the last `size` bytes (default 1 MiB) of a stream; offsets count from the stream's first byte.

    It holds at most `size` plus one segment (the larger of 32 KiB and the largest piece appended).
    """

    __slots__ = ("_segments", "base", "end", "size")

    def __init__(self, size: int = 1 << 20) -> None:
        if size < 1:
            raise ValueError(f"a ring holds at least 1 byte, got size {size}")
        self.size = size
        self.base = 0
        """Offset of the oldest byte kept."""
        self.end = 0
        """Offset behind the newest byte."""
        self._segments: deque[bytes | bytearray] = deque()

    def append(self, piece: bytes) -> None:
        """Adds output at `end`; what is older than `size` bytes goes."""
        if not piece:
            return
        last = self._segments[-1] if self._segments else None
        if isinstance(last, bytearray) and len(last) + len(piece) <= _SEGMENT:
            last += piece
        else:
            self._segments.append(piece if len(piece) >= _SEGMENT else bytearray(piece))
        self.end += len(piece)
        while self.end - self.base - len(self._segments[0]) >= self.size:
            self.base += len(self._segments.popleft())

    def holds(self, offset: int) -> bool:
        """True when everything from `offset` on can still be read."""
        return self.base <= offset <= self.end

    def read(self, start: int, stop: int | None = None) -> bytes:
        """The bytes from `start` to `stop` (default: the end). Raises IndexError when part of that is gone or not there yet."""
        stop = self.end if stop is None else stop
        if not self.base <= start <= stop <= self.end:
            raise IndexError(f"bytes {start} to {stop} asked of a ring that holds {self.base} to {self.end}")
        parts: list[bytes | bytearray | memoryview] = []
        at = self.end
        for segment in reversed(self._segments):
            at -= len(segment)
            if at == start and self.end == stop and not parts and isinstance(segment, bytes):
                return segment
            if at < stop:
                parts.append(memoryview(segment)[max(start - at, 0) : stop - at])
            if at <= start:
                break
        return b"".join(reversed(parts))
