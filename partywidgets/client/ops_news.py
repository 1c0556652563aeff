"""What an ops room tells beside its rows: as messages for whoever reads along, and what holds now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from ..exceptions import ConnectionClosedError
from .room import RoomClient
from .told import Message, Told


class OpsNews(RoomClient):
    """The part of `OpsClient` that is told."""

    def __init__(self, room: str, timeout: float) -> None:
        super().__init__(room, timeout)
        self.failing_targets: list[dict[str, str]] = []
        """Targets of notifications that do not take messages, each with its `target` and `error`."""
        self.unkept: str | None = None
        """Why the host's history is not written; None while it is."""
        self.config_refused: str | None = None
        """Why the config's file is not in force as it is now; None while it is."""
        self.removed: dict[str, Any] | None = None
        """The rows that left the board last: `count`, `titles`, `reason`, `actor`, `at`; None: none did, as far as this client heard."""
        self._readers: list[Told] = []

    async def messages(self, *, limit: int = 4 * 1024 * 1024) -> AsyncIterator[Message]:
        """What the room tells from now on, as `(type, data)`, each after it was applied; what was replied to this client is left out.

        Goes on over reconnects, behind a `snapshot`. With more than `limit` characters waiting for this iterator it goes on with a
        `skipped`, and `rows` have what became of it. Ends when the client is closed; raises RefusedError or HostError when its socket
        gave up.
        """
        reader = Told(limit)
        self.follow(reader)
        try:
            while True:
                while told := reader.take():
                    for message in told:
                        yield message
                try:
                    await self.changed()
                except ConnectionClosedError:
                    return
        finally:
            self.unfollow(reader)

    def follow(self, reader: Told) -> None:
        """Gives a reader every message from now on: where another loop iterates."""
        self._readers.append(reader)

    def unfollow(self, reader: Told) -> None:
        """Ends that."""
        self._readers.remove(reader)

    def __aiter__(self) -> AsyncIterator[Message]:
        return self.messages()

    def _give(self, kind: str, content: dict[str, Any], size: int) -> None:
        for reader in self._readers:
            reader.give(kind, content, size)

    def _told_at_first(self, snapshot: dict[str, Any]) -> None:
        self.failing_targets, self.unkept = snapshot.get("notify") or [], snapshot.get("unkept")
        self.config_refused = snapshot.get("config_refused")
        if (removed := snapshot.get("removed")) is not None:
            self._on_removed(removed)

    def _on_notify(self, told: dict[str, Any]) -> None:
        self.failing_targets = told["failing"]

    def _on_unkept(self, told: dict[str, Any]) -> None:
        self.unkept = told["reason"]

    def _on_config_refused(self, told: dict[str, Any]) -> None:
        self.config_refused = told["reason"]

    def _on_removed(self, removed: dict[str, Any]) -> None:
        self.removed = {key: value for key, value in removed.items() if key != "ago_s"}
