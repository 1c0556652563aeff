"""A client in a process of its own: says what it is told to, then answers pings and tells of each by a line."""

from __future__ import annotations

import asyncio
import sys

from websockets.frames import Opcode

from ..party.serving import Raw, frame, upgrade_request
from .beacon import TOKEN


async def main(port: int, messages: list[bytes]) -> None:
    """Answers until the server ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    raw = Raw(reader, writer)
    writer.write(upgrade_request(port, "/parties/beacon/r?_pk=hearer", [f"Authorization: Bearer {TOKEN}"]))
    await raw.head()
    writer.write(b"".join(frame(Opcode.TEXT, message) for message in messages))
    while True:
        first, size = await reader.readexactly(2)
        payload = await reader.readexactly(size)
        if first & 0x0F == Opcode.PING:
            raw.send(Opcode.PONG, payload)
            print("ping", flush=True)


if __name__ == "__main__":
    count, length = int(sys.argv[2]), int(sys.argv[3])
    asyncio.run(main(int(sys.argv[1]), [b"hang", *[b"x" * length] * count]))
