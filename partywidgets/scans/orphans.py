"""Rows that nobody looks at any more: what they say may no longer be true, so they turn unknown and say why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from .board import PUBLISHED
from .model import CheckResult, Failure, utc_now, uuid7
from .removal import name_of
from .runner import OWNER

if TYPE_CHECKING:
    from .service import OpsMonitorService


class Orphans:
    """The rows of a service that runs whose runner has not come back, or whose config nobody loaded again."""

    def __init__(self, service: OpsMonitorService) -> None:
        self._service = service

    async def disown_runners(self) -> None:
        """After a start, when no runner is here yet: what their functions saw last may no longer be true."""
        rows = [row for row in self._service.board.rows.values() if self._service.board.owner_of(row.fingerprint).startswith(OWNER)]
        await self._disown(rows, "the host started anew and {owner} has not come back: run its notebook again", at=utc_now())

    async def disown_configs(self) -> None:
        """Turns rows unknown whose config nobody loaded since the host started, and tells everyone: what they say may no longer be true.

        Their time stays that of their last look, and nobody is notified.
        """
        rows = []
        for row in self._service.board.rows.values():
            owner = self._service.board.owner_of(row.fingerprint)
            if row.check_id not in self._service.registry.checks and owner != PUBLISHED and not owner.startswith(OWNER):
                rows.append(row)
        reason = "nobody looks at this: {owner} was not loaded since the host started; load it again, or its rows go when they are old"
        await self._service.announcer.tell_rows(await self._disown(rows, reason))

    async def _disown(self, rows: Sequence[CheckResult], reason: str, *, at: datetime | None = None) -> list[CheckResult]:
        recorded, now = [], utc_now()
        for row in rows:
            if row.status in ("unknown", "skip"):
                continue
            owner = self._service.board.owner_of(row.fingerprint)
            said = reason.format(owner=name_of(owner))
            gone = replace(
                row,
                result_id=uuid7(),
                scan_id="",
                status="unknown",
                summary=said,
                details="",
                conditions=[],
                evidence=[],
                error=Failure("internal", said),
                observed_at=at or row.observed_at,
            )
            placed = self._service.board.place(gone, owner=owner, attempts=row.state.max_attempts, now=now)
            # The row's time is that of its last look; it changed now.
            changes = tuple(replace(change, at=now) for change in placed.recorded.changes)
            recorded.append(replace(placed.recorded, changes=changes, looked=False))
        if recorded:
            await self._service.kept(self._service.history.record(recorded), results=True)
        return [item.result for item in recorded]
