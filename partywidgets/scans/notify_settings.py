"""What a config says about one target of notifications."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ..duration import PositiveSeconds, Seconds
from .matching import matches
from .model import SEVERITIES, CheckResult, Severity

_REFERENCE = re.compile(r"\$\{(env|file):[^{}\r\n]+\}")


def _reference(url: str) -> str:
    if not _REFERENCE.fullmatch(url.strip()):
        raise ValueError("an Apprise URL holds a secret: put it into a variable or a file and write ${env:NAME} or ${file:PATH}")
    return url.strip()


class NotifySettings(BaseModel):
    """One target: where messages go, about which rows, and how many.

    `url` is a reference to an Apprise URL (https://appriseit.com/services/). `on` are the statuses that begin a notification, `severity`
    is the least severity, and all `matchers` (labels, or check_id, check_type, target, severity) must match. `recovery`: also when it is
    over. Rows with equal `group_by` labels share a message; a group's first row waits `group_wait` seconds for others. At most `limit`
    messages go out in `per` seconds; what comes beyond waits and then shares one. A message that did not arrive is tried again after
    `retry_delay` seconds, doubled each time up to five minutes. What still fails, and nobody takes care of, is told again by the first
    look that comes `remind_every` seconds or more after the last message about it, with what else fails of its group; None: never.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=100)
    url: Annotated[str, Field(max_length=1000), AfterValidator(_reference)]
    on: tuple[Literal["warn", "crit", "unknown"], ...] = Field(default=("warn", "crit", "unknown"), min_length=1)
    severity: Severity = "info"
    matchers: dict[str, str] = Field(default_factory=dict, max_length=16)
    recovery: bool = True
    group_by: tuple[str, ...] = Field(default=(), max_length=8)
    group_wait: Annotated[Seconds, Field(ge=0, le=3600)] = 10.0
    limit: int = Field(default=10, ge=1, le=1000)
    per: PositiveSeconds = 600.0
    retry_delay: PositiveSeconds = 2.0
    remind_every: Annotated[PositiveSeconds, Field(le=31 * 86_400.0)] | None = None

    def wants(self, row: CheckResult, standing: str) -> bool:
        """Whether a row that begins to stand like this is to be told."""
        return (
            (standing in self.on or standing == "flapping")
            and SEVERITIES.index(row.severity) >= SEVERITIES.index(self.severity)
            and matches(self.matchers, row)
        )

    def group_of(self, row: CheckResult) -> str:
        """The group that a row shares messages with, as people read it."""
        return " ".join(f"{name}={row.labels[name]}" if row.labels.get(name) else f"no {name}" for name in self.group_by)
