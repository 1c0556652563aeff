"""One attempt at a connection, by the websockets library, and what to say when it failed."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..unreachable import unreachable
from .address import is_loopback_host, is_private_host

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

logger = logging.getLogger(__name__)
# The library's debug level prints request headers, and with them the credential.
_wire_logger = logging.getLogger(f"{__name__}.wire")
_wire_logger.setLevel(logging.INFO)

LONGEST_ANSWER = 300
"""Characters of an answer that refused, for the one who reads the error: our own sentences are whole, a proxy's page is not."""


class Ear:
    """When the peer was heard last, by any byte: on the loop's clock. `bytes` came in all, behind handshakes."""

    def __init__(self) -> None:
        self.at = 0.0
        self.bytes = 0


async def dial(
    url: str,
    protocols: str | Sequence[str] | None,
    *,
    headers: Mapping[str, str],
    token: str | None,
    label: str,
    ear: Ear,
    close_timeout: float,
    max_message: int,
    ssl: Any,
) -> ClientConnection:
    """An open connection. `label` names the socket in the log; the rest is ReconnectingWebSocket's. Has no time limit of its own.

    It sends no pings by itself: it notes in `ear` when something came.
    """
    from websockets.asyncio.client import ClientConnection, connect
    from websockets.protocol import State

    class Heard(ClientConnection):
        """The library's connection, which notes each byte that comes."""

        def data_received(self, data: bytes) -> None:
            ear.at = self.loop.time()
            if self.protocol.state is not State.CONNECTING:
                ear.bytes += len(data)
            super().data_received(data)

    class Connect(connect):
        """The library's connect, following no redirect: the credential is for the host that was named."""

        def process_redirect(self, exc: Exception) -> Exception | str:
            return exc

    host = urlsplit(url).hostname or ""
    if token is not None:
        headers = {**headers, "Authorization": f"Bearer {token}"}
        if url.startswith("ws://") and not is_private_host(host):
            logger.warning("%s: a token goes to %s without TLS: use https or wss", label, host)
    offered: Any = [protocols] if isinstance(protocols, str) else list(protocols or []) or None
    options: dict[str, Any] = {}
    if ssl is not None and url.startswith("wss://"):
        options["ssl"] = ssl
    return await Connect(
        url,
        subprotocols=offered,
        additional_headers=headers,
        compression=None,
        proxy=None if is_loopback_host(host) else True,
        open_timeout=None,
        ping_interval=None,
        create_connection=Heard,
        close_timeout=close_timeout,
        max_size=max_message,
        max_queue=16,
        logger=_wire_logger,
        **options,
    )


def failure_of(error: Exception, timeout: float) -> tuple[str, int | None]:
    """What kept a connection from being made within `timeout` seconds, in words, and the HTTP status of an answer that refused it."""
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} s", None
    response = getattr(error, "response", None)
    status: int | None = getattr(response, "status_code", None)
    if status:
        return f"the upgrade was answered with HTTP {status}{_said(response)}", status
    return unreachable(error), None


def _said(response: Any) -> str:
    """What an answer that refused says, or its beginning, for the one who reads the error."""
    body = bytes(getattr(response, "body", None) or b"")
    line = (_sentence(body) or body[: 4 * LONGEST_ANSWER].decode("utf-8", "replace")).split("\n")[0].strip()
    if not line or not line.isprintable():
        return ""
    return f" ({line if len(line) <= LONGEST_ANSWER else line[: LONGEST_ANSWER - 1] + '…'})"


def _sentence(body: bytes) -> str:
    """The sentence of an answer in JSON, as hosts give it; "" where there is none."""
    with contextlib.suppress(ValueError, AttributeError):
        answer = json.loads(body)
        return str(answer.get("error") or answer.get("message") or "")
    return ""
