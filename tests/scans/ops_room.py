"""A real host with the ops room, its server, and people who join it over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from partywidgets.auth import Gate, Identity
from partywidgets.party import Environment, PartyHost
from partywidgets.scans.channel import ALIASES, PARTY, ROOM
from partywidgets.scans.checks.base import CheckModel, Probe, ProbeContext
from partywidgets.scans.entrypoint import OpsMonitorOps
from partywidgets.scans.model import Status
from partywidgets.scans.server import OpsMonitorBroadcastServer
from partywidgets.scans.service import OpsMonitorService
from partywidgets.scans.settings import DAY, HistorySettings
from partywidgets.transport.server import serve

PEOPLE = {
    "ana-admin": Identity("ana", "Ana", frozenset({"admin"})),
    "rob-responder": Identity("rob", "Rob", frozenset({"responder", "viewer"})),
    "val-viewer": Identity("val", "Val", frozenset({"viewer"})),
    "kim-runner": Identity("kim", "Kim", frozenset({"runner"})),
    "tom-terminal": Identity("tom", "Tom", frozenset({"observer"})),
}
WAIT = 20.0


def token_of(name: str) -> str:
    """A person's bearer token."""
    return f"token-of-{name}-for-tests"


@dataclass
class Play:
    """What scripted checks do: a status by check id, how often each was looked at, and an optional wait in each look."""

    statuses: dict[str, Status] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    at_once: int = 0
    most_at_once: int = 0
    before: Callable[[str], Any] | None = None


PLAY = Play()


class ScriptedCheck(CheckModel):
    """A check that sees what the test says."""

    type: Literal["scripted"] = "scripted"
    host: str = "scripted.test"

    @property
    def target(self) -> str:
        return f"scripted://{self.host}/{self.id}"

    async def probe(self, context: ProbeContext) -> Probe:
        PLAY.looks[self.id] = PLAY.looks.get(self.id, 0) + 1
        PLAY.at_once += 1
        PLAY.most_at_once = max(PLAY.most_at_once, PLAY.at_once)
        try:
            if PLAY.before is not None:
                await PLAY.before(self.id)
            status = PLAY.statuses.get(self.id, "ok")
            return Probe(self.target, status=status, summary=f"it is {status}")
        finally:
            PLAY.at_once -= 1


async def stand(service: OpsMonitorService, play: Play, **statuses: Any) -> None:
    """All checks are looked at, and some stand differently."""
    play.statuses.update(statuses)
    await service.run_scan()


class Person:
    """Somebody in the room: every message that came, in order."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.messages: list[dict[str, Any]] = []
        self.sizes: list[int] = []
        self._read = 0

    async def receive(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(WAIT):
            frame = await self.socket.recv()
        message = cast("dict[str, Any]", json.loads(frame))
        self.messages.append(message)
        self.sizes.append(len(frame.encode() if isinstance(frame, str) else frame))
        return message

    async def until(self, kind: str, where: Callable[[dict[str, Any]], bool] = lambda data: True) -> dict[str, Any]:
        """The data of the next message of a kind that fits."""
        while True:
            message = await self.receive()
            if message["type"] == kind and where(message["data"]):
                return cast("dict[str, Any]", message["data"])

    async def snapshot(self) -> list[dict[str, Any]]:
        """The rows of the snapshot that comes on connect."""
        rows: list[dict[str, Any]] = []
        while True:
            part = await self.until("snapshot")
            rows += part["results"]
            if part["part"] == part["of"]:
                return rows

    async def send(self, kind: str, **data: Any) -> None:
        """Sends one message."""
        await self.socket.send(json.dumps({"type": kind, "data": data}))

    async def ask(self, kind: str, **data: Any) -> dict[str, Any]:
        """Sends one message with an id and waits for its reply."""
        request_id = f"q{len(self.messages)}-{kind}"
        await self.send(kind, id=request_id, **data)
        return await self.until("reply", lambda reply: reply["id"] == request_id)


@dataclass
class OpsRoom:
    """A running host with the ops room."""

    host: PartyHost
    service: OpsMonitorService
    ops: OpsMonitorOps
    url: str

    @asynccontextmanager
    async def join(
        self, name: str = "val-viewer", *, path: str = f"parties/{PARTY}/{ROOM}", subprotocols: Iterable[str] = ()
    ) -> AsyncIterator[Person]:
        """Comes in over a WebSocket."""
        url = self.url.replace("http", "ws", 1) + path
        offered = [Subprotocol(name) for name in subprotocols] or None
        async with connect(
            url, additional_headers={"Authorization": f"Bearer {token_of(name)}"}, subprotocols=offered, max_size=None, open_timeout=WAIT
        ) as socket:
            yield Person(socket)

    @asynccontextmanager
    async def http(self, name: str | None = "ana-admin") -> AsyncIterator[httpx.AsyncClient]:
        """Asks over HTTP."""
        headers = {} if name is None else {"Authorization": f"Bearer {token_of(name)}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=WAIT, trust_env=False) as client:
            yield client


@asynccontextmanager
async def ops_room(
    directory: Path, *, hibernate_after: float = 10.0, keep_raw: float = 7 * DAY, redact: Callable[[str], str] | None = None
) -> AsyncIterator[OpsRoom]:
    """The ops room on a free port, its storage in `directory`; results are kept for `keep_raw` seconds."""
    service = OpsMonitorService(directory=directory, redact=redact)
    service.keeping = HistorySettings(keep_raw=keep_raw)
    host = PartyHost({PARTY: OpsMonitorBroadcastServer}, storage=directory, env=Environment(service), hibernate_after=hibernate_after)
    ops = OpsMonitorOps(host, service)
    async with (
        host,
        service,
        serve(
            host, port=0, auth=Gate(tokens={token_of(name): person for name, person in PEOPLE.items()}, hosts=None), aliases=ALIASES
        ) as server,
    ):
        yield OpsRoom(host, service, ops, server.url)
