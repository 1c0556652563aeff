"""The heartbeat check: what is heard, what is missed."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from partywidgets.scans.checks import heartbeat
from partywidgets.scans.checks.heartbeat import BEATS, Beats, HeartbeatCheck
from partywidgets.scans.model import CheckResult
from partywidgets.scans.service import OpsMonitorService

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


async def restarted(check: HeartbeatCheck, monkeypatch: pytest.MonkeyPatch, *, away: float = 0.0) -> CheckResult:
    """The check's first look in a new process that finds the row of this one; nobody listened for `away` seconds."""
    row = await look(check)
    row.observed_at -= timedelta(seconds=away)
    monkeypatch.setattr(heartbeat, "BEATS", Beats())
    check.prepare(str, [row])
    return await look(check)


async def test_a_restart_is_no_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that was heard stays heard, and one that was silent for 50 of its 60 seconds is missed 10 seconds after the restart."""
    check = HeartbeatCheck(id="nightly", secret="heard-before-a-restart", within=60)
    check.prepare(str)
    assert heartbeat.BEATS.hear(check.secret)
    heartbeat.BEATS.listen(check.secret).last = time.monotonic() - 50
    assert (await restarted(check, monkeypatch)).status == "ok"
    again = heartbeat.BEATS.listen(check.secret)
    assert again.last is not None
    again.last -= 11
    missed = await look(check)
    assert (missed.status, missed.summary) == ("crit", "last beat 1m1s ago, one is expected within 1m")
    assert (await restarted(check, monkeypatch)).status == "crit", "what was missed stays missed"
    assert heartbeat.BEATS.hear(check.secret)
    assert (await look(check)).status == "ok"


async def test_a_job_that_never_reported_is_missed_over_restarts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that is started anew every day does not wait for ever; the time in which nobody listened does not count."""
    check = HeartbeatCheck(id="nightly", secret="never-heard-over-restarts", within=60)
    check.prepare(str)
    heartbeat.BEATS.listen(check.secret).since -= 50
    assert (await restarted(check, monkeypatch, away=3600)).status == "unknown"
    heartbeat.BEATS.listen(check.secret).since -= 11
    assert (await look(check)).status == "crit"


async def test_a_time_that_ran_out_while_nobody_listened_is_given_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The job may have reported to a host that was down: unknown, then crit after its time, or ok with its next beat."""
    check = HeartbeatCheck(id="nightly", secret="nobody-listened-for-it", within=60)
    check.prepare(str)
    heartbeat.BEATS.hear(check.secret)
    silent = await restarted(check, monkeypatch, away=3600)
    assert (silent.status, silent.summary) == ("unknown", "last beat 1h ago, and nobody listened for a time: waiting since 0s")
    heartbeat.BEATS.listen(check.secret).since -= 61
    assert (await look(check)).status == "crit"
    heartbeat.BEATS.hear(check.secret)
    assert (await look(check)).status == "ok"


async def test_a_host_finds_what_it_heard_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row that the history kept is enough."""
    check = HeartbeatCheck(id="nightly", secret="kept-in-the-history", within=3600)
    statuses: list[str] = []
    for _ in range(2):
        monkeypatch.setattr(heartbeat, "BEATS", Beats())
        async with OpsMonitorService(directory=tmp_path) as service:
            await service.load_config("a.yaml", [check])
            if not statuses:
                heartbeat.BEATS.hear(check.secret)
            statuses.append((await service.run_scan()).results[0].status)
    assert statuses == ["ok", "ok"]
