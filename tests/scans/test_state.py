"""Soft, hard and flapping, suppression: pure functions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from partywidgets.scans.model import CheckResult, Status
from partywidgets.scans.silence import Ack, Silence, read_matchers, read_reason, read_until, suppression_of
from partywidgets.scans.state import Standing, Transition, advance, flap_share

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


def walk(statuses: list[Status], *, attempts: int, recovery_attempts: int = 1) -> list[Transition]:
    """The transitions of a run of looks, a minute apart."""
    standing: Standing | None = None
    steps = []
    for minute, status in enumerate(statuses):
        at = NOW + timedelta(minutes=minute)
        step = advance(standing, status, attempts=attempts, recovery_attempts=recovery_attempts, at=at)
        standing = step.standing
        steps.append(step)
    return steps


def test_a_problem_is_hard_after_n_looks_in_a_row() -> None:
    """Three attempts: soft, soft, hard, once hardened; ok is hard at once."""
    steps = walk(["ok", "crit", "crit", "crit", "crit", "ok"], attempts=3)
    assert [(step.standing.state.phase, step.standing.state.attempt) for step in steps] == [
        ("hard", 1),
        ("soft", 1),
        ("soft", 2),
        ("hard", 3),
        ("hard", 3),
        ("hard", 1),
    ]
    assert [step.hardened for step in steps] == [False, False, False, True, False, True]
    assert [step.change for step in steps] == ["new", "updated", "unchanged", "unchanged", "unchanged", "resolved"]
    assert [step.from_status for step in steps] == [None, "ok", None, None, None, "crit"]


def test_a_soft_problem_that_passes_never_hardens() -> None:
    """Two bad looks of three attempts, then ok: nothing became hard."""
    steps = walk(["ok", "warn", "crit", "ok"], attempts=3)
    assert not any(step.hardened for step in steps)
    assert [step.standing.hard for step in steps] == ["ok", "ok", "ok", "ok"]


def test_a_recovery_is_hard_after_n_looks_in_a_row() -> None:
    """Three ok, of which the second run is long enough: a problem in between is hard at once, and no news."""
    steps = walk(["crit", "crit", "ok", "ok", "crit", "ok", "ok", "ok", "ok", "crit"], attempts=2, recovery_attempts=3)
    standings = [(step.standing.state.phase, step.standing.state.attempt, step.standing.state.max_attempts) for step in steps]
    assert standings == [
        ("soft", 1, 2),
        ("hard", 2, 2),
        ("soft", 1, 3),
        ("soft", 2, 3),
        ("hard", 2, 2),
        ("soft", 1, 3),
        ("soft", 2, 3),
        ("hard", 3, 3),
        ("hard", 1, 2),
        ("soft", 1, 2),
    ]
    assert [step.hardened for step in steps] == [False, True, False, False, False, False, False, True, False, False]
    assert [step.standing.hard for step in steps] == [None, *["crit"] * 6, "ok", "ok", "ok"]


def test_a_recovery_that_turns_into_another_problem_is_news() -> None:
    """From warn over one ok to crit: hard at once, and said."""
    last = walk(["warn", "ok", "crit"], attempts=3, recovery_attempts=2)[-1]
    assert (last.standing.state.phase, last.hardened) == ("soft", False), "the warning was soft, so there was nothing to recover from"
    last = walk(["warn", "warn", "warn", "ok", "crit"], attempts=3, recovery_attempts=2)[-1]
    assert (last.standing.state.phase, last.hardened, last.standing.hard) == ("hard", True, "crit")


def test_one_attempt_is_hard_at_once() -> None:
    """Without attempts every problem is hard when first seen, also the very first look."""
    assert walk(["crit"], attempts=1)[0].hardened is True
    assert walk(["ok", "unknown"], attempts=1)[1].standing.state.phase == "hard"


def test_the_first_look_tells_only_of_problems() -> None:
    """A new row that is ok is not a state change; one that is not is, from nothing."""
    assert walk(["ok"], attempts=3)[0].changed is False
    first = walk(["crit"], attempts=3)[0]
    assert (first.changed, first.from_status, first.change) == (True, None, "new")


def test_since_and_previous() -> None:
    """`since` is when the status began, `previous` the status before it, however long it lasts."""
    steps = walk(["ok", "crit", "crit"], attempts=1)
    assert [step.standing.state.since for step in steps] == [NOW, NOW + timedelta(minutes=1), NOW + timedelta(minutes=1)]
    assert [step.standing.state.previous for step in steps] == [None, "ok", "ok"]


def test_flapping_starts_and_ends_with_hysteresis() -> None:
    """A status that changes on every look flaps, and is calm again only well below where it began."""
    restless: list[Status] = ["ok", "crit"] * 12
    steps = walk(restless + ["ok"] * 21, attempts=1)
    phases = [step.standing.state.phase for step in steps]
    begun = phases.index("flapping")
    assert 21 <= begun <= 22
    ended = begun + phases[begun:].index("hard")
    assert ended > len(restless)
    assert "flapping" not in phases[ended:]


@pytest.mark.parametrize(
    ("flips", "low", "high"), [("0" * 21, 0, 0), ("1" * 21, 1, 1), ("1" * 20, 0, 0), ("0" * 10 + "1" * 11, 0.54, 0.58)]
)
def test_flap_share(flips: str, low: float, high: float) -> None:
    """The share weighs newer changes more, and is 0 until there were enough looks."""
    assert low <= flap_share(flips) <= high


def result(status: Status = "crit") -> CheckResult:
    """One failing row."""
    return CheckResult("db", "tcp", "db:5432", status, labels={"team": "data"}, severity="high")


def test_an_ack_counts_while_the_row_fails() -> None:
    """An ack suppresses a failing row until its end, and an ok row never."""
    row = result()
    acks = {row.fingerprint: Ack(row.fingerprint, "mine", "Ana", NOW, NOW + timedelta(hours=1))}
    found = suppression_of(row, acks, (), NOW)
    assert found is not None
    assert (found.by, found.actor, found.reason) == ("ack", "Ana", "mine")
    assert suppression_of(row, acks, (), NOW + timedelta(hours=1)) is None
    assert suppression_of(result("ok"), acks, (), NOW) is None


@pytest.mark.parametrize(
    ("matchers", "matches"),
    [
        ({"team": "data"}, True),
        ({"team": "web"}, False),
        ({"check_id": "db", "severity": "high"}, True),
        ({"check_id": "db", "team": "web"}, False),
        ({"zone": "eu"}, False),
    ],
)
def test_silences_match_labels_and_fields(matchers: dict[str, str], matches: bool) -> None:
    """All matchers must have the row's value; one that the row does not have never matches."""
    silence = Silence(matchers, "why", "Ana", NOW, NOW + timedelta(hours=1))
    assert (suppression_of(result(), {}, (silence,), NOW) is not None) is matches
    assert suppression_of(result(), {}, (silence,), NOW + timedelta(hours=2)) is None
    assert Silence.from_wire(silence.to_wire()) == silence


@pytest.mark.parametrize("value", [{}, [], {"a": 1}, {str(n): "x" for n in range(17)}, None])
def test_bad_matchers_are_refused(value: object) -> None:
    """Matchers are one to sixteen texts."""
    with pytest.raises(ValueError, match="matcher"):
        read_matchers(value)


def test_reasons_and_ends_are_read_strictly() -> None:
    """A reason is needed and becomes one line; an end needs a zone."""
    assert read_reason("a\nb\x1b[31m") == "a b␛[31m"
    with pytest.raises(ValueError, match="reason"):
        read_reason("  ")
    assert read_until(None) is None
    with pytest.raises(ValueError, match="zone"):
        read_until("2026-11-23T08:00:00")
