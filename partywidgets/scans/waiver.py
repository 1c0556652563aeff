"""Waivers: failures that somebody accepted, until a day. No I/O; the time is given by the caller."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from .matching import matches
from .model import CheckResult, Suppression, parse_time, wire_time


def _end(value: Any) -> datetime:
    """A day means until its end, a time is that moment; both in UTC where they have no zone."""
    try:
        if isinstance(value, str):
            value = date.fromisoformat(value) if len(value) == len("2026-12-31") else parse_time(value)
    except ValueError:
        value = None
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC) + timedelta(days=1)
    raise ValueError("`until` is a day such as 2026-12-31, or a time such as 2026-12-31T18:00:00Z")


class WaiverSettings(BaseModel):
    """A failure that is accepted until `until`: shown as failing and waived, told to nobody. Afterwards it counts again.

    All `matchers` (labels, or check_id, check_type, target, severity) must match. `by` is who accepted it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=100)
    matchers: dict[str, str] = Field(min_length=1, max_length=16)
    reason: str = Field(min_length=1, max_length=500)
    until: Annotated[datetime, BeforeValidator(_end), WithJsonSchema({"type": "string"})]
    by: str = Field(default="", max_length=200)

    def window_at(self, now: datetime) -> Waived | None:
        """The waiver while it is in force, None when it is over."""
        return Waived(self) if now < self.until else None


@dataclass(frozen=True, slots=True)
class Waived:
    """A waiver in force."""

    kind: ClassVar[str] = "waiver"

    settings: WaiverSettings

    def in_force(self, now: datetime) -> bool:
        """True until its end."""
        return now < self.settings.until

    def goes_on_from(self, other: object) -> bool:
        """Whether it is what `other` was when somebody looked before."""
        return self == other

    def matches(self, result: CheckResult) -> bool:
        """True for a failing result that is waived."""
        return result.status not in ("ok", "skip") and matches(self.settings.matchers, result)

    def suppression(self) -> Suppression:
        """What a result carries of it."""
        settings = self.settings
        return Suppression("waiver", settings.name, settings.until, settings.by or None, settings.reason)

    def to_wire(self) -> dict[str, Any]:
        """The waiver as JSON values."""
        settings = self.settings
        return {
            "name": settings.name,
            "matchers": dict(settings.matchers),
            "reason": settings.reason,
            "actor": settings.by or None,
            "end": wire_time(settings.until),
        }
