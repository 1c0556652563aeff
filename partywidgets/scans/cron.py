"""The times of a cron expression. Pure; the time is given by the caller."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta


def cron_times(expression: str, after: datetime) -> Iterator[datetime]:
    """The times later than an aware `after`, in its zone, of five fields or six with seconds first.

    In the nights in which clocks change it goes by Debian's cron: a fixed time that does not exist comes at the end of the gap, and one
    that exists twice comes once. The library does so with five fields alone, so a fixed second is put on behind it; and asked within the
    hour that comes twice, the second time, it begins with the time that was an hour ago, which is left out here.
    """
    begin = after.timestamp()
    return (moment for moment in _times(expression, after) if moment.timestamp() > begin)


def _times(expression: str, after: datetime) -> Iterator[datetime]:
    from cronsim import CronSim

    second, _, minutes = expression.strip().partition(" ")
    if len(expression.split()) == 6 and second.isdecimal():
        earlier = (after.astimezone(UTC) - timedelta(seconds=int(second))).astimezone(after.tzinfo)
        for minute in CronSim(minutes, earlier):
            yield minute.replace(second=int(second))
    else:
        yield from CronSim(expression, after)
