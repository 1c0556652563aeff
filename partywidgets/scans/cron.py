"""The times of a cron expression. Pure; the time is given by the caller."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta


def cron_times(expression: str, after: datetime) -> Iterator[datetime]:
    """The times later than an aware `after`, in its zone, of five fields or six with seconds first.

    In the nights in which clocks change it goes by Debian's cron: a fixed time that does not exist comes at the end of the gap, and one
    that exists twice comes once. The library does so with five fields alone, so the seconds are put on behind it; and asked within the hour
    that comes twice, the second time, it begins with the time that was an hour ago, which is left out here.
    """
    begin = after.timestamp()
    return (moment for moment in _times(expression, after) if moment.timestamp() > begin)


def _times(expression: str, after: datetime) -> Iterator[datetime]:
    from cronsim import CronSim

    fields = expression.split()
    if len(fields) == 5:
        yield from CronSim(expression, after)
        return
    seconds = sorted(CronSim(expression, after).seconds)
    earlier = (after.astimezone(UTC) - timedelta(minutes=1)).astimezone(after.tzinfo)
    for minute in CronSim(" ".join(fields[1:]), earlier):
        for second in seconds:
            yield minute.replace(second=second)
