"""A changed condition over what was seen before: how often it would have fired, and for how long.

The raw results are what it needs: they are there for `history.keep_raw` (seven days), and hold of each look its numbers (`metrics`) and the
class of its error. A body, headers or records are not among them, so that a condition on those has no answer here.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from . import looks
from .condition import compile_condition
from .model import parse_time, wire_time

LOOKS = 100_000
"""Most looks in one answer: the newest."""


@dataclass(slots=True)
class Episode:
    """A time in which the condition held, look after look. `fired`: the look that made it hard; `ended` None: it held at the last look.

    `failed` counts its looks that were warn, crit or unknown as things were; `actual` is what the condition saw first.
    """

    fingerprint: str
    check_id: str
    began: datetime
    fired: datetime | None
    last: datetime
    ended: datetime | None
    looks: int
    failed: int
    actual: str

    def to_row(self) -> dict[str, Any]:
        """The row of `backtest_frame`."""
        return {
            "fingerprint": self.fingerprint,
            "check_id": self.check_id,
            "began": wire_time(self.began),
            "fired": None if self.fired is None else wire_time(self.fired),
            "ended": None if self.ended is None else wire_time(self.ended),
            "duration_s": ((self.ended or self.last) - self.began).total_seconds(),
            "looks": self.looks,
            "failed": self.failed,
            "actual": self.actual,
        }


@dataclass(slots=True)
class Backtest:
    """What came of it. `looks` were evaluated, `unanswered` of them lack a value that the condition asks for; `names` are what they had."""

    episodes: list[Episode] = field(default_factory=list)
    looks: int = 0
    unanswered: int = 0
    names: set[str] = field(default_factory=set)


def backtest(looks: Iterable[Mapping[str, Any]], condition: str, *, attempts: int = 1) -> Backtest:
    """Evaluates an expression that fires when it is true, as `warn` and `crit` do, over looks of the past, the oldest first.

    An episode counts once it held `attempts` times in a row. A look without an answer neither begins nor ends one. Raises ConfigError
    for an expression that cannot be read, ValueError for attempts below 1.
    """
    if attempts < 1:
        raise ValueError(f"attempts={attempts}: a condition fires after 1 look or more")
    compiled = compile_condition(condition)
    found, open_episodes = Backtest(), dict[str, Episode]()
    for look in looks:
        values = _values(look)
        found.looks += 1
        found.names |= values.keys()
        verdict = compiled.verdict(values)
        if verdict.holds is None:
            found.unanswered += 1
            continue
        key, at = str(look["fingerprint"]), parse_time(look["observed_at"])
        episode = open_episodes.get(key)
        if not verdict.holds:
            if episode is not None:
                del open_episodes[key]
                episode.ended = at
            continue
        if episode is None:
            episode = open_episodes[key] = Episode(key, str(look["check_id"]), at, None, at, None, 0, 0, verdict.actual)
        episode.looks += 1
        episode.last = at
        episode.failed += look["status"] in ("warn", "crit", "unknown")
        if episode.looks == attempts:
            episode.fired = at
            found.episodes.append(episode)
    return found


def _values(look: Mapping[str, Any]) -> dict[str, Any]:
    """The names that an expression may use of a look of the past."""
    numbers = {str(name): value for name, value in look["metrics"].items()}
    # What remains of a certificate is a duration to a check's conditions, and a number of seconds among its metrics.
    spans = {name: timedelta(seconds=value) for name, value in numbers.items() if name.endswith("_expires_in")}
    return {"duration_ms": look["duration_ms"], **numbers, **spans, "metrics": numbers, "error": look["error"]}


def read(database: sqlite3.Connection, *, check: str, hours: float, limit: int = LOOKS) -> list[tuple[Any, ...]]:
    """The newest looks of a check within the last `hours`, for `as_looks`. Runs on a thread of the history's."""
    where, params = looks.since(check, datetime.now(UTC).timestamp() - hours * 3600)
    query = f"""SELECT observed_at, fingerprint, check_id, status, duration_ms,
                 json_extract(body, '$.metrics'), json_extract(body, '$.error.class')
               FROM results WHERE {where} ORDER BY observed_at DESC, seq DESC LIMIT ?"""
    return [tuple(row) for row in database.execute(query, (*params, limit))]


def as_looks(rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """What was read, the oldest first, as `backtest` takes it."""
    return [
        {
            "observed_at": wire_time(datetime.fromtimestamp(observed_at, UTC)),
            "fingerprint": fingerprint,
            "check_id": check_id,
            "status": status,
            "duration_ms": duration_ms,
            "metrics": {metric["name"]: metric["value"] for metric in json.loads(metrics or "[]")},
            "error": error,
        }
        for observed_at, fingerprint, check_id, status, duration_ms, metrics, error in reversed(rows)
    ]
