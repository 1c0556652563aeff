"""The heartbeat check: what is heard, what is missed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from partywidgets.scans.checks import heartbeat
from partywidgets.scans.checks.heartbeat import BEATS, Beats, HeartbeatCheck
from partywidgets.scans.history import FILE
from partywidgets.scans.model import CheckResult, utc_now
from partywidgets.scans.notice import standing_of
from partywidgets.scans.recorded import KeptBeat
from partywidgets.scans.service import OpsMonitorService

from ..stored import OF_VERSION_7
from .servers import look


async def test_a_job_that_never_reported_is_waited_for_then_crit() -> None:
    """Before the first beat there is nothing to tell, and the line says when there will be; when `within` has passed it is crit."""
    check = HeartbeatCheck(id="nightly", secret="never-heard-secret-1", within=3600)
    waiting = await look(check)
    assert (waiting.status, waiting.summary) == ("skip", "no beat since listening began 0s ago, late in 1h")
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


def test_a_secret_that_no_check_has_any_more_is_unknown_again() -> None:
    """The last check that listens takes it along; one whose secret was changed goes on with what it knows of its job."""
    beats, secret = Beats(), "two-checks-listen-for-it"
    beats.listen(secret, "one").last = 7.0
    beats.listen(secret, "two")
    beats.leave("one")
    assert beats.hear(secret)
    beat = beats.listen("another-secret-by-now", "two")
    assert (beat.count, secret in beats, beats.of_check("two")) == (1, False, beat)
    beats.leave("two")
    assert "another-secret-by-now" not in beats


Host = Callable[[], AbstractAsyncContextManager[OpsMonitorService]]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Each is a new process on the same history."""

    @asynccontextmanager
    async def start() -> AsyncIterator[OpsMonitorService]:
        monkeypatch.setattr(heartbeat, "BEATS", Beats())
        async with OpsMonitorService(directory=tmp_path) as service:
            yield service

    return start


def away(directory: Path, seconds: float) -> None:
    """The host was down for so long: all that it kept lies further back."""
    with contextlib.closing(sqlite3.connect(directory / FILE)) as database:
        database.execute("UPDATE beats SET since = since - ?, last = last - ?", (seconds, seconds))
        for seq, text in database.execute("SELECT seq, body FROM results").fetchall():
            row = CheckResult.from_wire(json.loads(text))
            row.observed_at -= timedelta(seconds=seconds)
            database.execute("UPDATE results SET body = ? WHERE seq = ?", (json.dumps(row.to_wire()), seq))
        database.commit()


def later(service: OpsMonitorService, seconds: float) -> None:
    """The host ran for so long, and nothing came."""
    for beat in heartbeat.BEATS._known.values():
        beat.since -= seconds
        if beat.last is not None:
            beat.last -= seconds
    for row in service.board.rows.values():
        row.observed_at -= timedelta(seconds=seconds)
    assert service.directory is not None
    away(service.directory, seconds)


async def seen(service: OpsMonitorService) -> tuple[str, str]:
    """The status and line of one look."""
    (row,) = (await service.run_scan()).results
    return row.status, row.summary


async def test_a_beat_that_nobody_looked_at_outlives_the_host(host: Host, tmp_path: Path) -> None:
    """It is on disk when its sender is answered: a host killed right after, here a copy of its file, has heard it."""
    check = HeartbeatCheck(id="nightly", secret="kept-before-the-answer", within=60)
    async with host() as service:
        await service.load_config("a.yaml", [check])
        later(service, 50)
        assert (await seen(service))[0] == "skip"
        assert await service.beats.hear(check.secret)
        with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as killed, contextlib.closing(sqlite3.connect(tmp_path / "copy")) as copy:
            killed.backup(copy)
    (tmp_path / "copy").replace(tmp_path / FILE)
    async with host() as service:
        await service.load_config("a.yaml", [check])
        assert await seen(service) == ("ok", "last beat 0s ago")


async def test_many_beats_at_once_are_each_kept(host: Host) -> None:
    """Those that come while one is written share a transaction, and each is answered when it is there."""
    checks = [HeartbeatCheck(id=f"job-{number}", secret=f"one-of-many-jobs-{number}", within=60) for number in range(50)]
    async with host() as service:
        await service.load_config("a.yaml", checks)
        writings, keep = [], service.history.keep_beats

        async def counted(beats: Mapping[str, KeptBeat | None]) -> None:
            writings.append(len(beats))
            await keep(beats)

        service.history.keep_beats = counted  # type: ignore[method-assign]
        assert all(await asyncio.gather(*(service.beats.hear(check.secret) for check in checks)))
        assert {beat.count for beat in (await service.history.beats()).values()} == {1}
        assert (sum(writings), len(writings) < 10) == (50, True)


async def test_the_time_of_the_first_loading_outlives_the_host(host: Host) -> None:
    """A host that is started anew every day does not wait for ever, though nobody looked before it ended."""
    check = HeartbeatCheck(id="nightly", secret="never-heard-over-restarts", within=60)
    async with host() as service:
        await service.load_config("a.yaml", [check])
        later(service, 50)
    async with host() as service:
        await service.load_config("a.yaml", [check])
        assert await seen(service) == ("skip", "no beat since listening began 50s ago, late in 10s")
        later(service, 11)
        assert (await seen(service))[0] == "crit"


async def test_a_restart_is_no_beat(host: Host) -> None:
    """A job that was heard stays heard, one that was silent for 50 of its 60 seconds is missed 10 seconds after the restart, and what was
    missed stays missed until it is heard."""
    check = HeartbeatCheck(id="nightly", secret="heard-before-a-restart", within=60)
    async with host() as service:
        await service.load_config("a.yaml", [check])
        assert await service.beats.hear(check.secret)
        later(service, 50)
    async with host() as service:
        await service.load_config("a.yaml", [check])
        assert await seen(service) == ("ok", "last beat 50s ago")
        later(service, 11)
        assert await seen(service) == ("crit", "last beat 1m1s ago, one is expected within 1m")
    async with host() as service:
        await service.load_config("a.yaml", [check])
        assert (await seen(service))[0] == "crit"
        await service.beats.hear(check.secret)
        assert (await seen(service))[0] == "ok"


async def test_a_time_that_ran_out_while_nobody_listened_is_given_once_more(host: Host, tmp_path: Path) -> None:
    """The job may have reported to a host that was down: nobody is told, then crit after its time, whatever restarts come between."""
    check = HeartbeatCheck(id="nightly", secret="nobody-listened-for-it", within=60)
    async with host() as service:
        await service.load_config("a.yaml", [check])
        await service.beats.hear(check.secret)
        assert (await seen(service))[0] == "ok"
    away(tmp_path, 3600)
    for _ in range(2):
        async with host() as service:
            await service.load_config("a.yaml", [check])
            told = ("skip", "last beat 1h ago, and nobody listened for a time: waiting since 0s, late in 1m")
            assert await seen(service) == told
    async with host() as service:
        await service.load_config("a.yaml", [check])
        later(service, 61)
        assert (await seen(service))[0] == "crit"
        await service.beats.hear(check.secret)
        assert (await seen(service))[0] == "ok"


async def test_a_history_that_kept_no_beats_tells_by_its_rows(host: Host, tmp_path: Path) -> None:
    """A file of an older version is brought up, and the job's last row says when it was heard."""
    check = HeartbeatCheck(id="nightly", secret="seen-by-an-older-host", within=60)
    async with host() as service:
        await service.load_config("a.yaml", [check])
        await service.beats.hear(check.secret)
        assert (await seen(service))[0] == "ok"
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as database:
        database.executescript(OF_VERSION_7 + "PRAGMA user_version = 7;")
    async with host() as service:
        await service.load_config("a.yaml", [check])
        assert await seen(service) == ("ok", "last beat 0s ago")


async def test_what_is_taken_out_and_comes_back_is_waited_for_anew(host: Host) -> None:
    """A check that left its config listens no more and is forgotten; one that was disabled is waited for from when it is not."""
    check = HeartbeatCheck(id="nightly", secret="taken-out-and-back", within=60)
    disabled = check.model_copy(update={"enabled": False})
    async with host() as service:
        for other in ([], [disabled]):
            await service.load_config("a.yaml", [check])
            later(service, 61)
            await service.load_config("a.yaml", other)
            assert await service.beats.hear(check.secret) is bool(other)
            later(service, 61)
            await service.load_config("a.yaml", [check])
            assert (await seen(service))[0] == "skip"
        await service.load_config("a.yaml", [])
        assert await service.history.beats() == {}


async def test_nobody_is_told_of_a_job_before_it_is_late(host: Host) -> None:
    """The first beat that was never due pages nobody; the one that is missed does, and its coming is told."""
    check = HeartbeatCheck(id="nightly", secret="nobody-is-paged-for-it", within=60)
    told: list[str | None] = []
    async with host() as service:
        await service.load_config("a.yaml", [check])
        for _ in range(2):
            told.append(standing_of((await service.run_scan()).results[0]))
            later(service, 61)
        told.append(standing_of((await service.run_scan()).results[0]))
    assert told == [None, "crit", "crit"]


async def test_a_beat_for_a_row_that_is_not_ok_is_looked_at_at_once(host: Host) -> None:
    """Whoever started the job again sees that it was heard, and not only with the next look."""
    check = HeartbeatCheck(id="nightly", secret="looked-at-when-it-beats", within=60, every=3600)
    async with host() as service:
        looked = asyncio.Queue[str]()

        async def told(kind: str, message: dict[str, object]) -> None:
            if kind == "scan-result":
                looked.put_nowait(service.board.rows[check.fingerprint].status)

        service.announcer.broadcast = told
        await service.load_config("a.yaml", [check])
        async with asyncio.timeout(10):
            assert await looked.get() == "skip"
            await service.beats.hear(check.secret)
            assert await looked.get() == "ok"


async def test_what_is_kept_of_checks_that_never_came_back_goes(host: Host) -> None:
    """It goes with the rows of its time, and not of those that are loaded, however long ago they were heard."""
    here, gone = (HeartbeatCheck(id=name, secret=f"the-secret-of-{name}", within=60) for name in ("here", "gone"))
    async with host() as service:
        await service.load_config("a.yaml", [here])
        await service.load_config("b.yaml", [gone])
    async with host() as service:
        await service.load_config("a.yaml", [here])
        await service.beats.forget(utc_now() + timedelta(days=1))
        assert (await service.history.beats()).keys() == {here.fingerprint}
