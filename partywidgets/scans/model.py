"""A result: `partywidgets.result/1`; a report of several is in `report.py`.

A result is bounded when it is made (`bounds.py`), and its texts are safe to show: control characters visible, no direction overridden.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

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
    "Severity",
    "State",
    "Status",
    "SuppressedBy",
    "Suppression",
    "capped",
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
            state=State() if state is None else State.from_wire(state),
            change=cast(Change, reader.one_of("change", CHANGES, "new")),
            scheduled_at=reader.time("scheduled_at"),
            started_at=reader.time("started_at") or utc_now(),
            observed_at=reader.time("observed_at") or utc_now(),
            duration_ms=reader.number("duration_ms", 0.0) or 0.0,
            phases_ms={k: float(v) for k, v in reader.mapping("phases_ms", (int, float)).items()},
            summary=reader.text("summary", ""),
            details=reader.text("details", ""),
            conditions=[ConditionResult.from_wire(condition) for condition in reader.parts("conditions")],
            metrics=[Metric.from_wire(metric) for metric in reader.parts("metrics")],
            evidence=[Evidence.from_wire(item) for item in reader.parts("evidence")],
            error=None if error is None else Failure.from_wire(error),
            remediation=None if remediation is None else Remediation.from_wire(remediation),
            suppression=None if suppression is None else Suppression.from_wire(suppression),
            labels=cast("dict[str, str]", dict(reader.mapping("labels", (str,)))),
            links=[link for link in reader.items("links") if isinstance(link, str)],
            runner=None if runner is None else Runner.from_wire(runner),
            ttl_s=reader.number("ttl_s", None),
        )


@lru_cache(maxsize=20_000)
def _wire_time(moment: datetime | None) -> str | None:
    # Of moments that many results share, or one result after the other: a scan's, and since when a state is.
    return None if moment is None else wire_time(moment)


def _fields(item: Remediation | Runner) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__slots__}
