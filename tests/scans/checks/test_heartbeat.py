"""The heartbeat check: what is heard, what is missed."""

from __future__ import annotations

import time

import pytest

from partywidgets.scans.checks.heartbeat import BEATS, HeartbeatCheck

from .servers import look


async def test_a_job_that_never_reported_is_unknown_then_crit() -> None:
    """Before the first beat the status is unknown; when `within` has passed it is crit."""
    check = HeartbeatCheck(id="nightly", secret="never-heard-secret-1", within=3600)
    assert (await look(check)).status == "unknown"
    BEATS.listen("never-heard-secret-1").since -= 7200
    silent = await look(check)
    assert silent.status == "crit"
    assert silent.summary.startswith("no beat since listening began 2h")
    assert silent.summary.endswith("ago, one is expected within 1h")


async def test_a_beat_makes_it_ok_and_its_absence_crit() -> None:
    """A beat is ok; one that is older than `within` is crit, and the summary says how old."""
    check = HeartbeatCheck(id="nightly", secret="${env:NIGHTLY-secret-2}", within=60)
    await look(check)
    assert BEATS.hear("${env:NIGHTLY-secret-2}")
    heard = await look(check)
    assert (heard.status, heard.target) == ("ok", "heartbeat nightly")
    BEATS.listen("${env:NIGHTLY-secret-2}").last = time.monotonic() - 61
    missed = await look(check)
    assert (missed.status, missed.summary) == ("crit", "last beat 1m1s ago, one is expected within 1m")
    assert "secret-2" not in str(missed.to_wire())


@pytest.mark.parametrize("secret", ["short", "with/a/slash/in-the-secret", "x" * 257])
async def test_a_secret_that_cannot_be_one_is_said(secret: str) -> None:
    """A secret that is too short, too long or holds a slash is unknown, with the remedy."""
    result = await look(HeartbeatCheck(id="nightly", secret=secret, within=60))
    assert result.status == "unknown"
    assert "partywidgets token" in result.summary


def test_nobody_is_heard_who_is_not_listened_for() -> None:
    """An unknown secret is not recorded."""
    assert not BEATS.hear("nobody-listens-for-this")
    assert not BEATS.hear("x" * 10_000)
