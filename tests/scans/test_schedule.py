"""When checks are due: pure, with the test's own clock."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from partywidgets.scans.schedule import FULL, CronRhythm, Every, Schedule, Scheduler, phase_of
from partywidgets.scans.settings import ScheduleSettings

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC).timestamp()


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


def test_misfire() -> None:
    """A time that passed while nothing ran is left out, or made up for once."""
    skip, once = (CronRhythm("*/5 * * * *", ZoneInfo("UTC"), catch_up) for catch_up in (False, True))
    assert skip.after(NOON - 3600, NOON + 1) == NOON + 300
    assert once.after(NOON - 3600, NOON + 1) == NOON + 1
    assert once.after(NOON - 1, NOON - 0.5) == NOON


def test_a_clock_that_goes_back_postpones_nothing_by_more_than_an_interval() -> None:
    """After the clock was set back by an hour, an interval is due within the interval, and cron at its next time."""
    schedule = Schedule()
    schedule.set("a", Every(60), last=NOON, now=NOON)
    schedule.set(FULL, CronRhythm("*/5 * * * *", ZoneInfo("UTC")), last=None, now=NOON)
    earlier = NOON - 3600
    schedule.after_clock_jump(earlier)
    assert (schedule.due_of("a") or 0) <= earlier + 60
    assert schedule.due_of(FULL) == earlier + 300


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
            scheduler.put(name, 3600.0, owner="x", last=NOON - 7200)
        async with asyncio.timeout(10):
            await came.wait()
            assert sorted(calls[0]) == ["a", "b"]
            came.clear()
            scheduler.put("c", 3600.0, owner="x", last=NOON - 7200)
            await came.wait()
        assert calls[1] == ["c"]
    finally:
        task.cancel()
    assert scheduler.next_full() is None
    scheduler.configure("x", ScheduleSettings(full="*/5 * * * *"))
    assert scheduler.next_full() == NOON + 300
