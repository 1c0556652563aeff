"""OpsMonitorService: the checks of all configs, their schedule, their scans and what became of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from ..exceptions import StorageError
from . import registrations, removal
from .active_scans import ActiveScans
from .announcer import Announcer, BroadcastCallback
from .beats import BeatKeeper
from .board import PUBLISHED, Board
from .checks.base import CheckModel
from .execution import Bench, Loaded, configured
from .history import FILE, History
from .housekeeping import keep_house, warm_up
from .lapse import DIRECTORY_LOST, FILE_LOST, Lapse
from .maintenance import MaintenanceSettings
from .model import CheckResult, one_line
from .notice import Known
from .notify import Notifier, require_apprise
from .notify_settings import NotifySettings
from .orphans import Orphans
from .placing import Placing
from .probing import ProbeProcess
from .registry import Registry, Selection, Swap
from .report import ScanReport
from .runner import OWNER, Deliver, RunnerPool
from .scan import Scan, scan_head, wire_moment
from .schedule import Scheduler
from .settings import HistorySettings, LimitSettings, ScheduleSettings
from .suppressions import Suppressions
from .tasks import Tasks
from .waiver import WaiverSettings

__all__ = ["BroadcastCallback", "OpsMonitorService", "Scan", "Selection"]

RUNNING = 100
"""Most scans under way that a snapshot tells of."""
STOP_TIMEOUT = 5.0
LOOKING_BACK = 2
"""Large answers about the past that are made at once: as many as the history has threads for."""

T = TypeVar("T")

_log = logging.getLogger("partywidgets.scans")


def _as_written(text: str) -> str:
    return text


class OpsMonitorService:
    """The checks of the loaded configs, and the scans of them. An async context manager: inside it the schedule runs.

    `directory` is where `ops-history.sqlite` lies; None keeps the history in memory. `limits` count checks running at once.
    `probes` looks at network checks elsewhere, None: they are looked at here. `announcer` is what the schedule, runners and reloads tell
    people by, `deliver` reaches one connection; the entry point (`OpsMonitorOps`) sets what they do. `suppressions` has acks, silences and
    maintenance, `beats` the jobs that report by themselves.
    """

    def __init__(
        self,
        *,
        directory: Path | str | None = None,
        limits: LimitSettings | None = None,
        redact: Callable[[str], str] | None = None,
        probes: ProbeProcess | None = None,
    ) -> None:
        self.directory = None if directory is None else Path(directory)
        self.deliver: Deliver | None = None
        self._tasks = Tasks()
        self.board = Board()
        self.announcer = Announcer(self.board)
        self.suppressions = Suppressions(self)
        self.registry = Registry()
        self.orphans = Orphans(self)
        self.beats = BeatKeeper(self)
        self.runners = RunnerPool(self)
        self.bench = Bench(self._tasks.own, limits)
        self.scheduler = Scheduler(lambda keys: self.scans.scheduled(keys))
        self.notifier = Notifier(
            self._tasks.own,
            keep=self._keep_told,
            current=self.board.rows.get,
            troubled=self._tell_failing,
            said=self._note_told,
            redact=redact,
        )
        self.removal: removal.Removal | None = None
        """The rows that left last, of which the room was told."""
        self.config_refused: str | None = None
        """Why a config is not in force as its file is now, for those who look at the room."""
        self.looking_back = asyncio.Semaphore(LOOKING_BACK)
        self.keeping = HistorySettings()
        self._history: History | None = None
        self.storage_lost: Callable[[], bool] = lambda: False
        """Whether the directory of the history was moved or removed, as its host knows."""
        self._lapse = Lapse(self._tell_lapse, lost=self._lost)
        self.redact = redact
        placing = Placing(self.board, self.registry, self.notifier, self.scheduler, redact)
        self.scans = ActiveScans(self, self._tasks, placing=placing, lapse=self._lapse)
        self._probes = probes

    # life

    async def __aenter__(self) -> OpsMonitorService:
        if self.redact is not None:
            await asyncio.to_thread(self.redact, "")  # its patterns are loaded here: later it would hold the rooms up
        history = History(None if self.directory is None else self.directory / FILE)
        await history.__aenter__()
        try:
            await self._resume(history)
        except BaseException:
            self._history = history
            await self.__aexit__(None, None, None)
            raise
        return self

    async def _resume(self, history: History) -> None:
        """Goes on where the last run ended."""
        restored = await history.restore()
        self._history = history
        self.board.restore(restored)
        self.scans.last = None if restored.last_scan is None else scan_head(restored.last_scan)
        self.scheduler.restore(restored.last_full)
        await self.beats.restore()
        await registrations.restore(self)
        for loaded in self.registry.checks.values():
            self.scheduler.put(loaded.check, owner=loaded.owner, last=self.board.last_observed(loaded.id))
        for owner in {loaded.owner for loaded in self.registry.checks.values()}:
            await self.settle_rows(owner)
        await self.orphans.disown_runners()
        await warm_up(self.board)
        self.notifier.start(await history.told(), await history.departed())
        self._tasks.own(self.scheduler.run(), "ops schedule")
        self._tasks.own(keep_house(self), "ops housekeeping")
        if restored.interrupted:
            cut = "a scan was" if restored.interrupted == 1 else f"{restored.interrupted} scans were"
            _log.warning("%s cut off when the last host ended, and marked interrupted", cut)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._tasks.stop(timeout=STOP_TIMEOUT)
        if self._probes is not None:
            await self._probes.close()
        self.beats.leave()
        if self._history is not None:
            await registrations.keep(self)
        history, self._history = self._history, None
        if history is not None:
            await history.__aexit__(None, None, None)

    @property
    def started(self) -> bool:
        """True inside `async with`."""
        return self._history is not None

    @property
    def history(self) -> History:
        """What was seen before. Raises StorageError outside `async with`."""
        if self._history is None:
            raise StorageError("the ops service is not running: use it inside `async with`")
        return self._history

    # configs

    async def load_config(
        self,
        name: str,
        checks: Iterable[CheckModel],
        *,
        functions: Iterable[Loaded] = (),
        schedule: ScheduleSettings | None = None,
        history: HistorySettings | None = None,
        limits: LimitSettings | None = None,
        maintenance: Sequence[MaintenanceSettings | WaiverSettings] = (),
        notify: Sequence[NotifySettings] = (),
        page: str = "",
        resolve: Callable[[str], str] = _as_written,
        actor: str | None = None,
    ) -> None:
        """Puts these checks in place of those that `name` (a file's path) had; the others, and what runs, go on.

        `functions` are checks of this config that look elsewhere: those of its modules.
        `page` is the URL of the host's page, to which notifications link.
        `resolve` replaces `${env:…}` and `${file:…}` when a check looks. Rows of checks that are gone leave the board; `actor` is who is
        said to have taken them out.
        A runner's function that is the same as one of `functions` is taken over with its row: it was promoted.
        Raises ConfigError, and changes nothing, when a check id belongs to another name.
        """
        if notify:
            require_apprise(name)
        own = [configured(check, name, resolve=resolve, redact=self.redact, probes=self._probes) for check in checks]
        swap = self.registry.replace(name, [*own, *functions], heir_of=OWNER)
        await self.beats.listen(name, [loaded.check for loaded in own], resolve)
        if self._probes is not None:
            await self._probes.put(name, [loaded.check for loaded in own])
        if limits is not None:
            self.bench.set_limits(limits)
        if history is not None:
            self.keeping = history
        self.scheduler.configure(name, schedule or ScheduleSettings())
        self.board.maintenance.configure(name, maintenance)
        await self.settle(name, swap, actor)
        if self.started:
            await self.suppressions.refresh()
        failing = self.notifier.failing()
        # Of a row that nobody looks at, nobody is told: its check may have been mended since.
        looked_at = [
            row
            for row in self.board.rows.values()
            if row.check_id in self.registry.checks or self.board.owner_of(row.fingerprint) == PUBLISHED
        ]
        self.notifier.configure(name, notify, resolve, looked_at, page=page)
        if self.notifier.failing() != failing:
            await self._tell_failing()

    async def refuse_config(self, reason: str | None) -> None:
        """Tells everyone why the file that was to be loaded is refused and the former config goes on; None: it is in force."""
        if reason is not None:
            reason = one_line(reason if self.redact is None else self.redact(reason), 300)
        if reason != self.config_refused:
            self.config_refused = reason
            await self.announcer.tell("config-refused", {"reason": reason})

    async def settle(self, owner: str, swap: Swap, actor: str | None = None) -> None:
        """Brings schedule and board in line with what an owner's checks are now."""
        for loaded in self.registry.owned_by(owner):
            self.scheduler.put(loaded.check, owner=owner, last=self.board.last_observed(loaded.id))
        for loaded in swap.removed:
            self.scheduler.drop(loaded.id)
        await self.settle_rows(owner, actor)

    async def settle_rows(self, owner: str, actor: str | None = None) -> None:
        """Takes rows of `owner` off the board whose check, in its present form, is not there any more, or is disabled; tells everyone.

        What nobody looks at must not fail for ever, keep an incident open, or hold back what depends on it. A row that a check of the same
        id left under another name, before a restart, goes too: the id is this owner's now.
        """
        loaded_checks = self.registry.owned_by(owner)
        here = {loaded.check.fingerprint: loaded.check.enabled for loaded in loaded_checks}
        for fingerprint in here:
            self.board.hand_over(fingerprint, owner)
        rows = [*self.board.owned_by(owner), *(row for loaded in loaded_checks for row in self.board.of_check(loaded.id))]
        named = removal.name_of(owner)
        why = {
            row.fingerprint: f"its check is disabled in {named}"
            if row.fingerprint in here
            else f"{named} looks at something else under this id: its target or its identity labels are others now"
            if row.check_id in self.registry.checks
            else f"its check was taken out of {named}"
            for row in rows
            if not here.get(row.fingerprint)
        }
        await removal.remove(self, why, actor)

    # scans

    async def run_scan(
        self, selection: Selection | None = None, *, broadcast: BroadcastCallback | None = None, trigger: str = "manual"
    ) -> ScanReport:
        """Runs the selected checks and returns when the last has ended. One path for a cell, the entry point and the schedule.

        `broadcast` gets `scan-started`, `check-result` (at most every 100 ms), `state-change` and `scan-result`.
        Cancelling the caller ends the scan. Raises ScanError when nothing is selected by that name, or too many scans are under way.
        """
        scan = self.start_scan(selection, broadcast=broadcast, trigger=trigger)
        return await scan.task

    def start_scan(
        self,
        selection: Selection | None = None,
        *,
        broadcast: BroadcastCallback | None = None,
        trigger: str = "manual",
        actor: str | None = None,
    ) -> Scan:
        """As `run_scan`, without waiting: the scan is the service's own task."""
        return self.scans.start(selection or Selection(), broadcast=broadcast, trigger=trigger, actor=actor)

    def cancel_scan(self, scan_id: str) -> None:
        """Ends a scan under way; everyone gets its `scan-result` with what there is. Raises ScanError when none of that id is."""
        self.scans.cancel(scan_id)

    def running(self) -> list[Scan]:
        """The scans under way."""
        return self.scans.running()

    async def publish(self, report: ScanReport, *, broadcast: BroadcastCallback | None = None, actor: str | None = None) -> ScanReport:
        """Takes a report that was made elsewhere (a scan in a kernel) onto the board and into the history; tells everyone.

        Who sent it may be gone, and cancel the caller: what was begun is taken whole, else it would be half on the board and under way for
        ever. Raises ScanError when a scan of that id is known already.
        """
        return await self.scans.publish(report, broadcast=broadcast, actor=actor)

    @property
    def last_scan(self) -> dict[str, Any] | None:
        """The last scan that ended, as a report without results: one of the whole rather than of a few checks. None: there was none."""
        return self.scans.last

    def snapshot_head(self) -> dict[str, Any]:
        """What the first part of a snapshot has beside rows."""
        return {
            "scan": self.scans.last,
            "silences": self.suppressions.silences(),
            "running": [scan.scan_id for scan in self.scans.running()[-RUNNING:]],
            "checks": len(self.registry),
            "counts": self.board.counts(),
            "notify": self.notifier.failing(),
            "unkept": self._lapse.reason,
            "config_refused": self.config_refused,
            "removed": None if self.removal is None else self.removal.to_wire(),
            "next": wire_moment(self.scheduler.next_full()),
        }

    def next_look(self, check_id: str) -> float | None:
        """When a check is looked at next, in seconds since the epoch; None when it is not on the schedule, or gone."""
        loaded = self.registry.checks.get(check_id)
        return None if loaded is None or not loaded.check.enabled else self.scheduler.next_of(check_id, loaded.owner)

    # inside

    def own(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """A task of the service's own: it ends with it."""
        self._tasks.own(work, name)

    def remove_row(self, fingerprint: str, reason: str) -> CheckResult:
        """Takes a row off the board; returns its last form, for those who show it."""
        self.notifier.gone(self.board.rows[fingerprint], reason)
        return self.board.remove(fingerprint)

    async def _keep_told(self, target: str, told: Mapping[str, Known | None]) -> None:
        await self.history.keep_told(target, told)

    async def _note_told(self, target: str, title: str, error: str | None) -> None:
        kind = "notified" if error is None else "not-notified"
        await self.kept(self.history.note(kind, {"name": target, "title": title, "reason": error}))

    async def _tell_failing(self) -> None:
        await self.announcer.tell("notify", {"failing": self.notifier.failing()})

    def _lost(self) -> str:
        return DIRECTORY_LOST if self.storage_lost() else FILE_LOST if self.history.lost else ""

    async def _tell_lapse(self) -> None:
        await self.announcer.tell("unkept", {"reason": self._lapse.reason})

    async def lasting(self, work: Coroutine[Any, Any, T], name: str) -> T:
        """Waits for work that is the service's own: it goes on where who waits gives up."""
        return await asyncio.shield(self._tasks.own(work, name))

    async def kept(self, writing: Coroutine[Any, Any, Any], *, results: bool = False) -> bool:
        """Waits for a writing to the history. One that fails is told in the log: what is under way goes on without it. True: it is kept."""
        return await self._lapse.kept(writing, results=results)
