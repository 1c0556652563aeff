"""Maintenance windows: when they are open, also in the nights in which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from partywidgets.scans.maintenance import Maintenance, MaintenanceSettings


def window(cron: str, duration: str) -> MaintenanceSettings:
    """A window by Berlin's clock."""
    return MaintenanceSettings.model_validate({"name": "n", "cron": cron, "duration": duration, "timezone": "Europe/Berlin"})


@pytest.mark.parametrize(
    ("moment", "opened"),
    [
        (datetime(2026, 3, 29, 0, 30, tzinfo=UTC), datetime(2026, 3, 29, 0, 0, tzinfo=UTC)),
        (datetime(2026, 3, 29, 2, 0, tzinfo=UTC), None),
        (datetime(2026, 7, 5, 0, 59, tzinfo=UTC), datetime(2026, 7, 4, 23, 0, tzinfo=UTC)),
        (datetime(2026, 7, 4, 22, 59, tzinfo=UTC), None),
    ],
)
def test_a_window_opens_by_its_own_clock(moment: datetime, opened: datetime | None) -> None:
    """One o'clock in Berlin is another hour of UTC in summer; two hours are two hours, also in the night that the clocks change."""
    found = window("0 1 * * 0", "2h").window_at(moment)
    assert (found and found.begin) == opened


def openings(settings: MaintenanceSettings, begin: datetime, hours: int) -> list[tuple[str, str]]:
    """When a window opened and closed, in UTC, for somebody who looks every minute."""
    maintenance, found = Maintenance(), list[tuple[str, str]]()
    maintenance.configure("a.yaml", [settings])
    for minute in range(hours * 60):
        opened, closed = maintenance.look(begin + timedelta(minutes=minute))
        found += [(f"{begin + timedelta(minutes=minute):%d %H:%M}", "opens") for _ in opened]
        found += [(f"{begin + timedelta(minutes=minute):%d %H:%M}", "closes") for _ in closed]
    return found


@pytest.mark.parametrize("cron", ["30 2 * * *", "0 30 2 * * *"])
@pytest.mark.parametrize(
    ("begin", "duration", "told"),
    [
        # The hour from two to three is not there: the window opens at its end, which is three.
        (datetime(2026, 3, 28, 23, 0, tzinfo=UTC), "20m", [("29 01:00", "opens"), ("29 01:20", "closes")]),
        (datetime(2026, 3, 28, 23, 0, tzinfo=UTC), "2h", [("29 01:00", "opens"), ("29 03:00", "closes")]),
        # It is there twice: the window opens in the first, and stays open as long as ever.
        (datetime(2026, 10, 24, 22, 0, tzinfo=UTC), "20m", [("25 00:30", "opens"), ("25 00:50", "closes")]),
        (datetime(2026, 10, 24, 22, 0, tzinfo=UTC), "1h", [("25 00:30", "opens"), ("25 01:30", "closes")]),
        (datetime(2026, 10, 24, 22, 0, tzinfo=UTC), "3h", [("25 00:30", "opens"), ("25 03:30", "closes")]),
        # Who looks first in the second of the two hours finds it open, or over.
        (datetime(2026, 10, 25, 1, 10, tzinfo=UTC), "1h", [("25 01:10", "opens"), ("25 01:30", "closes")]),
        (datetime(2026, 10, 25, 1, 10, tzinfo=UTC), "20m", []),
    ],
)
def test_a_window_in_the_hour_that_is_missing_or_comes_twice(
    cron: str, begin: datetime, duration: str, told: list[tuple[str, str]]
) -> None:
    """It opens once in each such night."""
    assert openings(window(cron, duration), begin, 6) == told


@pytest.mark.parametrize(
    ("cron", "duration", "until"),
    [
        ("0 0 * * 6,0", "24h", "12 22:00"),  # a weekend, a day at a time
        ("0 8-11 * * 6", "90m", "11 10:30"),  # each window reaches into the next
        ("0 8-11 * * 6", "1h", "11 10:00"),
    ],
)
def test_windows_that_follow_each_other_are_one(cron: str, duration: str, until: str) -> None:
    """There is no moment between them in which a failure is told, whoever looks when; it begins and ends once, and is said to be open until
    the last one closes."""
    begin = datetime(2026, 7, 10, 20, 0, tzinfo=UTC)
    found = openings(window(cron, duration), begin, 80)
    assert [what for _, what in found] == ["opens", "closes"]
    assert found[-1][0] == until
    settings, maintenance = window(cron, duration), Maintenance()
    maintenance.configure("a.yaml", [settings])
    opened, closes = (datetime.strptime(f"2026-07-{moment}+0000", "%Y-%m-%d %H:%M%z") for moment in (found[0][0], until))
    maintenance.look(opened)
    (only,) = maintenance.open
    assert only.suppression().until == closes
    assert all(only.in_force(opened + timedelta(minutes=minute)) for minute in range(int((closes - opened).total_seconds() // 60)))


def test_windows_that_never_end_are_one_too() -> None:
    """As many are looked ahead as last until the next look; it begins once."""
    assert openings(window("* * * * *", "5m"), datetime(2026, 7, 10, tzinfo=UTC), 2) == [("10 00:00", "opens")]


def test_what_comes_next_in_such_a_night() -> None:
    """Asked in the second of the two hours, the next window is that of tomorrow."""
    found = window("30 2 * * *", "20m").next_window(datetime(2026, 10, 25, 1, 10, tzinfo=UTC))
    assert found is not None
    assert found.begin == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
