"""The terminal of a Cloudflare Sandbox container, 1.0's preview: `/ws/terminal?terminalId=…&runtimeIncarnationID=…`.

The protocol as observed on the `next` branch of cloudflare/sandbox-sdk: `ready` first, each piece of output a `chunk` with its cursor and
then one binary frame; `exit` has the code. The container closes a connection that reads too slowly (1013); a cursor goes on where it was.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from typing import Any

from ...exceptions import SandboxError
from .base import Address
from .cloudflare import bearer, control_of, refusal, resize_message
from .websocket import WebSocketSandbox, close_of, connected, url_of

log = logging.getLogger(__name__)

TRIES = 6
FIRST_WAIT = 1.0
"""Seconds before the second try to connect again; each further one waits twice as long."""
LASTING = 10.0
"""Seconds after which a connection counts as one that worked, output or not."""
CLEAR = b"\x18\x1bc"
"""Breaks a sequence off that will not be finished, and clears the screen: what was lost may have been anything."""
LOST = b"\x1b[2m[some output was lost on the way]\x1b[0m\r\n"


class CloudflarePreviewSandbox(WebSocketSandbox):
    """1.0. A connection that is lost is made anew behind the last cursor, so that nothing is missed and nothing is shown twice."""

    def __init__(self, connection: Any, address: Address, *, cols: int, rows: int) -> None:
        super().__init__(connection, address)
        self._address, self._size = address, (cols, rows)
        self._cursor = ""
        self._chunk: tuple[str, int] | None = None
        self._away = False
        self._renewed = asyncio.Event()
        self._tries, self._since = 0, asyncio.get_running_loop().time()

    async def _output_of(self, message: str | bytes) -> bytes | None:
        if isinstance(message, bytes):
            return await self._data(message)
        told = control_of(message, self._place)
        match told.get("type"):
            case "chunk":
                cursor, length = told.get("cursor"), told.get("byteLength")
                if self._chunk is not None or not isinstance(cursor, str) or not isinstance(length, int):
                    return await self._disorder("a chunk came before the data of the one before it")
                self._chunk = (cursor, length)
            case "truncated":
                return self._truncated()
            case "exit":
                self._exited(told.get("exit"))
                return None
            case "error":
                self._said = str(told.get("message", ""))[:200]
                log.warning("terminal %s: the container reports: %s", self._place, self._said)
                if told.get("code"):  # without one it is an answer; then a close says what comes of it
                    self._finish(f"the terminal at {self._place} failed: {self._said}")
                    return None
        return b""

    async def _data(self, output: bytes) -> bytes | None:
        if self._chunk is None or len(output) != self._chunk[1]:
            return await self._disorder("data came without its chunk, or of another length")
        self._cursor, self._chunk = self._chunk[0], None
        self._tries = 0
        return output

    async def _disorder(self, what: str) -> bytes | None:
        log.warning("terminal %s: %s: connecting anew behind the last cursor", self._place, what)
        await self._connection.close()
        return await self._renew(what)

    def _truncated(self) -> bytes:
        if not self._cursor:
            return b""  # nobody saw what is gone
        self._redraw()
        return CLEAR + LOST

    def _redraw(self) -> None:
        """Has a full-screen program draw itself anew: it does when its size changes."""
        cols, rows = self._size
        self._tell(resize_message(cols, rows - 1 or 2))
        self._tell(resize_message(cols, rows))

    def _exited(self, told: Any) -> None:
        how = told if isinstance(told, dict) else {}
        code, number = (value if isinstance(value, int) else None for value in (how.get("code"), how.get("signal")))
        reason = f"the shell at {self._place} ended"
        if how.get("timedOut"):
            reason += " because its time was up"
        elif number is not None:
            reason = f"the shell at {self._place} was ended by {_signal_name(number)}"
        elif code is not None:
            reason += f" with code {code}"
        self._finish(reason, code)

    async def _lost(self, closed: Any) -> bytes | None:
        code, reason = close_of(closed)
        said, self._said = self._said or reason, ""
        if code == 1000:
            self._finish(f"the terminal at {self._place} has ended{f' ({said})' if said else ''}")
        elif code == 1008:
            self._finish(f"the container at {self._place} closed the terminal ({said or 1008}): make another one, and take its address")
        elif code == 1011 and self._cursor and "cursor" in said.lower():
            log.warning("terminal %s: %s: its output is shown from the oldest that there is", self._place, said)
            return await self._renew(said, afresh=True)
        else:
            return await self._renew("it no longer answers" if self._gone else f"{code}{f': {said}' if said else ''}")
        return None

    async def _renew(self, why: str, *, afresh: bool = False) -> bytes | None:
        """Connects again, behind the cursor or `afresh`; what is shown of that. None, with the end told, where that is not to be had."""
        from websockets.exceptions import InvalidStatus

        loop = asyncio.get_running_loop()
        self._away, self._chunk = True, None
        self._tell_away(f"the connection to {self._place} was lost ({why}) and is being made again")
        if loop.time() - self._since > LASTING:
            self._tries = 0
        while self._tries < TRIES:
            if afresh:
                self._cursor = ""
            if self._tries:
                await asyncio.sleep(FIRST_WAIT * 2 ** (self._tries - 1))
            self._tries += 1
            try:
                connection = await connected_at(self._address, self._cursor, *self._size)
            except InvalidStatus as error:
                status = error.response.status_code
                if status == 409 and self._cursor:
                    afresh = True
                elif status < 500:
                    self._finish(refusal(self._place, status))
                    return None
                why = f"status {status}"
                continue
            except SandboxError as error:
                log.info("terminal %s: not yet connected again: %s", self._place, error)
                continue
            self._connection, self._since, self._away, self._gone = connection, loop.time(), False, False
            self._renewed.set()
            self._tell_away("")
            if not afresh:
                return b""
            self._redraw()
            return CLEAR
        self._finish(f"the connection to {self._place} was lost ({why}) and could not be made again: restart the terminal")
        return None

    def write(self, keystrokes: bytes) -> None:
        """Queues input, always as binary. Raises SandboxError while there is no connection: typed blindly, it could come much later."""
        if self._away and not self._exit.done():
            raise SandboxError(f"the connection to {self._place} is being made again: wait a moment")
        super().write(keystrokes)

    async def _writes_on(self, lost: Any) -> bool:
        while self._connection is lost:
            self._renewed.clear()
            await self._renewed.wait()
        return True

    async def resize(self, cols: int, rows: int) -> None:
        """Tells the size. Of all who are connected, the last one counts."""
        self._size = (cols, rows)
        self._tell(resize_message(cols, rows))

    def end(self) -> None:
        """Asks the container to end the terminal; its exit comes with the output. Closing leaves it there."""
        self._tell(json.dumps({"type": "terminate"}))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


async def connected_at(address: Address, cursor: str, cols: int, rows: int) -> Any:
    """A connection whose output begins behind a cursor, "" for the oldest that the container has. See `connected`."""
    more = {"cursor": cursor} if cursor else {}
    url = url_of(address, "bearer", "cursor", cols=str(cols), rows=str(rows), **more)
    return await connected(url, address, what="container", headers=bearer(address))


async def open_preview(address: Address, *, cols: int, rows: int) -> CloudflarePreviewSandbox:
    """Connects to a terminal that was made in the container before. Raises SandboxError."""
    from websockets.exceptions import InvalidStatus

    try:
        connection = await connected_at(address, "", cols, rows)
    except InvalidStatus as error:
        raise SandboxError(refusal(address.target, error.response.status_code)) from error
    return CloudflarePreviewSandbox(connection, address, cols=cols, rows=rows)
