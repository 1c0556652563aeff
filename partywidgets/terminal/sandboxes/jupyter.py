"""`jupyter+ws://HOST/…/terminals/websocket/NAME`: a terminal of a Jupyter Server, shared with whoever has it open in JupyterLab.

The protocol is terminado's: JSON arrays, `["stdin", text]` and `["set_size", rows, columns]` there, `["stdout", text]` and
`["disconnect", 1]` back. A terminal of that name is joined; where there is none, one is made.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import logging
import re
import weakref
from typing import Any
from urllib.parse import urlsplit

from ...exceptions import SandboxError
from .base import Address
from .websocket import OPEN_TIMEOUT, WebSocketSandbox, close_of, connected

log = logging.getLogger(__name__)

MESSAGE_LIMIT = 32 << 20
"""The replay is one message: up to 1000 reads of 4 KiB, of which JSON escapes make six times as much."""
_ROUTE = re.compile(r"(?P<base>.*)/terminals/websocket/(?P<name>\w+)", re.ASCII)

_OPENING: weakref.WeakValueDictionary[tuple[int, str], asyncio.Lock] = weakref.WeakValueDictionary()
"""Of each loop, by URL. Jupyter makes a second terminal of a name that it is asked for twice, and the first is lost to everyone else."""


class JupyterSandbox(WebSocketSandbox):
    """A terminal of a Jupyter Server. It is left running there when the room lets go of it."""

    def __init__(self, connection: Any, address: Address) -> None:
        super().__init__(connection, address)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    async def _output_of(self, message: str | bytes) -> bytes | None:
        try:
            kind, said, *_ = json.loads(message)
        except (ValueError, TypeError, RecursionError):
            log.warning("terminal %s: a message is not one of Jupyter's: %.80r", self._place, message)
            return b""
        if kind == "disconnect":
            self._finish(f"the Jupyter terminal at {self._place} ended")
            return None
        return said.encode("utf-8", "replace") if kind == "stdout" and isinstance(said, str) else b""

    def _input_of(self, keystrokes: bytes) -> str:
        return json.dumps(["stdin", self._decoder.decode(keystrokes)])

    async def _lost(self, closed: Any) -> bytes | None:
        why = "it no longer answers" if self._gone else close_of(closed)[0]
        self._finish(f"the connection to the Jupyter Server of {self._place} was lost ({why}): restart the terminal")
        return None

    async def resize(self, cols: int, rows: int) -> None:
        """Tells this room's size; the smallest of all pages that have the terminal open counts there."""
        self._tell(json.dumps(["set_size", rows, cols]))


async def open_jupyter(address: Address, *, cols: int, rows: int) -> JupyterSandbox:
    """Joins the terminal of that name, or makes it. The option `token` is sent as a header. Raises SandboxError without it."""
    from websockets.exceptions import InvalidStatus

    url = urlsplit(address.text.removeprefix("jupyter+"))._replace(query="", fragment="").geturl()
    # In a query a plus reads as a blank; a token has no blanks.
    token = address.options.get("token", "").replace(" ", "+")
    headers = {"Authorization": f"token {token}"} if token else {}
    lock = _OPENING.setdefault((id(asyncio.get_running_loop()), url), asyncio.Lock())
    async with lock:
        for made in (False, True):
            try:
                connection = await connected(url, address, what="Jupyter Server", headers=headers, limit=MESSAGE_LIMIT)
            except InvalidStatus as error:
                status = error.response.status_code
                if status != 404 or made:
                    raise _refused(address, status) from error
                await _make(address, headers)
            else:
                break
    sandbox = JupyterSandbox(connection, address)
    await sandbox.resize(cols, rows)
    return sandbox


async def _make(address: Address, headers: dict[str, str]) -> None:
    """Has the server start a terminal of that name."""
    import aiohttp

    parts = urlsplit(address.text.removeprefix("jupyter+"))
    base, name = route(parts.path)
    scheme = "https" if parts.scheme == "wss" else "http"
    url = parts._replace(scheme=scheme, path=f"{base}/api/terminals", query="", fragment="").geturl()
    timeout = aiohttp.ClientTimeout(total=OPEN_TIMEOUT)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.post(url, json={"name": name}, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise _refused(address, answer.status)
    except TimeoutError as error:
        raise SandboxError(f"the Jupyter Server at {address.target} did not make a terminal in {OPEN_TIMEOUT:g} s") from error
    except aiohttp.ClientError as error:
        raise SandboxError(f"the Jupyter Server at {address.target} made no terminal ({type(error).__name__}): is it running?") from error


def route(path: str) -> tuple[str, str]:
    """The server's base path and the terminal's name in an address' path. Raises SandboxError for another path."""
    found = _ROUTE.fullmatch(path)
    if found is None:
        raise SandboxError(
            "a Jupyter terminal needs its route: write jupyter+ws://HOST:PORT/terminals/websocket/NAME, behind the server's base URL, "
            "with a NAME of letters, digits and _"
        )
    return found["base"], found["name"]


def _refused(address: Address, status: int) -> SandboxError:
    if status in (302, 401, 403):
        return SandboxError(
            f"the Jupyter Server refused the terminal {address.target} (status {status}): give its token as ?token=${{env:NAME}}"
        )
    if status == 404:
        return SandboxError(
            f"the Jupyter Server has no terminals at {address.target} (status 404): check its base URL, and that terminals are enabled"
        )
    return SandboxError(f"the Jupyter Server refused the terminal {address.target} with status {status}: its log says why")
