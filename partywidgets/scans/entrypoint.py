"""OpsMonitorOps: the entry point by which everything outside the room runs scans and reaches those who are in it."""

from __future__ import annotations

from typing import Any

from ..exceptions import ConnectionClosedError, PartyError
from ..party import PartyHost
from .channel import PARTY, ROOM
from .registry import Selection
from .report import ScanReport
from .server import OpsMonitorBroadcastServer
from .service import OpsMonitorService, Scan


class OpsMonitorOps:
    """Joins a service to the room `main` of its host: scans, the schedule, runners and reloads all broadcast there.

    Construct it once, before `async with service`. The room instance itself may hibernate at any time; each broadcast finds or wakes it.
    """

    def __init__(self, host: PartyHost, service: OpsMonitorService) -> None:
        self.host = host
        self.service = service
        self._armed: float | None = None
        service.announcer.broadcast = self.broadcast
        service.announcer.in_text = self.broadcast, self.broadcast_text
        service.deliver = self.deliver

    async def run_scan(self, selection: Selection | None = None, *, trigger: str = "manual") -> ScanReport:
        """Runs the selected checks, tells the room as they end, and returns the report. Raises ScanError when there is no such check."""
        return await self.service.run_scan(selection, broadcast=self.broadcast, trigger=trigger)

    def start_scan(self, selection: Selection | None = None, *, trigger: str = "manual", actor: str | None = None) -> Scan:
        """As `run_scan`, without waiting."""
        return self.service.start_scan(selection, broadcast=self.broadcast, trigger=trigger, actor=actor)

    async def scheduled(self) -> ScanReport:
        """What the schedule runs, now: every enabled check, with the trigger `schedule`."""
        return await self.run_scan(trigger="schedule")

    async def broadcast(self, kind: str, message: dict[str, Any]) -> None:
        """Sends one message to everyone in the room: the BroadcastCallback of this host."""
        (await self._room()).publish(kind, message)
        await self._told(kind)

    async def broadcast_text(self, kind: str, *texts: str) -> None:
        """As `broadcast`, of messages of one kind that are JSON text already."""
        (await self._room()).publish_text(kind, *texts)
        await self._told(kind)

    async def _told(self, kind: str) -> None:
        if kind == "scan-result":
            await self._arm()

    async def deliver(self, connection_id: str, kind: str, message: dict[str, Any]) -> None:
        """Sends one message to one connection of the room. Raises ConnectionClosedError when it is gone."""
        if not (await self._room()).tell(connection_id, kind, message):
            raise ConnectionClosedError(f"the connection {connection_id!r} has left the room {PARTY}/{ROOM}")

    async def _room(self) -> OpsMonitorBroadcastServer:
        room = await self.host.get_server_by_name(PARTY, ROOM)
        if not isinstance(room, OpsMonitorBroadcastServer):
            raise PartyError(f"the party {PARTY} is a {type(room).__name__}: register OpsMonitorBroadcastServer under that name")
        return room

    async def _arm(self) -> None:
        """The room's alarm at the next full scan: after a restart it wakes the room, and with it the schedule."""
        due = self.service.scheduler.next_full()
        if due is not None and due != self._armed:
            self._armed = due
            await (await self._room()).storage.set_alarm(due)
