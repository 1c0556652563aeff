"""`ws://…` — a container's own terminal WebSocket: raw bytes both ways, or the Cloudflare Sandbox terminal (`?dialect=cloudflare`)."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ...exceptions import SandboxError, SandboxGoneError
from .base import Address, Exit, MarkSource

log = logging.getLogger(__name__)

CHUNK = 64 * 1024
INPUT_BOUND = 1 << 20
OPEN_TIMEOUT = 10.0
PING_EVERY = 30.0
"""Seconds between pings: the containers' servers cut idle sockets."""
MESSAGE_LIMIT = 16 << 20


class WebSocketSandbox:
    """A terminal that runs elsewhere. Always drained: Cloudflare's stable container drops a reader that falls behind, for good."""

    can_pause = False

    def __init__(self, connection: Any, place: str, *, cloudflare: bool) -> None:
        self.marks: MarkSource = "typed"
        self._connection, self._place, self._cloudflare = connection, place, cloudflare
        self._rest = b""
        self._input: asyncio.Queue[bytes | str] = asyncio.Queue()
        self._input_size = 0
        self._code: int | None = None
        self._said = ""
        self._exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._writer = asyncio.create_task(self._write_out(), name=f"input of {place}")

    async def read(self) -> bytes:
        """The next output; b"" when the container closed its terminal."""
        from websockets.exceptions import ConnectionClosed

        while not self._rest:
            try:
                message = await self._connection.recv()
            except ConnectionClosed as closed:
                self._end(closed)
                return b""
            output = self._output_of(message)
            if output is None:
                return b""
            self._rest = output
        piece, self._rest = self._rest[:CHUNK], self._rest[CHUNK:]
        return piece

    def _output_of(self, message: str | bytes) -> bytes | None:
        """The output in a message; b"" when there is none, None when it says that the terminal ended."""
        if isinstance(message, bytes):
            return message
        if not self._cloudflare:
            return message.encode()
        return None if self._told(message) else b""

    def _told(self, message: str) -> bool:
        """A control message of the container; True when it says that the terminal ended."""
        try:
            told = json.loads(message)
            kind = told.get("type")
        except (ValueError, AttributeError):
            log.warning("terminal %s: a control message is not JSON: %.80r", self._place, message)
            return False
        if kind == "error":
            self._said = str(told.get("message", ""))[:200]
            log.warning("terminal %s: the container reports: %s", self._place, self._said)
        elif kind == "exit":
            code = told.get("code")
            self._code = code if isinstance(code, int) else None
            self._finish(f"the shell at {self._place} ended" + ("" if self._code is None else f" with code {self._code}"))
            return True
        return False

    def _end(self, closed: Any) -> None:
        said = self._said or (closed.rcvd.reason if closed.rcvd is not None else "")
        code = closed.rcvd.code if closed.rcvd is not None else 1006
        self._finish(f"the container at {self._place} closed its terminal ({code}{f': {said[:200]}' if said else ''})")

    def _finish(self, reason: str) -> None:
        if not self._exit.done():
            self._exit.set_result(Exit(self._code, reason))

    def write(self, keystrokes: bytes) -> None:
        """Queues input, always as binary frames: as text Cloudflare takes it for control. See Sandbox."""
        if self._exit.done():
            raise SandboxGoneError("the terminal has ended: restart it")
        if self._input_size + len(keystrokes) > INPUT_BOUND:
            raise SandboxError(f"the container has {self._input_size} bytes of input unread: wait until it answers")
        self._input_size += len(keystrokes)
        self._input.put_nowait(keystrokes)

    async def _write_out(self) -> None:
        from websockets.exceptions import ConnectionClosed

        while True:
            item = await self._input.get()
            try:
                await self._connection.send(self._input_of(item) if isinstance(item, bytes) else item)
            except ConnectionClosed:
                return
            finally:
                if isinstance(item, bytes):
                    self._input_size -= len(item)

    def _input_of(self, keystrokes: bytes) -> str | bytes:
        """The message for keystrokes."""
        return keystrokes

    async def resize(self, cols: int, rows: int) -> None:
        """Tells a Cloudflare container the size; a raw one has no way to hear it."""
        if self._cloudflare and not self._exit.done():
            self._input.put_nowait(json.dumps({"type": "resize", "cols": cols, "rows": rows}))

    def pause(self) -> None:
        """Nothing: see `can_pause`."""

    def resume(self) -> None:
        """Nothing."""

    async def wait_exit(self) -> Exit:
        """How it ended."""
        return await asyncio.shield(self._exit)

    async def close(self) -> None:
        """Closes the socket; what runs in the container is the container's business."""
        self._finish(f"the connection to {self._place} was closed")
        self._writer.cancel()
        try:
            async with asyncio.timeout(2.0):
                await self._connection.close()
        except TimeoutError:
            self._connection.transport.abort()
        await asyncio.gather(self._writer, return_exceptions=True)


async def connected(url: str, place: str, *, what: str, headers: dict[str, str] | None = None, limit: int = MESSAGE_LIMIT) -> Any:
    """A connection to a terminal's WebSocket. Raises SandboxError, which calls it `what` and repeats of the URL the `place` alone.

    A refusal by status stays InvalidStatus. `limit`: bytes of the longest message.
    """
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI

    try:
        return await connect(
            url,
            additional_headers=headers,
            compression=None,
            open_timeout=OPEN_TIMEOUT,
            close_timeout=2.0,
            ping_interval=PING_EVERY,
            max_size=limit,
            proxy=None,
        )
    except InvalidStatus:
        raise
    except TimeoutError as error:
        raise SandboxError(f"the {what} at {place} did not answer in {OPEN_TIMEOUT:g} s: is it running?") from error
    except (InvalidURI, InvalidHandshake) as error:
        raise SandboxError(f"{place} is not a terminal WebSocket: {type(error).__name__}; check the address") from error
    except OSError as error:
        raise SandboxError(f"no {what} answers at {place} ({error.strerror or 'cannot connect'}): is it running?") from error


async def open_websocket(address: Address, *, cols: int, rows: int) -> WebSocketSandbox:
    """Connects to a container's terminal. Raises SandboxError; the URL's query and user are not repeated in it."""
    from websockets.exceptions import InvalidStatus

    parts = urlsplit(address.text)
    dialect = address.options.get("dialect", "raw")
    if dialect not in ("raw", "cloudflare"):
        raise SandboxError(
            f"{address.target} has an unknown dialect {dialect[:40]!r}: leave it out for raw bytes, or write ?dialect=cloudflare"
        )
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "dialect"]
    if dialect == "cloudflare":
        names = {name for name, _ in query}
        query += [(name, str(value)) for name, value in (("cols", cols), ("rows", rows)) if name not in names]
    try:
        connection = await connected(urlunsplit(parts._replace(query=urlencode(query))), address.target, what="container")
    except InvalidStatus as error:
        raise SandboxError(
            f"the container at {address.target} refused its terminal with status {error.response.status_code}: check its path and query"
        ) from error
    return WebSocketSandbox(connection, address.target, cloudflare=dialect == "cloudflare")
