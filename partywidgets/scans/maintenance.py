"""Maintenance windows: times in which failing is expected, and nobody is told. No I/O; the time is given by the caller."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from ..duration import PositiveSeconds
from .cron import cron_times
from .matching import matches
from .model import CheckResult, Suppression, wire_time
from .settings import Cron, Zone
from .waiver import Waived, WaiverSettings

CHAIN = 64
FAR = timedelta(days=366)
"""How far ahead `next_window` looks."""


class MaintenanceSettings(BaseModel):
    """One window that comes again and again: it opens at each time of `cron`, read in `timezone`, for `duration` seconds.

    All `matchers` (labels, or check_id, check_type, target, severity) must match; none: everything is under maintenance.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=100)
    cron: Cron
    duration: Annotated[PositiveSeconds, Field(le=31 * 86_400.0)]
    timezone: Zone = "UTC"
    matchers: dict[str, str] = Field(default_factory=dict, max_length=16)
    reason: str = Field(default="", max_length=500)

    def window_at(self, now: datetime) -> Window | None:
        """The window that is open at an aware time, None when none is.

        Windows that overlap, or of which one closes when the next opens, are one, until the last closes: of `CHAIN` at most, which is more
        than pass between two looks. The length of each is elapsed time, also over a change of the clocks.
        """
        zone, length = ZoneInfo(self.timezone), timedelta(seconds=self.duration)
        # One second earlier: a window is half open, and the iterator begins after its start.
        openings = cron_times(self.cron, (now.astimezone(UTC) - length).astimezone(zone))
        begin = next(openings).astimezone(UTC)
        if begin > now:
            return None
        end = begin + length
        for opening in islice(openings, CHAIN):
            if opening > end:
                break
            end = opening.astimezone(UTC) + length
        return Window(self, begin, end)

    def next_window(self, now: datetime) -> Window | None:
        """The next window that opens after `now`; None when none does within a year."""
        begin = next(cron_times(self.cron, now.astimezone(ZoneInfo(self.timezone)))).astimezone(UTC)
        return Window(self, begin, begin + timedelta(seconds=self.duration)) if begin - now <= FAR else None


@dataclass(frozen=True, slots=True)
class Window:
    """One opening of a maintenance window, from `begin` until before `end`."""

    kind: ClassVar[str] = "maintenance"

    settings: MaintenanceSettings
    begin: datetime
    end: datetime

    def in_force(self, now: datetime) -> bool:
        """True while it is open."""
        return self.begin <= now < self.end

    def goes_on_from(self, other: Window | Waived) -> bool:
        """Whether it is what `other` was when somebody looked before: nothing lies between the two."""
        return isinstance(other, Window) and other.settings == self.settings and self.begin <= other.end

    def matches(self, result: CheckResult) -> bool:
        """True when the result is under this maintenance."""
        return matches(self.settings.matchers, result)

    def suppression(self) -> Suppression:
        """What a result carries of it."""
        return Suppression("maintenance", self.settings.name, self.end, None, self.settings.reason or self.settings.name)

    def to_wire(self) -> dict[str, Any]:
        """The window as JSON values."""
        settings = self.settings
        return {
            "name": settings.name,
            "matchers": dict(settings.matchers),
            "reason": settings.reason,
            "begin": wire_time(self.begin),
            "end": wire_time(self.end),
        }


class Maintenance:
    """The windows and waivers of all loaded configs, and which of them are open."""

    def __init__(self) -> None:
        self.open: tuple[Window | Waived, ...] = ()
        self._settings: dict[str, tuple[MaintenanceSettings | WaiverSettings, ...]] = {}

    def configure(self, owner: str, settings: Sequence[MaintenanceSettings | WaiverSettings]) -> None:
        """Puts these in place of those that `owner` had."""
        self._settings[owner] = tuple(settings)

    def look(self, now: datetime) -> tuple[list[Window | Waived], list[Window | Waived]]:
        """Works out anew what is open at `now`; returns the windows that have opened since the last look, and those that have closed."""
        before = self.open
        self.open = tuple(window for one in self._all() if (window := one.window_at(now)) is not None)
        began = [one for one in self.open if not any(one.goes_on_from(other) for other in before)]
        return began, [one for one in before if not any(other.goes_on_from(one) for other in self.open)]

    def _all(self) -> Iterable[MaintenanceSettings | WaiverSettings]:
        return (one for settings in self._settings.values() for one in settings)
