"""What comes in, cut anywhere: short messages that are taken as they are, and all that websockets' parser reads, in one order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import pytest
from websockets.frames import Frame, Opcode

from partywidgets.transport.intake import QUICK
from partywidgets.transport.limits import Limits
from partywidgets.transport.websocket import WebSocket

SIZES = (0, 1, 125, 126, 127, 1000, QUICK - 1, QUICK, QUICK + 1, 65535, 65536)


class Heard:
    """The room's side: what it was told."""

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.failures: list[Exception] = []
        self.closed: list[int] = []

    def message_received(self, message: str | bytes) -> None:
        self.messages.append(message)

    def detour(self) -> None: ...

    def close_received(self, code: int, reason: str) -> None:
        self.closed.append(code)

    def failed(self, error: Exception) -> None:
        self.failures.append(error)

    def lost(self, code: int, reason: str) -> None: ...


class Sink(asyncio.Transport):
    """Keeps what is written to it; no socket is behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None: ...

    def abort(self) -> None: ...


def masked(opcode: Opcode, payload: bytes, *, fin: bool = True) -> bytes:
    """One frame of a client."""
    return Frame(opcode, payload, fin).serialize(mask=True)


def conversation(choose: random.Random) -> Iterator[tuple[bytes, str | bytes | None]]:
    """Frames, each with the message that is whole behind it: short, long, fragmented, with pings between and inside."""
    for _ in range(choose.randrange(1, 30)):
        payload = choose.randbytes(choose.choice(SIZES)) if choose.random() < 0.5 else b"\xc3\xa4" * (choose.choice(SIZES) // 2)
        text = payload[:2] in (b"", b"\xc3\xa4")
        opcode, message = (Opcode.TEXT, payload.decode()) if text else (Opcode.BINARY, payload)
        if choose.random() < 0.3:
            yield masked(Opcode.PING, b"?"), None
        if choose.random() < 0.3:
            at = choose.randrange(len(payload) + 1)
            yield masked(opcode, payload[:at], fin=False), None
            if choose.random() < 0.5:
                yield masked(Opcode.PONG, b""), None
            yield masked(Opcode.CONT, payload[at:]), message
        else:
            yield masked(opcode, payload), message


async def test_any_frames_cut_anywhere() -> None:
    """A conversation in pieces of any size gives the same messages as it had, and ends with the Close behind them."""
    choose = random.Random(20261127)
    for _ in range(150):
        frames = list(conversation(choose))
        stream = b"".join(encoded for encoded, _ in frames) + masked(Opcode.CLOSE, b"\x03\xe8")
        heard = Heard()
        socket = WebSocket(heard, limits=Limits(ping_interval=None))
        at = 0
        longest = choose.choice([3, 17, 5000, 300_000])
        while at < len(stream):
            # Byte by byte a long conversation would take minutes.
            end = at + choose.randrange(1, longest + 1 if len(stream) < 20_000 else 50_000)
            socket.data_received(stream[at:end])
            at = end
        assert heard.messages == [message for _, message in frames if message is not None]
        assert heard.closed == [1000]
        assert heard.failures == []


@pytest.mark.parametrize(
    "broken",
    [
        Frame(Opcode.TEXT, b"hello").serialize(mask=False),
        b"\xc1\x80\0\0\0\0",
        b"\x83\x80\0\0\0\0",
        masked(Opcode.CONT, b"no beginning"),
        masked(Opcode.TEXT, b"\xff"),
        masked(Opcode.TEXT, b"begins", fin=False) + masked(Opcode.TEXT, b"begins again"),
        b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff",
    ],
    ids=["unmasked", "extension bit", "unknown opcode", "continuation", "utf-8", "two beginnings", "endless"],
)
async def test_what_breaks_the_protocol_is_refused_where_it_stands(broken: bytes) -> None:
    """The message before a broken frame arrives, the frame fails at its last byte at the latest, and nothing behind it is heard."""
    for step in (1, 2, 1000):
        heard = Heard()
        socket = WebSocket(heard, limits=Limits(ping_interval=None))
        sink = Sink()
        socket.connection_made(sink)
        stream = masked(Opcode.TEXT, b"before") + broken
        for at in range(0, len(stream), step):
            socket.data_received(stream[at : at + step])
        assert len(heard.failures) == 1
        socket.data_received(masked(Opcode.TEXT, b"behind"))
        assert heard.messages == ["before"]
        assert sink.written.startswith(b"\x88")
        socket.connection_lost(None)
