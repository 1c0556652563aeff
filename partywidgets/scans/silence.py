"""Ack and silence: why nobody is told about a failing result, who said so and until when. Pure: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .maintenance import Window
from .matching import matches
from .model import CheckResult, Suppression, one_line, parse_time, uuid7, wire_time
from .waiver import Waived

MATCHERS = 16
"""Most labels in one silence."""
SILENCES = 1000
"""Most silences in force at once."""
REASON_CHARS = 500


@dataclass(frozen=True, slots=True)
class Ack:
    """Somebody works on this fingerprint. Ends at `until` (None: no end), when it is withdrawn, or when the check is ok again."""

    fingerprint: str
    reason: str
    actor: str
    at: datetime
    until: datetime | None = None

    def in_force(self, now: datetime) -> bool:
        """True until `until`."""
        return self.until is None or now < self.until

    def suppression(self) -> Suppression:
        """What a result carries of it."""
        return Suppression("ack", self.fingerprint, self.until, self.actor, self.reason)

    def to_wire(self) -> dict[str, Any]:
        """The `ack` message's data."""
        return {
            "fingerprint": self.fingerprint,
            "until": None if self.until is None else wire_time(self.until),
            "actor": self.actor,
            "reason": self.reason,
            "at": wire_time(self.at),
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Ack:
        """The reverse of `to_wire`."""
        return cls(wire["fingerprint"], wire["reason"], wire["actor"], parse_time(wire["at"]), read_until(wire.get("until")))


@dataclass(frozen=True, slots=True)
class Silence:
    """Results whose labels match all `matchers` are not told about until `until`.

    A matcher's key is a label, or one of `check_id`, `check_type`, `target`, `severity`, `fingerprint` where no label has that name.
    """

    matchers: dict[str, str]
    reason: str
    actor: str
    at: datetime
    until: datetime
    id: str = field(default_factory=uuid7)

    def in_force(self, now: datetime) -> bool:
        """True until `until`."""
        return now < self.until

    def matches(self, result: CheckResult) -> bool:
        """True when every matcher has the result's value."""
        return matches(self.matchers, result)

    def suppression(self) -> Suppression:
        """What a result carries of it."""
        return Suppression("silence", self.id, self.until, self.actor, self.reason)

    def to_wire(self, *, lifted: bool = False) -> dict[str, Any]:
        """The `silence` message's data; `lifted`: with `until` null."""
        return {
            "id": self.id,
            "matchers": dict(self.matchers),
            "until": None if lifted else wire_time(self.until),
            "actor": self.actor,
            "reason": self.reason,
            "at": wire_time(self.at),
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Silence:
        """The reverse of `to_wire`."""
        return cls(dict(wire["matchers"]), wire["reason"], wire["actor"], parse_time(wire["at"]), parse_time(wire["until"]), wire["id"])


def suppression_of(
    result: CheckResult, acks: Mapping[str, Ack], silences: Iterable[Silence], now: datetime, windows: Iterable[Window | Waived] = ()
) -> Suppression | None:
    """Why this result is not told about, or None. An ack counts for a failing result only; it comes before a silence, that before a
    maintenance window, that before a waiver."""
    ack = acks.get(result.fingerprint)
    if ack is not None and ack.in_force(now) and result.status not in ("ok", "skip"):
        return ack.suppression()
    said = next((silence.suppression() for silence in silences if silence.in_force(now) and silence.matches(result)), None)
    return said or next((window.suppression() for window in windows if window.in_force(now) and window.matches(result)), None)


def read_matchers(value: Any) -> dict[str, str]:
    """Matchers that a client sent. Raises ValueError with a sentence for the client."""
    if not isinstance(value, Mapping) or not all(isinstance(k, str) and isinstance(v, str) for k, v in value.items()):
        raise ValueError('`matchers` must be an object of labels, for example {"team": "web"}')
    if not value:
        raise ValueError("a silence needs at least one matcher: name a label, or `check_id`")
    if len(value) > MATCHERS:
        raise ValueError(f"a silence takes at most {MATCHERS} matchers, got {len(value)}")
    return {one_line(key): one_line(text) for key, text in value.items()}


def read_reason(value: Any) -> str:
    """A reason that a client sent, on one line. Raises ValueError when there is none: who reads it at night needs one."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("`reason` is missing: say in a few words why")
    return one_line(value, REASON_CHARS)


def read_until(value: Any) -> datetime | None:
    """An end that a client sent; None stays None. Raises ValueError for anything but an RFC 3339 time with a zone."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("`until` must be a time such as 2026-11-23T08:00:00Z, or null")
    try:
        return parse_time(value)
    except ValueError:
        raise ValueError(f"`until` must be a time with a zone, such as 2026-11-23T08:00:00Z, got {one_line(value, 60)!r}") from None
