"""The terminal of a Cloudflare Sandbox container: stable (`/ws/pty`), and its looking-in on a shell that never says that it ended.

The protocol as observed in cloudflare/sandbox-sdk 0.12.7: output is bare binary, a replay of at most 256 KiB first, then `ready`; what
is typed is binary, text is control. 1.0's is in `cloudflare_preview.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any

from ...exceptions import SandboxError
from .base import Address
from .websocket import WebSocketSandbox, connected, url_of

log = logging.getLogger(__name__)

QUIET = 1.0
"""Seconds without input and output after which the shell is looked at."""
LOOK_EVERY = 30.0
"""Seconds between two looks at a shell where nothing happens."""
ANSWER = 10.0
"""Seconds in which a container that answered before answers again."""
CLOSED_PTY = "Invalid control message"
"""What the container answers to a right `resize` once its shell has ended."""
WRONG_SIZE = "Invalid dimensions"
"""The beginning of its answer to a size of 0×0: it listens to this connection."""


def resize_message(cols: int, rows: int) -> str:
    """The size, to a container."""
    return json.dumps({"type": "resize", "cols": cols, "rows": rows})


def control_of(message: str, place: str) -> dict[str, Any]:
    """A container's control message; {} for what is none, which is logged."""
    try:
        told = json.loads(message)
    except (ValueError, RecursionError):
        told = None
    if isinstance(told, dict) and isinstance(told.get("type"), str):
        return told
    log.warning("terminal %s: a control message is not one of the container's: %.80r", place, message)
    return {}


class CloudflareSandbox(WebSocketSandbox):
    """Stable. The container tells neither that its shell ended, nor that it gave up a connection that read too slowly.

    Both are found out by two sizes that change nothing: the one that counts already, to which only a shell that ended gives an answer,
    and 0×0, to which a container that listens always does.
    """

    def __init__(self, connection: Any, address: Address, *, cols: int, rows: int) -> None:
        super().__init__(connection, address)
        self._size = (cols, rows)
        self._answered = asyncio.Event()
        self._answers = False
        self._stirred = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    async def _output_of(self, message: str | bytes) -> bytes | None:
        if isinstance(message, bytes):
            self._stirred.set()
            return message
        told = control_of(message, self._place)
        kind = told.get("type")
        if kind == "ready" and self._looking is None:
            self._looking = asyncio.create_task(self._look(), name=f"looking at {self._place}")
        elif kind == "error":
            return self._error(str(told.get("message", ""))[:200])
        elif kind == "exit":
            code = told.get("code")
            code = code if isinstance(code, int) else None
            self._finish(f"the shell at {self._place} ended" + ("" if code is None else f" with code {code}"), code)
            return None
        return b""

    def _error(self, said: str) -> bytes | None:
        if said.startswith(WRONG_SIZE):
            self._answered.set()
        elif said == CLOSED_PTY:
            self._finish(
                f"the shell at {self._place} has ended (the container does not say with which code): a session keeps its dead shell, "
                "open another one with another sessionId"
            )
            return None
        else:
            self._said = said
            log.warning("terminal %s: the container reports: %s", self._place, said)
        return b""

    async def _look(self) -> None:
        while True:
            self._answered.clear()
            self._tell(resize_message(*self._size))
            self._tell(resize_message(0, 0))
            try:
                async with asyncio.timeout(ANSWER):
                    await self._answered.wait()
                self._answers = True
            except TimeoutError:
                if self._answers:  # one that never answered may be another program that speaks the same protocol
                    self._finish(
                        f"the container at {self._place} no longer answers on this connection (it gives up one that reads too slowly): "
                        "restart the terminal"
                    )
                    await self._connection.close()
                    return
            await self._stirring()

    async def _stirring(self) -> None:
        """Returns once something happened and it was quiet then, or after a while in which nothing did."""
        self._stirred.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY):
                await self._stirred.wait()
        with contextlib.suppress(TimeoutError):
            while self._stirred.is_set():
                self._stirred.clear()
                async with asyncio.timeout(QUIET):
                    await self._stirred.wait()

    def write(self, keystrokes: bytes) -> None:
        """Queues input, always as binary: as text it would be control. See Sandbox."""
        super().write(keystrokes)
        self._stirred.set()

    async def resize(self, cols: int, rows: int) -> None:
        """Tells the size. Of all who have the session open, the last one counts."""
        self._size = (cols, rows)
        self._tell(resize_message(cols, rows))

    async def close(self) -> None:
        """Closes the socket. The session and its shell stay."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await super().close()


async def open_cloudflare(address: Address, *, cols: int, rows: int) -> CloudflareSandbox:
    """Connects to a container's terminal. The option `bearer`, a bridge's key, is sent as a header. Raises SandboxError."""
    from websockets.exceptions import InvalidStatus

    url = url_of(address, "bearer", cols=str(cols), rows=str(rows))
    try:
        connection = await connected(url, address, what="container", headers=bearer(address))
    except InvalidStatus as error:
        raise SandboxError(refusal(address.target, error.response.status_code)) from error
    return CloudflareSandbox(connection, address, cols=cols, rows=rows)


def bearer(address: Address) -> dict[str, str]:
    """The header of the option `bearer`."""
    # In a query a plus reads as a blank; a key has no blanks.
    key = address.options.get("bearer", "").replace(" ", "+")
    return {"Authorization": f"Bearer {key}"} if key else {}


def refusal(place: str, status: int) -> str:
    """What a container or its bridge means by a status, as one sentence."""
    remedy = {
        400: "it needs sessionId=, or terminalId= for /ws/terminal, in its query",
        401: "give the bridge's key as ?bearer=${env:NAME}",
        403: "give the bridge's key as ?bearer=${env:NAME}",
        404: "it has no such sandbox or terminal",
        409: "the container was started anew since, or its runtimeIncarnationID is missing: make a terminal and take its address",
        503: "try again in a moment",
    }.get(status, "check its path and query")
    return f"the container at {place} refused its terminal with status {status}: {remedy}"
