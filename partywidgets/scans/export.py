"""The history as DataFrames. The rows are those of `History` or of the ops room's HTTP answers; pandas is imported when one is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .frame import STATUS_ORDER
from .model import SEVERITIES, STATUSES

if TYPE_CHECKING:
    import pandas as pd

Rows = Iterable[Mapping[str, Any]]

_HISTORY = {
    "check_id": "str",
    "fingerprint": "str",
    "target": "str",
    "title": "str",
    "status": "status",
    "severity": "severity",
    "phase": "category",
    "change": "category",
    "duration_ms": "float64",
    "summary": "str",
    "check_type": "str",
    "scan_id": "str",
    "seq": "int64",
}
_CHANGES = {
    "check_id": "str",
    "fingerprint": "str",
    "title": "str",
    "from_status": "status",
    "to_status": "status",
    "severity": "severity",
    "phase": "category",
    "summary": "str",
    "scan_id": "str",
    "seq": "int64",
}
_DIFF = {
    "check_id": "str",
    "title": "str",
    "status_a": "status",
    "status_b": "status",
    "change": "category",
    "summary_a": "object",
    "summary_b": "object",
}
_HOURS: dict[str, str] = {
    "check_id": "str",
    "fingerprint": "str",
    "looks": "int64",
    **dict.fromkeys(STATUSES, "int64"),
    **dict.fromkeys(("uptime", "p50_ms", "p95_ms", "p99_ms", "max_ms"), "float64"),
}
_SCANS: dict[str, str] = {
    "trigger": "category",
    "actor": "object",
    "state": "category",
    "started_at": "time",
    "finished_at": "time",
    "duration_s": "float64",
    "total": "int64",
    **dict.fromkeys(STATUSES, "int64"),
}


def history_frame(rows: Rows) -> pd.DataFrame:
    """Results of the past, indexed by `observed_at` (datetime64[ms, UTC], rising).

    check_id, fingerprint, target, title, summary, check_type, scan_id: str. status, severity: ordered categoricals (good to bad, info to
    critical). phase, change: categories. duration_ms: float64. seq: int64. No rows give the same columns and dtypes.
    """
    return _frame(rows, _HISTORY, index="observed_at", time_index=True)


def changes_frame(rows: Rows) -> pd.DataFrame:
    """State changes, indexed by `at` (datetime64[ms, UTC], rising).

    from_status (missing: the row was new), to_status and severity: ordered categoricals; a row with the phase `hard` and no other status
    than the row before it says that a problem hardened. check_id, fingerprint, title, summary, scan_id: str. seq: int64.
    """
    return _frame(rows, _CHANGES, index="at", time_index=True)


def diff_frame(rows: Rows) -> pd.DataFrame:
    """What differs between two scans, by `fingerprint`. status_a, status_b: ordered categoricals; summary_a, summary_b: str or None."""
    return _frame(rows, _DIFF, index="fingerprint")


def hours_frame(rows: Rows) -> pd.DataFrame:
    """Hourly figures, indexed by `hour` (its beginning, datetime64[ms, UTC], rising): one row an hour and fingerprint.

    check_id, fingerprint: str. looks, ok, warn, crit, unknown, skip: int64. uptime (0 to 1), p50_ms, p95_ms, p99_ms, max_ms: float64.
    """
    return _frame(rows, _HOURS, index="hour", time_index=True)


def scans_frame(rows: Rows) -> pd.DataFrame:
    """Scans, indexed by `scan_id`, the newest first.

    trigger, state: categories. actor: who asked, or None. started_at, finished_at: datetime64[ms, UTC] (NaT: not finished). duration_s:
    float64. total and one column for each status: int64.
    """
    flat = [{**row, **row["counts"]} for row in rows]
    frame = _frame(flat, _SCANS, index="scan_id")
    frame["duration_s"] = (frame["finished_at"] - frame["started_at"]).dt.total_seconds()
    return frame


def _frame(rows: Rows, columns: Mapping[str, str], *, index: str, time_index: bool = False) -> pd.DataFrame:
    import pandas as pd

    listed = list(rows)
    keys = [row[index] for row in listed]
    frame = pd.DataFrame({name: [row.get(name) for row in listed] for name in columns}, columns=list(columns))
    for name, kind in columns.items():
        if kind == "status":
            frame[name] = pd.Categorical(frame[name], categories=list(STATUS_ORDER), ordered=True)
        elif kind == "severity":
            frame[name] = pd.Categorical(frame[name], categories=list(SEVERITIES), ordered=True)
        elif kind == "time":
            frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601").dt.as_unit("ms")
        else:
            frame[name] = frame[name].astype(kind)  # type: ignore[call-overload]
    if time_index:
        frame.index = pd.DatetimeIndex(
            pd.to_datetime(pd.Series(keys, dtype="str"), utc=True, format="ISO8601").dt.as_unit("ms"), name=index
        )
    else:
        frame.index = pd.Index(keys, name=index, dtype="str")
    return frame
