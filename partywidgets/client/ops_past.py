"""The past of an ops room, fetched from its host as DataFrames and results."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

from ..exceptions import KeywordError, ScanError
from ..scans.export import (
    backtest_frame,
    changes_frame,
    diff_frame,
    events_frame,
    figures_frame,
    history_columns_frame,
    history_frame,
    hours_frame,
    scans_frame,
)
from ..scans.model import CheckResult
from ..scans.proof import Proof
from ..scans.report import ScanReport
from ..scans.witnesses import Witnesses
from . import arguments
from .warning import warn

if TYPE_CHECKING:
    from pandas import DataFrame

    from ..scans.backtest_frame import BacktestFrame


class OpsPast(ABC):
    """The part of `OpsClient` that looks back. Every method raises ScanError, with the host's sentence, when the host refuses."""

    @abstractmethod
    async def _get(self, path: str, **query: Any) -> Any:
        """The host's answer to a question below `scans`. Raises ScanError."""

    @property
    @abstractmethod
    def rows(self) -> Mapping[str, Mapping[str, Any]]:
        """The rows as they are now."""

    def _stranger(self, check: str | None) -> str:
        """What is to be said of an id that no present row has; empty: nothing."""
        known = {str(row["check_id"]) for row in self.rows.values()}
        if check is None or check in known or not known:  # where nothing was looked at, every id is one to come
            return ""
        near = get_close_matches(check, known, 1)
        return f"no check is called {check!r} here" + (f": did you mean {near[0]!r}?" if near else "")

    async def scans(self, *, limit: int = 50) -> DataFrame:
        """The latest scans, newest first."""
        return scans_frame((await self._get("", limit=limit))["scans"])

    async def latest(self) -> ScanReport:
        """The report of the latest finished scan. Raises ScanError when there was none."""
        return ScanReport.from_wire(await self._get("/latest"))

    async def history(
        self, check: str | None = None, *, hours: float = 24.0, resolution: Literal["auto", "raw", "minute", "hour", "day"] = "auto"
    ) -> DataFrame:
        """The last `hours`, oldest first, indexed by `time`; of one check id when `check` is given.

        `resolution`: `raw` has a row for each result, `minute`, `hour` and `day` one for each of them and fingerprint, with its figures;
        `auto` is the finest that has the whole in at most 100,000 rows. `attrs["resolution"]` says which it is (`scans/export.py` has the
        columns). Of `raw` the newest 100,000 come: where older ones are left out, it warns (UserWarning), and `attrs["cut"]` is True.
        """
        answer = await self._get("/history", check=arguments.one_name("check", check), hours=hours, resolution=resolution, form="columns")
        # In a thread: the loop may be that of a kernel's own host, whose terminals would stand still for seconds.
        if "columns" in answer:
            frame = await asyncio.to_thread(figures_frame, answer["columns"])
        elif "results_by_column" in answer:
            frame = await asyncio.to_thread(history_columns_frame, answer["results_by_column"])
        else:  # of an older host
            frame = await asyncio.to_thread(history_frame, answer["results"])
        frame.attrs["resolution"] = answer.get("resolution", "raw")
        return _told(frame, answer, "history", hours, self._stranger(check))

    async def changes(self, check: str | None = None, *, hours: float = 24.0) -> DataFrame:
        """Every change of state of the last `hours`, oldest first; at most the newest 100,000, and a warning as of `history`."""
        answer = await self._get("/changes", check=arguments.one_name("check", check), hours=hours)
        return _told(await asyncio.to_thread(changes_frame, answer["changes"]), answer, "changes", hours, self._stranger(check))

    async def events(self, *, hours: float = 24.0) -> DataFrame:
        """What people said of rows (acks, silences) and ran for them, whom `notify` told, and which maintenance and waivers began and ended
        in the last `hours`, with who and why, the oldest first; at most the newest 100,000, and a warning as of `history`."""
        answer = await self._get("/events", hours=hours)
        return _told(await asyncio.to_thread(events_frame, answer["events"]), answer, "events", hours)

    async def backtest(self, check: str, condition: str, *, hours: float = 24.0, attempts: int = 1) -> BacktestFrame:
        """When a condition would have fired over the last `hours`: `await ops.backtest("shop", "duration_ms > 500", attempts=3)`.

        It fires when it is true, as `warn` and `crit` do; of a line of `conditions` give the opposite. The frame says in words how often
        and for how long (`summary`), before its rows: one for each time that it fired (`scans/export.py` has the columns). It needs raw
        results, which are kept for `history.keep_raw`, and sees their numbers and `error` alone, no body; `attrs` has `summary`, `looks`,
        `unanswered` (looks that lack what it asks for) and `cut`. Raises ScanError where no look has an answer, ConfigError for a condition
        that cannot be read.
        """
        from ..scans.backtest import backtest
        from ..scans.backtest_frame import BacktestFrame

        if attempts < 1:
            raise ScanError(f"attempts={attempts}: a condition fires after 1 look or more")
        answer = await self._get("/looks", check=check, hours=hours)
        found = await asyncio.to_thread(backtest, answer["looks"], condition, attempts=attempts)
        if not found.looks:
            raise ScanError(f"no result of the check {check!r} from the last {hours:g} hours is kept: a backtest needs raw results")
        if found.unanswered == found.looks:
            raise ScanError(f"no result of {check!r} has what {condition!r} asks for: the history keeps {', '.join(sorted(found.names))}")
        frame = BacktestFrame(backtest_frame(episode.to_row() for episode in found.episodes))
        summary = found.summary(check, condition, hours=hours, attempts=attempts)
        frame.attrs.update(summary=summary, looks=found.looks, unanswered=found.unanswered)
        _told(frame, answer, "backtest", hours)
        return frame

    async def remedies(self, *, fingerprint: str | None = None, hours: float = 24.0) -> list[Proof]:
        """The remedies of the last `hours`, the oldest first; of one row when `fingerprint` is given."""
        row = None if fingerprint is None else arguments.fingerprint(fingerprint, self.rows)
        found = await self._get("/remedies", fingerprint=row, hours=hours)
        return [Proof.from_wire(wire) for wire in found["remedies"]]

    async def witnesses(self, fingerprint: str) -> Witnesses:
        """What a row looked like when it was last ok, and when it last was not: two results with their evidence, or None."""
        found = await self._get("/witnesses", fingerprint=arguments.fingerprint(fingerprint, self.rows))
        return Witnesses(*(found[name] and CheckResult.from_wire(found[name]) for name in Witnesses._fields))

    async def hours(self, check: str | None = None, *, hours: float = 24.0) -> DataFrame:
        """Figures of each hour of the last `hours`, the one under way included: looks, uptime, durations. They stay when raw results go.

        At most the newest 100,000 rows, and a warning as of `history`.
        """
        answer = await self._get("/hours", check=arguments.one_name("check", check), hours=hours)
        return _told(await asyncio.to_thread(hours_frame, answer["hours"]), answer, "hours", hours, self._stranger(check))

    async def diff(self, a: ScanReport | str, b: ScanReport | str) -> DataFrame:
        """What differs between scan `a` and the later scan `b`, each a report or its id: a row for each fingerprint that is new, absent,
        resolved or updated."""
        for scan in (a, b):
            if not isinstance(scan, (ScanReport, str)):
                raise KeywordError(f"diff() takes two reports or scan ids, got {type(scan).__name__}")
        first, second = (scan.scan_id if isinstance(scan, ScanReport) else scan for scan in (a, b))
        return diff_frame((await self._get("/diff", a=first, b=second))["diff"])


def _told(frame: DataFrame, answer: Mapping[str, Any], what: str, hours: float, stranger: str = "") -> DataFrame:
    """The frame, with a word where the host left the oldest rows out, and where it is empty because nothing has that id."""
    frame.attrs["cut"] = bool(answer.get("cut"))
    if stranger and frame.empty:
        warn(f"{what}(): {stranger}")
    if frame.attrs["cut"]:
        warn(
            f"{what}(): there are more rows in the last {hours:g} hours than one answer holds, and the oldest are left out: "
            f"ask for one check=, or fewer hours=; history(resolution={'day' if what == 'hours' else 'hour'!r}) has the figures of more"
        )
    return frame
