"""The past of the ops room, from a widget."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ..client.handle import Handle
from ..client.warning import hearing
from ._base import PartyWidget

if TYPE_CHECKING:
    from pandas import DataFrame

    from ..client.ops import OpsClient
    from ..scans.backtest_frame import BacktestFrame
    from ..scans.proof import Proof
    from ..scans.report import ScanReport
    from ..scans.witnesses import Witnesses

T = TypeVar("T")


class OpsViewPast(PartyWidget):
    """The part of `OpsView` that looks back, as `client/ops_past.py` does; each method returns a handle."""

    def _start(self, work: Coroutine[Any, Any, T], label: str, left: str = "") -> Handle[T]:
        heard: list[str] = []
        return Handle(self._thread.submit(hearing(work, heard)), label, loop=self._thread.loop, left=left, heard=heard)

    @abstractmethod
    async def _connected(self) -> OpsClient:
        """The room's client, with its rows."""

    def scans(self, *, limit: int = 50) -> Handle[DataFrame]:
        """The latest scans, newest first."""

        async def work() -> DataFrame:
            return await (await self._connected()).scans(limit=limit)

        return self._start(work(), "scans")

    def latest(self) -> Handle[ScanReport]:
        """The report of the latest finished scan."""

        async def work() -> ScanReport:
            return await (await self._connected()).latest()

        return self._start(work(), "latest")

    def history(
        self, check: str | None = None, *, hours: float = 24.0, resolution: Literal["auto", "raw", "minute", "hour", "day"] = "auto"
    ) -> Handle[DataFrame]:
        """The last `hours`, oldest first: every result, or where those are more than 100,000 the figures of minutes, hours or days.

        `attrs["resolution"]` says which; `resolution` asks for one. Of one check id when `check` is given.
        """

        async def work() -> DataFrame:
            return await (await self._connected()).history(check=check, hours=hours, resolution=resolution)

        return self._start(work(), "history")

    def changes(self, check: str | None = None, *, hours: float = 24.0) -> Handle[DataFrame]:
        """Every change of state of the last `hours`, oldest first."""

        async def work() -> DataFrame:
            return await (await self._connected()).changes(check=check, hours=hours)

        return self._start(work(), "changes")

    def events(self, *, hours: float = 24.0) -> Handle[DataFrame]:
        """Who acked, silenced or repaired what, whom `notify` told, and which maintenance and waivers began and ended, in the last `hours`,
        oldest first."""

        async def work() -> DataFrame:
            return await (await self._connected()).events(hours=hours)

        return self._start(work(), "events")

    def remedies(self, *, fingerprint: str | None = None, hours: float = 24.0) -> Handle[list[Proof]]:
        """The remedies that were run in the last `hours`, and their outcome, oldest first; of one row when `fingerprint` is given."""

        async def work() -> list[Proof]:
            return await (await self._connected()).remedies(fingerprint=fingerprint, hours=hours)

        return self._start(work(), "remedies")

    def backtest(self, check: str, condition: str, *, hours: float = 24.0, attempts: int = 1) -> Handle[BacktestFrame]:
        """When a condition would have fired over the last `hours`: how often and for how long in words, and a row for each time.

        `await ops.backtest("shop", "duration_ms > 500", attempts=3)`: true is firing, as of `warn` and `crit`.
        """

        async def work() -> BacktestFrame:
            return await (await self._connected()).backtest(check, condition, hours=hours, attempts=attempts)

        return self._start(work(), "backtest")

    def witnesses(self, fingerprint: str) -> Handle[Witnesses]:
        """What a row looked like when it was last ok, and when it last was not: `success` and `failure`, whole and with evidence."""

        async def work() -> Witnesses:
            return await (await self._connected()).witnesses(fingerprint)

        return self._start(work(), f"witnesses {fingerprint}")

    def hours(self, check: str | None = None, *, hours: float = 24.0) -> Handle[DataFrame]:
        """Figures of each hour of the last `hours`, the one under way included: looks, uptime, durations. They stay when raw results go."""

        async def work() -> DataFrame:
            return await (await self._connected()).hours(check=check, hours=hours)

        return self._start(work(), "hours")

    def diff(self, a: ScanReport | str | Handle[ScanReport], b: ScanReport | str | Handle[ScanReport]) -> Handle[DataFrame]:
        """What differs between scan `a` and the later scan `b`, each a report, the handle on it, or its scan id."""

        async def work() -> DataFrame:
            first, second = [await scan if isinstance(scan, Handle) else scan for scan in (a, b)]
            return await (await self._connected()).diff(first, second)

        return self._start(work(), "diff")
