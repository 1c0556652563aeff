"""The terminal server of a Cloudflare Sandbox container, as its two protocols were observed: real shells on real PTYs behind WebSockets.

What the real one does to those who speak to it can be asked for: a slow reader's connection is given up (`drop_readers`), the shell's end
is kept quiet (stable, always), a socket breaks (`cut`), it hangs with open connections (`hang`), old output is forgotten (`log_bytes`), the
container starts anew (`incarnation`).
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from partywidgets.terminal.sandboxes import open_sandbox
from partywidgets.terminal.sandboxes.local import LocalSandbox

PIECE = 500
"""Bytes of a piece of output at most."""


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


class Pty:
    """A shell, its log of output, and whoever follows it. `pieces` are numbered from 1; those before `first` are forgotten."""

    def __init__(self, sandbox: LocalSandbox, store: str, log_bytes: int) -> None:
        self.sandbox, self.store, self._limit = sandbox, store, log_bytes
        self.pieces: dict[int, bytes] = {}
        self.first, self.last = 1, 0
        self.code: int | None = None
        self.news = asyncio.Event()
        self.sizes: list[tuple[int, int]] = []
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while output := await self.sandbox.read():
            for start in range(0, len(output), PIECE):
                self.last += 1
                self.pieces[self.last] = output[start : start + PIECE]
            while sum(map(len, self.pieces.values())) > self._limit and self.first < self.last:
                del self.pieces[self.first]
                self.first += 1
            self._tell()
        self.code = (await self.sandbox.wait_exit()).code
        self._tell()

    def _tell(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    @property
    def ended(self) -> bool:
        """True once the shell is gone and its output is read."""
        return self.code is not None

    def cursor(self, number: int) -> str:
        """The cursor of a piece."""
        return _encode(f"v1.{_encode(self.store)}.{number}")

    def number(self, cursor: str) -> int:
        """The piece of a cursor. Raises ValueError in the container's words."""
        version, store, number = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(".")
        if (version, store) != ("v1", _encode(self.store)):
            raise ValueError("Byte log cursor belongs to another run or store")
        if int(number) > self.last:
            raise ValueError("Byte log cursor is from the future")
        return int(number)

    async def resize(self, cols: int, rows: int) -> None:
        """Raises RuntimeError, as the container does, when the shell has ended."""
        if self.ended:
            raise RuntimeError("PTY is closed")
        self.sizes.append((cols, rows))
        await self.sandbox.resize(cols, rows)


@dataclass
class Container:
    """One container. `received` is what clients sent; `urls` the paths that they asked for."""

    port: int = 0
    incarnation: str = "run-1"
    key: str = ""
    log_bytes: int = 256 * 1024
    drop_readers: bool = False
    """Stable: the connection is forgotten, its socket stays open. Preview: it is closed with 1013."""
    refuse: HTTPStatus | None = None
    mixed_up: int = 0
    """Preview: this many times data is sent without its chunk."""
    ptys: dict[str, Pty] = field(default_factory=dict)
    sockets: list[ServerConnection] = field(default_factory=list)
    received: list[str | bytes] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    awake: asyncio.Event = field(default_factory=asyncio.Event)

    def hang(self) -> None:
        """From now on nothing is read or said on connections that stay open, and new ones are taken without an answer."""
        self.awake.clear()
        for socket in self.sockets:
            socket.transport.pause_reading()

    def wake(self) -> None:
        """Goes on where it stood."""
        self.awake.set()
        for socket in self.sockets:
            if not socket.transport.is_closing():
                socket.transport.resume_reading()

    async def make(self, name: str, *, store: str = "store-1") -> Pty:
        """A shell, as `createTerminal` or a session's first connection starts it."""
        sandbox = await open_sandbox("local:/bin/sh", cols=80, rows=24)
        assert isinstance(sandbox, LocalSandbox)
        self.ptys[name] = Pty(sandbox, store, self.log_bytes)
        return self.ptys[name]

    async def until(self, count: int) -> None:
        """Waits until so many connections were made."""
        async with asyncio.timeout(20):
            while len(self.sockets) < count:
                self.came.clear()
                await self.came.wait()

    def cut(self) -> None:
        """Breaks the newest connection, without a word."""
        self.sockets[-1].transport.abort()

    def stable(self, more: str = "") -> str:
        """The address of a stable session."""
        return f"ws://127.0.0.1:{self.port}/ws/pty?sessionId=s1{more}"

    def preview(self, more: str = "") -> str:
        """The address of a terminal `t1`."""
        return f"ws://127.0.0.1:{self.port}/ws/terminal?terminalId=t1&runtimeIncarnationID=run-1{more}"

    async def gate(self, socket: ServerConnection, request: Request) -> Response | None:
        """The refusals by status."""
        await self.awake.wait()
        self.urls.append(request.path)
        url = urlsplit(request.path)
        query = parse_qs(url.query)
        if self.refuse is not None:
            return socket.respond(self.refuse, "")
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return socket.respond(HTTPStatus.UNAUTHORIZED, "")
        if url.path == "/ws/pty":
            return None if "sessionId" in query else socket.respond(HTTPStatus.BAD_REQUEST, "sessionId query parameter required")
        if url.path != "/ws/terminal":
            return socket.respond(HTTPStatus.NOT_FOUND, "")
        if "terminalId" not in query:
            return socket.respond(HTTPStatus.BAD_REQUEST, "terminalId query parameter required")
        if query.get("runtimeIncarnationID") != [self.incarnation]:
            return socket.respond(HTTPStatus.CONFLICT, "Runtime incarnation mismatch")
        return None

    async def handle(self, socket: ServerConnection) -> None:
        """One connection."""
        assert socket.request is not None
        url = urlsplit(socket.request.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.sockets.append(socket)
        self.came.set()
        try:
            if url.path == "/ws/pty":
                name = query["sessionId"]
                await Stable(self, socket, self.ptys.get(name) or await self.make(name)).serve()
            elif (pty := self.ptys.get(query["terminalId"])) is None:
                await _tell(socket, type="error", message="Terminal not found")
                await socket.close(1008, "Terminal not found")
            else:
                await Preview(self, socket, pty).serve(query)
        except ConnectionClosed:
            return


async def _tell(socket: ServerConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


class Stable:
    """A connection to `/ws/pty`."""

    def __init__(self, container: Container, socket: ServerConnection, pty: Pty) -> None:
        self._container, self._socket, self._pty = container, socket, pty

    async def serve(self) -> None:
        """Replay, `ready`, then what comes."""
        if replay := b"".join(self._pty.pieces.values()):
            await self._socket.send(replay)
        following = asyncio.create_task(self._follow(self._pty.last))
        try:
            await _tell(self._socket, type="ready")
            async for message in self._socket:
                self._container.received.append(message)
                if self._container.drop_readers:
                    following.cancel()
                elif isinstance(message, str):
                    await self._control(message)
                elif self._pty.ended:
                    await self._socket.close(1011, "Internal error")
                else:
                    self._pty.sandbox.write(message)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _control(self, message: str) -> None:
        try:
            control = json.loads(message)
            if control["type"] == "resize":
                if control["cols"] <= 0 or control["rows"] <= 0:
                    await _tell(self._socket, type="error", message="Invalid dimensions: cols and rows must be positive")
                else:
                    await self._pty.resize(control["cols"], control["rows"])
        except (ValueError, KeyError, TypeError, RuntimeError):
            await _tell(self._socket, type="error", message="Invalid control message")

    async def _follow(self, number: int) -> None:
        while True:
            await self._container.awake.wait()
            news = self._pty.news
            while number < self._pty.last:
                number += 1
                await self._socket.send(self._pty.pieces[number])
            await news.wait()


class Preview:
    """A connection to `/ws/terminal`."""

    def __init__(self, container: Container, socket: ServerConnection, pty: Pty) -> None:
        self._container, self._socket, self._pty = container, socket, pty

    async def serve(self, query: dict[str, str]) -> None:
        """`ready`, the replay in chunks, then what comes."""
        cursor = query.get("cursor", "")
        if "cols" in query and not self._pty.ended:
            await self._pty.resize(int(query["cols"]), int(query["rows"]))
        try:
            number = self._pty.number(cursor) if cursor else 0
        except ValueError as error:
            await _tell(self._socket, type="error", message=str(error))
            await self._socket.close(1011, str(error))
            return
        await _tell(self._socket, type="ready", **({"cursor": cursor} if cursor else {}))
        following = asyncio.create_task(self._follow(number))
        try:
            async for message in self._socket:
                self._container.received.append(message)
                if isinstance(message, bytes):
                    self._pty.sandbox.write(message)
                else:
                    await self._control(json.loads(message))
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _control(self, control: dict[str, Any]) -> None:
        if control["type"] == "resize" and control["cols"] > 0 and control["rows"] > 0:
            with suppress(RuntimeError):
                await self._pty.resize(control["cols"], control["rows"])
        elif control["type"] == "terminate":
            os.killpg(self._pty.sandbox._process.pid, signal.SIGKILL)
        else:
            await _tell(self._socket, type="error", message="Invalid control message")

    async def _follow(self, number: int) -> None:
        while True:
            await self._container.awake.wait()
            news = self._pty.news
            while number < self._pty.last:
                if number + 1 < self._pty.first:
                    number = self._pty.first - 1
                    await _tell(self._socket, type="truncated")
                number += 1
                await self._piece(number)
            if self._pty.ended:
                code = self._pty.code or 0
                told = {"code": code, "timedOut": False} | ({"signal": code - 128} if code > 128 else {})
                await _tell(self._socket, type="exit", cursor=self._pty.cursor(number + 1), exit=told)
                await self._socket.close(1000, "Terminal exited")
                return
            await news.wait()

    async def _piece(self, number: int) -> None:
        data = self._pty.pieces[number]
        if self._container.drop_readers:
            self._container.drop_readers = False
            await _tell(self._socket, type="chunk", cursor=self._pty.cursor(number), byteLength=len(data))
            await self._socket.close(1013, "Terminal client backpressure")
            return
        if self._container.mixed_up:
            self._container.mixed_up -= 1
        else:
            await _tell(self._socket, type="chunk", cursor=self._pty.cursor(number), byteLength=len(data))
        await self._socket.send(data)


@asynccontextmanager
async def cloudflare_container(**options: Any) -> AsyncIterator[Container]:
    """A container on a loopback port."""
    container = Container(**options)
    container.awake.set()
    try:
        async with serve(container.handle, "127.0.0.1", 0, compression=None, process_request=container.gate) as server:
            container.port = server.sockets[0].getsockname()[1]
            yield container
    finally:
        container.wake()
        for pty in container.ptys.values():
            pty.task.cancel()
            await pty.sandbox.close()
