"""The sockets of COUNT dashboards, in a process of their own. Prints "ready", and a line of JSON for each scan that all were told of.

    dashboards.py URL COUNT          (the token is PARTYWIDGETS_TOKEN)

The line has `at`, the monotonic clock when the last socket had the `scan-result`, `fewest`, the rows that the socket with the fewest was
told of since the scan before, and `frames` and `bytes` of all sockets.
"""

import asyncio
import json
import os
import sys
import time

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol


def rows(frames: list[str], known: dict[str, list[str]]) -> set[str]:
    """The fingerprints that were told, each frame being read once for all sockets."""
    told: set[str] = set()
    for frame in frames:
        if frame not in known:
            known[frame] = [row["fingerprint"] for row in json.loads(frame)["data"].get("results", ())]
        told.update(known[frame])
    return told


async def scan(socket: ClientConnection) -> tuple[list[str], float]:
    """The frames up to the next `scan-result`; they are looked into later, as a page's time is not the host's."""
    frames: list[str] = []
    while True:
        frame = str(await socket.recv())
        if frame.startswith('{"type":"scan-result"'):
            return frames, time.monotonic()
        frames.append(frame)


async def main(url: str, count: int) -> None:
    """Listens until it is killed."""
    headers = {"Authorization": f"Bearer {os.environ['PARTYWIDGETS_TOKEN']}"}
    sockets = [
        await connect(url, additional_headers=headers, subprotocols=[Subprotocol("partywidgets.v1")], max_size=None) for _ in range(count)
    ]
    for socket in sockets:
        while True:
            part = json.loads(await socket.recv())
            if part["type"] == "snapshot" and part["data"]["part"] == part["data"]["of"]:
                break
    print("ready", flush=True)
    while True:
        heard = await asyncio.gather(*map(scan, sockets))
        known: dict[str, list[str]] = {}
        line = {
            "at": max(at for _, at in heard),
            "fewest": min(len(rows(frames, known)) for frames, _ in heard),
            "frames": sum(len(frames) + 1 for frames, _ in heard),
            "bytes": sum(len(frame) for frames, _ in heard for frame in frames),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
