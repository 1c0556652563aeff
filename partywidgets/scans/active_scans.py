"""The scans under way: started by a person, a script or the schedule, or taken in from elsewhere; one way to the board for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..exceptions import ScanError
from .announcer import BROADCAST_TIMEOUT, BroadcastCallback
from .board import PUBLISHED
from .execution import Loaded, failed
from .history import ScanState
from .lapse import Lapse
from .message import Rows
from .model import CheckResult, one_line, utc_now
from .placing import Placing
from .registry import Selection
from .report import ScanReport
from .round import Round
from .scan import PARTIAL, Scan, scan_started
from .schedule import FULL
from .stream import Emit, ResultStream
from .tasks import Tasks

if TYPE_CHECKING:
    from .service import OpsMonitorService

SCANS = 16
"""Most scans under way at once that somebody asked for."""
SCHEDULED = ("schedule", "interval")


class ActiveScans:
    """Runs the scans of a service. Their tasks are `tasks`', and end with them."""

    def __init__(self, service: OpsMonitorService, tasks: Tasks, *, placing: Placing, lapse: Lapse) -> None:
        self._service, self._tasks, self._placing, self._lapse = service, tasks, placing, lapse
        self._scans: dict[str, Scan] = {}
        self._rounds: set[Round] = set()
        self.last: dict[str, Any] | None = None
        """The last scan that ended, as a report without results: one of the whole rather than of a few checks. None: there was none."""

    def running(self) -> list[Scan]:
        """The scans under way, the oldest first."""
        return list(self._scans.values())

    def start(self, selection: Selection, *, broadcast: BroadcastCallback | None, trigger: str, actor: str | None = None) -> Scan:
        """Begins a scan of the selected checks. Raises ScanError when nothing is selected by that name, or too many scans are under way,
        StorageError when the service does not run."""
        _ = self._service.history
        asked = [scan for scan in self._scans.values() if scan.trigger not in SCHEDULED]
        if trigger not in SCHEDULED and len(asked) >= SCANS:
            raise ScanError(f"{SCANS} scans are under way: wait until one has ended")
        chosen = self._service.registry.select(selection, rows=self._service.board.rows)
        report = ScanReport(trigger=trigger, total=len(chosen))
        task = self._tasks.own(self._run(report, chosen, broadcast, actor), f"scan {report.scan_id}")
        scan = self._scans[report.scan_id] = Scan(report.scan_id, trigger, len(chosen), task)
        task.add_done_callback(lambda _: self._scans.pop(report.scan_id, None))
        return scan

    def cancel(self, scan_id: str) -> None:
        """Ends a scan. Raises ScanError when none of that id is under way."""
        if scan_id not in self._scans:
            raise ScanError(f"no scan {one_line(scan_id, 80)!r} is under way: it has ended, or never began")
        self._scans[scan_id].cancel()

    async def scheduled(self, keys: list[str]) -> None:
        """The scheduled handler: what is due and not being looked at already, by the same path as every scan."""
        registry = self._service.registry
        full = [
            loaded.id
            for key in keys
            if key.startswith(FULL)
            for loaded in registry.owned_by(key.removeprefix(FULL))
            if loaded.check.enabled
        ]
        interval = [key for key in keys if not key.startswith(FULL) and key not in full]
        for trigger, check_ids in (("schedule", full), ("interval", interval)):
            due = tuple(name for name in check_ids if name in registry.checks and not self._busy(name))
            if due:
                self.start(Selection(checks=due), broadcast=self._service.announcer.broadcast, trigger=trigger)

    def _busy(self, check_id: str) -> bool:
        return self._service.bench.busy(check_id) or any(check_id in looks for looks in self._rounds)

    async def publish(self, report: ScanReport, *, broadcast: BroadcastCallback | None, actor: str | None) -> ScanReport:
        """Takes a report of elsewhere whole, even where the caller is cancelled. Raises ScanError when it is known already."""
        return await asyncio.shield(self._tasks.own(self._publish(report, broadcast, actor), f"publishing {report.scan_id}"))

    async def _publish(self, report: ScanReport, broadcast: BroadcastCallback | None, actor: str | None) -> ScanReport:
        service = self._service
        report = ScanReport(scan_id=report.scan_id, trigger=report.trigger, started_at=report.started_at, results=report.results)
        await service.history.begin_scan(report, actor=actor)
        placed = ScanReport(scan_id=report.scan_id, trigger=report.trigger, started_at=report.started_at, total=report.total)
        emit = service.announcer.emitter(broadcast)
        await emit("scan-started", scan_started(placed, service.scheduler.next_full()))
        stream = self._stream(report.scan_id, report.total, emit)
        for result in report.results:
            loaded = service.registry.checks.get(result.check_id)
            result.scan_id = report.scan_id
            self._place(result, loaded, stream, owner=PUBLISHED, published=True)
            placed.add(result)
        stream.finish()
        await stream.run()
        await self._finish(placed, "finished", emit)
        return placed

    async def _run(self, report: ScanReport, chosen: list[Loaded], broadcast: BroadcastCallback | None, actor: str | None) -> ScanReport:
        service = self._service
        emit = service.announcer.emitter(broadcast)
        stream = self._stream(report.scan_id, report.total, emit)

        async def tell() -> None:
            await service.kept(service.history.begin_scan(report, actor=actor))
            await emit("scan-started", scan_started(report, service.scheduler.next_full()))
            await stream.run()

        def took(loaded: Loaded, result: CheckResult) -> None:
            self._place(result, loaded, stream, owner=loaded.owner)
            report.add(result)

        looks = Round(chosen, service.bench, self._tasks.own, took)
        self._rounds.add(looks)
        state: ScanState = "finished"
        # Checks do not wait for the disk, which may be slow: what was seen is told in its order all the same.
        streaming = self._tasks.own(tell(), f"stream of scan {report.scan_id}")
        try:
            await looks.run(scan_id=report.scan_id, scheduled_at=report.started_at)
        except asyncio.CancelledError:
            state = "cancelled"
            raise
        finally:
            self._rounds.discard(looks)
            stream.finish()
            await asyncio.wait({streaming}, timeout=BROADCAST_TIMEOUT)
            await self._finish(report, state, emit)
        return report

    async def _finish(self, report: ScanReport, state: ScanState, emit: Emit) -> None:
        board = self._service.board
        report.finished_at = utc_now()
        report.results.sort(key=lambda result: result.urgency)
        await self._service.kept(self._service.history.finish_scan(report, state))
        # Who shows rows takes those of a scan's end for present: one that left meanwhile would stay for ever.
        shown = next(board.parts(result for result in report.results if result.fingerprint in board.rows), [])
        head = report.head(len(shown))
        if report.trigger not in PARTIAL or self.last is None or self.last["trigger"] in PARTIAL:
            self.last = head | {"more": f"/api/ops/scans/{report.scan_id}"}
        await emit("scan-result", Rows(head, shown, [board.encoded(result) for result in shown]))

    def _stream(self, scan_id: str, total: int, emit: Emit) -> ResultStream:
        return ResultStream(scan_id, total, board=self._service.board, history=self._service.history, lapse=self._lapse, emit=emit)

    def _place(
        self, result: CheckResult, loaded: Loaded | None, stream: ResultStream, *, owner: str, gone: bool = False, published: bool = False
    ) -> None:
        placement = self._placing.place(result, loaded, owner=owner, gone=gone, published=published)
        if placement is None:
            stream.skip()
            return
        stream.add(placement)
        suppressions = self._service.suppressions
        if placement.recorded.changes:
            (suppressions.failed if result.status in ("crit", "unknown") else suppressions.recovered)(result)
        if placement.ended_ack is not None:
            self._service.own(suppressions.ack_over(placement.ended_ack), "ack ended")

    async def mark_unknown(self, checks: Sequence[Loaded], reason: str) -> None:
        """Turns the rows of checks that nobody can look at any more unknown, and tells everyone."""
        announcer = self._service.announcer
        stream = self._stream("", len(checks), announcer.emitter(announcer.broadcast))
        count = 0
        for loaded in checks:
            if self._service.board.of_check(loaded.id):
                self._place(failed(loaded, "internal", reason), loaded, stream, owner=loaded.owner, gone=True)
                count += 1
        if count:
            stream.finish()
            await stream.run()
