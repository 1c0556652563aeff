"""OpsMonitorService: runs scans and tells whoever listens."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from ..exceptions import ScanError, StorageError
from .board import PUBLISHED, Board
from .checks.base import CheckModel
from .execution import Bench, Loaded, configured, failed
from .history import FILE, History, Row, ScanState
from .maintenance import MaintenanceSettings
from .message import Rows
from .model import CheckResult, Failure, ScanReport, one_line, utc_now, uuid7, wire_time
from .notify import Notifier, require_apprise
from .notify_settings import NotifySettings
from .redaction import remove_secrets
from .registry import Registry, Selection, Swap
from .runner import OWNER, Deliver, RunnerPool
from .schedule import FULL, Scheduler
from .settings import HistorySettings, LimitSettings, ScheduleSettings
from .silence import Ack, Silence
from .stream import Emit, ResultStream
from .waiver import WaiverSettings

__all__ = ["BroadcastCallback", "OpsMonitorService", "Scan", "Selection"]

T = TypeVar("T")
BroadcastCallback = Callable[[str, dict[str, Any]], Awaitable[None] | None]
"""Gets a message's type (`scan-started`, `check-result`, `scan-result`, …) and its data."""
TextCallback = Callable[[str, str], Awaitable[None] | None]
"""The same with the data as JSON text."""

SCANS = 16
"""Most scans under way at once that somebody asked for."""
SCHEDULED = ("schedule", "interval")
SILENCE_BYTES, RUNNING = 64 * 1024, 100
"""What a snapshot says of silences (the newest ones) and of scans under way, at most."""
BROADCAST_TIMEOUT = 30.0
"""Seconds that one broadcast may take before the scan goes on without it."""
STOP_TIMEOUT = 5.0
PRUNE_EVERY = 3600.0
"""Seconds between two looks for results that are older than the history keeps."""

ROLL_UP_EVERY = 60.0
"""Seconds between two looks for minutes, hours and days that have ended."""

_log = logging.getLogger("partywidgets.scans")


def _as_written(text: str) -> str:
    return text


@dataclass(eq=False)
class Scan:
    """A scan under way. `await scan.wait()` gives its report; `cancel()` ends it, what was seen until then stays."""

    scan_id: str
    trigger: str
    total: int
    task: asyncio.Task[ScanReport] = field(repr=False)

    async def wait(self) -> ScanReport:
        """The finished report. Cancelling the waiter does not end the scan."""
        return await asyncio.shield(self.task)

    def cancel(self) -> None:
        """Ends the scan; its `scan-result` has what there is."""
        self.task.cancel()


class OpsMonitorService:
    """The checks of the loaded configs, and the scans of them. An async context manager: inside it the schedule runs.

    `directory` is where `ops-history.sqlite` lies; None keeps the history in memory. `limits` count checks running at once.
    `broadcast` is what the schedule, runners and reloads tell people by, `deliver` reaches one connection, `in_text` names a callback
    that takes a message's data as JSON text as well, by the second one; the entry point (`OpsMonitorOps`) sets all three.
    """

    def __init__(
        self, *, directory: Path | str | None = None, limits: LimitSettings | None = None, redact: Callable[[str], str] | None = None
    ) -> None:
        self.directory = None if directory is None else Path(directory)
        self.broadcast: BroadcastCallback | None = None
        self.in_text: tuple[BroadcastCallback, TextCallback] | None = None
        self.deliver: Deliver | None = None
        self.board = Board()
        self.registry = Registry()
        self.runners = RunnerPool(self)
        self.bench = Bench(self._own, limits)
        self.scheduler = Scheduler(self._scheduled)
        self.notifier = Notifier(self._own, keep=self._keep_told, current=self.board.rows.get, redact=redact)
        self.last_scan: dict[str, Any] | None = None
        self._history: History | None = None
        self._redact = redact
        self._keeping = HistorySettings()
        self._scans: dict[str, Scan] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    # life

    async def __aenter__(self) -> OpsMonitorService:
        if self._redact is not None:
            await asyncio.to_thread(self._redact, "")  # its patterns are loaded here: later it would hold the rooms up
        history = History(None if self.directory is None else self.directory / FILE)
        await history.__aenter__()
        restored = await history.restore()
        self._history = history
        self.board.restore(restored, utc_now())
        self.last_scan = None if restored.last_scan is None else _head(restored.last_scan)
        self.scheduler.restore(restored.last_full)
        for loaded in self.registry.checks.values():
            self.scheduler.put(loaded.check, owner=loaded.owner, last=self.board.last_observed(loaded.id))
        for owner in {loaded.owner for loaded in self.registry.checks.values()}:
            await self.settle_rows(owner)
        await self._disown_runners()
        self.notifier.start(await history.told())
        self._own(self.scheduler.run(), "ops schedule")
        self._own(self._housekeeping(), "ops housekeeping")
        if restored.interrupted:
            _log.warning("%d scans were cut off when the last host ended; they are marked interrupted", restored.interrupted)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_TIMEOUT)
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
        resolve: Callable[[str], str] = _as_written,
    ) -> None:
        """Puts these checks in place of those that `name` (a file's path) had; the others, and what runs, go on.

        `functions` are checks of this config that look elsewhere: those of its modules.
        `resolve` replaces `${env:…}` and `${file:…}` when a check looks. Rows of checks that are gone leave the board.
        Raises ConfigError, and changes nothing, when a check id belongs to another name.
        """
        if notify:
            require_apprise(name)
        own = [configured(check, name, resolve=resolve, redact=self._redact) for check in checks]
        swap = self.registry.replace(name, [*own, *functions])
        if limits is not None:
            self.bench.set_limits(limits)
        if history is not None:
            self._keeping = history
        self.scheduler.configure(name, schedule or ScheduleSettings())
        self.board.maintenance.configure(name, maintenance)
        await self.settle(name, swap)
        if self.started:
            await self.refresh_suppressions(only_ended=True)
        self.notifier.configure(name, notify, resolve, list(self.board.rows.values()))

    async def settle(self, owner: str, swap: Swap) -> None:
        """Brings schedule and board in line with what an owner's checks are now."""
        for loaded in self.registry.owned_by(owner):
            self.scheduler.put(loaded.check, owner=owner, last=self.board.last_observed(loaded.id))
        for loaded in swap.removed:
            self.scheduler.drop(loaded.id)
        await self.settle_rows(owner)

    async def settle_rows(self, owner: str) -> None:
        """Takes rows of `owner` off the board whose check, in its present form, is not there any more; tells everyone.

        A row that a check of the same id left under another name, before a restart, goes too: the id is this owner's now.
        """
        loaded_checks = self.registry.owned_by(owner)
        present = {loaded.check.fingerprint for loaded in loaded_checks}
        rows = [*self.board.owned_by(owner), *(row for loaded in loaded_checks for row in self.board.of_check(loaded.id))]
        stale = dict.fromkeys(row.fingerprint for row in rows if row.fingerprint not in present)
        gone = [self._remove(fingerprint) for fingerprint in stale]
        if gone:
            await self._kept(self.history.forget([row.fingerprint for row in gone]))
            await self._tell_rows(gone)

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
        _ = self.history
        asked = [scan for scan in self._scans.values() if scan.trigger not in SCHEDULED]
        if trigger not in SCHEDULED and len(asked) >= SCANS:
            raise ScanError(f"{SCANS} scans are under way: wait until one has ended")
        check_of = (
            {fingerprint: row.check_id for fingerprint, row in self.board.rows.items()} if selection and selection.fingerprints else {}
        )
        for loaded in self.registry.checks.values() if check_of or (selection and selection.fingerprints) else ():
            check_of.setdefault(loaded.check.fingerprint, loaded.id)
        chosen = self.registry.select(selection or Selection(), check_of=check_of)
        report = ScanReport(trigger=trigger, total=len(chosen))
        task = self._own(self._scan(report, chosen, broadcast, actor), f"scan {report.scan_id}")
        scan = self._scans[report.scan_id] = Scan(report.scan_id, trigger, len(chosen), task)
        task.add_done_callback(lambda _: self._scans.pop(report.scan_id, None))
        return scan

    def cancel_scan(self, scan_id: str) -> None:
        """Ends a scan under way; everyone gets its `scan-result` with what there is. Raises ScanError when none of that id is."""
        if scan_id not in self._scans:
            raise ScanError(f"no scan {one_line(scan_id, 80)!r} is under way: it has ended, or never began")
        self._scans[scan_id].cancel()

    def running(self) -> list[Scan]:
        """The scans under way."""
        return list(self._scans.values())

    async def publish(self, report: ScanReport, *, broadcast: BroadcastCallback | None = None, actor: str | None = None) -> ScanReport:
        """Takes a report that was made elsewhere (a scan in a kernel) onto the board and into the history; tells everyone.

        Raises ScanError when a scan of that id is known already.
        """
        report = ScanReport(scan_id=report.scan_id, trigger=report.trigger, started_at=report.started_at, results=report.results)
        await self.history.begin_scan(report, actor=actor)
        placed = ScanReport(scan_id=report.scan_id, trigger=report.trigger, started_at=report.started_at, total=report.total)
        emit = self._emitter(broadcast)
        await emit("scan-started", _started(placed))
        stream = ResultStream(report.scan_id, report.total, board=self.board, history=self.history, emit=emit)
        for result in report.results:
            loaded = self.registry.checks.get(result.check_id)
            result.scan_id = report.scan_id
            self._place(result, loaded, stream, owner=PUBLISHED)
            placed.add(result)
        stream.finish()
        await stream.run()
        await self._close_scan(placed, "finished", emit)
        return placed

    async def _scan(self, report: ScanReport, chosen: list[Loaded], broadcast: BroadcastCallback | None, actor: str | None) -> ScanReport:
        emit = self._emitter(broadcast)
        stream = ResultStream(report.scan_id, report.total, board=self.board, history=self.history, emit=emit)

        async def tell() -> None:
            await self._kept(self.history.begin_scan(report, actor=actor))
            await emit("scan-started", _started(report))
            await stream.run()

        async def look(loaded: Loaded) -> None:
            result = await self.bench.look(loaded, scan_id=report.scan_id, scheduled_at=report.started_at)
            self._place(result, loaded, stream, owner=loaded.owner)
            report.add(result)

        state: ScanState = "finished"
        looks: list[asyncio.Task[None]] = []
        # Checks do not wait for the disk, which may be busy with a long look back: what was seen is told in its order all the same.
        streaming = self._own(tell(), f"stream of scan {report.scan_id}")
        try:
            looks += [self._own(look(loaded), f"check {loaded.id}") for loaded in chosen]
            if looks:
                await asyncio.wait(looks)
        except asyncio.CancelledError:
            state = "cancelled"
            for task in looks:
                task.cancel()
            if looks:
                await asyncio.wait(looks, timeout=STOP_TIMEOUT)
            raise
        finally:
            stream.finish()
            await asyncio.wait({streaming}, timeout=BROADCAST_TIMEOUT)
            await self._close_scan(report, state, emit)
        return report

    async def _close_scan(self, report: ScanReport, state: ScanState, emit: Emit) -> None:
        report.finished_at = utc_now()
        report.results.sort(key=lambda result: result.urgency)
        await self._kept(self.history.finish_scan(report, state))
        wire = report.to_wire()
        head = {key: value for key, value in wire.items() if key != "results"} | {"more": f"/api/ops/scans/{report.scan_id}"}
        if report.trigger != "interval" or self.last_scan is None or self.last_scan["trigger"] == "interval":
            self.last_scan = head  # the few checks that were just due say little about the whole
        await emit("scan-result", wire)

    def _place(self, result: CheckResult, loaded: Loaded | None, stream: ResultStream, *, owner: str, gone: bool = False) -> None:
        check, now = None if loaded is None else loaded.check, utc_now()
        if self._redact is not None and not (loaded is not None and loaded.own):
            remove_secrets(result, self._redact)
        result.observed_at = min(result.observed_at, now)  # a clock that is ahead elsewhere must not keep its rows for ever
        if loaded is not None and not gone:
            present = self.registry.checks.get(loaded.id)
            if present is None or present.owner != loaded.owner or present.check.fingerprint != loaded.check.fingerprint:
                stream.skip()  # its config was replaced while it was looked at: its row has left the board, for good
                return
        try:
            placement = self.board.place(
                result,
                owner=owner if loaded is None else loaded.owner,
                attempts=result.state.max_attempts if check is None else check.attempts,
                depends_on=() if check is None else check.depends_on,
                now=now,
            )
        except ScanError as error:
            _log.error("check %s: its result is left out: %s", result.check_id, error)
            stream.skip()
            return
        stream.add(placement)
        self.notifier.seen(result)
        if placement.ended_ack is not None:
            self._own(self._kept(self.history.keep_ack(result.fingerprint, None)), "ack ended")
        if check is not None and result.state.phase == "soft":
            self.scheduler.hasten(check.id, after=max(check.retry_delay, 0.5))

    async def _scheduled(self, keys: list[str]) -> None:
        """The scheduled handler: what is due and not being looked at already, by the same path as every scan."""
        full = [
            loaded.id
            for key in keys
            if key.startswith(FULL)
            for loaded in self.registry.owned_by(key.removeprefix(FULL))
            if loaded.check.enabled
        ]
        interval = [key for key in keys if not key.startswith(FULL) and key not in full]
        for trigger, check_ids in (("schedule", full), ("interval", interval)):
            due = tuple(name for name in check_ids if name in self.registry.checks and not self.bench.busy(name))
            if due:
                self.start_scan(Selection(checks=due), broadcast=self.broadcast, trigger=trigger)

    async def mark_unknown(self, checks: Sequence[Loaded], reason: str) -> None:
        """Turns the rows of checks that nobody can look at any more unknown, and tells everyone."""
        stream = ResultStream("", len(checks), board=self.board, history=self.history, emit=self._emitter(self.broadcast))
        count = 0
        for loaded in checks:
            if self.board.of_check(loaded.id):
                self._place(failed(loaded, "internal", reason), loaded, stream, owner=loaded.owner, gone=True)
                count += 1
        if count:
            stream.finish()
            await stream.run()

    async def _disown_runners(self) -> None:
        """After a start, no runner is here yet: what their functions saw last is not what is."""
        recorded = []
        for row in list(self.board.rows.values()):
            owner = self.board.owner_of(row.fingerprint)
            if owner.startswith(OWNER) and row.status not in ("unknown", "skip"):
                reason = f"the host started anew and {owner} has not come back: run its notebook again"
                gone = replace(
                    row,
                    result_id=uuid7(),
                    scan_id="",
                    status="unknown",
                    summary=reason,
                    details="",
                    conditions=[],
                    evidence=[],
                    error=Failure("internal", reason),
                    observed_at=utc_now(),
                )
                recorded.append(self.board.place(gone, owner=owner, attempts=row.state.max_attempts, now=utc_now()).recorded)
        await self._kept(self.history.record(recorded))

    # people

    async def acknowledge(self, ack: Ack) -> None:
        """Records an ack and tells everyone. Raises ScanError when there is nothing to acknowledge."""
        self.board.acknowledge(ack)
        await self.history.keep_ack(ack.fingerprint, ack)
        await self._note("ack", ack.to_wire())
        await self._tell("ack", ack.to_wire())
        await self.refresh_suppressions()

    async def withdraw_ack(self, fingerprint: str, actor: str) -> None:
        """Ends an ack. Raises ScanError when there is none."""
        ack = self.board.acks.pop(fingerprint, None)
        if ack is None:
            raise ScanError(f"nobody has acknowledged {fingerprint!r}: there is nothing to withdraw")
        await self.history.keep_ack(fingerprint, None)
        await self._note("ack-withdrawn", {**ack.to_wire(), "reason": None, "actor": actor})
        await self._tell("ack", {**ack.to_wire(), "reason": None, "actor": actor, "at": wire_time(utc_now())})
        await self.refresh_suppressions()

    async def silence(self, silence: Silence) -> None:
        """Records a silence and tells everyone."""
        self.board.silence(silence)
        await self.history.keep_silence(silence.id, silence)
        await self._note("silence", silence.to_wire())
        await self._tell("silence", silence.to_wire())
        await self.refresh_suppressions()

    async def lift_silence(self, matchers: dict[str, str], actor: str) -> int:
        """Ends the silences that have exactly these matchers, and returns how many. Raises ScanError when there is none."""
        lifted = [silence for silence in self.board.silences.values() if silence.matchers == matchers]
        if not lifted:
            raise ScanError("no silence has exactly these matchers: take them from the list of silences")
        for silence in lifted:
            del self.board.silences[silence.id]
            await self.history.keep_silence(silence.id, None)
            await self._note("silence-lifted", {**silence.to_wire(lifted=True), "actor": actor})
            await self._tell("silence", {**silence.to_wire(lifted=True), "actor": actor, "at": wire_time(utc_now())})
        await self.refresh_suppressions()
        return len(lifted)

    async def refresh_suppressions(self, *, only_ended: bool = False) -> None:
        """Ends acks and silences that are over, looks which maintenance is open, and tells everyone which rows changed.

        `only_ended`: only when something is over, or maintenance began or ended.
        """
        now = utc_now()
        began, closed = self.board.maintenance.look(now)
        for turn, windows in (("began", began), ("ended", closed)):
            for window in windows:
                await self._note(f"{window.kind}-{turn}", window.to_wire())
        over = [name for name, silence in self.board.silences.items() if not silence.in_force(now)]
        ended = [fingerprint for fingerprint, ack in self.board.acks.items() if not ack.in_force(now)]
        if only_ended and not (over or ended or began or closed):
            return
        changed = self.board.resuppress(now)
        for name in over:
            await self._note("silence-ended", {"name": name})
            await self._kept(self.history.keep_silence(name, None))
        for fingerprint in ended:
            await self._kept(self.history.keep_ack(fingerprint, None))
        if changed:
            await self._kept(self.history.keep_bodies(changed))
            await self._tell_rows(changed)

    def snapshot_head(self) -> dict[str, Any]:
        """What the first part of a snapshot has beside rows."""
        now = utc_now()
        return {
            "scan": self.last_scan,
            "silences": _within(SILENCE_BYTES, (one.to_wire() for one in reversed(self.board.silences.values()) if one.in_force(now))),
            "running": list(self._scans)[-RUNNING:],
            "checks": len(self.registry),
        }

    # inside

    async def _housekeeping(self) -> None:
        """Ends what is over, and removes what is too old."""
        pruned = rolled = float("-inf")
        loop = asyncio.get_running_loop()
        for number, row in enumerate(list(self.board.rows.values())):  # so that the first snapshot after a start need not
            self.board.encoded(row)
            if number % 100 == 0:
                await asyncio.sleep(0)
        while True:
            await self.refresh_suppressions(only_ended=True)
            if loop.time() - rolled >= ROLL_UP_EVERY:
                rolled = loop.time()
                await self._kept(self.history.roll_up(utc_now()))
            if loop.time() - pruned >= PRUNE_EVERY:
                pruned, now, keeping = loop.time(), utc_now(), self._keeping
                before = now - timedelta(seconds=keeping.keep_raw)
                rollups, minutes = now - timedelta(seconds=keeping.keep_rollups), now - timedelta(seconds=keeping.keep_minutes)
                await self._kept(self.history.prune(before, rollups_before=rollups, minutes_before=minutes))
                await self._drop_orphans(before)
            await asyncio.sleep(5.0)

    async def _drop_orphans(self, before: datetime) -> None:
        """Takes off old rows that no check here will ever renew: published ones, and those of configs that were not loaded again."""
        rows = self.board.rows.values()
        old = [row.fingerprint for row in rows if row.observed_at < before and row.check_id not in self.registry.checks]
        if old:
            gone = [self._remove(fingerprint) for fingerprint in old]
            await self._kept(self.history.forget(old))
            await self._tell_rows(gone)

    def _remove(self, fingerprint: str) -> CheckResult:
        self.notifier.gone(fingerprint)
        return self.board.remove(fingerprint)

    async def _keep_told(self, target: str, told: Mapping[str, str | None]) -> None:
        await self.history.keep_told(target, told)

    async def _note(self, kind: str, body: dict[str, Any]) -> None:
        await self._kept(self.history.note(kind, body))

    async def _tell_rows(self, rows: list[CheckResult]) -> None:
        for part in self.board.parts(rows):
            head = {"seq": max(row.seq for row in part), "scan_id": part[0].scan_id, "done": len(part), "total": len(part)}
            await self._tell("check-result", Rows(head, part, [self.board.encoded(row) for row in part]))

    async def _tell(self, kind: str, message: dict[str, Any] | Rows) -> None:
        await self._emitter(self.broadcast)(kind, message)

    def _emitter(self, broadcast: BroadcastCallback | None) -> Emit:
        async def emit(kind: str, message: dict[str, Any] | Rows) -> None:
            if broadcast is None:
                return
            try:
                async with asyncio.timeout(BROADCAST_TIMEOUT):
                    if not isinstance(message, Rows):
                        sent = broadcast(kind, message)
                    elif self.in_text is not None and broadcast == self.in_text[0]:
                        sent = self.in_text[1](kind, message.text())
                    else:
                        sent = broadcast(kind, message.data())
                    if sent is not None:
                        await sent
            except Exception:
                _log.exception("ops-monitor-broadcast/main: a %s could not be broadcast", kind)

        return emit

    async def _kept(self, writing: Coroutine[Any, Any, Any]) -> None:
        try:
            await writing
        except StorageError as error:
            _log.error("the ops history misses something: %s", error)

    def _own(self, coroutine: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, ScanError):
            _log.error("%s ended with an error", task.get_name(), exc_info=error)


def _within(max_bytes: int, wires: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many, from the first on, as take `max_bytes` of JSON."""
    taken, left = [], max_bytes
    for wire in wires:
        left -= len(json.dumps(wire)) + 2
        if left < 0:
            break
        taken.append(wire)
    return taken


def _started(report: ScanReport) -> dict[str, Any]:
    return {"scan_id": report.scan_id, "trigger": report.trigger, "started_at": wire_time(report.started_at), "total": report.total}


def _head(row: Row) -> dict[str, Any]:
    """A scan of the history as the ScanReport without results."""
    names = ("scan_id", "trigger", "started_at", "finished_at", "counts", "total")
    return {"schema": "partywidgets.scan/1", **{name: row[name] for name in names}, "more": f"/api/ops/scans/{row['scan_id']}"}
