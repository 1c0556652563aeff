"""What a service does beside its scans, while it runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from . import registrations, removal
from .board import PUBLISHED
from .model import utc_now

if TYPE_CHECKING:
    from .board import Board
    from .service import OpsMonitorService

_log = logging.getLogger("partywidgets.scans")
T = TypeVar("T")

LOOK_EVERY = 5.0
"""Seconds between two looks for acks, silences and maintenance that are over."""
PRUNE_EVERY = 3600.0
"""Seconds between two looks for results that are older than the history keeps."""
ROLL_UP_EVERY = 60.0
"""Seconds between two looks for minutes, hours and days that have ended."""
ABANDONED_AFTER = 600.0
"""Seconds after a start in which who loads configs into this host (a notebook, a deployment) may come back."""
ASKED_FOR_STAYS = 600.0
"""Seconds at most for which the row of a disabled check stays that somebody had looked at by its name."""
SLICE = 100
"""Rows that are encoded in one turn of the loop."""


async def warm_up(board: Board) -> None:
    """Encodes every row, a slice in a turn of the loop: so the first snapshot after a start, when everyone comes back, need not."""
    for number, row in enumerate(list(board.rows.values()), 1):
        board.encoded(row)
        if number % SLICE == 0:
            await asyncio.sleep(0)


async def keep_house(service: OpsMonitorService) -> None:
    """Ends what is over, sums up what has ended, and removes what is too old. Runs until it is cancelled: what fails is logged, and tried
    again at its next time."""
    pruned = rolled = float("-inf")
    loop = asyncio.get_running_loop()
    abandoned = loop.time() + ABANDONED_AFTER
    while True:
        if loop.time() >= abandoned:
            abandoned = float("inf")
            await _step("rows of configs that were not loaded again", service.orphans.disown_configs())
        await _step("acks and silences that are over", service.suppressions.refresh(only_ended=True))
        await _step("rows of disabled checks", _drop_disabled(service, utc_now()))
        await _step("what registries said", registrations.keep(service))
        if loop.time() - rolled >= ROLL_UP_EVERY:
            rolled = loop.time()
            await _step("roll-ups", service.kept(service.history.roll_up(utc_now())))
        if loop.time() - pruned >= PRUNE_EVERY:
            pruned, now, keeping = loop.time(), utc_now(), service.keeping
            before = now - timedelta(seconds=keeping.keep_raw)
            rollups, minutes = now - timedelta(seconds=keeping.keep_rollups), now - timedelta(seconds=keeping.keep_minutes)
            prune = service.history.prune(before, rollups_before=rollups, minutes_before=minutes)
            if not await _step("pruning", service.kept(prune)):
                pruned -= PRUNE_EVERY - ROLL_UP_EVERY  # soon again: a full disk waits for it
            await _step("old rows", _drop_orphans(service, before))
            await _step("old heartbeats", service.beats.forget(before))
        await asyncio.sleep(LOOK_EVERY)


async def _step(name: str, work: Awaitable[T]) -> T | None:
    """One part of the housekeeping; a fault of it, which is one of ours, must not end the others for as long as the host runs."""
    try:
        return await work
    except Exception:
        _log.exception("ops housekeeping, %s: failed, and is tried again at its next time", name)
        return None


async def _drop_orphans(service: OpsMonitorService, before: datetime) -> None:
    """Takes off old rows that no check here will ever renew: published ones, and those of configs that were not loaded again."""
    rows = service.board.rows.values()
    old = [row.fingerprint for row in rows if row.observed_at < before and row.check_id not in service.registry.checks]
    owners = {name: removal.name_of(service.board.owner_of(name)) for name in old}
    why = {
        name: "nobody published it again" if owner == PUBLISHED else f"{owner} was not loaded again, and nobody looked any more"
        for name, owner in owners.items()
    }
    await removal.remove(service, why)


async def _drop_disabled(service: OpsMonitorService, now: datetime) -> None:
    """Takes off the rows of disabled checks that somebody had looked at by name, when they would be stale: nobody looks again."""
    why = {}
    for loaded in service.registry.checks.values():
        row = None if loaded.check.enabled else service.board.rows.get(loaded.check.fingerprint)
        if row is None:
            continue
        stays = ASKED_FOR_STAYS if row.ttl_s is None else min(row.ttl_s, ASKED_FOR_STAYS)
        if row.observed_at + timedelta(seconds=stays) < now:
            named = removal.name_of(loaded.owner)
            why[row.fingerprint] = f"its check is disabled in {named}, and was looked at when somebody asked"
    await removal.remove(service, why)
