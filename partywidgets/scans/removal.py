"""Rows that leave the board for good: everyone is told, and who looks back finds when each went, why and by whom."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .model import utc_now, wire_time
from .recorded import StateChange

if TYPE_CHECKING:
    from .service import OpsMonitorService

TITLES = 3
"""Rows that are named to people who look at the room; the others are counted."""


def name_of(owner: str) -> str:
    """What people call a config or a runner."""
    return Path(owner).name if owner.startswith("/") else owner


async def remove(service: OpsMonitorService, why: Mapping[str, str], actor: str | None = None) -> None:
    """Takes rows off, by fingerprint, each for its reason. `actor` is who did it, None: a clock, or a file that was read again."""
    if not why:
        return
    now = utc_now()
    gone, changes, events = [], [], []
    for fingerprint, reason in why.items():
        before = service.board.rows[fingerprint]
        row = service.remove_row(fingerprint, reason)
        gone.append(row)
        events.append({"fingerprint": fingerprint, "title": row.title, "actor": actor, "reason": reason})
        changes.append(
            StateChange(
                seq=row.seq,
                fingerprint=fingerprint,
                check_id=row.check_id,
                title=row.title,
                from_status=before.status,
                to_status="skip",
                severity=row.severity,
                phase="hard",
                at=now,
                summary=reason,
                scan_id="",
            )
        )
    await service.kept(service.history.forget([row.fingerprint for row in gone], changes=changes, events=("check-removed", events)))
    await service.announcer.tell_rows(gone)
    told = {"count": len(gone), "titles": [row.title for row in gone[:TITLES]], "actor": actor, "reason": next(iter(why.values()))}
    await service.announcer.tell("removed", {**told, "at": wire_time(now)})
