"""ScanTable: the live rows of the ops room, or results as they were."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Never

from ..exceptions import KeywordError
from ..scans.glance import counts_line, report_line
from ..scans.model import CheckResult
from ..scans.report import ScanReport, count_statuses
from .ops_view import OpsView
from .rendering import rendered, still

if TYPE_CHECKING:
    from pandas import DataFrame

MOST = 10_000
"""Results in one table: so many a page sorts and filters by itself."""


class ScanTable(OpsView):
    """The latest result of every check, live: `pw.ScanTable(sort="-duration_ms", group="label:team")`; or results as they were, of a
    report or of a DataFrame like its `df`: `pw.ScanTable(report)`, `pw.ScanTable(frame)`.

    `title` is shown above it, `height` is in CSS pixels. `columns`, `sort` (strongest first, `-` reverses), `group` and `search` are how it
    opens; what people change later is in `view`, which is saved with the widget. Given results are at most 10,000, one for each
    fingerprint, and do not change; the methods still act on the ops room.
    Raises KeywordError for what it cannot show.
    """

    bundle: ClassVar[str] = "table.js"

    def __init__(
        self,
        results: ScanReport | DataFrame | None = None,
        *given: object,
        title: str | None = None,
        height: int | None = None,
        columns: Iterable[str] | None = None,
        sort: str | Iterable[str] | None = None,
        group: str | None = None,
        search: str | None = None,
        layout: Any = None,
        **unknown: Never,
    ) -> None:
        self._given = None if results is None else _read(results)
        if self._given is not None:
            self._about = report_line(results) if isinstance(results, ScanReport) else _frame_line(self._given)
        super().__init__(
            *given, title=title, height=height, columns=columns, sort=sort, group=group, search=search, layout=layout, **unknown
        )

    def __repr__(self) -> str:
        return super().__repr__() if self._given is None else f"ScanTable({len(self._given)} results)"

    @property
    def results(self) -> list[CheckResult]:
        """The rows as results, failing ones first; those of the room: blocks for a moment."""
        return super().results if self._given is None else sorted(self._given, key=lambda result: result.urgency)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        found = super()._repr_mimebundle_(**kwargs)
        if found is not None and self._given is not None:  # they will not change: what is saved shows them from the first
            text, markup = rendered(self._given)
            found[0].update({"text/plain": f"{self!r}\n{text}", "text/html": markup or still(text)})
        return found

    # The page asks for given results once it is there: as a trait they would be saved with the notebook, all of them.

    def _own_options(self) -> dict[str, Any]:
        return {} if self._given is None else {"given": self._about}

    async def _join(self) -> None:
        await (super()._join() if self._given is None else self._follow())

    async def _push_ticket(self) -> None:
        if self._given is None:
            await super()._push_ticket()

    async def _look(self) -> tuple[str, str] | None:
        return await super()._look() if self._given is None else rendered(self._given)

    async def _answer(self, message: dict[str, Any]) -> None:
        if message.get("op") != "results" or self._given is None:
            return await super()._answer(message)
        packed = await asyncio.to_thread(_packed, self._given)
        self._tell_page({"op": "results", "id": message["id"]}, [packed])


def _read(given: Any) -> list[CheckResult]:
    if isinstance(given, ScanReport):
        results = list({result.fingerprint: result for result in given.results}.values())
    elif type(given).__name__ == "DataFrame" and hasattr(given, "columns"):  # pandas is not imported for this question
        from ..scans.frame import frame_results

        try:
            results = frame_results(given)
        except ValueError as error:
            raise KeywordError(f"ScanTable() cannot show this DataFrame: {error}") from None
    else:
        raise KeywordError(
            f"ScanTable() shows the rows of the ops room, a ScanReport or a DataFrame, and takes no {type(given).__name__}: write"
            " ScanTable(), ScanTable(report) or ScanTable(report.df); `await pw.ops(CONFIG)` loads checks"
        )
    if len(results) > MOST:
        raise KeywordError(f"ScanTable() shows at most {MOST:,} results, these are {len(results):,}: choose some, frame.head({MOST}) does")
    return results


def _frame_line(results: list[CheckResult]) -> str:
    number = "1 result" if len(results) == 1 else f"{len(results)} results"
    return ": ".join(part for part in (number, counts_line(count_statuses(results))) if part)


def _packed(results: list[CheckResult]) -> bytes:
    """As JSON, packed: Jupyter drops what a kernel sends faster than a megabyte a second for three seconds."""
    # The table alone shows none of these; and what was is never stale.
    left_out: dict[str, Any] = {"details": "", "conditions": [], "evidence": [], "ttl_s": None}
    return gzip.compress(json.dumps([{**result.to_wire(), **left_out} for result in results], separators=(",", ":")).encode(), 5, mtime=0)
