"""What a config says about running and keeping scans: `schedule`, `history`, `limits`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ..duration import PositiveSeconds
from ..spelling import nearest

DAY = 86_400.0


def _cron(expression: str) -> str:
    from cronsim import CronSim, CronSimError

    try:
        next(CronSim(expression, datetime(2026, 1, 1)))
    except (CronSimError, StopIteration) as error:
        raise ValueError(
            f"{expression!r} is not a cron expression that ever runs ({error or 'no such day'}): "
            "write for example '*/5 * * * *' for every five minutes"
        ) from None
    return expression


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError(f"no time zone is called {name!r}; write for example 'UTC' or 'Europe/Berlin'") from None
    return name


Cron = Annotated[str, Field(max_length=200), AfterValidator(_cron)]
"""A model's field: a cron expression of five fields, or six with seconds first."""


Zone = Annotated[str, Field(max_length=100), AfterValidator(_zone)]
"""A model's field: the name of a time zone, as in the IANA database."""


class ScheduleSettings(BaseModel):
    """When scans start by themselves, beside the `every` of each check.

    `full` is a cron expression for a scan of everything, read in `timezone`, as is the `cron` of a check that names no zone of its own.
    `jitter` (0 to 1) spreads interval checks by that share of their interval.
    `misfire`: whether what cron made due while nothing ran, or while the machine slept, is made up for once (`once`) or left out (`skip`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    full: Cron | None = None
    timezone: Zone = "UTC"
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.1
    misfire: Literal["once", "skip"] = "skip"


class HistorySettings(BaseModel):
    """How long results are kept, in seconds: each for `keep_raw`; their figures by the minute for `keep_minutes`, those by the hour and
    the day for `keep_rollups`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep_raw: PositiveSeconds = 7 * DAY
    keep_minutes: PositiveSeconds = DAY
    keep_rollups: PositiveSeconds = 400 * DAY


def _types(limits: dict[str, int]) -> dict[str, int]:
    from .checks import CHECK_TYPES

    unknown = next((name for name in limits if name not in CHECK_TYPES), None)
    if unknown is not None:
        raise ValueError(f"unknown check type {unknown!r}, {nearest(unknown, CHECK_TYPES)}")
    return limits


class LimitSettings(BaseModel):
    """How many checks run at once: in all, against one host, and of one type (those that `per_type` names)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    total: Annotated[int, Field(ge=1, le=1000)] = 50
    per_host: Annotated[int, Field(ge=1, le=1000)] = 10
    per_type: Annotated[dict[str, Annotated[int, Field(ge=1, le=1000)]], AfterValidator(_types)] = Field(default_factory=dict)

    def of_types(self) -> dict[str, int]:
        """The limit of each type that has one, by the config or of its own."""
        from .checks import CHECK_TYPES

        return {name: kind.together for name, kind in CHECK_TYPES.items() if kind.together is not None} | self.per_type
