"""Results as a DataFrame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .model import CHANGES, ERROR_CLASSES, PHASES, SEVERITIES, SUPPRESSIONS, CheckResult, Status

if TYPE_CHECKING:
    import pandas as pd

STATUS_ORDER: tuple[Status, ...] = ("ok", "skip", "unknown", "warn", "crit")
"""Statuses from good to bad, so that `df[df.status >= "warn"]` is what needs a person."""

COLUMNS = (
    "check_id",
    "title",
    "check_type",
    "target",
    "status",
    "severity",
    "summary",
    "duration_ms",
    "observed_at",
    "started_at",
    "phase",
    "since",
    "change",
    "error",
    "suppressed_by",
    "labels",
    "metrics",
    "scan_id",
    "result_id",
)


def results_frame(results: Iterable[CheckResult]) -> pd.DataFrame:
    """One row a result, indexed by `fingerprint`, in the given order.

    `status` and `severity` are ordered categoricals (`STATUS_ORDER`, `SEVERITIES`), `error`, `change`, `phase` and `suppressed_by` plain
    ones of text, times are `datetime64[ms, UTC]`, `duration_ms` is float64, `labels` and `metrics` hold dicts (`metrics`: name → value).
    No results give the same columns and dtypes.
    """
    import pandas as pd

    rows = list(results)
    columns: dict[str, list[object]] = {name: [] for name in COLUMNS}
    for result in rows:
        columns["check_id"].append(result.check_id)
        columns["title"].append(result.title)
        columns["check_type"].append(result.check_type)
        columns["target"].append(result.target)
        columns["status"].append(result.status)
        columns["severity"].append(result.severity)
        columns["summary"].append(result.summary)
        columns["duration_ms"].append(result.duration_ms)
        columns["observed_at"].append(result.observed_at)
        columns["started_at"].append(result.started_at)
        columns["phase"].append(result.state.phase)
        columns["since"].append(result.state.since)
        columns["change"].append(result.change)
        columns["error"].append(None if result.error is None else result.error.kind)
        columns["suppressed_by"].append(None if result.suppression is None else result.suppression.by)
        columns["labels"].append(dict(result.labels))
        columns["metrics"].append({metric.name: metric.value for metric in result.metrics})
        columns["scan_id"].append(result.scan_id)
        columns["result_id"].append(result.result_id)
    frame = pd.DataFrame(
        columns, index=pd.Index([result.fingerprint for result in rows], name="fingerprint", dtype="str"), columns=list(COLUMNS)
    )
    frame["status"] = pd.Categorical(frame["status"], categories=list(STATUS_ORDER), ordered=True)
    frame["severity"] = pd.Categorical(frame["severity"], categories=list(SEVERITIES), ordered=True)
    for name in ("check_id", "title", "check_type", "target", "summary", "scan_id", "result_id"):
        frame[name] = frame[name].astype("str")
    for name in ("labels", "metrics"):
        frame[name] = frame[name].astype("object")
    for name, categories in (("phase", PHASES), ("change", CHANGES), ("error", ERROR_CLASSES), ("suppressed_by", SUPPRESSIONS)):
        frame[name] = pd.Categorical(frame[name], categories=list(categories))
    for name in ("observed_at", "started_at", "since"):
        frame[name] = pd.to_datetime(frame[name], utc=True).dt.as_unit("ms")
    frame["duration_ms"] = frame["duration_ms"].astype("float64")
    return frame
