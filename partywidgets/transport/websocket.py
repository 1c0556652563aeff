"""One WebSocket on one TCP (or TLS) connection: the wire of the bundled server and of sockets detached from another one.

What comes in is split into frames here: a short message in one frame is taken as it is, every other frame goes to websockets' Sans-I/O
`ServerProtocol`, which knows the rules. What goes out is already encoded (`party.wire.Batch`).
Everything that touches websockets' internals is in this file.

What a peer can cost is bounded here: messages by size and fragments; frames handled in one go, so that a flood of tiny ones does
not hold the loop; unread output by the stall timer, during which nothing is read either, so that a flood of pings ends as well.
"""

from __future__ import annotations

import asyncio
import logging
import os
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

try:
    from websockets.speedups import apply_mask
except ImportError:  # a wheel without the C extension
    from websockets.utils import apply_mask

from ..party.wire import Batch, Receiver
from .silence import has_room, last_heard

logger = logging.getLogger("partywidgets.transport")

# websockets logs whole frames and headers at DEBUG: never ours.
_frame_logger = logging.getLogger("partywidgets.transport.frames")
_frame_logger.setLevel(logging.WARNING)

SLICE = 4096
"""Bytes of one frame given to websockets' parser at a time."""

QUICK = 16 * 1024
"""A whole message of at most so many bytes, in one frame, is read here: websockets' parser, which can stop at any byte, takes longer."""

HELD_BACK = 300.0
"""Seconds that a room may take nothing at all from a peer who has filled the kernel's buffer, before that peer is cut: it could not answer
a ping, so nobody knows whether it is there."""

READ = 64 * 1024
"""Bytes read from a socket at a time."""

FRAMES_A_TURN = 512
"""Frames handled before the loop gets its turn."""

PING: Final = Frame(Opcode.PING, b"pw").serialize(mask=False)

ROOM: Final = 1
WRITING: Final = 2
TURN: Final = 4


class _Reading(threading.local):
    """What a loop reads into, one for all of its sockets, since what comes is copied before the next one is read.

    asyncio would make 256 KiB anew for each read, which takes ten times as long as the reading of a short message (28 µs, 3 so).
    """

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(READ))


_reading = _Reading()


@dataclass(frozen=True, slots=True)
class Limits:
    """What one peer may do. Sizes in bytes, times in seconds.

    `max_size`: of a message, more is closed with 1009. `max_fragments`: of one message.
    `stall`: how long a peer may take nothing of what waits for it.
    `ping_interval`: silence after which a ping is sent (None: never); `ping_timeout`: silence after that ping that ends the connection.
    That holds while a room is too busy to read from a peer, by what Linux knows of unread data; see `_listen_past_a_pause`.
    `close_timeout`: how long the peer has to answer a Close, and a room to run on_close before a Close is answered.
    """

    max_size: int = 1024 * 1024
    max_fragments: int = 4096
    stall: float = 5.0
    ping_interval: float | None = 20.0
    ping_timeout: float = 20.0
    close_timeout: float = 4.0


DEFAULT_LIMITS = Limits()


def close_frame(code: int | None, reason: str = "") -> bytes:
    """A Close frame; one without a code when it is None."""
    payload = b"" if code is None else struct.pack("!H", code) + reason.encode("utf-8", "replace")[:123]
    return Frame(Opcode.CLOSE, payload).serialize(mask=False)


class WebSocket(asyncio.Protocol, asyncio.BufferedProtocol):
    """An open WebSocket: an asyncio protocol on one side, a `party.wire.Wire` on the other."""

    __slots__ = (
        "_backlog",
        "_close_sent",
        "_close_timer",
        "_descriptor",
        "_discard",
        "_drained_at",
        "_fragment_text",
        "_fragments",
        "_heard_at",
        "_held",
        "_held_back_at",
        "_keepalive",
        "_limits",
        "_loop",
        "_on_lost",
        "_paused",
        "_peer_close",
        "_pinged_at",
        "_protocol",
        "_receiver",
        "_rest",
        "_stall_timer",
        "_taken",
        "_transport",
        "_written",
    )

    def __init__(self, receiver: Receiver, *, limits: Limits = DEFAULT_LIMITS, on_lost: Callable[[WebSocket], None] | None = None) -> None:
        self._receiver = receiver
        self._limits = limits
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._protocol = ServerProtocol(state=State.OPEN, max_size=limits.max_size, logger=_frame_logger)
        self._transport: asyncio.Transport | None = None
        self._descriptor = -1
        """The socket's own, for the one write a tick; -1 under TLS, whose bytes are the transport's to make, and once the socket closes."""
        self._paused = 0
        self._backlog = b""
        self._held = b""
        """The beginning of a frame whose rest has not come: less than a head, or a short message cut in two."""
        self._rest = 0
        """Bytes of the frame that websockets' parser is in the middle of."""
        self._fragments: list[bytes] | None = None
        self._fragment_text = False
        self._written = 0
        self._taken = 0
        self._drained_at = 0.0
        self._close_sent = False
        self._peer_close: Close | None = None
        self._discard = False
        self._heard_at = self._loop.time()
        self._held_back_at = 0.0
        self._pinged_at = 0.0
        self._stall_timer: asyncio.TimerHandle | None = None
        self._close_timer: asyncio.TimerHandle | None = None
        self._keepalive: asyncio.TimerHandle | None = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not asyncio.Transport instances.
        self._transport = cast(asyncio.Transport, transport)
        if transport.get_extra_info("sslcontext") is None and (taken := transport.get_extra_info("socket")) is not None:
            self._descriptor = taken.fileno()
        if self._limits.ping_interval is not None:
            self._keepalive = self._loop.call_later(self._limits.ping_interval, self._beat)

    def start(self, early: bytes = b"") -> None:
        """Handles what came before this protocol was in place; in a later turn, since the room does not have its wire yet."""
        if early:
            self._backlog = early
            self._pause(TURN)
            self._loop.call_soon(self._next_turn)

    def get_buffer(self, sizehint: int) -> memoryview:
        """asyncio reads into it; uvloop, which has one of its own, does not ask."""
        return _reading.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(_reading.buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        if self._discard:
            return
        if self._backlog or self._paused:
            self._backlog += data
        else:
            self._feed(data)

    def eof_received(self) -> None:
        """A half-closed socket is a lost one."""

    def pause_writing(self) -> None:
        self._pause(WRITING)
        self._drained_at = self._loop.time()
        self._taken = self._written - self.buffered
        if self._stall_timer is None:
            self._stall_timer = self._loop.call_later(self._limits.stall / 5, self._check_stall)

    def resume_writing(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
        self._resume(WRITING)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._stall_timer, self._close_timer, self._keepalive):
            if timer is not None:
                timer.cancel()
        self._stall_timer = self._close_timer = self._keepalive = None
        self._discard = True
        self._backlog = b""
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
        self._held_back_at = self._loop.time()
        self._pause(ROOM)

    def resume(self) -> None:
        self._resume(ROOM)

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
        # ServerProtocol must know that a Close from now on is the answer.
        self._protocol.close_sent = Close(1005 if code is None else code, reason)
        self._protocol.state = State.CLOSING
        self._restart_close_timer(self.abort)
        self._resume(ROOM)

    def abort(self) -> None:
        self._descriptor = -1
        self._receiver.detour()
        if self._transport is not None:
            self._transport.abort()

    def shutdown(self) -> None:
        """The server stops: 1012 (RFC 6455's registry: service restart)."""
        self.close(1012, "the server stops")

    # Reading.

    def _pause(self, why: int) -> None:
        if not self._paused and self._transport is not None:
            self._transport.pause_reading()
        self._paused |= why

    def _resume(self, why: int) -> None:
        if not self._paused & why:
            return
        self._paused &= ~why
        if self._paused:
            return
        if self._backlog:
            # In a turn of its own: whoever resumes is in the middle of something.
            self._paused = TURN
            self._loop.call_soon(self._next_turn)
        elif self._transport is not None:
            self._transport.resume_reading()

    def _next_turn(self) -> None:
        self._paused &= ~TURN
        if self._paused or self._transport is None:
            return
        backlog, self._backlog = self._backlog, b""
        self._feed(backlog)
        # Through asyncio, a transport that is not paused ignores this.
        if not self._paused and self._transport is not None:
            self._transport.resume_reading()

    def _feed(self, data: bytes) -> None:
        if self._held:
            data, self._held = self._held + data, b""
        at = frames = 0
        size = len(data)
        while at < size:
            if self._rest:
                end = min(size, at + min(self._rest, SLICE))
                self._rest -= end - at
                frames += self._parse(data[at:end])
            else:
                end = self._next_frame(data, at, size)
                if end == at:
                    if not self._rest:
                        self._held = data[at:]
                        return
                    continue
                frames += 1
            at = end
            if self._discard:
                return
            if self._paused or frames > FRAMES_A_TURN:
                self._backlog = data[at:]
                if self._backlog and not self._paused:
                    self._pause(TURN)
                    self._loop.call_soon(self._next_turn)
                return

    def _next_frame(self, data: bytes, at: int, size: int) -> int:
        """Delivers the short message in one frame that begins at `at` and returns its end.

        Returns `at` when nothing was delivered: the frame is for websockets' parser, which then gets the next `_rest` bytes, or it is
        not all there, and `_rest` is 0.
        """
        have = size - at
        if have < 2:
            return at
        opcode, length = data[at], data[at + 1] & 0x7F
        masked = data[at + 1] & 0x80
        head = 6
        if length > 125:
            head = 8 if length == 126 else 14
            if have < head - 4:
                return at
            length = int.from_bytes(data[at + 2 : at + head - 4])
        # Final, TEXT or BINARY, masked, no extension's bit, no message begun: the rest of RFC 6455 is websockets' to judge.
        if (
            not masked
            or (opcode != 0x81 and opcode != 0x82)
            or length > QUICK
            or length > self._limits.max_size
            or self._fragments is not None
        ):
            self._rest = head + length if masked else head - 4 + length
            return at
        start = at + head
        end = start + length
        if end > size:
            return at
        payload = apply_mask(data[start:end], data[start - 4 : start])
        if opcode == 0x82 or self._close_sent:
            self._message(payload, False)
            return end
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            self._message(payload, True)
        else:
            self._receiver.message_received(text)
        return end

    def _parse(self, data: bytes) -> int:
        protocol = self._protocol
        protocol.receive_data(data)
        events = protocol.events_received()
        for frame in events:
            assert isinstance(frame, Frame)
            opcode = frame.opcode
            if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
                if frame.fin:
                    self._message(bytes(frame.data), opcode is Opcode.TEXT)
                else:
                    self._fragments, self._fragment_text = [bytes(frame.data)], opcode is Opcode.TEXT
            elif opcode is Opcode.CONT:
                self._continuation(frame)
            elif opcode is Opcode.CLOSE:
                self._close_received()
            if self._discard:
                return len(events)
        error = protocol.parser_exc
        if error is not None:
            self._fail(error, protocol.data_to_send())
        else:
            writes = protocol.data_to_send()
            if writes and self._transport is not None and not self._close_sent:
                pongs = b"".join(writes)
                self._written += len(pongs)
                self._queue(pongs)
        return len(events)

    def _continuation(self, frame: Frame) -> None:
        fragments = self._fragments
        assert fragments is not None
        fragments.append(bytes(frame.data))
        if frame.fin:
            self._fragments = None
            self._message(b"".join(fragments), self._fragment_text)
        elif len(fragments) >= self._limits.max_fragments:
            self._refuse(1009, f"more than {self._limits.max_fragments} fragments")

    def _message(self, payload: bytes, is_text: bool) -> None:
        if self._close_sent:
            return
        if not is_text:
            self._receiver.message_received(payload)
            return
        try:
            text = payload.decode()
        except UnicodeDecodeError as error:
            self._refuse(1007, f"invalid UTF-8 at byte {error.start}")
            return
        self._receiver.message_received(text)

    # Closing.

    def _close_received(self) -> None:
        self._peer_close = self._protocol.close_rcvd
        self._discard = True
        self._protocol.data_to_send()
        if self._close_sent:
            self._finish()
            return
        assert self._peer_close is not None
        code, reason = self._peer_close.code, self._peer_close.reason
        # The room answers, after its on_close; when it does not, this does.
        self._restart_close_timer(lambda: self.close(None if code == 1005 else code, reason))
        self._receiver.close_received(code, reason)

    def _refuse(self, code: int, reason: str) -> None:
        self._fail(ValueError(reason), [close_frame(code, reason)])

    def _fail(self, error: Exception, writes: Sequence[bytes]) -> None:
        """The peer broke the protocol: it is told why, and what else it sends is read and dropped so that the telling arrives."""
        self._discard = True
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

    # Timers.

    def _check_stall(self) -> None:
        self._stall_timer = None
        now = self._loop.time()
        taken = self._written - self.buffered
        if taken > self._taken:
            self._taken, self._drained_at = taken, now
        elif now - self._drained_at >= self._limits.stall:
            logger.warning("%r: took nothing of %d bytes for %g s, and was cut", self._receiver, self.buffered, self._limits.stall)
            self.abort()
            return
        self._stall_timer = self._loop.call_later(self._limits.stall / 5, self._check_stall)

    def _beat(self) -> None:
        """Any byte from the peer is a sign of life; a ping is sent only into silence. So a peer that is gone is cut `ping_interval` and
        `ping_timeout` after its last byte, however busy it was before.
        """
        limits, now = self._limits, self._loop.time()
        assert limits.ping_interval is not None
        if (self._paused or self._close_sent) and not self._listen_past_a_pause(now):
            return
        due = self._heard_at + limits.ping_interval
        if due <= now and self._pinged_at > self._heard_at:
            due = self._pinged_at + limits.ping_timeout
            if due <= now:
                logger.info("%r: silent for %g s after a ping, and cut", self._receiver, limits.ping_timeout)
                self.abort()
                return
        elif due <= now:
            self._pinged_at, due = now, now + limits.ping_timeout
            self._queue(PING)
        self._keepalive = self._loop.call_at(due, self._beat)

    def _listen_past_a_pause(self, now: float) -> bool:
        """Finds out when a peer that is not read from was last heard. False: it was cut.

        Output that waits and a Close have timers of their own. Where a room has paused the peer, the kernel says when its last data came,
        its pongs among it, so that one which hangs is found as any other is. Where the peer has filled the kernel's buffer no pong comes
        through: it is pinged at every interval, so that the kernel's error for a machine that is gone comes back (a reset at once, or
        what `bound_silence` set), and it is cut when its room took nothing for `HELD_BACK`. Where the kernel tells nothing (not Linux)
        there is the ping alone.
        """
        if self._paused != ROOM or self._close_sent or self._transport is None:
            self._heard_at = now
            return True
        sock = self._transport.get_extra_info("socket")
        room, silent = has_room(sock), last_heard(sock)
        if room and silent is not None:
            self._heard_at = max(self._heard_at, now - silent)
            return True
        if room is False and now - self._held_back_at >= HELD_BACK:
            logger.warning(
                "%r: its room took nothing from it for %g s, and whether it is still there cannot be known: it was cut",
                self._receiver,
                HELD_BACK,
            )
            self.abort()
            return False
        self._heard_at = now
        self._queue(PING)
        return True


__all__ = ["DEFAULT_LIMITS", "Limits", "WebSocket", "close_frame"]
