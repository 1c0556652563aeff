"""One viewer of the beacon in a process of its own, so that it can be stopped: says what it saw when its socket has ended."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from .beacon import TOKEN

WINDOW = 64 * 1024
"""What its kernel takes for it while it is stopped: by itself some megabytes, for which a test would wait."""


async def main(url: str) -> None:
    """Reads to the end. The first line says that it sees something, the last one which numbers it saw."""
    numbers: list[int] = []
    code = None
    place = urlsplit(url)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
    sock.connect((place.hostname, place.port))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with connect(url, sock=sock, additional_headers=headers, compression=None, ping_interval=None) as client:
        try:
            async for message in client:
                numbers.append(int(str(message).split()[0]))
                if len(numbers) == 1:
                    print("sees", flush=True)
        except ConnectionClosed as end:
            code = end.rcvd.code if end.rcvd is not None else None
    print(json.dumps({"numbers": numbers, "code": code}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
