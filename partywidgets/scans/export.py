"""What was, as DataFrames. The rows are those of `History` or of the ops room's HTTP answers; pandas is imported when one is made.

Every frame but `history_frame`'s and `figures_frame`'s has a RangeIndex, and all have their documented columns and dtypes also when there
are no rows. Times are
datetime64[ms, UTC], statuses ordered categoricals from good to bad (`STATUS_ORDER`), severities from info to critical.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .frame import STATUS_ORDER
from .model import CHANGES, PHASES, SEVERITIES, STATUSES
from .result_columns import PLAIN

if TYPE_CHECKING:
    import pandas as pd

_CATEGORIES: dict[str, list[str]] = {"phase": list(PHASES), "change": list(CHANGES)}
"""Those that `report.df` has, too: also what did not happen is one."""
Rows = Iterable[Mapping[str, Any]]

_HISTORY = {
    "observed_at": "time",
    "check_id": "str",
    "title": "str",
    "status": "status",
    "severity": "severity",
    "summary": "str",
    "duration_ms": "float64",
    "target": "str",
    "check_type": "str",
    "phase": "category",
    "change": "category",
    "fingerprint": "str",
    "scan_id": "str",
    "result_id": "str",
    "seq": "int64",
}
_CHANGES = {
    "at": "time",
    "check_id": "str",
    "title": "str",
    "from_status": "status",
    "to_status": "status",
    "severity": "severity",
    "phase": "category",
    "summary": "str",
    "fingerprint": "str",
    "scan_id": "str",
    "seq": "int64",
}
_EVENTS = {
    "at": "time",
    "kind": "category",
    "title": "object",
    "actor": "object",
    "reason": "object",
    "until": "time",
    "subject": "str",
}
_DIFF = {
    "check_id": "str",
    "title": "str",
    "change": "category",
    "status_a": "status",
    "status_b": "status",
    "summary_a": "object",
    "summary_b": "object",
    "fingerprint": "str",
}
_HOURS: dict[str, str] = {
    "hour": "time",
    "check_id": "str",
    "fingerprint": "str",
    "looks": "int64",
    **dict.fromkeys(STATUSES, "int64"),
    **dict.fromkeys(("uptime", "p50_ms", "p95_ms", "p99_ms", "max_ms"), "float64"),
}
_BACKTEST = {
    "fingerprint": "str",
    "check_id": "str",
    "began": "time",
    "fired": "time",
    "ended": "time",
    "duration_s": "float64",
    "looks": "int64",
    "failed": "int64",
    "actual": "str",
}
_SCANS = {
    "scan_id": "str",
    "trigger": "category",
    "actor": "object",
    "started_at": "time",
    "finished_at": "time",
    "state": "category",
    "total": "int64",
    "counts": "object",
}


def history_frame(rows: Rows) -> pd.DataFrame:
    """Results of the past in the given order, the oldest first, indexed by `time`: when each was observed, so that plots have that axis.

    observed_at, check_id, title, status, severity, summary, duration_ms (float64), target, check_type, phase and change (categories),
    fingerprint, scan_id, result_id, seq (int64).
    """
    import pandas as pd

    frame = _frame(rows, _HISTORY)
    # Under a name of its own: pandas refuses to group or sort by a name that is a column's and the index's.
    frame.index = pd.DatetimeIndex(frame["observed_at"], name="time")
    return frame


def history_columns_frame(columns: Mapping[str, Any]) -> pd.DataFrame:
    """The same frame of results by column, as `result_columns.read` gives them: a hundred thousand rows in a tenth of the time."""
    import numpy as np
    import pandas as pd

    made: dict[str, Any] = {}
    for name, kind in _HISTORY.items():
        given = columns[name]
        if kind == "time":  # to the microsecond as Python reads it, and milliseconds as they are written
            millis = np.floor(np.round(np.asarray(given, dtype="float64") * 1e6) / 1e3).astype("int64")
            made[name] = pd.to_datetime(millis, unit="ms", utc=True).as_unit("ms")
        elif kind in ("float64", "int64"):
            made[name] = np.asarray(given, dtype=kind)
        elif name in PLAIN:
            made[name] = pd.array(given, dtype="str")
        elif kind in ("status", "severity"):
            order = list(STATUS_ORDER if kind == "status" else SEVERITIES)
            codes = np.asarray([order.index(value) for value in given[0]], dtype="int64")
            made[name] = pd.Categorical.from_codes(
                codes[np.asarray(given[1], dtype="int64")], dtype=pd.CategoricalDtype(order, ordered=True)
            )
        else:
            values = pd.array(given[0], dtype="str")
            made[name] = values.take(np.asarray(given[1], dtype="int64")) if len(values) else values
    frame = pd.DataFrame(made)
    for name, kind in _HISTORY.items():
        if kind == "category":
            frame[name] = frame[name].astype(pd.CategoricalDtype(_CATEGORIES.get(name)))
    frame.index = pd.DatetimeIndex(frame["observed_at"], name="time")
    return frame


def figures_frame(columns: Mapping[str, Any]) -> pd.DataFrame:
    """Minutes, hours or days of the past, a row for each span and fingerprint, the oldest first, indexed by `time`: when the span began.

    `columns` are those of `rollup.keyed`. check_id, fingerprint; status: the worst that was seen in the span (ordered category);
    duration_ms: the median, p50_ms once more, so that a plot of results is one of spans; looks, ok, warn, crit, unknown, skip: int64;
    uptime (0 to 1), p50_ms, p95_ms, p99_ms, max_ms: float64.
    """
    import numpy as np
    import pandas as pd

    key = np.asarray(columns["key"], dtype="int64")
    frame = pd.DataFrame(index=pd.to_datetime(np.asarray(columns["begin"], dtype="int64"), unit="s", utc=True).as_unit("ms"))
    frame.index.name = "time"
    for place, name in ((1, "check_id"), (0, "fingerprint")):
        names = pd.array([pair[place] for pair in columns["keys"]], dtype="str")
        frame[name] = names.take(key) if len(names) else names
    worst = np.zeros(len(key), dtype="int64")
    for code, status in enumerate(STATUS_ORDER):
        worst[np.asarray(columns[status], dtype="int64") > 0] = code
    frame["status"] = pd.Categorical.from_codes(worst, dtype=pd.CategoricalDtype(list(STATUS_ORDER), ordered=True))
    frame["duration_ms"] = np.asarray(columns["p50_ms"], dtype="float64")
    for name in ("looks", *STATUSES):
        frame[name] = np.asarray(columns[name], dtype="int64")
    looked = (frame["looks"] - frame["skip"]).to_numpy(dtype="float64")
    frame["uptime"] = (frame["ok"] + frame["warn"]).to_numpy(dtype="float64") / np.where(looked > 0, looked, np.nan)
    for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms"):
        frame[name] = np.asarray(columns[name], dtype="float64")
    return frame


def changes_frame(rows: Rows) -> pd.DataFrame:
    """State changes in the given order, the oldest first.

    at, check_id, title, from_status (missing: the row was new), to_status, severity, phase, summary, fingerprint, scan_id, seq (int64). A
    row with the phase `hard` and no other status than the row before it says that a problem hardened.
    """
    return _frame(rows, _CHANGES)


def events_frame(rows: Rows) -> pd.DataFrame:
    """What people said and did, whom `notify` told, and what maintenance did, the oldest first.

    at; kind: ack, ack-withdrawn, ack-ended, silence, silence-lifted, silence-ended, remedy, check-removed, notified, not-notified, and
    maintenance- or waiver-began and -ended; title (of an ack's row, where it is on the board, of a remedy's or a removed check's, of the
    message, or a silence's labels; else None), actor, reason (None where there is none; of a remedy what ran and what came of it, of
    not-notified why), until (NaT: no end), subject: the fingerprint of an ack, a remedy or a removed check, the matchers of a silence as
    JSON, the name of a window, a waiver or a target.
    """
    return _frame(rows, _EVENTS)


def diff_frame(rows: Rows) -> pd.DataFrame:
    """What differs between two scans: check_id, title, change (new, absent, resolved, updated), status_a, status_b, summary_a, summary_b
    (str or None), fingerprint."""
    return _frame(rows, _DIFF)


def hours_frame(rows: Rows) -> pd.DataFrame:
    """Hourly figures, a row for each hour and fingerprint.

    hour (its beginning), check_id, fingerprint; looks, ok, warn, crit, unknown, skip: int64; uptime (0 to 1), p50_ms, p95_ms, p99_ms,
    max_ms: float64.
    """
    return _frame(rows, _HOURS)


def backtest_frame(rows: Rows) -> pd.DataFrame:
    """When a condition would have fired, a row for each time that it did, in the order in which it fired.

    fingerprint, check_id, began (the first look at which it held), fired (the look that made it hard), ended (the first at which it did
    not; NaT: it held at the last), duration_s (float64, to the end or the last look), looks and failed (int64; how many looks, and how
    many of them were warn, crit or unknown as things were), actual (what the condition saw first).
    """
    return _frame(rows, _BACKTEST)


def scans_frame(rows: Rows) -> pd.DataFrame:
    """Scans, the newest first: scan_id, trigger, actor (who asked, or None), started_at, finished_at (NaT: not finished), state, total
    (int64), counts (a dict: status → how many)."""
    return _frame(rows, _SCANS)


def _frame(rows: Rows, columns: Mapping[str, str]) -> pd.DataFrame:
    import pandas as pd

    listed = list(rows)
    frame = pd.DataFrame({name: [row.get(name) for row in listed] for name in columns}, columns=list(columns))
    for name, kind in columns.items():
        if kind == "status":
            frame[name] = pd.Categorical(frame[name], categories=list(STATUS_ORDER), ordered=True)
        elif kind == "severity":
            frame[name] = pd.Categorical(frame[name], categories=list(SEVERITIES), ordered=True)
        elif kind == "time":
            frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601").dt.as_unit("ms")
        elif kind == "category":
            # of texts, also where there are no rows
            frame[name] = frame[name].astype("str").astype(pd.CategoricalDtype(_CATEGORIES.get(name)))
        elif kind == "object":  # pandas makes texts with None among them a column of texts, where None is nan
            frame[name] = pd.Series([row.get(name) for row in listed], dtype="object")
        else:
            frame[name] = frame[name].astype(kind)  # type: ignore[call-overload]  # the stubs take literals alone
    return frame
