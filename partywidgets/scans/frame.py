"""Results as a DataFrame, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .model import CHANGES, ERROR_CLASSES, PHASES, SEVERITIES, SUPPRESSIONS, CheckResult, Status, wire_time

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


def failing_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Those of `results_frame` that are unknown, warn or crit."""
    return frame[frame["status"] >= "unknown"]


def frame_results(frame: pd.DataFrame) -> list[CheckResult]:
    """The reverse of `results_frame`, of a frame with its columns or some of them: one result a row, in the given order.

    `check_id` and `status` must be there. The fingerprint is the index of that name, else the column, else made of check and target.
    Raises ValueError for what no result can have, and for a fingerprint that comes twice.
    """
    import pandas as pd

    missing = [name for name in ("check_id", "status") if name not in frame.columns]
    if missing:
        raise ValueError(f"it has no column {missing[0]!r}, and a row is a result as in report.df, which has check_id and status at least")
    columns = frame[[name for name in (*COLUMNS, "fingerprint") if name in frame.columns]]
    if frame.index.name == "fingerprint":
        columns = columns.assign(fingerprint=frame.index)
    results, seen = [], set[str]()
    for place, record in enumerate(columns.to_dict("records")):
        known = {str(name): value for name, value in record.items() if isinstance(value, (dict, list)) or not pd.isna(value)}
        try:
            result = CheckResult.from_wire(_wire(known))
        except (ValueError, TypeError) as error:
            raise ValueError(f"row {place}: {error}") from None
        if result.fingerprint in seen:
            raise ValueError(
                f"row {place} is another of {result.fingerprint} ({result.check_id}), and a table has one row of each: "
                "frame.groupby('fingerprint').tail(1) is the last of each"
            )
        seen.add(result.fingerprint)
        results.append(result)
    return results


def _wire(known: dict[str, Any]) -> dict[str, Any]:
    """A row of a frame as a result's JSON values."""
    wire = {"check_type": "", "target": "", **known}
    for name in ("observed_at", "started_at"):
        if name in known:
            wire[name] = _moment(known[name])
    state = {"phase": known.get("phase", "hard"), "since": _moment(known.get("since"))}
    metrics = [{"name": name, "value": float(value)} for name, value in known.get("metrics", {}).items()]
    return {
        **wire,
        "state": state,
        "metrics": metrics,
        "error": {"class": known["error"]} if "error" in known else None,
        "suppression": {"by": known["suppressed_by"]} if "suppressed_by" in known else None,
    }


def _moment(value: Any) -> str | None:
    import pandas as pd

    return None if value is None else wire_time(pd.to_datetime(value, utc=True).to_pydatetime())
