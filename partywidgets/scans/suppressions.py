"""Why nobody is told about some results: what people said (acks, silences), which maintenance is open, and when each is over."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..exceptions import ScanError, StorageError
from .board import PUBLISHED
from .model import CheckResult, utc_now, wire_time
from .silence import Ack, Silence

if TYPE_CHECKING:
    from .service import OpsMonitorService

FRESH = 1.0
"""Seconds in which what a row may wait for was looked at recently enough."""
SOON = 0.5
"""Seconds at least until what waited for a row that recovered is looked at."""
SILENCE_BYTES = 64 * 1024
"""What a snapshot says of silences (the newest ones), at most."""


class Suppressions:
    """Acks, silences and maintenance of a service that runs: on its board, in its history, and told to everyone."""

    def __init__(self, service: OpsMonitorService) -> None:
        self._service = service

    async def acknowledge(self, ack: Ack) -> None:
        """Records an ack and tells everyone. Raises ScanError when there is nothing to acknowledge, StorageError when it cannot be kept:
        then the ack of before is in force, if there was one."""
        board, before = self._service.board, self._service.board.acks.get(ack.fingerprint)
        board.acknowledge(ack)
        try:
            await self._service.history.keep_ack(ack.fingerprint, ack)
        except StorageError:
            if board.acks.get(ack.fingerprint) is ack:
                del board.acks[ack.fingerprint]
                if before is not None:
                    board.acks[ack.fingerprint] = before
            await self.refresh()
            raise
        await self._note("ack", ack.to_wire())
        await self._service.announcer.tell("ack", ack.to_wire())
        await self.refresh()

    async def withdraw_ack(self, fingerprint: str, actor: str) -> None:
        """Ends an ack. Raises ScanError when there is none, StorageError when that cannot be kept: then it is in force."""
        ack = self._service.board.acks.pop(fingerprint, None)
        if ack is None:
            raise ScanError(f"nobody has acknowledged {fingerprint!r}: there is nothing to withdraw")
        try:
            await self._service.history.keep_ack(fingerprint, None)
        except StorageError:
            self._service.board.acks.setdefault(fingerprint, ack)
            await self.refresh()
            raise
        await self._note("ack-withdrawn", {**ack.to_wire(), "reason": None, "actor": actor})
        await self._service.announcer.tell("ack", {**ack.to_wire(), "reason": None, "actor": actor, "at": wire_time(utc_now())})
        await self.refresh()

    async def silence(self, silence: Silence) -> None:
        """Records a silence and tells everyone. Raises ScanError when there are too many, StorageError when it cannot be kept: then it is
        not in force."""
        self._service.board.silence(silence)
        try:
            await self._service.history.keep_silence(silence.id, silence)
        except StorageError:
            self._service.board.silences.pop(silence.id, None)
            await self.refresh()
            raise
        await self._note("silence", silence.to_wire())
        await self._service.announcer.tell("silence", silence.to_wire())
        await self.refresh()

    async def lift_silence(self, matchers: dict[str, str], actor: str) -> int:
        """Ends the silences that have exactly these matchers, and returns how many. Raises ScanError when there is none, StorageError when
        the end of one cannot be kept: then it is in force."""
        lifted = [silence for silence in self._service.board.silences.values() if silence.matchers == matchers]
        if not lifted:
            raise ScanError("no silence has exactly these matchers: take them from the list of silences")
        for silence in lifted:
            self._service.board.silences.pop(silence.id, None)
            try:
                await self._service.history.keep_silence(silence.id, None)
            except StorageError:
                self._service.board.silences.setdefault(silence.id, silence)
                await self.refresh()
                raise
            await self._note("silence-lifted", {**silence.to_wire(lifted=True), "actor": actor})
            await self._service.announcer.tell("silence", {**silence.to_wire(lifted=True), "actor": actor, "at": wire_time(utc_now())})
        await self.refresh()
        return len(lifted)

    async def refresh(self, *, only_ended: bool = False) -> None:
        """Ends acks and silences that are over, looks which maintenance is open, and tells everyone which rows changed.

        `only_ended`: only when something is over, or maintenance began or ended.
        """
        now = utc_now()
        began, closed = self._service.board.maintenance.look(now)
        for turn, windows in (("began", began), ("ended", closed)):
            for window in windows:
                await self._note(f"{window.kind}-{turn}", window.to_wire())
        over = [silence for silence in self._service.board.silences.values() if not silence.in_force(now)]
        ended = [ack for ack in self._service.board.acks.values() if not ack.in_force(now)]
        if only_ended and not (over or ended or began or closed):
            return
        changed = self._service.board.resuppress(now, self._depends_on)
        self._notify_of(changed)
        for silence in over:
            await self._note("silence-ended", {**silence.to_wire(), "actor": None}, at=silence.until)
            await self._service.kept(self._service.history.keep_silence(silence.id, None))
        for ack in ended:
            await self.ack_over(ack, at=ack.until)
        if changed:
            await self._tell(changed)

    async def ack_over(self, ack: Ack, at: datetime | None = None) -> None:
        """An ack has ended by itself: its time is over, a while ago where no host ran then, or its row is ok again."""
        await self._note("ack-ended", {**ack.to_wire(), "actor": None}, at=at)
        await self._service.kept(self._service.history.keep_ack(ack.fingerprint, None))

    def failed(self, result: CheckResult) -> None:
        """A row began to fail. Of those that wait for it nobody is told from now on, also where they were looked at first; and what it may
        wait for itself is looked at now, before its own problem is told."""
        now, board, registry = utc_now(), self._service.board, self._service.registry
        waiting = [row for loaded in registry.dependents(result.check_id) for row in board.depend(loaded.id, loaded.check.depends_on, now)]
        if waiting:
            self._notify_of(waiting)
            self._service.own(self._tell(waiting), "rows that wait for another")
        loaded = registry.checks.get(result.check_id)
        for name in () if loaded is None else loaded.check.depends_on:
            if now.timestamp() - (board.last_observed(name) or 0.0) > FRESH:
                self._service.scheduler.hasten(name, after=0.0)

    def recovered(self, result: CheckResult) -> None:
        """A row fails no more. What waits for it is looked at soon: of one that fails for a reason of its own nobody was told so far, and
        its own time may be a day away."""
        board, registry = self._service.board, self._service.registry
        for loaded in registry.dependents(result.check_id):
            if any(row.status not in ("ok", "skip") for row in board.of_check(loaded.id)):
                self._service.scheduler.hasten(loaded.id, after=max(loaded.check.retry_delay, SOON))

    def _depends_on(self, check_id: str) -> Sequence[str] | None:
        loaded = self._service.registry.checks.get(check_id)
        return None if loaded is None else loaded.check.depends_on

    def _notify_of(self, rows: Iterable[CheckResult]) -> None:
        """A message that waits is not sent of a row that somebody takes care of by now, and one that was held back is."""
        for row in rows:
            if row.check_id in self._service.registry.checks or self._service.board.owner_of(row.fingerprint) == PUBLISHED:
                self._service.notifier.seen(row)

    async def _tell(self, changed: list[CheckResult]) -> None:
        await self._service.kept(self._service.history.keep_bodies(changed))
        await self._service.announcer.tell_rows(changed)

    def silences(self) -> list[dict[str, Any]]:
        """The silences in force, the newest first, as many as a snapshot has room for."""
        now = utc_now()
        newest = reversed(self._service.board.silences.values())
        return _within(SILENCE_BYTES, (one.to_wire() for one in newest if one.in_force(now)))

    async def _note(self, kind: str, body: dict[str, Any], at: datetime | None = None) -> None:
        await self._service.kept(self._service.history.note(kind, body, at))


def _within(max_bytes: int, wires: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many, from the first on, as take `max_bytes` of JSON."""
    taken, left = [], max_bytes
    for wire in wires:
        left -= len(json.dumps(wire)) + 2
        if left < 0:
            break
        taken.append(wire)
    return taken
