"""What every check is: a model from the config, and a probe that looks once."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Protocol
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ...duration import PositiveSeconds, Seconds
from ...exceptions import ConfigError
from ..condition import compile_condition, require_names
from ..model import ErrorClass, Evidence, Metric, Severity, Status, fingerprint
from ..model import Remediation as ResultRemediation
from ..schedule import CronRhythm
from ..settings import Cron, Zone
from .dial import TlsSettings

__all__ = [
    "CheckModel",
    "Condition",
    "ErrorClass",
    "Evidence",
    "Metric",
    "Probe",
    "ProbeContext",
    "Prober",
    "RemediationModel",
]

STALE_AFTER = 3
"""Looks that may be missing before a result is stale."""

UNSCHEDULED = {"every": None, "cron": None, "timezone": None}
"""What a check is updated with so that it is looked at only when asked."""

_ID = re.compile(r"[^\s\x00-\x1f\x7f/][^\x00-\x1f\x7f]{0,199}")


@dataclass(slots=True)
class Probe:
    """One look at a target, before any judgement.

    `values` are the names that conditions may use. `status` is set by checks that judge themselves (exec, functions); else the conditions
    decide, and without conditions the check's own rule (`error` None is ok). `links` are URLs for people. `fault` says in words what it
    means that an implied condition does not hold; empty: the condition itself says it. `nothing` says that the target gave an answer with
    nothing in it, which is why an expression may have none.
    """

    target: str
    values: dict[str, Any] = field(default_factory=dict)
    status: Status | None = None
    summary: str = ""
    fault: str = ""
    nothing: str = ""
    details: str = ""
    metrics: list[Metric] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    phases_ms: dict[str, float] = field(default_factory=dict)
    error: tuple[ErrorClass, str] | None = None
    links: list[str] = field(default_factory=list)

    def took(self, seconds: float) -> float:
        """Notes how long the target took to answer, and returns it in milliseconds."""
        duration_ms = round(seconds * 1000, 3)
        self.phases_ms = {"processing": duration_ms}
        self.metrics.append(Metric("duration_ms", duration_ms, "ms"))
        return duration_ms


@dataclass(frozen=True, slots=True)
class ProbeContext:
    """What a probe may use: its deadline in seconds of the loop's clock, and the resolver of `${env:…}` and `${file:…}`."""

    deadline: float
    resolve: Callable[[str], str]


class Prober(Protocol):
    """The one method of a check model that does I/O."""

    async def probe(self, context: ProbeContext) -> Probe:
        """Looks once. Never raises for what a target did; cancelled at the deadline."""


def _condition(expr: str) -> str:
    try:
        compile_condition(expr)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return expr


Condition = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_condition)]
"""A model's field: an expression of scans/condition.py, refused when the config is loaded if it cannot be read."""


class PlacedError(ValueError):
    """What is wrong with one key of a check, found when the whole was looked at. `where` is its place in the check."""

    def __init__(self, sentence: str, where: tuple[str | int, ...]) -> None:
        super().__init__(sentence)
        self.where = where


class RemediationModel(BaseModel):
    """What to do when the check fails: `command` is typed into the terminal of `sandbox` after a confirmation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field(default="", max_length=2000)
    command: str | None = Field(default=None, max_length=4000)
    sandbox: str | None = None
    runbook: str | None = None
    cell_id: str | None = None
    confirm: bool = True


class CheckModel(BaseModel):
    """The keys that every check has in the config.

    `every` is seconds between looks, `cron` an expression for looks at fixed times in `timezone` (None: the schedule's); with neither it is
    looked at only when asked. `timeout` is seconds for one look. A status is `hard` once it was seen
    `attempts` times in a row, and while it is soft the next look comes after `retry_delay`; what was hard is over when ok was seen
    `recovery_attempts` times in a row. `retries` are further looks at once, inside
    one run, `retry_delay` apart, for targets that are known to drop a packet. `conditions` must all hold, else the status is crit;
    `crit`, then `warn`, set their status when they are true. `identity` names those labels that make two results two things (part of the
    fingerprint).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    value_names: ClassVar[frozenset[str] | None] = None
    """The names that expressions may use; None: not known before the probe."""
    unknown_errors: ClassVar[frozenset[ErrorClass]] = frozenset({"internal"})
    """Errors that say nothing about the target: the status is unknown, and crit for all others."""
    ends_itself: ClassVar[bool] = False
    """True: `probe` keeps the deadline, and awaits nothing but what ends at once when it is cancelled. Nobody watches over it then."""
    apart: ClassVar[bool] = False
    """True: what it does depends on the check and its references alone, so that another process may look."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """Modules that `probe` imports when it needs them: loaded before the first look, so that the import is no part of it."""
    together: ClassVar[int | None] = None
    """How many checks of the type run at once where the config's `limits.per_type` does not say; None: as many as there are places."""

    id: str = Field(min_length=1, max_length=200)
    type: str
    title: str = Field(default="", max_length=200)
    every: PositiveSeconds | None = None
    cron: Cron | None = None
    timezone: Zone | None = None
    timeout: PositiveSeconds = 10.0
    attempts: int = Field(default=1, ge=1, le=100)
    recovery_attempts: int = Field(default=1, ge=1, le=100)
    retries: int = Field(default=0, ge=0, le=10)
    retry_delay: Seconds = Field(default=1.0, ge=0)
    severity: Severity = "medium"
    labels: dict[str, str] = Field(default_factory=dict, max_length=32)
    identity: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = Field(default=(), max_length=50)
    warn: Condition | None = None
    crit: Condition | None = None
    remediation: RemediationModel | None = None
    runbook: str | None = None
    depends_on: tuple[str, ...] = ()
    enabled: bool = True

    @model_validator(mode="after")
    def _consistent(self) -> CheckModel:
        if not _ID.fullmatch(self.id):
            raise ValueError(f"the id {self.id!r} may not hold control characters nor start with a blank or a slash")
        missing = [name for name in self.identity if name not in self.labels]
        if missing:
            raise ValueError(f"identity names {', '.join(missing)}, which is not among the labels of {self.id}")
        if self.cron is not None and self.every is not None:
            raise PlacedError("a check has `every` or `cron`, not both: take one of them out", ("cron",))
        if self.cron is None and self.timezone is not None:
            raise PlacedError("`timezone` is what `cron` is read in, and there is no `cron`: take it out", ("timezone",))
        if self.remedy is not None and self.remedy.cell_id is not None and self.remedy.runbook is None:
            raise PlacedError(
                "`cell_id` is a cell of the `runbook`, and there is none: name it, or take this out", ("remediation", "cell_id")
            )
        if self.value_names is not None:
            placed = [(("conditions", index), expr) for index, expr in enumerate(self.conditions)]
            for where, expr in (*placed, (("warn",), self.warn), (("crit",), self.crit)):
                try:
                    require_names(expr or "true", self.value_names, f"a check of type {self.type}")
                except ConfigError as error:
                    raise PlacedError(str(error), where) from None
        return self

    def ttl_s(self, now: float) -> float | None:
        """Seconds after which a result of `now` is stale: when the third look after it is overdue. None where nothing is due by itself."""
        if self.every is not None:
            return self.every * STALE_AFTER + self.timeout
        if self.cron is None:
            return None
        # The schedule's own zone is not known here, and moves three looks by an hour or two at most.
        rhythm, due = CronRhythm(self.cron, ZoneInfo(self.timezone or "UTC")), now
        for _ in range(STALE_AFTER):
            due = rhythm.after(None, due)
        return due - now + self.timeout

    def tls_settings(self) -> tuple[TlsSettings, ...]:
        """The TLS contexts that a look makes, as arguments of `tls_context`: made before the first look, as `libraries` are loaded."""
        return ()

    @property
    def expressions(self) -> tuple[str, ...]:
        """Every expression that the author wrote."""
        return (*self.conditions, *(expr for expr in (self.warn, self.crit) if expr is not None))

    def unless_asked(self, *rules: tuple[str, Collection[str]]) -> tuple[str, ...]:
        """Of these conditions those that hold beside the author's expressions: none beside `conditions`, which say all that must hold, and
        beside `warn` and `crit` each that they ask nothing about. A rule is its expression and the names that it is about."""
        if self.conditions:
            return ()
        asked = {name for expr in self.expressions for name in compile_condition(expr).names}
        return tuple(expr for expr, names in rules if asked.isdisjoint(names))

    @property
    def implied_conditions(self) -> tuple[str, ...]:
        """What must hold beside the author's conditions: what the check's other keys ask for."""
        return ()

    @property
    def target(self) -> str:
        """What is looked at, without any secret: part of the fingerprint, so as the config writes it."""
        raise NotImplementedError

    @property
    def fingerprint(self) -> str:
        """The fingerprint of this check's results."""
        return fingerprint(self.id, self.target, {name: self.labels[name] for name in self.identity})

    @property
    def remedy(self) -> ResultRemediation | None:
        """What the result says to do; `runbook` of the check counts where the remediation names none."""
        given = self.remediation
        if given is None:
            return None if self.runbook is None else ResultRemediation(runbook=self.runbook)
        return ResultRemediation(
            text=given.text,
            runbook=given.runbook or self.runbook,
            cell_id=given.cell_id,
            command=given.command,
            sandbox=given.sandbox,
            confirm=given.confirm,
        )

    async def probe(self, context: ProbeContext) -> Probe:
        """Looks once. Never raises for what a target did; cancelled at the deadline."""
        raise NotImplementedError
