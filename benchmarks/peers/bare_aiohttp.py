"""What an aiohttp client alone does with the same requests: a connection each, the JSON read. Prints requests a second.

bare_aiohttp.py PORT CHECKS CONCURRENCY
"""

import asyncio
import json
import sys
import time

import aiohttp


async def main(port: int, checks: int, concurrency: int) -> None:
    """Asks, as many at once as told."""
    urls = iter([f"http://127.0.0.1:{port}/health.json?check={number}" for number in range(checks)])

    async def ask(session: aiohttp.ClientSession) -> None:
        for url in urls:
            async with session.get(url) as response:
                assert response.status == 200
                assert json.loads(await response.read())["status"] == "ok"

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as session:
        begin = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(ask(session))
        print(checks / (time.perf_counter() - begin))


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
