"""Heartbeat: a job that reports by itself, and is missed when it does not (a dead man's switch)."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import Field

from ...duration import PositiveSeconds, format_duration
from ..model import Metric
from .base import CheckModel, Probe, ProbeContext

SHORTEST_SECRET = 16
"""Characters: the route is open to whoever knows the secret, so it must not be guessable."""
LONGEST_SECRET = 256


@dataclass(slots=True)
class Beat:
    """When one job was last heard, on this process' monotonic clock; `since` is when we began to listen."""

    since: float
    last: float | None = None
    count: int = 0


@dataclass
class Beats:
    """The jobs that are listened for, by their secret's SHA-256.

    Lives as long as the process: after a restart every job is waited for anew.
    """

    _known: dict[bytes, Beat] = field(default_factory=dict)

    def listen(self, secret: str) -> Beat:
        """Knows this secret from now on."""
        return self._known.setdefault(_digest(secret), Beat(time.monotonic()))

    def hear(self, secret: str) -> bool:
        """Records a beat; False when nobody listens for this secret."""
        beat = self._known.get(_digest(secret)) if len(secret) <= LONGEST_SECRET else None
        if beat is None:
            return False
        beat.last, beat.count = time.monotonic(), beat.count + 1
        return True


BEATS = Beats()
"""Those of this process: the check listens, the route hears."""


def _usable(secret: str) -> bool:
    return SHORTEST_SECRET <= len(secret) <= LONGEST_SECRET and "/" not in secret


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


class HeartbeatCheck(CheckModel):
    """Crit when no request came to `/api/ops/heartbeat/<secret>` for longer than `within`.

    `secret` (16 to 256 characters once resolved) is a reference: `${env:NAME}` or `${file:PATH}`. The host listens from the loading of its
    config on; until the first beat the status is unknown, and crit when `within` has passed.
    Values: `age_s` (seconds since the last beat, or since listening began), `heard`, `count`, `error`.
    """

    value_names: ClassVar[frozenset[str] | None] = frozenset({"age_s", "heard", "count", "error"})

    type: Literal["heartbeat"] = "heartbeat"
    secret: str = Field(min_length=1, max_length=1000)
    within: PositiveSeconds

    @property
    def target(self) -> str:
        """The check's own id: the secret is in no result."""
        return f"heartbeat {self.id}"

    @property
    def implied_conditions(self) -> tuple[str, ...]:
        """The last beat is young enough."""
        return (f"age_s <= {self.within}",)

    def prepare(self, resolve: Callable[[str], str]) -> None:
        """Listens: a job may beat before the first look."""
        if _usable(secret := resolve(self.secret)):
            BEATS.listen(secret)

    async def probe(self, context: ProbeContext) -> Probe:
        """Looks at the clock."""
        secret = context.resolve(self.secret)
        probe = Probe(self.target)
        if not _usable(secret):
            probe.error = (
                "internal",
                f"the secret must have {SHORTEST_SECRET} to {LONGEST_SECRET} characters and no slash: `partywidgets token` makes one",
            )
            return probe
        beat = BEATS.listen(secret)
        age = time.monotonic() - (beat.since if beat.last is None else beat.last)
        probe.values = {"age_s": round(age, 3), "heard": beat.last is not None, "count": beat.count}
        probe.metrics = [Metric("age_s", round(age, 3), "s")]
        if beat.last is None:
            probe.status, probe.summary = "unknown", f"no beat since listening began {format_duration(round(age))} ago"
        else:
            probe.summary = f"last beat {format_duration(round(age))} ago"
        probe.fault = f"{probe.summary}, one is expected within {format_duration(self.within)}"
        return probe
