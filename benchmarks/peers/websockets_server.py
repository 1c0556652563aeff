"""`websockets.broadcast` in its own server: every message goes to all others. Prints "ready PORT"."""

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve

peers: set[ServerConnection] = set()


async def room(connection: ServerConnection) -> None:
    """One peer."""
    peers.add(connection)
    try:
        async for message in connection:
            broadcast(peers - {connection}, message)
    finally:
        peers.discard(connection)


async def main() -> None:
    """Serves until killed."""
    async with serve(room, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        print(f"ready {server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    if "uvloop" in sys.argv:
        import uvloop

        uvloop.run(main())
    else:
        asyncio.run(main())
