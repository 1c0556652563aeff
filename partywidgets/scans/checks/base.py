"""What every check is: a model from the config, and a probe that looks once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ..model import Severity, Status

ErrorClass = Literal["timeout", "dns", "refused", "tls", "auth", "http", "parse", "internal"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen, for people. `value` is capped at 4 KiB when the result is made."""

    kind: str
    name: str
    value: str


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


@dataclass(slots=True)
class Probe:
    """One look at a target, before any judgement.

    `values` are the names that conditions may use. `status` is set by checks that judge themselves (exec, functions); else the conditions decide,
    and without conditions the check's own rule (`error` None is ok).
    """

    target: str
    values: dict[str, Any] = field(default_factory=dict)
    status: Status | None = None
    summary: str = ""
    details: str = ""
    metrics: list[Metric] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    phases_ms: dict[str, float] = field(default_factory=dict)
    error: tuple[ErrorClass, str] | None = None


@dataclass(frozen=True, slots=True)
class ProbeContext:
    """What a probe may use: its deadline in seconds of the loop's clock, and the resolver of `${env:…}` and `${file:…}`."""

    deadline: float
    resolve: Callable[[str], str]


class Prober(Protocol):
    """The one method of a check model that does I/O."""

    async def probe(self, context: ProbeContext) -> Probe:
        """Looks once. Never raises for what a target did; cancelled at the deadline."""
