"""The heartbeats of a service: what is known of each job that reports by itself, kept over restarts of the host.

A beat is written before its sender is answered: a host that is killed right after has heard it all the same. Beats that come while one is
written go into one transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..exceptions import ConfigError
from .checks import heartbeat
from .checks.base import CheckModel
from .checks.heartbeat import Beat, HeartbeatCheck
from .model import CheckResult, utc_now
from .recorded import KeptBeat

if TYPE_CHECKING:
    from .service import OpsMonitorService


class BeatKeeper:
    """Which checks of a service are heartbeats, and what was heard."""

    def __init__(self, service: OpsMonitorService) -> None:
        self._service = service
        self._checks: dict[str, tuple[str, HeartbeatCheck]] = {}
        """By fingerprint: the owner and the check."""
        self._before: dict[str, KeptBeat] = {}
        """What the last run left of checks that were not loaded yet."""
        self._heard: dict[str, Beat] = {}
        """What is to be written."""
        self._writing = asyncio.Lock()

    async def restore(self) -> None:
        """Takes what the last run left."""
        self._before = await self._service.history.beats()
        for fingerprint, (_, check) in self._checks.items():
            if (beat := heartbeat.BEATS.of_check(fingerprint)) is not None:
                self._resume(check, beat)
        await self._write()

    async def listen(self, owner: str, checks: Iterable[CheckModel], resolve: Callable[[str], str]) -> None:
        """A config was loaded: its jobs may beat from now on, before the first look, and their time counts from the first loading.

        A check that was disabled before is waited for from now on.
        """
        before = {fingerprint: check for fingerprint, (whose, check) in self._checks.items() if whose == owner}
        for check in checks:
            if not isinstance(check, HeartbeatCheck):
                continue
            with contextlib.suppress(ConfigError):  # its look says so
                secret = resolve(check.secret)
                known = before.pop(check.fingerprint, None)
                is_new = secret not in heartbeat.BEATS
                beat = check.listen(secret)
                if beat is None:
                    continue
                self._checks[check.fingerprint] = owner, check
                if is_new and known is None:
                    self._resume(check, beat)
                elif known is not None and check.enabled and not known.enabled:
                    beat.since = time.monotonic()
                    self._heard[check.fingerprint] = beat
        for fingerprint in before:
            del self._checks[fingerprint]
            heartbeat.BEATS.leave(fingerprint)
        await self._write(dict.fromkeys(before))

    async def hear(self, secret: str) -> bool:
        """Records a beat, and returns when it is kept; False when no check listens for it. A row that is not ok is looked at at once."""
        beat = heartbeat.BEATS.hear(secret)
        if beat is None:
            return False
        for fingerprint in beat.checks & self._checks.keys():
            self._heard[fingerprint] = beat
            row = self._service.board.rows.get(fingerprint)
            if row is not None and row.status != "ok":
                self._service.scheduler.hasten(row.check_id, after=0.0)
        if self._service.started:
            await self._service.lasting(self._write(), "heartbeats")
        return True

    async def forget(self, before: datetime) -> None:
        """Forgets what was heard before a moment of checks that are not here any more."""
        kept = await self._service.history.beats()
        old = [name for name, beat in kept.items() if name not in self._checks and beat.awaited_from < before]
        await self._write(dict.fromkeys(old))

    def leave(self) -> None:
        """The service ends: others may listen for its secrets."""
        for fingerprint in self._checks:
            heartbeat.BEATS.leave(fingerprint)

    def _resume(self, check: HeartbeatCheck, beat: Beat) -> None:
        """Goes on where the last run ended. A time that ran out while nobody listened is given once more: the job may have reported to
        nobody."""
        row, now, moment = self._service.board.rows.get(check.fingerprint), time.monotonic(), utc_now()
        kept = self._before.pop(check.fingerprint, None) or (None if row is None else _of_row(row))
        if kept is not None:
            beat.resume(kept, now, moment)
            within, waited_from = timedelta(seconds=check.within), kept.awaited_from
            was_late = row is not None and row.observed_at - waited_from > within
            if moment - waited_from > within and not was_late:
                beat.since = now
        if check.enabled:
            self._heard[check.fingerprint] = beat

    async def _write(self, gone: dict[str, None] | None = None) -> None:
        """Who waits here for another to be done finds its beat written, as a rule."""
        async with self._writing:
            if not self._service.started:
                return
            heard, self._heard = self._heard, {}
            now, moment = time.monotonic(), utc_now()
            beats = {fingerprint: beat.kept(now, moment) for fingerprint, beat in heard.items() if fingerprint in self._checks}
            if beats or gone:
                await self._service.kept(self._service.history.keep_beats({**beats, **(gone or {})}))


def _of_row(row: CheckResult) -> KeptBeat | None:
    """What the row of a host that kept no beats tells."""
    metrics = {metric.name: metric.value for metric in row.metrics}
    if not {"age_s", "beats"} <= metrics.keys():
        return None
    then = row.observed_at - timedelta(seconds=metrics["age_s"])
    return KeptBeat(then, then if metrics["beats"] else None, int(metrics["beats"]))
