"""Viewers for tests: plain WebSocket clients that keep what they were sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from partywidgets.auth import Gate
from partywidgets.party import PartyHost
from partywidgets.terminal import protocol
from partywidgets.terminal.server import TerminalServer
from partywidgets.terminal.settings import TerminalSettings

WAIT = 40.0


@dataclass
class Place:
    """A running server."""

    url: str
    host: PartyHost
    settings: TerminalSettings
    gate: Gate

    async def room(self, name: str) -> TerminalServer:
        """The live room."""
        room = await self.host.get_server_by_name("terminal-server", name)
        assert isinstance(room, TerminalServer)
        return room

    @asynccontextmanager
    async def watch(
        self,
        room: str = "w1",
        who: str = "ana",
        *,
        dialect: str | None = protocol.RICH,
        query: str = "",
        read: bool = True,
        draws: bool = True,
    ) -> AsyncIterator[Viewer]:
        """A viewer's socket: by subprotocol `dialect`, None for none. A rich one that `draws` acknowledges what comes."""
        path = f"{self.url.replace('http', 'ws')}/parties/terminal-server/{room}{query}"
        async with connected(
            path, {"Authorization": f"Bearer {who}-token-for-the-tests"}, dialect=dialect, read=read, draws=draws
        ) as viewer:
            yield viewer


@asynccontextmanager
async def watching(url: str, room: str = "w1") -> AsyncIterator[Viewer]:
    """A rich viewer on a server that asks for no token; `url` is its root."""
    async with connected(f"{url.replace('http', 'ws')}/parties/terminal-server/{room}", {}) as viewer:
        yield viewer


@asynccontextmanager
async def connected(
    url: str, headers: dict[str, str], *, dialect: str | None = protocol.RICH, read: bool = True, draws: bool = True
) -> AsyncIterator[Viewer]:
    """A viewer's socket."""
    async with connect(
        url,
        additional_headers=headers,
        subprotocols=[dialect] if dialect else None,  # type: ignore[list-item]
        compression=None,
        max_size=None,
        proxy=None,
    ) as socket:
        viewer = Viewer(socket, draws=draws)
        task = asyncio.ensure_future(viewer.read()) if read else None
        try:
            yield viewer
        finally:
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


class Viewer:
    """Everything that one socket was sent, in order."""

    def __init__(self, socket: ClientConnection, *, draws: bool = True) -> None:
        self.socket, self.draws_at_once = socket, draws
        self.frames: list[str | bytes] = []
        self.control: list[dict[str, Any]] = []
        self.output = b""
        """Rich: the bytes of output frames since the last snapshot. Plain and Cloudflare: everything."""
        self.offset = 0
        self.screens: list[tuple[int, int, int, bytes]] = []
        self.text = ""
        self.closed: tuple[int, str] | None = None
        self._changed = asyncio.Event()
        self._sequence = 0
        self.rich = socket.subprotocol == protocol.RICH

    async def read(self) -> None:
        """Takes frames until the socket closes."""
        try:
            async for frame in self.socket:
                self._took(frame)
                if self.rich and self.draws_at_once and isinstance(frame, bytes):
                    await self.tell("consumed", offset=self.offset)
        except ConnectionClosed:
            pass
        received = self.socket.close_code or 1006, self.socket.close_reason or ""
        self.closed = received
        self._changed.set()

    def _took(self, frame: str | bytes) -> None:
        self.frames.append(frame)
        if isinstance(frame, str):
            if self.rich or frame.startswith("{"):
                self.control.append(json.loads(frame))
            else:
                self.text += frame
        elif not self.rich:
            self.output += frame
        elif frame[0] == protocol.OUTPUT:
            offset, output = protocol.decode_output(frame)
            assert offset == self.offset, f"a hole: output of {offset} came at {self.offset}"
            self.offset += len(output)
            self.output += output
        else:
            self.offset, cols, rows, drawing = protocol.decode_snapshot(frame)
            self.screens.append((self.offset, cols, rows, drawing))
            self.output = b""
        if isinstance(frame, str) and self.rich and self.control[-1]["type"] == "welcome":
            self.offset = self.control[-1]["offset"]
        self._changed.set()

    async def until(self, seen: Callable[[], Any], timeout: float = WAIT) -> Any:
        """Waits until `seen()` is true, and returns it."""
        async with asyncio.timeout(timeout):
            while not (found := seen()):
                assert self.closed is None, f"the socket closed: {self.closed}"
                self._changed.clear()
                await self._changed.wait()
        return found

    async def gone(self) -> tuple[int, str]:
        """Waits until the socket is closed: code and reason."""
        async with asyncio.timeout(WAIT):
            while self.closed is None:
                self._changed.clear()
                await self._changed.wait()
        return self.closed

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The control messages of a type."""
        return [message for message in self.control if message["type"] == kind]

    async def message(self, kind: str, /, **fields: Any) -> dict[str, Any]:
        """Waits for a control message of that type with these fields; the first one."""

        def find() -> dict[str, Any] | None:
            return next((m for m in self.of(kind) if all(m.get(name) == value for name, value in fields.items())), None)

        found: dict[str, Any] = await self.until(find)
        return found

    async def live(self) -> None:
        """Waits until it was told that the terminal runs, by the welcome where it ran already."""
        await self.until(lambda: any(message.get("state") == "running" for message in self.of("welcome") + self.of("upstream")))

    async def running(self) -> None:
        """Waits until the shell runs and shows its prompt, for who opened it: the screen of who came later has no marks."""
        await self.until(lambda: b"633;B;" in self.drawn())

    async def catch_up(self) -> None:
        """Acknowledges whatever comes until there is a fresh screen, and that too, as a page does that lagged."""
        screens = len(self.screens)
        await self.draws(lambda: len(self.screens) > screens)

    async def draws(self, seen: Callable[[], Any]) -> None:
        """Acknowledges whatever comes until `seen()`, and that too."""
        async with asyncio.timeout(WAIT):
            while not seen():
                assert self.closed is None, f"the socket closed: {self.closed}"
                self._changed.clear()
                await self.tell("consumed", offset=self.offset)
                await self._changed.wait()
        await self.tell("consumed", offset=self.offset)

    def drawn(self) -> bytes:
        """What a terminal would be given: the last screen, and what came after it."""
        return (self.screens[-1][3] if self.screens else b"") + self.output

    async def shows(self, text: bytes) -> None:
        """Waits until the text is on the way to the terminal."""
        await self.until(lambda: text in self.drawn() or text.decode() in self.text)

    async def type(self, keys: bytes | str) -> None:
        """Sends keystrokes in the dialect."""
        if self.rich:
            self._sequence += 1
            await self.socket.send(protocol.encode_input(self._sequence, keys.encode() if isinstance(keys, str) else keys))
        else:
            await self.socket.send(keys)

    async def tell(self, kind: str, **fields: Any) -> None:
        """Sends a control message."""
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Sends a request and waits for its reply."""
        request_id = f"q{len(self.frames)}-{self._sequence}-{kind}"
        self._sequence += 1
        await self.tell(kind, id=request_id, **fields)
        return await self.message("reply", id=request_id)
