"""What a person gives to an ops room from Python."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from partywidgets.client import arguments
from partywidgets.exceptions import KeywordError
from partywidgets.scans.model import parse_time


@pytest.mark.parametrize("given", ["2h", timedelta(hours=2)])
def test_an_end_is_a_time_from_now(given: Any) -> None:
    """As a config writes durations, or as Python does."""
    before = datetime.now(UTC)
    end = parse_time(str(arguments.end(given)))
    assert before + timedelta(hours=2) - timedelta(milliseconds=1) <= end <= datetime.now(UTC) + timedelta(hours=2)


def test_an_end_is_an_aware_time() -> None:
    """In UTC on the wire; None is not an end."""
    assert arguments.end(datetime(2026, 11, 23, 9, 0, tzinfo=timezone(timedelta(hours=1)))) == "2026-11-23T08:00:00.000Z"
    assert arguments.end(None) is None


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: arguments.end(datetime(2030, 1, 1)), "has no time zone: use datetime.now(UTC)"),
        (
            lambda: arguments.end("tomorrow"),
            "until='tomorrow' is not a time: give an aware datetime, a timedelta, or how long from now, as '2h'",
        ),
        (lambda: arguments.end("999999999w"), "is not a time"),
        (lambda: arguments.end([1]), "is not a time"),  # type: ignore[arg-type]
        (lambda: arguments.names("checks", 3), "checks are texts, one or a list of them, got 3"),  # type: ignore[arg-type]
        (lambda: arguments.names("checks", ["a", 3]), "got 3"),  # type: ignore[list-item]
        (lambda: arguments.labels("matchers", ["team"]), 'matchers are given as {"team": "web"}, got'),  # type: ignore[arg-type]
        (lambda: arguments.labels("labels", "team=web"), "got 'team=web'"),  # type: ignore[arg-type]
        (lambda: arguments.patience("scan", 0), "scan(timeout=0): it takes seconds above 0, or None for no limit"),
        (lambda: arguments.patience("scan", True), "scan(timeout=True)"),
        (lambda: arguments.patience("scan", "5m"), "scan(timeout='5m')"),  # type: ignore[arg-type]
        (lambda: arguments.one_name("check", ["a", "b"]), "check is the id of one check"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_is_one_sentence(call: Any, sentence: str) -> None:
    """With what was given and what to give."""
    with pytest.raises(KeywordError) as raised:
        call()
    assert sentence in str(raised.value)


def test_one_name_is_a_list_of_one() -> None:
    """A text is not taken for its letters."""
    assert arguments.names("checks", "shop") == ["shop"]
    assert arguments.names("checks", ("a", "b")) == ["a", "b"]
    assert arguments.labels("labels", None) == {}
