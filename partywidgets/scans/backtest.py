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

from ..duration import format_duration
from . import looks
from .condition import compile_condition
from .model import one_line, parse_time, wire_time

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

    @property
    def seconds(self) -> float:
        """How long it held: to the first look at which it did not, or to the last."""
        return ((self.ended or self.last) - self.began).total_seconds()

    def to_row(self) -> dict[str, Any]:
        """The row of `backtest_frame`."""
        return {
            "fingerprint": self.fingerprint,
            "check_id": self.check_id,
            "began": wire_time(self.began),
            "fired": None if self.fired is None else wire_time(self.fired),
            "ended": None if self.ended is None else wire_time(self.ended),
            "duration_s": self.seconds,
            "looks": self.looks,
            "failed": self.failed,
            "actual": self.actual,
        }


@dataclass(slots=True)
class Backtest:
    """What came of it. `looks` were evaluated, `unanswered` of them lack a value that the condition asks for; `names` are what they had.

    `began` is the first look, `rows` are the fingerprints that were looked at, `most` is at how many looks in a row the condition held.
    """

    episodes: list[Episode] = field(default_factory=list)
    looks: int = 0
    unanswered: int = 0
    names: set[str] = field(default_factory=set)
    began: datetime | None = None
    rows: set[str] = field(default_factory=set)
    most: int = 0

    def summary(self, check: str, condition: str, *, hours: float, attempts: int = 1) -> str:
        """How often it would have fired and for how long, whether that was a problem as things were, and what was looked at: for people."""
        often, lengths = len(self.episodes), [episode.seconds for episode in self.episodes]
        row = f", held at {attempts} looks in a row," if attempts > 1 else ""
        span = f"in the last {hours:g} h"
        if not often:
            near = f" It held at {_count(self.most, 'look')} in a row at most." if self.most else ""
            told = f"{condition} on {check}{row} would never have fired {span}.{near}"
        else:
            times = "once" if often == 1 else f"{often} times"
            still = sum(episode.ended is None for episode in self.episodes)
            long = f"for {'at least ' if still else ''}{format_duration(sum(lengths))}"
            long += f" in all, {format_duration(max(lengths))} at the longest" if often > 1 else ""
            told = f"{condition} on {check}{row} would have fired {times} {span}, {long}{'; it holds still' if still else ''}. "
            told += _was_known(often, sum(episode.failed > 0 for episode in self.episodes))
        since = "" if self.began is None else f" since {self.began:%Y-%m-%d %H:%M} UTC"
        of_rows = f" of {len(self.rows)} rows" if len(self.rows) > 1 else ""
        lacking = f", {self.unanswered:,} of them without an answer" if self.unanswered else ""
        return f"{told} Looked at: {_count(self.looks, 'look')}{of_rows}{since}{lacking}."


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
        found.rows.add(str(look["fingerprint"]))
        found.began = found.began or parse_time(look["observed_at"])
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
            episode = open_episodes[key] = Episode(key, str(look["check_id"]), at, None, at, None, 0, 0, one_line(verdict.actual))
        episode.looks += 1
        found.most = max(found.most, episode.looks)
        episode.last = at
        episode.failed += look["status"] in ("warn", "crit", "unknown")
        if episode.looks == attempts:
            episode.fired = at
            found.episodes.append(episode)
    return found


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number:,} {what}s"


def _was_known(often: int, failed: int) -> str:
    """Whether the times at which it fired were a problem as things were: warn, crit or unknown at some look."""
    if failed == often:
        return "There was a problem then as things were, too." if often == 1 else "Each time there was a problem as things were, too."
    if failed == 0:
        return "Nothing was a problem then as things were."
    return f"At {failed} of these times there was a problem as things were, too."


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
