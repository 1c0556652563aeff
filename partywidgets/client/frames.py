"""What a room tells of the past, as DataFrames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame

SCANS = ("scan_id", "trigger", "actor", "started_at", "finished_at", "state", "total", "counts")
HISTORY = (
    "observed_at",
    "check_id",
    "title",
    "status",
    "severity",
    "summary",
    "duration_ms",
    "target",
    "check_type",
    "phase",
    "change",
    "fingerprint",
    "scan_id",
    "result_id",
    "seq",
)
CHANGES = ("at", "check_id", "title", "from_status", "to_status", "severity", "phase", "summary", "fingerprint", "scan_id", "seq")
DIFF = ("check_id", "title", "change", "status_a", "status_b", "summary_a", "summary_b", "fingerprint")

_TIMES = ("at", "observed_at", "started_at", "finished_at")
_STATUSES = ("status", "from_status", "to_status", "status_a", "status_b")


def rows_frame(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> DataFrame:
    """Rows as a DataFrame with these columns first, all of them also when there are no rows; what else a row holds follows.

    Times are in UTC, statuses and severities ordered categoricals as in a report's `df`.
    """
    import pandas as pd

    from ..scans.frame import STATUS_ORDER
    from ..scans.model import SEVERITIES

    more = [name for name in (rows[0] if rows else ()) if name not in columns]
    frame = pd.DataFrame(list(rows), columns=[*columns, *more])
    for name in frame.columns:
        if name in _TIMES:
            frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
        elif name in _STATUSES:
            frame[name] = pd.Categorical(frame[name], categories=list(STATUS_ORDER), ordered=True)
        elif name == "severity":
            frame[name] = pd.Categorical(frame[name], categories=list(SEVERITIES), ordered=True)
        elif name == "duration_ms":
            frame[name] = frame[name].astype("float64")
    return frame
