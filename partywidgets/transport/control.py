"""The control frames that are sent here (RFC 6455 §5.5)."""

from __future__ import annotations

import struct
from typing import Final

from websockets.frames import Frame, Opcode

PING: Final = Frame(Opcode.PING, b"pw").serialize(mask=False)


def close_frame(code: int | None, reason: str = "") -> bytes:
    """A Close frame; one without a code when it is None. Of a longer reason as many whole characters as fit into 123 bytes."""
    fitting = reason.encode("utf-8", "replace")[:123].decode("utf-8", "ignore")
    payload = b"" if code is None else struct.pack("!H", code) + fitting.encode()
    return Frame(Opcode.CLOSE, payload).serialize(mask=False)


__all__ = ["PING", "close_frame"]
