"""A container's own terminal WebSocket, played by a real websockets server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from partywidgets.exceptions import SandboxError
from partywidgets.terminal.sandboxes import open_sandbox
from partywidgets.terminal.shell import FRESH
from tests.terminal.conftest import Serve as ServeRooms

from .conftest import Open


@dataclass
class Container:
    """What it was sent, and the socket to answer on."""

    port: int = 0
    paths: list[str] = field(default_factory=list)
    received: list[str | bytes] = field(default_factory=list)
    sockets: list[ServerConnection] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, count: int) -> None:
        """Waits until it received so many messages."""
        async with asyncio.timeout(20):
            while len(self.received) < count:
                self.came.clear()
                await self.came.wait()

    async def socket(self) -> ServerConnection:
        """The newest connection."""
        async with asyncio.timeout(20):
            while not self.sockets:
                self.came.clear()
                await self.came.wait()
        return self.sockets[-1]


@asynccontextmanager
async def container(hello: str | bytes | None = b"container$ ") -> AsyncIterator[Container]:
    """A terminal server that says hello and keeps what it gets."""
    known = Container()

    async def handle(socket: ServerConnection) -> None:
        assert socket.request is not None
        known.paths.append(socket.request.path)
        known.sockets.append(socket)
        known.came.set()
        if hello is not None:
            await socket.send(hello)
        try:
            async for message in socket:
                known.received.append(message)
                known.came.set()
        except ConnectionClosed:
            return

    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        known.port = server.sockets[0].getsockname()[1]
        yield known


async def test_proxy_container_output_reaches_clients_and_back(serve: ServeRooms) -> None:
    """The seed's proxy test: raw binary from the container reaches every viewer, and what they type arrives as binary."""
    async with (
        container() as known,
        serve(default=f"ws://127.0.0.1:{known.port}/pty") as place,
        place.watch() as ana,
        place.watch(who="pia", dialect=None) as pia,
    ):
        await ana.shows(b"container$ ")
        await pia.until(lambda: "container$ " in pia.text)
        await pia.type("ls\r")
        await known.until(1)
        assert known.received == [b"ls\r"]
        await (await known.socket()).send(b"bin  etc\xc3")
        await (await known.socket()).send(b"\xa9\r\n")
        await ana.shows("etcé".encode())
        await pia.until(lambda: "etcé" in pia.text)


async def test_its_end_is_shown_with_the_reason(serve: ServeRooms) -> None:
    """When the container closes, every viewer hears why; the room is not shown alive, and restart connects anew."""
    async with container() as known, serve(default=f"ws://127.0.0.1:{known.port}/") as place, place.watch() as ana:
        await ana.shows(b"container$ ")
        await (await known.socket()).close(4000, "out of memory")
        end = await ana.message("exit")
        assert end["code"] is None
        assert "(4000: out of memory)" in end["reason"]
        assert (await ana.ask("restart"))["ok"] is True
        await ana.until(lambda: len(known.sockets) == 2)


async def test_cloudflare_text_becomes_binary_and_size_is_told(opened: Open) -> None:
    """`?dialect=cloudflare`: keystrokes go as binary, resize as JSON, `ready` is not output, `exit` ends it with its code."""
    async with (
        container('{"type":"ready"}') as known,
        opened(f"ws://127.0.0.1:{known.port}/ws/pty?sessionId=s1&dialect=cloudflare", cols=90, rows=30) as shell,
    ):
        shell.sandbox.write(b"id\r")
        await shell.sandbox.resize(100, 40)
        await known.until(2)
        assert known.received[0] == b"id\r"
        assert json.loads(known.received[1]) == {"type": "resize", "cols": 100, "rows": 40}
        assert known.paths == ["/ws/pty?sessionId=s1&cols=90&rows=30"]
        socket = await known.socket()
        await socket.send(b"uid=0\r\n")
        await socket.send('{"type":"exit","code":3}')
        assert await shell.rest() == b"uid=0\r\n"
        assert (await shell.sandbox.wait_exit()).code == 3


async def test_run_types_its_own_marks(serve: ServeRooms) -> None:
    """In a shell that we did not start, `run` prints the marks around the command, and finds output and code by them."""
    async with container(b"") as known, serve(default=f"ws://127.0.0.1:{known.port}/") as place, place.watch() as ana:
        socket = await known.socket()
        await ana.live()
        asked = asyncio.ensure_future(ana.ask("run", command="uptime", timeout_s=20))
        typed = ""
        async with asyncio.timeout(20):
            while "eval 'uptime'" not in typed or not typed.endswith("\r"):
                await known.until(len(known.received) + 1 if typed else 1)
                typed = b"".join(part for part in known.received if isinstance(part, bytes)).removeprefix(FRESH).decode()
        # A real shell runs what was typed; its echo comes first, as a terminal would have it.
        shell = await asyncio.create_subprocess_exec(
            "sh", "-c", typed.replace("uptime", "echo up 3 days; (exit 6)").strip(), stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await shell.communicate()
        await socket.send(typed.encode() + b"\n" + printed)
        result = (await asked)["result"]
        assert (result["output"], result["exit_code"]) == ("up 3 days", 6)
        assert result["cwd"].startswith("/")


async def test_nobody_there_names_the_place_without_its_secrets() -> None:
    """A refused connection is one sentence with host and path; query and password are not repeated."""
    with pytest.raises(SandboxError, match=r"no container answers at ws://127\.0\.0\.1:1/pty") as raised:
        await open_sandbox("ws://me:hush@127.0.0.1:1/pty?token=hush", cols=80, rows=24)
    assert "hush" not in str(raised.value)
