"""Rows that leave the board for good: everyone is told, and who looks back finds when each went, why and by whom."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .model import CheckResult, utc_now, wire_time
from .recorded import StateChange

if TYPE_CHECKING:
    from .service import OpsMonitorService

TITLES = 3
"""Rows that are named to people who look at the room; the others are counted."""
FRESH = 600.0
"""Seconds for which whoever joins is told of it, too: who reloads a page, or was away for a minute, must not miss a row without a word."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What the room was told of the rows that left last, and when, on the monotonic clock."""

    told: Mapping[str, Any]
    at: float

    def to_wire(self) -> dict[str, Any] | None:
        """For who joins; None once it is old. `ago_s`: clocks differ."""
        ago = time.monotonic() - self.at
        return {**self.told, "ago_s": round(ago, 1)} if ago < FRESH else None


def name_of(owner: str) -> str:
    """What people call a config or a runner."""
    return Path(owner).name if owner.startswith("/") else owner


async def remove(service: OpsMonitorService, why: Mapping[str, str], actor: str | None = None) -> None:
    """Takes rows off, by fingerprint, each for its reason. `actor` is who did it, None: a clock, or a file that was read again."""
    if not why:
        return
    now = utc_now()
    before = {fingerprint: service.board.rows[fingerprint] for fingerprint in why}
    gone, changes, events = [], [], []
    for fingerprint, reason in why.items():
        row = service.remove_row(fingerprint, reason)
        gone.append(row)
        events.append({"fingerprint": fingerprint, "title": row.title, "actor": actor, "reason": reason})
        changes.append(
            StateChange(
                seq=row.seq,
                fingerprint=fingerprint,
                check_id=row.check_id,
                title=row.title,
                from_status=before[fingerprint].status,
                to_status="skip",
                severity=row.severity,
                phase="hard",
                at=now,
                summary=reason,
                scan_id="",
            )
        )
    departed = [(before[fingerprint], reason) for fingerprint, reason in why.items()]
    await service.kept(service.history.forget(departed, changes=changes, events=("check-removed", events)))
    await service.announcer.tell_rows(gone)
    told = {
        "count": len(gone),
        "replaced": sum(_is_replaced(service, row) for row in before.values()),
        "titles": [row.title for row in gone[:TITLES]],
        "actor": actor,
        "reason": next(iter(why.values())),
        "at": wire_time(now),
    }
    service.removal = Removal(told, time.monotonic())
    await service.announcer.tell("removed", dict(told))


def _is_replaced(service: OpsMonitorService, row: CheckResult) -> bool:
    """Whether the check of a row that goes looks at something else now: it has another row, and nothing is missing."""
    loaded = service.registry.checks.get(row.check_id)
    return loaded is not None and loaded.check.enabled and loaded.check.fingerprint != row.fingerprint
