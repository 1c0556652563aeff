"""A report: the results of one scan, `partywidgets.scan/1`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, overload

from ..spelling import SaysNames
from .bounds import FRAME_BYTES
from .identifiers import utc_now, uuid7
from .model import CheckResult
from .result_parts import STATUSES, Status
from .wire import WireReader, wire_time

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

SCAN_SCHEMA = "partywidgets.scan/1"


@dataclass(slots=True, repr=False)
class ScanReport(SaysNames):
    """A scan: `partywidgets.scan/1`. `total` and `counts` are of the whole scan; `results` may be fewer in a bounded copy, then `more`
    is the path to all."""

    _meant: ClassVar = {
        **dict.fromkeys(
            ("failed", "failures", "problems", "errors", "crit", "alerts"),
            "failing, a DataFrame of the rows that are unknown, warn or crit",
        ),
        **dict.fromkeys(("rows", "checks", "table", "dataframe", "frame", "to_df", "to_pandas"), "df"),
        **dict.fromkeys(("status", "summary", "ok", "passed"), "counts, a dict of how many rows have each status"),
        **dict.fromkeys(("id", "scan"), "scan_id"),
        **dict.fromkeys(("duration", "duration_s", "elapsed"), "finished_at - started_at"),
        **dict.fromkeys(("diff", "compare"), "`await ops.diff(before, after)` of two reports"),
        **dict.fromkeys(("save", "to_json", "export"), "to_csv(), to_parquet() or to_junit()"),
    }

    scan_id: str = field(default_factory=uuid7)
    trigger: str = "manual"
    started_at: datetime = field(default_factory=utc_now)
    finished_at: datetime | None = None
    results: list[CheckResult] = field(default_factory=list)
    counts: dict[Status, int] = field(default_factory=dict)
    total: int = 0
    more: str | None = None

    def __post_init__(self) -> None:
        self.counts = self.counts or count_statuses(self.results)
        self.total = max(self.total, len(self.results))

    def __repr__(self) -> str:
        from .glance import report_line

        return f"{type(self).__name__}({report_line(self)})"

    def _repr_html_(self) -> str:
        from .glance import report_html

        return report_html(self)

    def add(self, result: CheckResult) -> None:
        """Appends a result and counts it."""
        self.results.append(result)
        self.counts[result.status] += 1
        self.total = max(self.total, len(self.results))

    @property
    def df(self) -> pd.DataFrame:
        """The results as a DataFrame: one row a result, UTC datetimes, ordered categoricals (`scans/frame.py` lists the columns)."""
        from .frame import results_frame

        return results_frame(self.results)

    @property
    def failing(self) -> pd.DataFrame:
        """The results that are unknown, warn or crit, as `df` has them."""
        from .frame import failing_rows

        return failing_rows(self.df)

    @overload
    def to_junit(self, path: None = None) -> str: ...
    @overload
    def to_junit(self, path: Path | str) -> None: ...
    def to_junit(self, path: Path | str | None = None) -> str | None:
        """The results as a JUnit file, without a path its text; `scans/junit.py` says what becomes a failure. Raises StorageError."""
        from .junit import junit_text
        from .table_file import write_text

        text = junit_text(self)
        if path is None:
            return text
        write_text(path, text)
        return None

    @overload
    def to_csv(self, path: None = None) -> str: ...
    @overload
    def to_csv(self, path: Path | str) -> None: ...
    def to_csv(self, path: Path | str | None = None) -> str | None:
        """The results as a CSV file, without a path its text: the columns of `df`, `fingerprint` first. Raises StorageError."""
        from .table_file import csv_text, write_text

        text = csv_text(self.results)
        if path is None:
            return text
        write_text(path, text)
        return None

    def to_parquet(self, path: Path | str) -> None:
        """Writes the results to a Parquet file. Raises ConfigError without pyarrow (extra `parquet`), StorageError."""
        from .table_file import write_parquet

        write_parquet(self.results, path)

    def to_wire(self, *, max_bytes: int | None = FRAME_BYTES) -> dict[str, Any]:
        """The report as JSON values that take at most `max_bytes` of JSON in a frame of their own; None: every result in it.

        Failing results come first, then changed ones. Where some are left out, `more` is the path of the whole report.
        """
        ordered = sorted(self.results, key=lambda result: result.urgency)
        wires, _ = bounded_wires(ordered, max_bytes)
        return {**self.head(len(wires)), "results": wires}

    def head(self, shown: int) -> dict[str, Any]:
        """What stands around the results, when so many of them are shown."""
        return {
            "schema": SCAN_SCHEMA,
            "scan_id": self.scan_id,
            "trigger": self.trigger,
            "started_at": wire_time(self.started_at),
            "finished_at": None if self.finished_at is None else wire_time(self.finished_at),
            "counts": dict(self.counts),
            "total": self.total,
            "more": self.more if shown == max(self.total, len(self.results)) else self.more or f"/api/ops/scans/{self.scan_id}",
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> ScanReport:
        """The reverse of `to_wire`. Raises ValueError naming the field that no report can have."""
        reader = WireReader(wire, SCAN_SCHEMA)
        counts = reader.mapping("counts", (int,))
        return cls(
            scan_id=reader.text("scan_id"),
            trigger=reader.text("trigger", "manual"),
            started_at=reader.time("started_at") or utc_now(),
            finished_at=reader.time("finished_at"),
            results=[CheckResult.from_wire(item.wire) for item in reader.parts("results")],
            counts={status: int(counts.get(status, 0)) for status in STATUSES} if counts else {},
            total=int(reader.number("total", 0) or 0),
            more=reader.maybe_text("more"),
        )


def count_statuses(results: Iterable[CheckResult]) -> dict[Status, int]:
    """How many results have each status; every status has a key."""
    counts = dict.fromkeys(STATUSES, 0)
    for result in results:
        counts[result.status] += 1
    return counts


def bounded_wires(results: Sequence[CheckResult], max_bytes: int | None = FRAME_BYTES) -> tuple[list[dict[str, Any]], bool]:
    """As many results, from the first on, as take `max_bytes` of JSON with 1 KiB left for the frame around them; and whether all fit."""
    wires: list[dict[str, Any]] = []
    left = math.inf if max_bytes is None else max_bytes - 1024
    for result in results:
        wire = result.to_wire()
        if max_bytes is not None:
            left -= len(json.dumps(wire)) + 2  # ASCII JSON with blanks: no encoder makes it longer
            if left < 0:
                return wires, False
        wires.append(wire)
    return wires, True
