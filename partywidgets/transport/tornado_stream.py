"""A Tornado stream as an asyncio transport on another loop: for sockets that Jupyter's own TLS encrypts and that cannot be given away."""

from __future__ import annotations

import asyncio
from typing import Any

from tornado.iostream import IOStream, StreamClosedError

CHUNK = 64 * 1024
HIGH_WATER = 64 * 1024
"""Bytes not yet taken by Tornado above which the room's protocol is told to stop writing; half of it lets it go on."""


class StreamTransport(asyncio.Transport):
    """The room loop's end of a stream on Tornado's loop.

    What the room writes in one turn of its loop is joined and crosses over once. Every method is called on the room loop, except those
    whose name ends in `_there`.
    """

    def __init__(self, stream: IOStream, there: asyncio.AbstractEventLoop) -> None:
        # Not to be written to past the stream, which encrypts.
        super().__init__({"socket": stream.socket, "sslcontext": getattr(stream.socket, "context", True)})
        self._stream, self._there = stream, there
        self._protocol: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pending: list[bytes] = []
        self._buffered = 0
        self._held = False
        self._closing = False
        self._lost = False
        self._reading: asyncio.Event | None = None
        self._pump: asyncio.Task[None] | None = None

    def start(self, protocol: asyncio.Protocol) -> None:
        """Begins on the running loop, the room's."""
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        protocol.connection_made(self)
        self._there.call_soon_threadsafe(self._start_there)

    # asyncio.Transport

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def is_closing(self) -> bool:
        return self._closing or self._lost

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return self._buffered

    def write(self, data: bytes | bytearray | memoryview[int]) -> None:
        if self._closing or self._lost or not data:
            return
        assert self._loop is not None
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending.append(bytes(data))
        self._buffered += len(data)
        if self._buffered > HIGH_WATER and not self._held:
            self._held = True
            self._protocol.pause_writing()

    def pause_reading(self) -> None:
        self._there.call_soon_threadsafe(self._read_there, False)

    def resume_reading(self) -> None:
        self._there.call_soon_threadsafe(self._read_there, True)

    def close(self) -> None:
        if not self._closing:
            self._flush()
            self._closing = True
            self._there.call_soon_threadsafe(self._close_there)

    def abort(self) -> None:
        self._closing = True
        self._pending.clear()
        self._there.call_soon_threadsafe(self._stream.close)

    def _flush(self) -> None:
        if self._pending:
            joined = b"".join(self._pending)
            self._pending.clear()
            self._there.call_soon_threadsafe(self._write_there, joined)

    # back on the room loop

    def _taken(self, count: int) -> None:
        self._buffered -= count
        if self._held and self._buffered <= HIGH_WATER // 2 and not self._lost:
            self._held = False
            self._protocol.resume_writing()

    def _received(self, chunk: bytes) -> None:
        if not self._lost:
            self._protocol.data_received(chunk)

    def _ended(self) -> None:
        if not self._lost:
            self._lost = True
            self._protocol.connection_lost(None)

    def _back(self, callback: Any, *arguments: Any) -> None:
        assert self._loop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback, *arguments)

    # on Tornado's loop

    def _start_there(self) -> None:
        self._reading = asyncio.Event()
        self._reading.set()
        self._stream.set_close_callback(lambda: self._back(self._ended))
        self._pump = asyncio.get_running_loop().create_task(self._pump_there(), name="partywidgets TLS socket")

    async def _pump_there(self) -> None:
        assert self._reading is not None
        try:
            while True:
                # Waits before each read, so that a room that does not want more leaves it in the peer's window.
                await self._reading.wait()
                self._back(self._received, await self._stream.read_bytes(CHUNK, partial=True))
        except StreamClosedError:
            pass
        finally:
            self._stream.close()

    def _read_there(self, wanted: bool) -> None:
        if self._reading is not None:
            self._reading.set() if wanted else self._reading.clear()

    def _write_there(self, joined: bytes) -> None:
        if self._stream.closed():
            return

        def taken(future: asyncio.Future[None]) -> None:
            future.exception()  # a stream that closed tells so in its own callback
            self._back(self._taken, len(joined))

        self._stream.write(joined).add_done_callback(taken)

    def _close_there(self) -> None:
        # Tornado's stream has no close that waits for what is written: the last write's end does it.
        def close(future: asyncio.Future[None]) -> None:
            future.exception()
            self._stream.close()

        if self._stream.writing():
            self._stream.write(b"").add_done_callback(close)
        else:
            self._stream.close()
