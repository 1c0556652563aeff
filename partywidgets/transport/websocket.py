"""One WebSocket on one TCP (or TLS) connection: the wire of the bundled server and of sockets detached from another one.

What comes in is `Intake`'s to read; what goes out is already encoded (`party.wire.Batch`) and written here, where the end of the
connection is, too.

Unread output is bounded by the stall timer, during which nothing is read either, so that a flood of pings ends as well.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

from websockets.frames import Close

from ..party.wire import Batch, Receiver
from .control import PING, close_frame
from .draining import Draining
from .intake import ROOM, WRITING, Intake
from .keepalive import Hearing, Keepalive
from .limits import DEFAULT_LIMITS, Limits
from .silence import acknowledged

logger = logging.getLogger("partywidgets.transport")

READ = 64 * 1024
"""Bytes read from a socket at a time."""


class _Reading(threading.local):
    """What a loop reads into, one for all of its sockets, since what comes is copied before the next one is read.

    asyncio would make 256 KiB anew for each read, which takes ten times as long as the reading of a short message (28 µs, 3 so).
    """

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(READ))


_reading = _Reading()


class WebSocket(asyncio.Protocol, asyncio.BufferedProtocol):
    """An open WebSocket: an asyncio protocol on one side, a `party.wire.Wire` on the other."""

    __slots__ = (
        "_close_sent",
        "_close_timer",
        "_descriptor",
        "_draining",
        "_intake",
        "_keepalive",
        "_limits",
        "_loop",
        "_on_lost",
        "_peer_close",
        "_receiver",
        "_stall_timer",
        "_transport",
        "_written",
    )

    def __init__(self, receiver: Receiver, *, limits: Limits = DEFAULT_LIMITS, on_lost: Callable[[WebSocket], None] | None = None) -> None:
        self._receiver = receiver
        self._limits = limits
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._intake = Intake(receiver, self, limits, self._loop)
        self._keepalive = Keepalive(self, limits, self._loop)
        self._transport: asyncio.Transport | None = None
        self._descriptor = -1
        """The socket's own, for the one write a tick; -1 under TLS, whose bytes are the transport's to make, and once the socket closes."""
        self._written = 0
        self._draining: Draining | None = None
        """Of what waits, while the transport holds too much of it."""
        self._close_sent = False
        self._peer_close: Close | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._close_timer: asyncio.TimerHandle | None = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not asyncio.Transport instances.
        self._transport = self._intake.transport = cast(asyncio.Transport, transport)
        if transport.get_extra_info("sslcontext") is None and (taken := transport.get_extra_info("socket")) is not None:
            self._descriptor = taken.fileno()
        self._keepalive.start()

    def start(self, early: bytes = b"") -> None:
        """Handles what came before this protocol was in place; in a later turn, since the room does not have its wire yet."""
        self._intake.start(early)

    def get_buffer(self, sizehint: int) -> memoryview:
        """asyncio reads into it; uvloop, which has one of its own, does not ask."""
        return _reading.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(_reading.buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        self._keepalive.heard_at = self._loop.time()
        intake = self._intake
        if intake.ended:
            return
        if intake.paused:
            intake.backlog += data
        else:
            intake.feed(data)

    def eof_received(self) -> None:
        """A half-closed socket is a lost one."""

    def pause_writing(self) -> None:
        self._intake.pause(WRITING)
        self._draining = Draining(self._loop.time(), self._written - self.buffered, acknowledged(self.socket))
        if self._stall_timer is None:
            self._stall_timer = self._loop.call_later(self._limits.stall / 5, self._check_stall)

    def resume_writing(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
        self._draining = None
        self._intake.resume(WRITING)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._stall_timer, self._close_timer):
            if timer is not None:
                timer.cancel()
        self._stall_timer = self._close_timer = None
        self._keepalive.stop()
        self._intake.end()
        self._transport = None
        self._descriptor = -1
        self._receiver.detour()
        if self._on_lost is not None:
            self._on_lost(self)
        if self._peer_close is not None and self._close_sent:
            self._receiver.lost(self._peer_close.code, self._peer_close.reason)
        else:
            self._receiver.lost(1006, "" if exc is None else type(exc).__name__)

    # party.wire.Wire

    def write(self, batch: Batch) -> None:
        transport = self._transport
        if transport is not None and not self._close_sent:
            encoded = batch.encoded
            self._written += len(encoded)
            # The transport's own write costs a tenth more. While it holds bytes of ours, it keeps the order; an error is its to find.
            if self._descriptor >= 0 and not transport.get_write_buffer_size():
                try:
                    taken = os.write(self._descriptor, encoded)
                except OSError:
                    taken = 0
                if taken == len(encoded):
                    return
                self._queue(encoded[taken:])
            else:
                self._queue(encoded)

    def _queue(self, encoded: bytes) -> None:
        """Through the transport, which keeps what the socket does not take."""
        assert self._transport is not None
        self._transport.write(encoded)
        if self._transport.get_write_buffer_size():
            self._receiver.detour()

    @property
    def descriptor(self) -> int:
        transport = self._transport
        if self._descriptor < 0 or transport is None or self._close_sent or transport.get_write_buffer_size():
            return -1
        return self._descriptor

    def follow(self, encoded: bytes, taken: int) -> None:
        if self._transport is not None:
            rest = encoded[taken:]
            self._written += len(rest)
            self._queue(rest)

    @property
    def buffered(self) -> int:
        transport = self._transport
        return 0 if transport is None else transport.get_write_buffer_size()

    def pause(self) -> None:
        self._keepalive.held_back_at = self._loop.time()
        self._intake.pause(ROOM)

    def resume(self) -> None:
        self._intake.resume(ROOM)

    def close(self, code: int | None = None, reason: str = "") -> None:
        transport = self._transport
        if transport is None or self._close_sent:
            return
        self._close_sent = True
        self._receiver.detour()
        transport.write(close_frame(code, reason))
        if self._peer_close is not None:
            self._finish()
            return
        self._intake.await_answer(Close(1005 if code is None else code, reason))
        self._restart_close_timer(self.abort)
        self._intake.resume(ROOM)

    def abort(self) -> None:
        self._descriptor = -1
        self._receiver.detour()
        if self._transport is not None:
            self._transport.abort()

    def shutdown(self) -> None:
        """The server stops: 1012 (RFC 6455's registry: service restart)."""
        self.close(1012, "the server stops")

    # intake.Ends

    def close_received(self, close: Close) -> None:
        self._peer_close = close
        if self._close_sent:
            self._finish()
            return
        code, reason = close.code, close.reason
        # The room answers, after its on_close; when it does not, this does.
        self._restart_close_timer(lambda: self.close(None if code == 1005 else code, reason))
        self._receiver.close_received(code, reason)

    def broken(self, error: Exception, writes: Sequence[bytes]) -> None:
        # What else the peer sends is read and dropped, so that it gets to know why.
        transport = self._transport
        if transport is None:
            return
        if not self._close_sent:
            self._close_sent = True
            self._receiver.detour()
            transport.write(b"".join(writes))
            self._receiver.failed(error)
        if transport.can_write_eof():
            transport.write_eof()
            self._restart_close_timer(self.abort)
        else:
            self._finish()

    def answer(self, pongs: bytes) -> None:
        if self._transport is not None:
            self._written += len(pongs)
            self._queue(pongs)

    # keepalive.Pinged

    @property
    def hearing(self) -> Hearing:
        if self._close_sent or self._intake.paused & ~ROOM:
            return Hearing.TIMED
        return Hearing.HELD_BACK if self._intake.paused else Hearing.FREELY

    @property
    def label(self) -> object:
        return self._receiver

    @property
    def socket(self) -> Any:
        return None if self._transport is None else self._transport.get_extra_info("socket")

    def ping(self) -> None:
        self._queue(PING)

    # Closing.

    def _finish(self) -> None:
        """Both Closes are there: the server ends the connection (RFC 6455 §7.1.1), once what is queued is out."""
        self._descriptor = -1
        if self._transport is not None:
            self._transport.close()
            self._restart_close_timer(self.abort)

    def _restart_close_timer(self, then: Callable[[], None]) -> None:
        if self._close_timer is not None:
            self._close_timer.cancel()
        self._close_timer = self._loop.call_later(self._limits.close_timeout, then)

    def _check_stall(self) -> None:
        self._stall_timer = None
        now, draining = self._loop.time(), self._draining
        assert draining is not None
        moved = draining.moved(now, self._written - self.buffered, acknowledged(self.socket))
        if not moved and now - draining.since >= self._limits.stall:
            logger.warning("%r: took nothing of %d bytes for %g s, and was cut", self._receiver, self.buffered, self._limits.stall)
            self.abort()
            return
        self._stall_timer = self._loop.call_later(self._limits.stall / 5, self._check_stall)


__all__ = ["WebSocket"]
