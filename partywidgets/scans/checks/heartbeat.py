"""Heartbeat: a job that reports by itself, and is missed when it does not (a dead man's switch)."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from pydantic import Field

from ...duration import PositiveSeconds, format_duration
from ..model import Metric
from ..recorded import KeptBeat
from .base import CheckModel, Probe, ProbeContext

SHORTEST_SECRET = 16
"""Characters: the route is open to whoever knows the secret, so it must not be guessable."""
LONGEST_SECRET = 256


@dataclass(slots=True)
class Beat:
    """When one job was last heard, on this process' monotonic clock.

    `since`: from when on its next beat is waited for, where that is later. `checks`: the fingerprints of those that listen for it.
    """

    since: float
    last: float | None = None
    count: int = 0
    checks: set[str] = field(default_factory=set)

    @property
    def waits(self) -> bool:
        """Not heard since a time that may not be held against it."""
        return self.last is None or self.last < self.since

    def kept(self, now: float, moment: datetime) -> KeptBeat:
        """What outlives the process; `now` and `moment` are the same time on both clocks."""

        def at(then: float) -> datetime:
            return moment - timedelta(seconds=now - then)

        return KeptBeat(at(self.since), None if self.last is None else at(self.last), self.count)

    def resume(self, kept: KeptBeat, now: float, moment: datetime) -> None:
        """Goes on where the last process ended."""

        def at(then: datetime) -> float:
            return now - max(0.0, (moment - then).total_seconds())

        self.since, self.last, self.count = at(kept.since), None if kept.last is None else at(kept.last), kept.count


@dataclass
class Beats:
    """The jobs that are listened for, by their secret's SHA-256. What is to outlive the process, `beats.BeatKeeper` keeps."""

    _known: dict[bytes, Beat] = field(default_factory=dict)
    _secrets: dict[str, bytes] = field(default_factory=dict)
    """By the fingerprint of a check: the digest that it listens for."""

    def __contains__(self, secret: str) -> bool:
        return _digest(secret) in self._known

    def listen(self, secret: str, fingerprint: str = "") -> Beat:
        """Knows this secret from now on. A check whose secret is another one by now goes on with what it knows of its job."""
        digest, before = _digest(secret), self._secrets.get(fingerprint)
        if before is not None and before != digest:
            replaced = self._known[before]
            replaced.checks.discard(fingerprint)
            if not replaced.checks:
                self._known.setdefault(digest, self._known.pop(before))
        beat = self._known.setdefault(digest, Beat(time.monotonic()))
        if fingerprint:
            beat.checks.add(fingerprint)
            self._secrets[fingerprint] = digest
        return beat

    def of_check(self, fingerprint: str) -> Beat | None:
        """What a check listens for, if it does."""
        digest = self._secrets.get(fingerprint)
        return None if digest is None else self._known[digest]

    def leave(self, fingerprint: str) -> None:
        """A check listens no more; a secret that nothing else listens for is unknown again."""
        digest = self._secrets.pop(fingerprint, None)
        if digest is not None:
            beat = self._known[digest]
            beat.checks.discard(fingerprint)
            if not beat.checks:
                del self._known[digest]

    def hear(self, secret: str) -> Beat | None:
        """Records a beat; None when nobody listens for this secret."""
        beat = self._known.get(_digest(secret)) if len(secret) <= LONGEST_SECRET else None
        if beat is not None:
            beat.last, beat.count = time.monotonic(), beat.count + 1
        return beat


BEATS = Beats()
"""Those of this process: the check listens, the route hears."""


def _usable(secret: str) -> bool:
    return SHORTEST_SECRET <= len(secret) <= LONGEST_SECRET and "/" not in secret


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


class HeartbeatCheck(CheckModel):
    """Crit when no request came to `/api/ops/heartbeat/<secret>` for longer than `within`.

    `secret` (16 to 256 characters once resolved) is a reference: `${env:NAME}` or `${file:PATH}`. The host listens from the loading of its
    config on; until the first beat the status is skip, of which nobody is told, and crit when `within` has passed. A restart of the host
    changes nothing of that, but where `within` passed while it was down: then the status is skip, and crit when it has passed once more.
    Values: `age_s` (seconds since the last beat, or since it is waited for), `heard`, `count`, `error`.
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

    def listen(self, secret: str) -> Beat | None:
        """What is known of the job with this secret, from now on at the latest; None: it can be none."""
        return BEATS.listen(secret, self.fingerprint) if _usable(secret) else None

    async def probe(self, context: ProbeContext) -> Probe:
        """Looks at the clock."""
        secret = context.resolve(self.secret)
        probe = Probe(self.target)
        beat = self.listen(secret)
        if beat is None:
            probe.error = (
                "internal",
                f"the secret must have {SHORTEST_SECRET} to {LONGEST_SECRET} characters and no slash: `partywidgets token` makes one",
            )
            return probe
        now = time.monotonic()
        waited = now - beat.since
        age = waited if beat.last is None else now - beat.last
        counted = waited if beat.waits else age
        probe.values = {"age_s": round(counted, 3), "heard": beat.last is not None, "count": beat.count}
        probe.metrics = [Metric("age_s", round(age, 3), "s"), Metric("beats", float(beat.count))]
        late = format_duration(max(1, round(self.within - counted)))
        if beat.last is None:
            told = f"no beat since listening began {format_duration(round(age))} ago"
        else:
            told = f"last beat {format_duration(round(age))} ago"
            if beat.waits:
                told += f", and nobody listened for a time: waiting since {format_duration(round(waited))}"
        if beat.waits:
            probe.status = "skip"
        probe.fault = f"{told}, one is expected within {format_duration(self.within)}"
        probe.summary = f"{told}, late in {late}" if beat.waits else told
        return probe
