"""What a transport gives a room, and what a room gives a transport.

A transport finishes its handshake, then hands the room a `Wire`; the room hands it a `Receiver`. Neither knows the other's kind:
the bundled server, another ASGI server, a detached Jupyter socket and a notebook comm all meet here.
Everything here is called on the room loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

TEXT, BINARY = 0x81, 0x82
"""First byte of a whole message in one frame (RFC 6455 §5.2)."""


class Frame:
    """One message, encoded for the WebSocket wire at most once however many peers get it.

    A server frame is unmasked and, with compression off, the same bytes for every peer (RFC 6455 §5.1), so it can be shared.
    """

    __slots__ = ("_encoded", "is_text", "payload")

    def __init__(self, message: str | bytes | bytearray | memoryview) -> None:
        if isinstance(message, str):
            self.is_text, self.payload = True, message.encode("utf-8", "replace")
        elif isinstance(message, (bytes, bytearray, memoryview)):
            self.is_text, self.payload = False, bytes(message)
        else:
            raise TypeError(f"a frame is str or bytes, got {type(message).__name__}: encode it first, for example with json.dumps")
        self._encoded: bytes | None = None

    @property
    def encoded(self) -> bytes:
        """The whole WebSocket frame, header and payload."""
        if self._encoded is None:
            payload, first = self.payload, TEXT if self.is_text else BINARY
            size = len(payload)
            # By hand: a broadcast of a few hundred bytes spent more on a general serializer than on everything else in the room.
            if size < 126:
                head = bytes((first, size))
            elif size < 65536:
                head = bytes((first, 126, size >> 8, size & 255))
            else:
                head = bytes((first, 127)) + size.to_bytes(8)
            self._encoded = head + payload
        return self._encoded

    def __len__(self) -> int:
        return len(self.payload)


class Batch:
    """Frames that go out together: joined once, written once per socket."""

    __slots__ = ("_encoded", "frames")

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.frames = frames
        self._encoded: bytes | None = None

    @property
    def encoded(self) -> bytes:
        """All frames as one run of bytes."""
        if self._encoded is None:
            self._encoded = self.frames[0].encoded if len(self.frames) == 1 else b"".join([frame.encoded for frame in self.frames])
        return self._encoded


class Wire(Protocol):
    """The room's end of one open socket. No method blocks or raises on a dead peer; a dead wire swallows what it is given."""

    def write(self, batch: Batch) -> None:
        """Queues the frames of `batch`, in order."""

    @property
    def buffered(self) -> int:
        """Bytes accepted by `write` and not yet taken by the operating system (or not yet acknowledged, over a comm)."""

    @property
    def descriptor(self) -> int:
        """The socket's descriptor while bytes may be written to it past this wire, which then holds none and is not ending. Else -1.

        It never blocks. When it ceases to be so, the receiver is told by `Receiver.detour` before anything else is written."""

    def follow(self, encoded: bytes, taken: int) -> None:
        """Takes over what is left of `encoded`, of which the socket at `descriptor` took the first `taken` bytes."""

    def pause(self) -> None:
        """Stops reading from the peer, so that its own TCP window fills. Said again: the room has taken some of what waits, not enough."""

    def resume(self) -> None:
        """Reads on. A pause by the transport's own flow control stays in force."""

    def close(self, code: int | None = None, reason: str = "") -> None:
        """Sends what is queued, then a Close (without a code when it is None), and ends; the transport cuts a peer that does not answer."""

    def abort(self) -> None:
        """Drops the socket now, with whatever is queued."""


class Receiver(Protocol):
    """What the transport tells the room about one socket. Each call returns at once."""

    def message_received(self, message: str | bytes) -> None:
        """A whole message came. The room may call `wire.pause()` when it has too many."""

    def detour(self) -> None:
        """The wire's `descriptor` is -1 from now on: it holds bytes, or it ends. Everything goes through `write` until it has one again."""

    def close_received(self, code: int, reason: str) -> None:
        """The peer sent a Close (1005: without a code). The room runs on_close, then calls `wire.close` to answer it."""

    def lost(self, code: int, reason: str) -> None:
        """The socket is gone: 1006 for a drop, or the code of a finished handshake. Comes exactly once, last."""

    def failed(self, error: Exception) -> None:
        """The peer broke the protocol; the transport has sent its own Close and `lost` follows."""
