"""`ttyd+ws://HOST:PORT/ws`: a program behind ttyd. Each connection is a program of its own, which ends when the connection does.

The protocol is that of ttyd 1.7: binary messages whose first byte says what they are.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any
from urllib.parse import urlsplit

from ...exceptions import SandboxError
from .base import Address
from .websocket import WebSocketSandbox, close_of, connected, url_of

SUBPROTOCOL = "tty"
INPUT, RESIZE = b"0", b"1"
OUTPUT = b"0"
"""Of what it sends; its titles (`1`) and settings of its page (`2`) are not the terminal's."""
PATIENCE = 3.0
"""Seconds in which something comes back of the first that is typed, if anything is taken."""
NOTHING_CAME = (
    b"\r\n\x1b[2m[nothing comes back of what is typed: ttyd lets nobody type unless it is started with -W, --writable]\x1b[0m\r\n"
)


class TtydSandbox(WebSocketSandbox):
    """A program that ttyd runs for this connection. ttyd says that it ended with code 0, or nothing of its code."""

    def __init__(self, connection: Any, address: Address) -> None:
        super().__init__(connection, address)
        self._typed = self._answered = False
        self._patience: asyncio.Timeout | None = None
        self._going = asyncio.Event()
        self._going.set()

    async def read(self) -> bytes:
        """The next output; b"" when the program ended."""
        await self._going.wait()
        return await super().read()

    async def _received(self) -> str | bytes:
        if self._answered:
            return await super()._received()
        try:
            async with asyncio.timeout(PATIENCE if self._typed else None) as self._patience:
                return await super()._received()
        except TimeoutError:
            self._answered = True  # it is said once
            return OUTPUT + NOTHING_CAME
        finally:
            self._patience = None

    async def _ping(self) -> str:
        # Who does not read gets no pong either.
        return await super()._ping() if self._going.is_set() else ""

    async def _output_of(self, message: str | bytes) -> bytes | None:
        said = message.encode() if isinstance(message, str) else message
        if said[:1] != OUTPUT:
            return b""
        self._answered = self._answered or self._typed
        return said[1:]

    def write(self, keystrokes: bytes) -> None:
        """Queues input. See Sandbox."""
        super().write(keystrokes)
        if not self._typed:
            self._typed = True
            if self._patience is not None:
                self._patience.reschedule(asyncio.get_running_loop().time() + PATIENCE)

    def _input_of(self, keystrokes: bytes) -> bytes:
        return INPUT + keystrokes

    async def _lost(self, closed: Any) -> bytes | None:
        code, said = close_of(closed)
        if code == 1000:
            self._finish(f"the program at {self._place} ended with code 0", 0)
        elif closed.sent is not None and closed.sent.code == 1002:
            # What ttyd closes with is 1006, which no peer may send: for the library a breach of the protocol. It closes so too when it sees
            # the end of the output between the program's end and knowing its code (`process_read_cb` of 1.7.7).
            self._finish(f"the program at {self._place} ended (ttyd does not say with which code: not 0, or it had not heard it yet)")
        elif code == 1008:
            self._finish(f"ttyd at {self._place} does not take the credential: give it as ?credential=${{env:NAME}}, USER:PASSWORD")
        elif self._gone:
            self._finish(f"ttyd at {self._place} no longer answers: look whether it runs, then restart the terminal")
        else:
            self._finish(f"the connection to ttyd at {self._place} was lost ({code}{f': {said}' if said else ''}): restart the terminal")
        return None

    async def resize(self, cols: int, rows: int) -> None:
        """Tells the size."""
        self._tell(RESIZE + _size(cols, rows))

    def pause(self) -> None:
        """Stops reading: the program blocks once the connection is full, some megabytes later.

        ttyd's own pause is not used: told to go on, it reads again also where it still holds a read, which is then lost
        (`process_read_cb` of its 1.7.7 `src/protocol.c`).
        """
        self._going.clear()

    def resume(self) -> None:
        """Reads on."""
        self._going.set()


def _size(cols: int, rows: int, **more: str) -> bytes:
    return json.dumps({**more, "columns": cols, "rows": rows}).encode()


async def open_ttyd(address: Address, *, cols: int, rows: int) -> TtydSandbox:
    """Has ttyd start its program. The option `credential`, USER:PASSWORD, is sent as headers are. Raises SandboxError."""
    from websockets.exceptions import InvalidMessage, InvalidStatus

    url = urlsplit(url_of(address, "credential"))
    url = url._replace(scheme=url.scheme.removeprefix("ttyd+"), path=url.path if url.path.strip("/") else "/ws")
    # In a query a plus reads as a blank.
    token = base64.b64encode(address.options.get("credential", "").replace(" ", "+").encode()).decode()
    headers = {"Authorization": f"Basic {token}"} if token else {}
    try:
        connection = await connected(url.geturl(), address, what="ttyd", headers=headers, subprotocols=[SUBPROTOCOL])
    except InvalidStatus as error:
        raise SandboxError(
            f"ttyd at {address.target} refused its terminal with status {error.response.status_code}: is /ws behind its base path?"
        ) from error
    except SandboxError as error:
        if not isinstance(error.__cause__, InvalidMessage):
            raise
        raise SandboxError(
            f"ttyd at {address.target} hung up: give its USER:PASSWORD as ?credential=${{env:NAME}}, check its path (/ws), or it has "
            "as many clients as it takes"
        ) from error
    if connection.subprotocol != SUBPROTOCOL:
        await connection.close()
        raise SandboxError(f"what answers at {address.target} is not ttyd: check host, port and path")
    await connection.send(_size(cols, rows, AuthToken=token))
    return TtydSandbox(connection, address)
