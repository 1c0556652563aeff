"""Who was put out of a terminal room and stays out for a while, also where the room, or its host, ends meanwhile."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from ..exceptions import StorageError

if TYPE_CHECKING:
    from .server import TerminalServer

log = logging.getLogger(__name__)

EJECTED_SECONDS = 600.0
"""How long whoever was ejected stays out of the room, by the clock on the wall."""
_KEY = "ejected"


class Ejections:
    """Subjects, each with the time until which they stay out."""

    def __init__(self, room: TerminalServer) -> None:
        self._room = room
        self._until: dict[str, float] = {}

    async def recall(self) -> None:
        """Reads who was put out before the room was started."""
        storage = self._room.storage
        try:
            self._until = dict(await storage.get(_KEY, {})) if storage.exists else {}
        except StorageError as error:
            log.error("room %s: who was ejected before its start is not known, and may come back: %s", self._room.name, error)

    def keeps_out(self, subject: str) -> bool:
        """True while they may not come back."""
        return time.time() < self._until.get(subject, 0.0) <= time.time() + EJECTED_SECONDS

    def put_out(self, subject: str) -> None:
        """They stay out from now on."""
        now = time.time()
        self._until = {known: until for known, until in self._until.items() if until > now} | {subject: now + EJECTED_SECONDS}

    async def keep(self) -> None:
        """Stores it. Where that cannot be done, it holds until the room ends."""
        try:
            await self._room.storage.put(_KEY, self._until)
        except StorageError as error:
            log.error("room %s: whoever was ejected may come back after a restart of the host: %s", self._room.name, error)
