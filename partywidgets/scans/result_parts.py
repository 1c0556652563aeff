"""What a result is made of: the words for its status and its standing, conditions, metrics, evidence and what is said about it."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Self, cast, get_args
from urllib.parse import quote

from .bounds import EVIDENCE_BYTES
from .text import capped, one_line, safe_text
from .wire import WireReader

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


@dataclass(frozen=True, slots=True)
class ConditionResult:
    """One condition with the value seen in it."""

    expr: str
    ok: bool
    actual: str

    @classmethod
    def from_wire(cls, wire: WireReader) -> Self:
        """As `CheckResult.from_wire`."""
        return cls(wire.text("expr"), bool(wire.value("ok")), wire.text("actual", ""))


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

    @classmethod
    def from_wire(cls, wire: WireReader) -> Self:
        """As `CheckResult.from_wire`."""
        return cls(
            wire.text("name"),
            wire.number("value", math.nan) or 0.0,
            wire.text("unit", ""),
            wire.maybe_text("warn"),
            wire.maybe_text("crit"),
            wire.number("min", None),
            wire.number("max", None),
        )


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

    @classmethod
    def from_wire(cls, wire: WireReader) -> Self:
        """As `CheckResult.from_wire`."""
        return cls(
            wire.text("kind"),
            wire.text("name"),
            wire.text("value"),
            bool(wire.value("truncated")),
            wire.text("sha256", ""),
            bool(wire.value("redacted")),
        )

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

    @classmethod
    def from_wire(cls, wire: WireReader) -> Self:
        """As `CheckResult.from_wire`."""
        return cls(cast(ErrorClass, wire.one_of("class", ERROR_CLASSES, "internal")), wire.text("message", ""))


@dataclass(frozen=True, slots=True)
class State:
    """Where a fingerprint stands: `soft` until a problem, or ok after one, was seen `max_attempts` times in a row, then `hard`;
    `flapping` while it changes too often."""

    phase: Phase = "hard"
    since: datetime | None = None
    attempt: int = 1
    max_attempts: int = 1
    previous: Status | None = None

    @classmethod
    def from_wire(cls, wire: WireReader) -> Self:
        """As `CheckResult.from_wire`."""
        return cls(
            phase=cast(Phase, wire.one_of("phase", PHASES, "hard")),
            since=wire.time("since"),
            attempt=int(wire.number("attempt", 1) or 1),
            max_attempts=int(wire.number("max_attempts", 1) or 1),
            previous=cast("Status | None", wire.one_of("previous", STATUSES, None)),
        )


@dataclass(frozen=True, slots=True)
class Remediation:
    """What to do about it. `cell_id`: the cell of the runbook that is meant. `confirm`: ask before the command runs."""

    text: str = ""
    runbook: str | None = None
    cell_id: str | None = None
    command: str | None = None
    sandbox: str | None = None
    confirm: bool = True

    @property
    def place(self) -> str | None:
        """The runbook, and the cell in it as JupyterLab takes it in an address: it opens the notebook there."""
        if self.runbook is None or self.cell_id is None or "#" in self.runbook:
            return self.runbook
        return f"{self.runbook}#cell-id={quote(self.cell_id, safe='')}"

    @classmethod
    def from_wire(cls, wire: WireReader) -> Self:
        """As `CheckResult.from_wire`."""
        return cls(
            wire.text("text", ""),
            wire.maybe_text("runbook"),
            wire.maybe_text("cell_id"),
            wire.maybe_text("command"),
            wire.maybe_text("sandbox"),
            wire.value("confirm") is not False,
        )


@dataclass(frozen=True, slots=True)
class Suppression:
    """Why nobody is told about this result. `until` None: no end."""

    by: SuppressedBy
    id: str
    until: datetime | None = None
    actor: str | None = None
    reason: str = ""

    @classmethod
    def from_wire(cls, wire: WireReader) -> Self:
        """As `CheckResult.from_wire`."""
        return cls(
            cast(SuppressedBy, wire.one_of("by", SUPPRESSIONS)),
            wire.text("id", ""),
            wire.time("until"),
            wire.maybe_text("actor"),
            wire.text("reason", ""),
        )


@dataclass(frozen=True, slots=True)
class Runner:
    """Who looked."""

    host: str
    version: str
    zone: str | None = None

    @classmethod
    def from_wire(cls, wire: WireReader) -> Self:
        """As `CheckResult.from_wire`."""
        return cls(wire.text("host", ""), wire.text("version", ""), wire.maybe_text("zone"))
