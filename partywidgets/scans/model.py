"""Results and reports: `partywidgets.result/1` and `partywidgets.scan/1`.

A result is bounded when it is made (`bounds.py`), and its texts are safe to show: control characters visible, no direction overridden.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from . import bounds
from .bounds import EVIDENCE_BYTES, FRAME_BYTES
from .text import capped, one_line, safe_text
from .wire import WireReader, parse_time, wire_time

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

Status = Literal["ok", "warn", "crit", "unknown", "skip"]
Severity = Literal["info", "low", "medium", "high", "critical"]
ErrorClass = Literal["timeout", "dns", "refused", "tls", "auth", "http", "parse", "internal"]
Phase = Literal["soft", "hard", "flapping"]
Change = Literal["new", "unchanged", "updated", "absent", "resolved"]
SuppressedBy = Literal["ack", "silence", "maintenance", "dependency", "waiver"]

STATUSES: tuple[Status, ...] = ("ok", "warn", "crit", "unknown", "skip")
SEVERITIES: tuple[Severity, ...] = ("info", "low", "medium", "high", "critical")
STATUS_CODES: dict[Status, int | None] = {"ok": 0, "warn": 1, "crit": 2, "unknown": 3, "skip": None}
ERROR_CLASSES: tuple[ErrorClass, ...] = get_args(ErrorClass)
PHASES: tuple[Phase, ...] = get_args(Phase)
CHANGES: tuple[Change, ...] = get_args(Change)
SUPPRESSIONS: tuple[SuppressedBy, ...] = get_args(SuppressedBy)

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


_last_id = 0
_drawn: list[str] = []
"""Random parts of the next ids."""
_VARIANT = {digit: f"{int(digit, 16) & 3 | 8:x}" for digit in "0123456789abcdef"}
"""The digit after the third dash, by a random one (RFC 9562 §4.1)."""
_id_lock = threading.Lock()


def uuid7() -> str:
    """A UUID of version 7 (RFC 9562 §5.7): sorts by the time it was made; two of one process never sort against their order."""
    global _last_id
    with _id_lock:
        ticks = max(_last_id + 1, time.time_ns() * 4096 // 1_000_000)  # milliseconds with twelve bits of fraction (RFC 9562 §6.2, method 3)
        _last_id = ticks
        if not _drawn:
            numbers = os.urandom(8 * 64).hex()  # a call for each id would cost more than the rest of this
            _drawn.extend(f"{_VARIANT[numbers[at]]}{numbers[at + 1 : at + 4]}-{numbers[at + 4 : at + 16]}" for at in range(0, 1024, 16))
        drawn = _drawn.pop()
    return f"{ticks >> 28 & 0xFFFFFFFF:08x}-{ticks >> 12 & 0xFFFF:04x}-7{ticks & 0xFFF:03x}-{drawn}"


def utc_now() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


def fingerprint(check_id: str, target: str, identity: Mapping[str, str] | None = None) -> str:
    """Which thing a result is about, over time: 16 hex digits of SHA-256 over check id, target and the sorted identity labels."""
    return _fingerprint(check_id, target, tuple(sorted((identity or {}).items())))


def function_fingerprint(check_id: str, function: str, identity: Mapping[str, str]) -> str:
    """The fingerprint of a function `module:qualname`, by its name without the module: a function that moves from a notebook into the
    config's modules keeps its id, and so its history, acks and silences."""
    return fingerprint(check_id, function.rpartition(":")[2], identity)


@lru_cache(maxsize=20_000)
def _fingerprint(check_id: str, target: str, identity: tuple[tuple[str, str], ...]) -> str:
    name = json.dumps([check_id, target, identity], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class ConditionResult:
    """One condition with the value seen in it."""

    expr: str
    ok: bool
    actual: str


@dataclass(frozen=True, slots=True)
class Metric:
    """One number seen. `warn` and `crit` are thresholds as the author wrote them."""

    name: str
    value: float
    unit: str = ""
    warn: str | None = None
    crit: str | None = None
    min: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen, for people.

    A check gives `kind`, `name` and `value` of any length; `capped()` is what a result keeps: at most 4 KiB of UTF-8, control characters
    shown as pictures, and the SHA-256 of the whole value as it was seen (the redacted one, where something was redacted).
    """

    kind: str
    name: str
    value: str
    truncated: bool = False
    sha256: str = ""
    redacted: bool = False

    def capped(self) -> Evidence:
        """The bounded form. Capping it again changes nothing."""
        value = self.value
        if self.sha256 and len(value) * 4 <= EVIDENCE_BYTES and value.isprintable():
            return self
        whole = value.encode("utf-8", "surrogatepass")
        digest = self.sha256 or hashlib.sha256(whole).hexdigest()
        truncated = self.truncated or len(whole) > EVIDENCE_BYTES
        if truncated or not value.isprintable():
            truncated = self.truncated or len(value) > EVIDENCE_BYTES or len(value.encode("utf-8", "replace")) > EVIDENCE_BYTES
            value = capped(safe_text(capped(value, EVIDENCE_BYTES)), EVIDENCE_BYTES)
        return Evidence(one_line(self.kind, 40), one_line(self.name), value, truncated, digest, self.redacted)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a probe could not look: a class to group by, and a sentence. On the wire it is `error: {class, message}`."""

    kind: ErrorClass
    message: str


@dataclass(frozen=True, slots=True)
class State:
    """Where a fingerprint stands: `soft` until a status was seen `max_attempts` times in a row, then `hard`; `flapping` while it
    changes too often."""

    phase: Phase = "hard"
    since: datetime | None = None
    attempt: int = 1
    max_attempts: int = 1
    previous: Status | None = None


@dataclass(frozen=True, slots=True)
class Remediation:
    """What to do about it. `confirm`: ask before the command runs."""

    text: str = ""
    runbook: str | None = None
    cell_id: str | None = None
    command: str | None = None
    sandbox: str | None = None
    confirm: bool = True


@dataclass(frozen=True, slots=True)
class Suppression:
    """Why nobody is told about this result. `until` None: no end."""

    by: SuppressedBy
    id: str
    until: datetime | None = None
    actor: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Runner:
    """Who looked."""

    host: str
    version: str
    zone: str | None = None


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
