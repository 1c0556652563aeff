"""Results and reports: `partywidgets.result/1` and `partywidgets.scan/1`.

A result is bounded when it is made (`bounds.py`), and its texts are safe to show: control characters visible, no direction overridden.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from . import bounds
from .bounds import FRAME_BYTES
from .identifiers import fingerprint, function_fingerprint, utc_now, uuid7
from .result_parts import (
    CHANGES,
    ERROR_CLASSES,
    PHASES,
    SEVERITIES,
    STATUS_CODES,
    STATUSES,
    SUPPRESSIONS,
    Change,
    ConditionResult,
    ErrorClass,
    Evidence,
    Failure,
    Metric,
    Phase,
    Remediation,
    Runner,
    Severity,
    State,
    Status,
    SuppressedBy,
    Suppression,
)
from .text import capped, one_line, safe_text
from .wire import WireReader, parse_time, wire_time

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

__all__ = [
    "CHANGES",
    "ERROR_CLASSES",
    "FRAME_BYTES",
    "PHASES",
    "SEVERITIES",
    "STATUSES",
    "STATUS_CODES",
    "SUPPRESSIONS",
    "Change",
    "CheckResult",
    "ConditionResult",
    "ErrorClass",
    "Evidence",
    "Failure",
    "Metric",
    "Phase",
    "Remediation",
    "Runner",
    "ScanReport",
    "Severity",
    "State",
    "Status",
    "SuppressedBy",
    "Suppression",
    "bounded_wires",
    "capped",
    "count_statuses",
    "fingerprint",
    "function_fingerprint",
    "one_line",
    "parse_time",
    "safe_text",
    "utc_now",
    "uuid7",
    "wire_time",
]

RESULT_SCHEMA = "partywidgets.result/1"
SCAN_SCHEMA = "partywidgets.scan/1"

_FAILING_FIRST: dict[Status, int] = {"crit": 0, "unknown": 1, "warn": 2, "skip": 3, "ok": 4}


@dataclass(slots=True, repr=False)
class CheckResult:
    """One look at one target, judged: `partywidgets.result/1`.

    `duration_ms` is of the look that is reported, without the retries before it. `ttl_s`: after that many seconds the result is stale,
    None: never.
    `seq` is given by the room that publishes it, 0 before.
    """

    check_id: str
    check_type: str
    target: str
    status: Status
    scan_id: str = ""
    result_id: str = field(default_factory=uuid7)
    seq: int = 0
    fingerprint: str = ""
    title: str = ""
    severity: Severity = "medium"
    state: State = field(default_factory=State)
    change: Change = "new"
    scheduled_at: datetime | None = None
    started_at: datetime = field(default_factory=utc_now)
    observed_at: datetime = field(default_factory=utc_now)
    duration_ms: float = 0.0
    phases_ms: dict[str, float] = field(default_factory=dict)
    summary: str = ""
    details: str = ""
    conditions: list[ConditionResult] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    error: Failure | None = None
    remediation: Remediation | None = None
    suppression: Suppression | None = None
    labels: dict[str, str] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
    runner: Runner | None = None
    ttl_s: float | None = None

    def __post_init__(self) -> None:
        self.fingerprint = self.fingerprint or fingerprint(self.check_id, self.target)
        bounds.apply(self)

    def __repr__(self) -> str:
        from .glance import result_line

        return f"{type(self).__name__}({result_line(self)})"

    @property
    def status_code(self) -> int | None:
        """The Nagios code of the status: 0 to 3, None for skip."""
        return STATUS_CODES[self.status]

    @property
    def urgency(self) -> tuple[int, int, int]:
        """Sorts failing results first, then changed ones, then by falling severity."""
        return _FAILING_FIRST[self.status], self.change == "unchanged", -SEVERITIES.index(self.severity)

    def to_wire(self) -> dict[str, Any]:
        """The result as JSON values."""
        state, error, suppression = self.state, self.error, self.suppression
        return {
            "schema": RESULT_SCHEMA,
            "scan_id": self.scan_id,
            "result_id": self.result_id,
            "seq": self.seq,
            "fingerprint": self.fingerprint,
            "check_id": self.check_id,
            "check_type": self.check_type,
            "target": self.target,
            "title": self.title,
            "status": self.status,
            "status_code": STATUS_CODES[self.status],
            "severity": self.severity,
            "state": {
                "phase": state.phase,
                "since": _wire_time(state.since),
                "attempt": state.attempt,
                "max_attempts": state.max_attempts,
                "previous": state.previous,
            },
            "change": self.change,
            "scheduled_at": _wire_time(self.scheduled_at),
            "started_at": wire_time(self.started_at),
            "observed_at": wire_time(self.observed_at),
            "duration_ms": self.duration_ms,
            "phases_ms": dict(self.phases_ms),
            "summary": self.summary,
            "details": self.details,
            "conditions": [{"expr": c.expr, "ok": c.ok, "actual": c.actual} for c in self.conditions],
            "metrics": [
                {"name": m.name, "value": m.value, "unit": m.unit, "warn": m.warn, "crit": m.crit, "min": m.min, "max": m.max}
                for m in self.metrics
            ],
            "evidence": [
                {"kind": e.kind, "name": e.name, "value": e.value, "truncated": e.truncated, "sha256": e.sha256, "redacted": e.redacted}
                for e in self.evidence
            ],
            "error": None if error is None else {"class": error.kind, "message": error.message},
            "remediation": None if self.remediation is None else _fields(self.remediation),
            "suppression": None
            if suppression is None
            else {
                "by": suppression.by,
                "id": suppression.id,
                "until": _wire_time(suppression.until),
                "actor": suppression.actor,
                "reason": suppression.reason,
            },
            "labels": dict(self.labels),
            "links": list(self.links),
            "runner": None if self.runner is None else _fields(self.runner),
            "ttl_s": self.ttl_s,
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> CheckResult:
        """The reverse of `to_wire`. Raises ValueError naming the field, for a value that no result can have; bounds apply again."""
        reader = WireReader(wire, RESULT_SCHEMA)
        state, error = reader.part("state"), reader.part("error")
        remediation, suppression, runner = reader.part("remediation"), reader.part("suppression"), reader.part("runner")
        return cls(
            check_id=reader.text("check_id"),
            check_type=reader.text("check_type"),
            target=reader.text("target"),
            status=cast(Status, reader.one_of("status", STATUSES)),
            scan_id=reader.text("scan_id", ""),
            result_id=reader.text("result_id", "") or uuid7(),
            seq=int(reader.number("seq", 0) or 0),
            fingerprint=reader.text("fingerprint", ""),
            title=reader.text("title", ""),
            severity=cast(Severity, reader.one_of("severity", SEVERITIES, "medium")),
            state=State()
            if state is None
            else State(
                phase=cast(Phase, state.one_of("phase", PHASES, "hard")),
                since=state.time("since"),
                attempt=int(state.number("attempt", 1) or 1),
                max_attempts=int(state.number("max_attempts", 1) or 1),
                previous=cast("Status | None", state.one_of("previous", STATUSES, None)),
            ),
            change=cast(Change, reader.one_of("change", CHANGES, "new")),
            scheduled_at=reader.time("scheduled_at"),
            started_at=reader.time("started_at") or utc_now(),
            observed_at=reader.time("observed_at") or utc_now(),
            duration_ms=reader.number("duration_ms", 0.0) or 0.0,
            phases_ms={k: float(v) for k, v in reader.mapping("phases_ms", (int, float)).items()},
            summary=reader.text("summary", ""),
            details=reader.text("details", ""),
            conditions=[ConditionResult(c.text("expr"), bool(c.value("ok")), c.text("actual", "")) for c in reader.parts("conditions")],
            metrics=[
                Metric(
                    m.text("name"),
                    m.number("value", math.nan) or 0.0,
                    m.text("unit", ""),
                    m.maybe_text("warn"),
                    m.maybe_text("crit"),
                    m.number("min", None),
                    m.number("max", None),
                )
                for m in reader.parts("metrics")
            ],
            evidence=[
                Evidence(
                    e.text("kind"),
                    e.text("name"),
                    e.text("value"),
                    bool(e.value("truncated")),
                    e.text("sha256", ""),
                    bool(e.value("redacted")),
                )
                for e in reader.parts("evidence")
            ],
            error=None
            if error is None
            else Failure(cast(ErrorClass, error.one_of("class", ERROR_CLASSES, "internal")), error.text("message", "")),
            remediation=None
            if remediation is None
            else Remediation(
                remediation.text("text", ""),
                remediation.maybe_text("runbook"),
                remediation.maybe_text("cell_id"),
                remediation.maybe_text("command"),
                remediation.maybe_text("sandbox"),
                remediation.value("confirm") is not False,
            ),
            suppression=None
            if suppression is None
            else Suppression(
                cast(SuppressedBy, suppression.one_of("by", SUPPRESSIONS)),
                suppression.text("id", ""),
                suppression.time("until"),
                suppression.maybe_text("actor"),
                suppression.text("reason", "") or "",
            ),
            labels=cast("dict[str, str]", dict(reader.mapping("labels", (str,)))),
            links=[link for link in reader.items("links") if isinstance(link, str)],
            runner=None if runner is None else Runner(runner.text("host", ""), runner.text("version", ""), runner.maybe_text("zone")),
            ttl_s=reader.number("ttl_s", None),
        )


@dataclass(slots=True, repr=False)
class ScanReport:
    """A scan: `partywidgets.scan/1`. `total` and `counts` are of the whole scan; `results` may be fewer in a bounded copy, then `more`
    is the path to all."""

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

    def to_junit(self) -> str:
        """The results as a JUnit file's text; `scans/junit.py` says what becomes a failure."""
        from .junit import junit_text

        return junit_text(self)

    def to_csv(self) -> str:
        """The results as CSV with the columns of `df`, `fingerprint` first."""
        from .table_file import csv_text

        return csv_text(self.results)

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
            "finished_at": _wire_time(self.finished_at),
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


def _wire_time(moment: datetime | None) -> str | None:
    return None if moment is None else wire_time(moment)


def _fields(item: Remediation | Runner) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__slots__}
