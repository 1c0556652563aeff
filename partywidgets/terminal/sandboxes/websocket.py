"""`ws://…` — a container's own terminal WebSocket: raw bytes both ways. What other protocols build on is here too."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ...exceptions import SandboxError, SandboxGoneError
from .base import Address, Exit, MarkSource
from .watch import Watch, gone_after

log = logging.getLogger(__name__)

CHUNK = 64 * 1024
INPUT_BOUND = 1 << 20
OPEN_TIMEOUT = 10.0
MESSAGE_LIMIT = 16 << 20
_STABLE = re.compile(r"/ws/pty$|/sandbox/[^/]+/pty$")
_PREVIEW = re.compile(r"/ws/terminal$|/sandbox/[^/]+/terminals/[^/]+/connect$")
"""Routes of a Cloudflare Sandbox container, and of its bridge (0.12.7, and 1.0's preview)."""


class WebSocketSandbox:
    """A terminal that runs elsewhere, as raw bytes both ways. Always drained: many such servers drop a reader that falls behind."""

    def __init__(self, connection: Any, address: Address) -> None:
        self.marks: MarkSource = "typed"
        self._connection, self._place = connection, address.target
        self._watch, self._gone = Watch(self._place, gone_after(address), self._ping, lambda said: self._tell_away(said)), False
        self._tell_away: Callable[[str], None] = lambda _: None
        self._rest, self._said = b"", ""
        self._input: asyncio.Queue[tuple[str | bytes, int]] = asyncio.Queue()
        self._input_size = 0
        self._exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._writer = asyncio.create_task(self._write_out(), name=f"input of {self._place}")
        self._watcher = asyncio.create_task(self._watch_over(), name=f"watch over {self._place}")

    def on_away(self, tell: Callable[[str], None]) -> None:
        """See Renewing."""
        self._tell_away = tell

    async def _ping(self) -> str:
        await (await self._connection.ping())
        return ""

    async def _watch_over(self) -> None:
        """The library's own pings wait without an end behind input that a hung server does not read."""
        from websockets.exceptions import ConnectionClosed

        while True:
            connection = self._connection
            try:
                await self._watch.until_gone()
                self._gone = True
                connection.transport.abort()
                await connection.wait_closed()
                raise ConnectionClosed(None, None)
            except ConnectionClosed:
                if not await self._writes_on(connection):
                    return

    async def read(self) -> bytes:
        """The next output; b"" when the container closed its terminal."""
        from websockets.exceptions import ConnectionClosed

        while not self._rest:
            try:
                output = await self._output_of(await self._received())
            except ConnectionClosed as closed:
                output = await self._lost(closed)
            if output is None:
                return b""
            self._rest = output
        piece, self._rest = self._rest[:CHUNK], self._rest[CHUNK:]
        return piece

    async def _received(self) -> str | bytes:
        """The next message."""
        message: str | bytes = await self._connection.recv()
        self._watch.heard()
        return message

    async def _output_of(self, message: str | bytes) -> bytes | None:
        """The output in a message; b"" when there is none, None when it says that the terminal ended."""
        return message if isinstance(message, bytes) else message.encode("utf-8", "replace")

    async def _lost(self, closed: Any) -> bytes | None:
        """The connection ended: None, with the end told. A protocol that can go on reconnects, and returns what is shown of that."""
        if self._gone:
            self._finish(f"the container at {self._place} no longer answers: look whether it runs, then restart the terminal")
            return None
        code, said = close_of(closed)
        said = self._said or said
        self._finish(f"the container at {self._place} closed its terminal ({code}{f': {said}' if said else ''})")
        return None

    def _finish(self, reason: str, code: int | None = None) -> None:
        if not self._exit.done():
            self._exit.set_result(Exit(code, reason))

    def write(self, keystrokes: bytes) -> None:
        """Queues input. See Sandbox."""
        if self._exit.done():
            raise SandboxGoneError("the terminal has ended: restart it")
        if self._input_size + len(keystrokes) > INPUT_BOUND:
            raise SandboxError(f"the container has {self._input_size} bytes of input unread: wait until it answers")
        self._queue(self._input_of(keystrokes), len(keystrokes))

    def _tell(self, control: str | bytes) -> None:
        """Queues a control message behind what was typed before it; where too much waits already, it is left out."""
        if not self._exit.done() and self._input_size + len(control) <= INPUT_BOUND:
            self._queue(control, len(control))

    def _queue(self, message: str | bytes, size: int) -> None:
        self._input_size += size
        self._input.put_nowait((message, size))

    async def _write_out(self) -> None:
        from websockets.exceptions import ConnectionClosed

        while True:
            message, size = await self._input.get()
            connection = self._connection
            try:
                await connection.send(message)
            except ConnectionClosed:
                if not await self._writes_on(connection):
                    return
            finally:
                self._input_size -= size

    async def _writes_on(self, lost: Any) -> bool:
        """Whether there is another connection, in place of the one that was lost, for what is queued behind a message that went with it."""
        return False

    def _input_of(self, keystrokes: bytes) -> str | bytes:
        """The message for keystrokes."""
        return keystrokes

    async def resize(self, cols: int, rows: int) -> None:
        """Nothing: a raw terminal has no way to hear its size."""

    def pause(self) -> None:
        """Nothing: this end is always drained."""

    def resume(self) -> None:
        """Nothing."""

    async def wait_exit(self) -> Exit:
        """How it ended."""
        return await asyncio.shield(self._exit)

    async def close(self) -> None:
        """Closes the socket; what runs in the container is the container's business."""
        self._finish(f"the connection to {self._place} was closed")
        self._writer.cancel()
        self._watcher.cancel()
        try:
            async with asyncio.timeout(2.0):
                await self._connection.close()
        except TimeoutError:
            self._connection.transport.abort()
        await asyncio.gather(self._writer, self._watcher, return_exceptions=True)


def close_of(closed: Any) -> tuple[int, str]:
    """Code and reason with which the peer closed; 1006 where it did not."""
    return (1006, "") if closed.rcvd is None else (closed.rcvd.code, closed.rcvd.reason[:200])


async def connected(
    url: str,
    address: Address,
    *,
    what: str,
    headers: dict[str, str] | None = None,
    limit: int = MESSAGE_LIMIT,
    subprotocols: Sequence[str] | None = None,
) -> Any:
    """A connection to a terminal's WebSocket. Raises SandboxError, which calls it `what` and repeats of the URL the address' target alone.

    A refusal by status stays InvalidStatus. `limit`: bytes of the longest message.
    """
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI

    place, open_timeout = address.target, min(OPEN_TIMEOUT, gone_after(address))
    try:
        return await connect(
            url,
            additional_headers=headers,
            subprotocols=subprotocols,  # type: ignore[arg-type]  # a NewType of str
            compression=None,
            open_timeout=open_timeout,
            close_timeout=2.0,
            ping_interval=None,  # see WebSocketSandbox
            max_size=limit,
            proxy=None,
        )
    except InvalidStatus:
        raise
    except TimeoutError as error:
        raise SandboxError(f"the {what} at {place} did not answer in {open_timeout:g} s: is it running?") from error
    except (InvalidURI, InvalidHandshake) as error:
        raise SandboxError(f"{place} is not a terminal WebSocket: {type(error).__name__}; check the address") from error
    except OSError as error:
        raise SandboxError(f"no {what} answers at {place} ({error.strerror or 'cannot connect'}): is it running?") from error


async def open_websocket(address: Address, *, cols: int, rows: int) -> WebSocketSandbox:
    """Connects to a container's terminal, in the dialect that its path or `?dialect=` names. Raises SandboxError.

    The URL's query and user are not repeated in its sentences.
    """
    from websockets.exceptions import InvalidStatus

    dialect = dialect_of(address)
    if dialect == "cloudflare":
        from .cloudflare import open_cloudflare

        return await open_cloudflare(address, cols=cols, rows=rows)
    if dialect == "cloudflare-1":
        from .cloudflare_preview import open_preview

        return await open_preview(address, cols=cols, rows=rows)
    try:
        connection = await connected(url_of(address), address, what="container")
    except InvalidStatus as error:
        raise SandboxError(
            f"the container at {address.target} refused its terminal with status {error.response.status_code}: check its path and query"
        ) from error
    return WebSocketSandbox(connection, address)


def dialect_of(address: Address) -> str:
    """`raw`, `cloudflare` or `cloudflare-1`: as `?dialect=` says, else by the routes of the Cloudflare Sandbox. Raises SandboxError."""
    path = urlsplit(address.text).path
    by_path = "cloudflare" if _STABLE.search(path) else "cloudflare-1" if _PREVIEW.search(path) else "raw"
    dialect = address.options.get("dialect", by_path)
    if dialect not in ("raw", "cloudflare", "cloudflare-1"):
        raise SandboxError(
            f"{address.target} has an unknown dialect {dialect[:40]!r}: write ?dialect=raw, ?dialect=cloudflare or ?dialect=cloudflare-1"
        )
    return dialect


def url_of(address: Address, *ours: str, **more: str) -> str:
    """The URL without what is meant for us, `dialect`, `gone_after` and `ours`, and with `more` in its query."""
    parts = urlsplit(address.text)
    left_out = {"dialect", "gone_after", *ours, *more}
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in left_out]
    return urlunsplit(parts._replace(query=urlencode([*query, *more.items()])))
