"""The ledger of a room: the commands that ran in its shells, without their secrets."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..exceptions import StorageError
from ..party import Server
from .recording_thread import redacted
from .settings import TerminalSettings

TABLE = "CREATE TABLE IF NOT EXISTS commands (seq INTEGER PRIMARY KEY AUTOINCREMENT, entry TEXT NOT NULL)"
STORED_SECONDS = 10.0
"""How long reading waits for entries that are being written."""
REMIND = 60.0
"""Seconds between two lines of a ledger that cannot be written: a full disk must not be filled with what is said of it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger. `started_at` is RFC 3339 in UTC; `offset` is where its output begins. `exit_code` None: nothing told it."""

    id: str
    command: str
    actor: str
    exit_code: int | None
    started_at: str
    duration_s: float
    cwd: str
    offset: int


class Ledger:
    """Keeps the last `settings.history` entries in the room's SQLite file; `unsaved()` is True where nothing may be kept."""

    def __init__(self, room: Server, settings: TerminalSettings, *, unsaved: Callable[[], bool]) -> None:
        self._room, self._settings, self._unsaved = room, settings, unsaved
        self._storing: set[asyncio.Task[None]] = set()
        self._missing = 0
        """Entries that could not be written since one was."""
        self._said_at = float("-inf")

    def keep(self, entry: Entry) -> None:
        """Stores an entry behind the caller's back, in a task of the room."""
        if not self._unsaved():
            task = self._room.spawn(self._store(entry), name="ledger")
            self._storing.add(task)
            task.add_done_callback(self._storing.discard)

    async def _store(self, entry: Entry) -> None:
        entry = replace(entry, command=await redacted(entry.command, self._settings.known_secrets()))
        sql = self._room.storage.sql  # not the room's own, which logs a traceback for each that fails
        try:
            await sql(TABLE)
            await sql("INSERT INTO commands (entry) VALUES (?)", json.dumps(asdict(entry), ensure_ascii=False))
            await sql("DELETE FROM commands WHERE seq <= (SELECT MAX(seq) FROM commands) - ?", self._settings.history)
        except StorageError as error:
            self._missing += 1
            if time.monotonic() - self._said_at >= REMIND:
                self._said_at = time.monotonic()
                log.error("room %s: its ledger misses commands (%d by now): %s", self._room.name, self._missing, error)
        else:
            if self._missing:
                log.warning("room %s: its ledger is written again: it misses %d commands", self._room.name, self._missing)
            self._missing, self._said_at = 0, float("-inf")

    async def entries(self) -> list[dict[str, Any]]:
        """What is kept, oldest first."""
        if self._storing:
            await asyncio.wait(list(self._storing), timeout=STORED_SECONDS)
        # Looking makes no file: a room's name is anybody's to think up.
        if not self._room.storage.exists:
            return []
        await self._room.sql(TABLE)
        return [json.loads(row["entry"]) for row in await self._room.sql("SELECT entry FROM commands ORDER BY seq")]
