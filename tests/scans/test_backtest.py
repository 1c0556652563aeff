"""A changed condition over the past."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from partywidgets.exceptions import ConfigError
from partywidgets.scans.backtest import backtest
from partywidgets.scans.export import backtest_frame
from partywidgets.scans.model import wire_time

START = datetime(2026, 3, 1, tzinfo=UTC)


def looks(*numbers: float | None, name: str = "lag", fingerprint: str = "f") -> list[dict[str, Any]]:
    """A look a minute; None saw nothing but an error."""
    return [
        {
            "observed_at": wire_time(START + timedelta(minutes=minute)),
            "fingerprint": fingerprint,
            "check_id": "queue",
            "status": "crit" if number is None else "ok",
            "duration_ms": 5.0,
            "metrics": {} if number is None else {name: number},
            "error": "timeout" if number is None else None,
        }
        for minute, number in enumerate(numbers)
    ]


def test_how_often_and_for_how_long() -> None:
    """An episode lasts from the first look that held to the first that did not; one that still holds has no end."""
    frame = backtest_frame(episode.to_row() for episode in backtest(looks(1, 9, 9, 1, 1, 9), "lag > 5").episodes)
    assert list(frame["duration_s"]) == [120.0, 0.0]
    assert list(frame["looks"]) == [2, 1]
    assert frame["began"][0] == START + timedelta(minutes=1)
    assert frame["ended"][0] == START + timedelta(minutes=3)
    assert frame["ended"].isna().tolist() == [False, True]
    assert list(frame["actual"]) == ["9", "9"]
    assert list(frame["failed"]) == [0, 0]
    empty = backtest_frame([])
    assert (list(empty.columns), empty.dtypes.tolist()) == (list(frame.columns), frame.dtypes.tolist())


@pytest.mark.parametrize(
    ("numbers", "attempts", "words"),
    [
        (
            (1, 9, 9, 1, 1, 9),
            1,
            "lag > 5 on queue would have fired 2 times in the last 24 h, for at least 2m in all, 2m at the longest; it holds still. "
            "Nothing was a problem then as things were. Looked at: 6 looks since 2026-03-01 00:00 UTC.",
        ),
        (
            (9, None, 9, 9, 1),
            3,
            "lag > 5 on queue, held at 3 looks in a row, would have fired once in the last 24 h, for 4m. "
            "Nothing was a problem then as things were. Looked at: 5 looks since 2026-03-01 00:00 UTC, 1 of them without an answer.",
        ),
        (
            (9, 9, 1),
            3,
            "lag > 5 on queue, held at 3 looks in a row, would never have fired in the last 24 h. It held at 2 looks in a row at most. "
            "Looked at: 3 looks since 2026-03-01 00:00 UTC.",
        ),
        ((1,), 1, "lag > 5 on queue would never have fired in the last 24 h. Looked at: 1 look since 2026-03-01 00:00 UTC."),
    ],
)
def test_it_is_said_in_words(numbers: tuple[float | None, ...], attempts: int, words: str) -> None:
    """How often, how long, whether that was a problem anyway, and what was looked at; of what never fired how near it came."""
    assert backtest(looks(*numbers), "lag > 5", attempts=attempts).summary("queue", "lag > 5", hours=24, attempts=attempts) == words


def test_words_of_several_rows_that_failed_anyway() -> None:
    """Of two rows, one of which failed as things were, both are counted."""
    failing = [{**look, "status": "crit"} for look in looks(9, 1, fingerprint="g")]
    mixed = sorted(looks(9, 9, 1) + failing, key=lambda look: str(look["observed_at"]))
    assert backtest(mixed, "lag > 5").summary("queue", "lag > 5", hours=1.5) == (
        "lag > 5 on queue would have fired 2 times in the last 1.5 h, for 3m in all, 2m at the longest. "
        "At 1 of these times there was a problem as things were, too. Looked at: 5 looks of 2 rows since 2026-03-01 00:00 UTC."
    )


def test_attempts_in_a_row() -> None:
    """With attempts, what held less often in a row did not fire, and `fired` is the look that made it hard."""
    found = backtest(looks(9, 1, 9, 9, 9, 1), "lag > 5", attempts=3)
    (episode,) = found.episodes
    assert (episode.began, episode.fired) == (START + timedelta(minutes=2), START + timedelta(minutes=4))
    with pytest.raises(ValueError, match="attempts=0"):
        backtest([], "lag > 5", attempts=0)


def test_a_look_without_an_answer_neither_begins_nor_ends() -> None:
    """What was not seen is counted apart; an expression on `error` answers there."""
    found = backtest(looks(9, None, 9, 1), "lag > 5")
    assert (found.looks, found.unanswered) == (4, 1)
    assert [(episode.looks, episode.failed) for episode in found.episodes] == [(2, 0)]
    found = backtest(looks(9, None, None, 1), "error == 'timeout'")
    assert [(episode.looks, episode.failed) for episode in found.episodes] == [(2, 2)]
    assert backtest(looks(9), "body.depth > 5").unanswered == 1


def test_things_are_kept_apart_and_certificates_are_durations() -> None:
    """Two fingerprints have their own episodes; `certificate_expires_in` compares with a duration, as in the check."""
    mixed = sorted(looks(9, 9, 9) + looks(1, 9, 1, fingerprint="g"), key=lambda look: str(look["observed_at"]))
    assert {(e.fingerprint, e.looks) for e in backtest(mixed, "lag > 5").episodes} == {("f", 3), ("g", 1)}
    left = looks(20 * 86400, 13 * 86400, name="certificate_expires_in")
    assert len(backtest(left, "certificate_expires_in < duration('14d')").episodes) == 1
    assert len(backtest(looks(9), "metrics.lag > 5").episodes) == 1
    with pytest.raises(ConfigError):
        backtest([], "lag >")
