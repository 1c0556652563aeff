"""What comes in from the peer of one WebSocket: bytes, cut into frames, put together to messages, given to a receiver.

A short message in one frame is taken as it is, every other frame goes to websockets' Sans-I/O `ServerProtocol`, which knows the rules.
Everything that touches that parser is in this file.

What a peer can cost is bounded here: messages by size and fragments; frames handled in one go, so that a flood of tiny ones does not
hold the loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Protocol

from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

try:
    from websockets.speedups import apply_mask
except ImportError:  # a wheel without the C extension
    from websockets.utils import apply_mask

from ..party.wire import Receiver
from .control import close_frame
from .limits import Limits

# websockets logs whole frames and headers at DEBUG: never ours.
_frame_logger = logging.getLogger("partywidgets.transport.frames")
_frame_logger.setLevel(logging.WARNING)

SLICE = 4096
"""Bytes of one frame given to websockets' parser at a time."""

QUICK = 16 * 1024
"""A whole message of at most so many bytes, in one frame, is read here: websockets' parser, which can stop at any byte, takes longer."""

FRAMES_A_TURN = 512
"""Frames handled before the loop gets its turn."""

ROOM: Final = 1
WRITING: Final = 2
TURN: Final = 4
"""Why nothing is read: the room has enough, output waits, or the loop gets its turn."""


class Ends(Protocol):
    """What the socket does about what came in beside messages."""

    def close_received(self, close: Close) -> None:
        """The peer's Close; nothing behind it is read."""

    def broken(self, error: Exception, writes: Sequence[bytes]) -> None:
        """The peer broke the protocol, and is told so by `writes`; nothing more is read."""

    def answer(self, pongs: bytes) -> None:
        """Goes out behind what is queued."""


class Intake:
    """The reading side of a `WebSocket`, which gives it bytes by `feed` while nothing is `paused`, and appends them to the `backlog` else:
    there is one only then. Nothing that comes after `ended` counts.
    """

    __slots__ = (
        "_closing",
        "_ends",
        "_fragment_text",
        "_fragments",
        "_held",
        "_limits",
        "_loop",
        "_protocol",
        "_receiver",
        "_rest",
        "backlog",
        "ended",
        "paused",
        "transport",
    )

    def __init__(self, receiver: Receiver, ends: Ends, limits: Limits, loop: asyncio.AbstractEventLoop) -> None:
        self._receiver = receiver
        self._ends = ends
        self._limits = limits
        self._loop = loop
        self._protocol = ServerProtocol(state=State.OPEN, max_size=limits.max_size, logger=_frame_logger)
        self._held = b""
        """The beginning of a frame whose rest has not come: less than a head, or a short message cut in two."""
        self._rest = 0
        """Bytes of the frame that websockets' parser is in the middle of."""
        self._fragments: list[bytes] | None = None
        self._fragment_text = False
        self._closing = False
        """No message counts any more, only the answer to a Close."""
        self.transport: asyncio.Transport | None = None
        self.backlog = b""
        self.paused = 0
        self.ended = False

    def end(self) -> None:
        """The socket is gone."""
        self.ended = True
        self.backlog = b""
        self.transport = None

    def start(self, early: bytes) -> None:
        """Handles what came before this was in place; in a later turn, since the room does not have its wire yet."""
        if early:
            self.backlog = early
            self.pause(TURN)
            self._loop.call_soon(self._next_turn)

    def await_answer(self, close: Close) -> None:
        """A Close was sent: ServerProtocol must know that one from now on is the answer."""
        self._closing = True
        self._protocol.close_sent = close
        self._protocol.state = State.CLOSING

    def pause(self, why: int) -> None:
        """Reads nothing until `resume(why)`."""
        if not self.paused and self.transport is not None:
            self.transport.pause_reading()
        self.paused |= why

    def resume(self, why: int) -> None:
        """Reads on, unless something else is in the way."""
        if not self.paused & why:
            return
        self.paused &= ~why
        if self.paused:
            return
        if self.backlog:
            # In a turn of its own: whoever resumes is in the middle of something.
            self.paused = TURN
            self._loop.call_soon(self._next_turn)
        elif self.transport is not None:
            self.transport.resume_reading()

    def _next_turn(self) -> None:
        self.paused &= ~TURN
        if self.paused or self.transport is None:
            return
        backlog, self.backlog = self.backlog, b""
        self.feed(backlog)
        # Through asyncio, a transport that is not paused ignores this.
        if not self.paused and self.transport is not None:
            self.transport.resume_reading()

    def feed(self, data: bytes) -> None:
        """Delivers what is whole in `data` and what was held before it."""
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
            if self.ended:
                return
            if self.paused or frames > FRAMES_A_TURN:
                self.backlog = data[at:]
                if self.backlog and not self.paused:
                    self.pause(TURN)
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
        if opcode == 0x82 or self._closing:
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
            if self.ended:
                return len(events)
        error = protocol.parser_exc
        if error is not None:
            self._break(error, protocol.data_to_send())
        elif (writes := protocol.data_to_send()) and not self._closing:
            self._ends.answer(b"".join(writes))
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
        if self._closing:
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

    def _close_received(self) -> None:
        self.ended = True
        self._protocol.data_to_send()
        close = self._protocol.close_rcvd
        assert close is not None
        self._ends.close_received(close)

    def _refuse(self, code: int, reason: str) -> None:
        self._break(ValueError(reason), [close_frame(code, reason)])

    def _break(self, error: Exception, writes: Sequence[bytes]) -> None:
        self.ended = True
        self._ends.broken(error, writes)


__all__ = ["QUICK", "ROOM", "WRITING", "Ends", "Intake"]
