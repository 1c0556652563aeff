"""What a new status means after those before it: soft and hard, change, since, flapping. Pure: no clock, no I/O.

Soft and hard follow Nagios ("State Types"): a problem is soft until it was seen `attempts` times in a row, then hard; the first ok is
hard at once, unless `recovery_attempts` asks for more: then a hard problem lasts until so many, and is hard at once where it shows again
before. Flapping follows Nagios too ("Detection and Handling of State Flapping"): the weighted share of changes among the last 21 looks,
with hysteresis.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from .model import Change, Phase, State, Status

FLAP_LOOKS = 21
"""How many looks the share of changes is taken over."""
FLAP_HIGH, FLAP_LOW = 0.50, 0.25
"""Flapping starts at the first share and ends below the second (Nagios ships 0.3 and 0.2, for looks minutes apart)."""


@dataclass(frozen=True, slots=True)
class Standing:
    """All that is remembered of a fingerprint between two looks.

    `hard` is the last hard status. `flips` holds one character a look, newest last: `1` where the status changed.
    """

    status: Status
    state: State
    hard: Status | None = None
    flips: str = ""


@dataclass(frozen=True, slots=True)
class Transition:
    """What one look did: the standing after it, its `change`, and whether people should hear of it.

    `from_status` is set when the status changed (None: nothing was known before), `hardened` when a problem or a recovery
    became hard.
    """

    standing: Standing
    change: Change
    changed: bool
    from_status: Status | None
    hardened: bool


@lru_cache(maxsize=1000)  # nearly all rows have the same few
def flap_share(flips: str) -> float:
    """The weighted share of changes, 0 to 1: the newest look weighs 1.2, the oldest 0.8, as in Nagios."""
    count = len(flips)
    if count < FLAP_LOOKS:
        return 0.0
    weights = [0.8 + 0.4 * i / (count - 1) for i in range(count)]
    return sum(weight for weight, flip in zip(weights, flips, strict=True) if flip == "1") / sum(weights)


def advance(before: Standing | None, status: Status, *, attempts: int, recovery_attempts: int = 1, at: datetime) -> Transition:
    """The standing after a look that saw `status` at `at`.

    `attempts` (1 or more): in a row, until a problem is hard; `recovery_attempts`: as many ok in a row, until one that was hard is over.
    """
    attempts = limit = max(1, attempts)
    good = status in ("ok", "skip")
    if before is None:
        hard = good or attempts == 1
        standing = Standing(status, State("hard" if hard else "soft", at, 1, attempts, None), status if hard else None, "")
        return Transition(standing, "new", not good, None, hard and not good)
    changed = before.status != status
    flips = (before.flips + ("1" if changed else "0"))[-FLAP_LOOKS:]
    unsolved = before.hard not in (None, "ok", "skip")
    if status == "ok" and unsolved and recovery_attempts > 1:
        limit = recovery_attempts
        attempt = min(limit, before.state.attempt + 1) if before.status == "ok" else 1
        hard = attempt >= limit
    elif good:
        attempt, hard = 1, True
    elif before.status in ("ok", "skip") and unsolved:
        attempt, hard = attempts, True
    elif before.status in ("ok", "skip"):
        attempt, hard = 1, attempts == 1
    else:
        attempt = min(attempts, before.state.attempt + 1)
        hard = attempt >= attempts
    share = flap_share(flips)
    flapping = share >= (FLAP_LOW if before.state.phase == "flapping" else FLAP_HIGH)
    phase: Phase = "flapping" if flapping else "hard" if hard else "soft"
    since = at if changed or before.state.since is None else before.state.since
    previous = before.status if changed else before.state.previous
    change: Change = "unchanged" if not changed else "resolved" if status == "ok" else "updated"
    hardened = hard and not flapping and before.hard != status
    standing = Standing(status, State(phase, since, attempt, limit, previous), status if hard else before.hard, flips)
    return Transition(standing, change, changed, before.status if changed else None, hardened)
