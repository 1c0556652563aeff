"""Heartbeat: a job that reports by itself, and is missed when it does not (a dead man's switch)."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import Field

from ...duration import PositiveSeconds, format_duration
from ..model import CheckResult, Metric, utc_now
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
    excused: bool = False
    """Its time ran out while no process listened: it may have reported to nobody."""

    @property
    def silent(self) -> bool:
        """Not heard since a time that may not be held against it."""
        return self.excused and self.last is not None and self.last < self.since


@dataclass
class Beats:
    """The jobs that are listened for, by their secret's SHA-256. Lives as long as the process; the rows of the one before tell how long
    each job was silent by then."""

    _known: dict[bytes, Beat] = field(default_factory=dict)

    def __contains__(self, secret: str) -> bool:
        return _digest(secret) in self._known

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
    config on; until the first beat the status is unknown, and crit when `within` has passed. A restart of the host changes nothing of that,
    but where `within` passed while it was down: then the status is unknown, and crit when it has passed once more.
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

    def prepare(self, resolve: Callable[[str], str], seen: Sequence[CheckResult] = ()) -> None:
        """Listens: a job may beat before the first look. After a restart its silence goes on where it was."""
        if _usable(secret := resolve(self.secret)):
            new = secret not in BEATS
            beat = BEATS.listen(secret)
            if new and seen:
                self._resume(beat, seen[0])

    def _resume(self, beat: Beat, row: CheckResult) -> None:
        metrics = {metric.name: metric.value for metric in row.metrics}
        if not {"age_s", "beats"} <= metrics.keys():
            return
        age, away = metrics["age_s"], max(0.0, (utc_now() - row.observed_at).total_seconds())
        if metrics["beats"]:
            beat.count, beat.last = int(metrics["beats"]), beat.since - away - age
            beat.excused = age <= self.within < age + away
        else:
            beat.since -= age

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
        now = time.monotonic()
        age, waited = now - (beat.since if beat.last is None else beat.last), now - beat.since
        counted = waited if beat.silent else age
        probe.values = {"age_s": round(counted, 3), "heard": beat.last is not None, "count": beat.count}
        probe.metrics = [Metric("age_s", round(age, 3), "s"), Metric("beats", float(beat.count))]
        if beat.last is None:
            probe.status, probe.summary = "unknown", f"no beat since listening began {format_duration(round(age))} ago"
        else:
            probe.summary = f"last beat {format_duration(round(age))} ago"
        if beat.silent:
            probe.status = "unknown"
            probe.summary += f", and nobody listened for a time: waiting since {format_duration(round(waited))}"
        probe.fault = f"{probe.summary}, one is expected within {format_duration(self.within)}"
        return probe
