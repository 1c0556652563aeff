"""When checks are due: pure, with the test's own clock."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from partywidgets.scans.checks.tcp import TcpCheck
from partywidgets.scans.schedule import CronRhythm, Every, Schedule, Scheduler, phase_of, rhythm_of
from partywidgets.scans.settings import ScheduleSettings

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC).timestamp()


def scripted(name: str, **keys: Any) -> TcpCheck:
    """A check that is never looked at here."""
    return TcpCheck(id=name, type="tcp", host="a", port=1, **keys)


def test_due_in_order() -> None:
    """Keys come up in the order of their times, each put back one interval later."""
    schedule = Schedule()
    schedule.set("slow", Every(60), last=NOON - 30, now=NOON)
    schedule.set("fast", Every(10), last=NOON - 5, now=NOON)
    assert schedule.next_due() == NOON + 5
    assert schedule.pop_due(NOON + 5) == ["fast"]
    assert schedule.next_due() == NOON + 15
    assert schedule.pop_due(NOON + 40) == ["fast", "slow"]
    assert schedule.due_of("fast") == NOON + 50


def test_a_restart_goes_on_where_history_ends() -> None:
    """What ran 30 s ago with an interval of a minute is due in 30 s; what is overdue, once, at once; what never ran, at once."""
    schedule = Schedule()
    assert schedule.set("a", Every(60), last=NOON - 30, now=NOON) == NOON + 30
    assert schedule.set("b", Every(60), last=NOON - 7200, now=NOON) == NOON
    assert schedule.set("c", Every(60), last=None, now=NOON, delay=0.25) == NOON + 0.25


def test_replaced_and_dropped_keys_do_not_come_up() -> None:
    """A key that was set anew or dropped is handed out by its new time only, or never."""
    schedule = Schedule()
    for _ in range(3000):
        schedule.set("a", Every(60), last=NOON - 50, now=NOON)
    schedule.set("a", Every(600), last=NOON - 50, now=NOON)
    schedule.set("b", Every(60), last=NOON - 50, now=NOON)
    schedule.drop("b")
    assert schedule.pop_due(NOON + 100) == []
    assert schedule.pop_due(NOON + 550) == ["a"]
    assert len(schedule._heap) < 1100


def test_jitter_is_the_checks_own_and_bounded() -> None:
    """Two checks of one interval drift apart by at most half the jitter to each side, the same after every restart."""
    dues = {name: Every(100, 0.1, phase_of(name)).after(NOON, NOON) - NOON for name in ("a", "b", "c", "d")}
    assert all(95 <= due <= 105 for due in dues.values())
    assert len(set(dues.values())) == 4
    assert phase_of("a") == phase_of("a")


def test_cron_with_seconds_and_zone() -> None:
    """Five fields, six with seconds, in a time zone."""
    assert CronRhythm("*/5 * * * *", ZoneInfo("UTC")).after(None, NOON) == NOON + 300
    assert CronRhythm("*/10 * * * * *", ZoneInfo("UTC")).after(None, NOON + 1) == NOON + 10
    berlin = CronRhythm("0 9 * * *", ZoneInfo("Europe/Berlin")).after(None, NOON)
    assert datetime.fromtimestamp(berlin, UTC) == datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "start", "told"),
    [
        ("30 2 * * *", datetime(2026, 3, 28, 23, 0, tzinfo=UTC), ["29 03:00", "30 02:30"]),
        ("30 2 * * *", datetime(2026, 10, 24, 22, 0, tzinfo=UTC), ["25 02:30", "26 02:30"]),
        ("*/30 * * * *", datetime(2026, 3, 29, 0, 30, tzinfo=UTC), ["29 03:00", "29 03:30"]),
        ("*/30 * * * *", datetime(2026, 10, 25, 0, 0, tzinfo=UTC), ["25 02:30", "25 02:00", "25 02:30", "25 03:00"]),
        ("0 30 2 * * *", datetime(2026, 10, 24, 22, 0, tzinfo=UTC), ["25 02:30", "26 02:30"]),
        ("0 30 2 * * *", datetime(2026, 3, 28, 23, 0, tzinfo=UTC), ["29 03:00", "30 02:30"]),
        ("*/30 30 2 * * *", datetime(2026, 3, 28, 23, 0, tzinfo=UTC), ["29 03:00", "29 03:00:30", "30 02:30"]),
        ("15,45 30 2 * * *", datetime(2026, 10, 24, 22, 0, tzinfo=UTC), ["25 02:30:15", "25 02:30:45", "26 02:30:15"]),
        ("*/30 * * * * *", datetime(2026, 3, 29, 0, 59, 10, tzinfo=UTC), ["29 01:59:30", "29 03:00", "29 03:00:30"]),
        ("*/30 59 * * * *", datetime(2026, 10, 25, 0, 59, 10, tzinfo=UTC), ["25 02:59:30", "25 02:59", "25 02:59:30", "25 03:59"]),
    ],
)
def test_cron_in_the_nights_in_which_clocks_change(expression: str, start: datetime, told: list[str]) -> None:
    """As Debian's cron: a fixed time in the gap comes at its end, one that exists twice comes once; half hours stay half hours."""
    rhythm, due, found = CronRhythm(expression, BERLIN), start.timestamp(), []
    for _ in told:
        due = rhythm.after(due, due)
        found.append(datetime.fromtimestamp(due, BERLIN).strftime("%d %H:%M:%S").removesuffix(":00"))
    assert found == told


@pytest.mark.parametrize("expression", ["30 2 * * *", "0 30 2 * * *", "*/30 30 2 * * *"])
def test_a_host_that_starts_in_the_hour_that_comes_twice(expression: str) -> None:
    """Asked when that hour comes the second time, a fixed time in it is that of the next day: it came already, and is not due for ever."""
    schedule, now = Schedule(), datetime(2026, 10, 25, 1, 10, tzinfo=UTC).timestamp()
    due = schedule.set("a", CronRhythm(expression, BERLIN), last=None, now=now)
    assert datetime.fromtimestamp(due, BERLIN).strftime("%d %H:%M") == "26 02:30"
    assert schedule.pop_due(now) == []
    half_hours = CronRhythm("*/30 * * * *", BERLIN)
    assert half_hours.after(None, now) == now + 20 * 60


def test_a_checks_own_cron_zone_and_misfire() -> None:
    """A check's zone comes before the schedule's, whose `misfire` counts; one that is disabled, or has no rhythm, has no time."""
    settings = ScheduleSettings(timezone="Europe/Berlin", misfire="once")
    assert rhythm_of(scripted("a", cron="0 9 * * *"), settings) == CronRhythm("0 9 * * *", BERLIN, catch_up=True)
    own = rhythm_of(scripted("a", cron="*/10 * * * * *", timezone="Asia/Tokyo"), ScheduleSettings())
    assert own == CronRhythm("*/10 * * * * *", ZoneInfo("Asia/Tokyo"))
    assert rhythm_of(scripted("a", cron="0 9 * * *", enabled=False), settings) is None
    assert rhythm_of(scripted("a"), settings) is None


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"cron": "0 9 * * *", "every": 60}, "not both"),
        ({"timezone": "UTC"}, "there is no `cron`"),
        ({"cron": "61 * * * *"}, "not a cron expression"),
        ({"cron": "* * * * *", "timezone": "Mars/Olympus"}, "no time zone"),
    ],
)
def test_a_rhythm_that_means_nothing_is_refused(keys: dict[str, Any], sentence: str) -> None:
    """Two rhythms, a zone that nothing is read in, and what is not a cron or zone."""
    with pytest.raises(ValidationError, match=sentence):
        scripted("a", **keys)


def test_a_result_by_cron_is_stale_when_the_third_look_is_overdue() -> None:
    """By the check's own times, not by a length: over a night or a weekend it may be old and right."""
    assert scripted("a", every=60, timeout=5).ttl_s(NOON) == 185
    assert scripted("a", cron="*/5 * * * *", timeout=5).ttl_s(NOON + 60) == 3 * 300 - 60 + 5
    assert scripted("a").ttl_s(NOON) is None


def test_what_a_sleeping_machine_missed_is_left_out_or_made_up_for_once() -> None:
    """A laptop that wakes after eight hours: cron is left out with `skip`, looked at once with `once`; an interval is looked at once."""
    schedule = Schedule()
    schedule.set("skip", CronRhythm("*/5 * * * *", ZoneInfo("UTC")), last=None, now=NOON)
    schedule.set("once", CronRhythm("*/5 * * * *", ZoneInfo("UTC"), catch_up=True), last=None, now=NOON)
    schedule.set("interval", Every(60), last=NOON, now=NOON)
    woken = NOON + 8 * 3600 + 120
    assert sorted(schedule.pop_due(woken)) == ["interval", "once"]
    assert schedule.pop_due(woken) == []
    assert (schedule.due_of("skip"), schedule.due_of("once"), schedule.due_of("interval")) == (woken + 180, woken + 180, woken + 60)
    assert sorted(schedule.pop_due(woken + 181)) == ["interval", "once", "skip"]


def test_misfire() -> None:
    """A time that passed while nothing ran is left out, or made up for once."""
    skip, once = (CronRhythm("*/5 * * * *", ZoneInfo("UTC"), catch_up) for catch_up in (False, True))
    assert skip.after(NOON - 3600, NOON + 1) == NOON + 300
    assert once.after(NOON - 3600, NOON + 1) == NOON + 1
    assert once.after(NOON - 1, NOON - 0.5) == NOON


STEPS = (-86_400, -3600, -60, 60, 3600, 86_400)


@pytest.mark.parametrize("step", STEPS)
def test_a_clock_that_is_set_moves_intervals_along(step: float) -> None:
    """What was due in 30 s is so still, whether the clock was set back or forward; what would look stale by that alone is due at once."""
    schedule = Schedule()
    schedule.set("a", Every(60), last=NOON - 30, now=NOON)
    schedule.set("rare", Every(86_400), last=NOON - 60, now=NOON)
    schedule.after_clock_step(NOON + step, step)
    assert schedule.due_of("a") == NOON + step + (0 if step > 120 else 30)
    assert schedule.due_of("rare") == NOON + step + 86_340


def test_what_a_clock_made_look_stale_is_looked_at_one_after_the_other() -> None:
    """A day forward: each check once, in the order in which they were due, 5 ms apart, and then in its own rhythm."""
    schedule = Schedule()
    for number in range(1000):
        schedule.set(f"c{number}", Every(60), last=NOON - 60 + number * 0.06, now=NOON)
    now = NOON + 86_400
    schedule.after_clock_step(now, 86_400)
    assert schedule.pop_due(now) == ["c0"]
    assert schedule.pop_due(now + 0.0501) == [f"c{number}" for number in range(1, 11)]
    assert len(schedule.pop_due(now + 5)) == 989
    assert schedule.pop_due(now + 59) == []


@pytest.mark.parametrize("step", STEPS)
def test_cron_goes_by_the_clock_that_was_set(step: float) -> None:
    """Its next time is that of the new clock: nothing that was passed over is looked at more than once."""
    skip, once = (CronRhythm("*/5 * * * *", ZoneInfo("UTC"), catch_up) for catch_up in (False, True))
    schedule = Schedule()
    schedule.set("skip", skip, last=None, now=NOON + 1)
    schedule.set("once", once, last=None, now=NOON + 1)
    now = NOON + 1 + step
    schedule.after_clock_step(now, step)
    assert sorted(schedule.pop_due(now)) == (["once"] if step >= 3600 else [])
    due = now + 299 - step % 300
    assert schedule.due_of("skip") == schedule.due_of("once") == due
    assert sorted(schedule.pop_due(due)) == ["once", "skip"]
    assert schedule.pop_due(due) == []


@pytest.mark.parametrize(("set_back", "told"), [(600, ["24 03:00"]), (3 * 3600, ["24 03:00"]), (4 * 3600, ["23 03:00", "24 03:00"])])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_fixed_time_that_ran_does_not_come_again(set_back: float, told: list[str], restarted: bool) -> None:
    """A clock that is set back over it by three hours at most: as Debian's cron, also where the host was started anew meanwhile. One that
    was set wrong by more is taken at its word, as is what goes by `*`."""
    nightly, often = CronRhythm("0 3 * * *", ZoneInfo("UTC")), CronRhythm("*/5 * * * *", ZoneInfo("UTC"))
    schedule, ran = Schedule(), datetime(2026, 11, 23, 3, 0, tzinfo=UTC).timestamp()
    schedule.set("nightly", nightly, last=None, now=ran - 60)
    schedule.set("often", often, last=None, now=ran - 60)
    assert sorted(schedule.pop_due(ran)) == ["nightly", "often"]
    now = ran + 1 - set_back
    if restarted:
        schedule = Schedule()
        schedule.set("nightly", nightly, last=ran + 0.5, now=now)
        schedule.set("often", often, last=ran + 0.5, now=now)
    else:
        schedule.after_clock_step(now, -set_back)
    assert schedule.due_of("often") == ran + 300 - set_back
    found = []
    for _ in told:
        due = schedule.due_of("nightly")
        assert due is not None
        found.append(datetime.fromtimestamp(due, UTC).strftime("%d %H:%M"))
        assert "nightly" in schedule.pop_due(due)
    assert found == told


def test_a_config_that_is_loaded_again_makes_up_for_nothing_twice() -> None:
    """With `misfire: once` a full scan that ran since the start is not due again because its config was loaded again."""

    async def handler(keys: list[str]) -> None:
        raise AssertionError

    now = NOON
    scheduler, settings = Scheduler(handler, clock=lambda: now), ScheduleSettings(full="*/5 * * * *", misfire="once")
    scheduler.restore(NOON - 60)
    scheduler.configure("x", settings)
    now = NOON + 300
    assert scheduler.schedule.pop_due(now) == ["/full/x"]
    now = NOON + 420
    scheduler.configure("x", settings)
    assert scheduler.next_full() == NOON + 600


def test_hasten_only_brings_forward() -> None:
    """A soft problem is looked at again sooner, never later."""
    schedule = Schedule()
    schedule.set("a", Every(60), last=NOON, now=NOON)
    schedule.hasten("a", NOON + 1)
    assert schedule.next_due() == NOON + 1
    schedule.hasten("a", NOON + 30)
    assert schedule.next_due() == NOON + 1
    schedule.hasten("unknown", NOON)


@pytest.mark.parametrize("expression", ["every day", "61 * * * *", "0 0 31 2 *", ""])
def test_cron_that_never_runs_is_refused(expression: str) -> None:
    """A config with a cron expression that cannot be read, or never comes, is refused with an example."""
    with pytest.raises(ValidationError, match=r"write for example"):
        ScheduleSettings(full=expression)


def test_an_unknown_zone_is_refused() -> None:
    """A time zone must exist."""
    with pytest.raises(ValidationError, match="no time zone"):
        ScheduleSettings(timezone="Mars/Olympus")


@pytest.mark.parametrize("step", STEPS)
async def test_the_loop_notices_a_clock_that_was_set(step: float, caplog: pytest.LogCaptureFixture) -> None:
    """It is noticed by the loop itself; the check of every minute is looked at when it would have been, and once."""
    now, passed, calls, came = NOON, 0.0, list[list[str]](), asyncio.Event()

    async def handler(keys: list[str]) -> None:
        calls.append(keys)
        came.set()

    async def turns() -> None:
        scheduler.wake()
        for _ in range(5):
            await asyncio.sleep(0)

    scheduler = Scheduler(handler, clock=lambda: now, elapsed=lambda: passed)
    scheduler.put(scripted("a", every=600), owner="x", last=NOON - 300)
    due = scheduler.next_of("a", "x")
    assert due is not None
    task = asyncio.create_task(scheduler.run())
    try:
        await turns()
        now += step
        async with asyncio.timeout(20):
            while f"the clock was set by {step:+.0f} s" not in caplog.text:
                await asyncio.sleep(0.05)
        if step <= 1200:
            assert calls == []
            passed += due - NOON - 1
            now += due - NOON - 1
            await turns()
            assert calls == []
            passed, now = passed + 1.5, now + 1.5
            await turns()
        async with asyncio.timeout(20):
            await came.wait()
        assert calls == [["a"]]
    finally:
        task.cancel()


async def test_the_loop_hands_out_together_what_is_due_together() -> None:
    """The scheduler wakes when something is set, hands out every due key in one call, and goes on after a handler failed."""
    calls: list[list[str]] = []
    came = asyncio.Event()

    async def handler(keys: list[str]) -> None:
        calls.append(keys)
        came.set()
        if len(calls) == 1:
            raise RuntimeError("the first time fails")

    now = NOON
    scheduler = Scheduler(handler, clock=lambda: now)
    task = asyncio.create_task(scheduler.run())
    try:
        await asyncio.sleep(0)
        for name in ("a", "b"):
            scheduler.put(scripted(name, every=3600), owner="x", last=NOON - 7200)
        async with asyncio.timeout(20):
            await came.wait()
            assert sorted(calls[0]) == ["a", "b"]
            came.clear()
            scheduler.put(scripted("c", every=3600), owner="x", last=NOON - 7200)
            await came.wait()
        assert calls[1] == ["c"]
    finally:
        task.cancel()
    assert scheduler.next_full() is None
    scheduler.configure("x", ScheduleSettings(full="*/5 * * * *"))
    assert scheduler.next_full() == NOON + 300
