"""A command in a pod, attached by the Kubernetes channel protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from dataclasses import dataclass
from socket import SHUT_RDWR
from typing import TYPE_CHECKING

from ..exceptions import EngineError

if TYPE_CHECKING:
    from aiohttp import ClientWebSocketResponse

STDIN, STDOUT, STDERR, STATUS, RESIZE = range(5)
"""The channels: the first byte of each message (k8s.io/apimachinery, pkg/util/remotecommand)."""
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
"""What we offer. v5 is v4 with a message that closes one channel (KEP-4006), for which nothing here has a use."""

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class PodPlace:
    """Where a command runs. No `container`: the pod's default one. No `context`: the kubeconfig's current one, or the cluster around us."""

    namespace: str
    pod: str
    container: str = ""
    context: str = ""

    def __post_init__(self) -> None:
        for what, name, pattern in (("namespace", self.namespace, _LABEL), ("pod", self.pod, _SUBDOMAIN)):
            if not pattern.fullmatch(name):
                raise EngineError(f"{name[:80]!r} is not a {what}'s name: lower-case letters, digits and '-'")
        if self.container and not _LABEL.fullmatch(self.container):
            raise EngineError(f"{self.container[:80]!r} is not a container's name: lower-case letters, digits and '-'")


@dataclass(frozen=True, slots=True)
class ExecStatus:
    """How a command ended: `code` None where it is not known, `started` False where it could not be started at all."""

    code: int | None
    message: str = ""
    started: bool = True


def read_status(message: bytes) -> ExecStatus:
    """The Status object that ends the channel 3 (v4 and later): success, or a failure whose cause `ExitCode` says the code."""
    try:
        told = json.loads(message)
        if told.get("status") == "Success":
            return ExecStatus(0)
        text = str(told.get("message", ""))[:500]
        for cause in (told.get("details") or {}).get("causes") or ():
            if cause.get("reason") == "ExitCode":
                return ExecStatus(int(cause["message"]), text)
        return ExecStatus(None, text, started=False)
    except (ValueError, AttributeError, TypeError, KeyError):
        return ExecStatus(None, "the end of the command was told in a form that is not Kubernetes'")


class KubernetesExec:
    """A command that runs in a container, attached by the channel protocol. Not reading is what holds its output back.

    `api` is the address of the Kubernetes API, for sentences.
    """

    def __init__(self, api: str, place: PodPlace, socket: ClientWebSocketResponse) -> None:
        self._api, self.place = api, place
        self.protocol = str(socket.protocol)
        self.status: ExecStatus | None = None
        """How it ended: set when `read` gave None, and None still where the connection broke before the end was told."""
        self.trouble = ""
        """Why the connection ended, where it did so before the command."""
        self._socket = socket
        self._status = bytearray()
        self._heard = asyncio.Event()

    async def read(self) -> tuple[int, bytes] | None:
        """The next output with its channel, STDOUT or STDERR; None at the end."""
        from aiohttp import WSMsgType

        while True:
            message = await self._socket.receive()
            self._heard.set()
            if message.type is WSMsgType.PING:
                await self._socket.pong(message.data)
            elif message.type in (WSMsgType.BINARY, WSMsgType.TEXT):
                frame: bytes = message.data if isinstance(message.data, bytes) else message.data.encode()
                if len(frame) > 1 and frame[0] in (STDOUT, STDERR):
                    return frame[0], frame[1:]
                if frame[:1] == bytes([STATUS]):
                    self._status += frame[1 : 1 + (1 << 16) - len(self._status)]
            elif message.type is not WSMsgType.PONG:
                self._ended(f"the connection to {self._api} ended ({self._socket.close_code})")
                return None

    async def hear(self) -> bytes:
        """Its next output, of whichever channel; b"" at the end."""
        message = await self.read()
        return b"" if message is None else message[1]

    async def answers(self) -> None:
        """Pings, and returns when something has come since: what comes is noticed by `read` alone. Raises OSError when the connection is
        gone. The answer is that of whoever ends the WebSocket: an API server that translates to SPDY, else the node's runtime."""
        self._heard.clear()
        await self._socket.ping()
        await self._heard.wait()

    def _ended(self, trouble: str) -> None:
        if self._status:
            self.status = read_status(bytes(self._status))
        else:
            self.trouble = trouble

    async def send(self, keystrokes: bytes) -> None:
        """Input. Raises OSError when the connection is gone."""
        await self._socket.send_bytes(bytes([STDIN]) + keystrokes)

    async def resize(self, cols: int, rows: int) -> None:
        """The size of its terminal in cells. Raises OSError when the connection is gone."""
        await self._socket.send_bytes(bytes([RESIZE]) + json.dumps({"Width": cols, "Height": rows}).encode())

    def abort(self) -> None:
        """Cuts the connection at once."""
        socket = self._socket.get_extra_info("socket")
        if socket is not None:
            with contextlib.suppress(OSError):
                socket.shutdown(SHUT_RDWR)

    async def close(self) -> None:
        """Detaches, within 2 s. The command itself may go on; safe to call twice."""
        await self._socket.close()
