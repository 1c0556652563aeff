"""When each check is due next: one heap, derived from when things last ran; and the loop that hands out what is due.

Times are seconds since the epoch, so that a restart goes on where the last run left off. A clock that is set, back or forward, moves
intervals along with it: a check is looked at when it would have been. Time that has really passed, as in a machine that slept, makes
things due once, not once per interval missed.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo

from .cron import cron_times
from .settings import ScheduleSettings

if TYPE_CHECKING:
    from .checks.base import CheckModel

FULL = "/full/"
"""Begins the key of a config's full scan, its name follows; every other key is a check id (which never begins with a slash)."""
FIRST_SPREAD = 0.005
"""Seconds a check by which those that never ran are spread: 2,000 of them start within ten seconds."""
TICK = 0.05
"""Seconds in which what comes due is handed out together."""
LONGEST_SLEEP = 1.0
"""Seconds after which the clock is looked at again, for it may have been set."""
CLOCK_STEP = 2.0
"""Seconds by which a clock was set, and did not just run a little fast."""
LATE = 60.0
"""Seconds past its time after which something was missed, not just late: the machine slept, or its clock was set."""
REPEATED = 3 * 3600.0
"""Seconds by which a clock may be set back before cron's fixed times come again: Debian's cron has the same bound."""
OUTDATED = 2
"""Intervals by which a clock may be set forward before results may look stale, which are when the third look is overdue."""

_log = logging.getLogger("partywidgets.scans.schedule")


def elapsed() -> float:
    """Seconds that have passed since some moment, whatever the clock says; with the time that the machine slept, where the system tells."""
    return time.clock_gettime(_RUNNING)


_RUNNING: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux's, and what runs on in the sleep of macOS."""


class Rhythm(Protocol):
    """When something is due next."""

    def after(self, last: float | None, now: float) -> float:
        """The next time it is due, given when it last started (None: never)."""

    def latest(self, now: float) -> float:
        """The furthest away that it can be due."""

    def lapsed(self, due: float, now: float) -> bool:
        """True when what was due then is not made up for any more."""


@dataclass(frozen=True, slots=True)
class Every:
    """Each `seconds`, moved by a share of the interval that is the check's own and stays the same (`phase`, -0.5 to 0.5 of `jitter`)."""

    seconds: float
    jitter: float = 0.0
    phase: float = 0.0

    def after(self, last: float | None, now: float) -> float:
        if last is None:
            return now
        due = last + self.seconds * (1 + self.jitter * self.phase)
        return max(now, min(due, self.latest(now)))

    def latest(self, now: float) -> float:
        return now + self.seconds * (1 + self.jitter)

    def lapsed(self, due: float, now: float) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class CronRhythm:
    """By a cron expression (`cron_times`) read in `zone`. `catch_up`: a missed time is due now, once.

    A fixed time does not come again when a clock is set back over it; what goes by `*` in minutes or hours keeps its pace.
    """

    expression: str
    zone: ZoneInfo
    catch_up: bool = False

    @property
    def fixed(self) -> bool:
        """True when both the minute and the hour are named."""
        minute, hour = self.expression.split()[-5:-3]
        return "*" not in minute + hour

    def after(self, last: float | None, now: float) -> float:
        if last is not None and now < last <= now + REPEATED and self.fixed:
            return self._following(last)
        if self.catch_up and last is not None and last < now:
            due = self._following(last)
            if due <= now:
                return now
        return self._following(now)

    def latest(self, now: float) -> float:
        return math.inf

    def lapsed(self, due: float, now: float) -> bool:
        return not self.catch_up and now - due > LATE

    def _following(self, moment: float) -> float:
        return next(cron_times(self.expression, datetime.fromtimestamp(moment, self.zone))).timestamp()


def rhythm_of(check: CheckModel, settings: ScheduleSettings) -> Rhythm | None:
    """When a check is looked at by itself, None when only a full scan or a person does it. `settings` are those of its config."""
    if not check.enabled:
        return None
    if check.cron is not None:
        return CronRhythm(check.cron, ZoneInfo(check.timezone or settings.timezone), settings.misfire == "once")
    return None if check.every is None else Every(check.every, settings.jitter, phase_of(check.id))


def phase_of(key: str) -> float:
    """A number from -0.5 to 0.5 that is the key's own: the same after every restart, even over keys."""
    return int.from_bytes(hashlib.blake2s(key.encode("utf-8", "surrogatepass"), digest_size=4).digest()) / 0xFFFFFFFF - 0.5


@dataclass(slots=True)
class _Entry:
    rhythm: Rhythm
    due: float
    ran: float | None = None
    turn: int = 0


@dataclass(slots=True)
class Schedule:
    """What is due when. `set` and `drop` take O(log n); a replaced time stays in the heap until it comes up and is then skipped."""

    _entries: dict[str, _Entry] = field(default_factory=dict)
    _heap: list[tuple[float, int, str]] = field(default_factory=list)
    _turns: int = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def set(self, key: str, rhythm: Rhythm, *, last: float | None, now: float, delay: float = 0.0) -> float:
        """Puts a key on the schedule, or changes its rhythm; returns when it is due. `delay`: seconds later, the first time only.

        `last` is when it ran last, as far as the caller knows; it was handed out since then, maybe.
        """
        known = self._entries.get(key)
        moments = (last, None if known is None else known.ran)
        ran = max((moment for moment in moments if moment is not None), default=None)
        due = rhythm.after(ran, now) + (delay if ran is None else 0.0)
        self._push(key, _Entry(rhythm, due, ran))
        return due

    def drop(self, key: str) -> None:
        """Takes a key off."""
        self._entries.pop(key, None)

    def due_of(self, key: str) -> float | None:
        """When a key is due, None when it is not on the schedule."""
        entry = self._entries.get(key)
        return None if entry is None else entry.due

    def next_due(self) -> float | None:
        """When the first key is due, None when there is none."""
        self._skim()
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> list[str]:
        """The keys that are due, each put back at its next time after `now`; what was missed and is not made up for is only put back."""
        due: list[str] = []
        self._skim()
        while self._heap and self._heap[0][0] <= now:
            key = self._heap[0][2]
            entry = self._entries[key]
            if not entry.rhythm.lapsed(entry.due, now):
                due.append(key)
            self._push(key, _Entry(entry.rhythm, entry.rhythm.after(now, now), now))
            self._skim()
        return due

    def hasten(self, key: str, when: float) -> None:
        """Makes a key due at `when`, if that is sooner."""
        entry = self._entries.get(key)
        if entry is not None and when < entry.due:
            self._push(key, _Entry(entry.rhythm, when, entry.ran))

    def after_clock_step(self, now: float, step: float) -> None:
        """Moves everything along with a clock that was set by `step` seconds and says `now`.

        A step forward that is long beside an interval makes results look stale that are not: those checks are looked at soon, a few
        milliseconds apart.
        """
        soon = now
        for key, entry in sorted(self._entries.items(), key=lambda item: item[1].due):
            if isinstance(entry.rhythm, CronRhythm):
                due = entry.due if step > 0 else min(entry.due, entry.rhythm.after(entry.ran, now))
            else:
                due = min(entry.due + step, entry.rhythm.latest(now))
                if isinstance(entry.rhythm, Every) and step > OUTDATED * entry.rhythm.seconds:
                    due, soon = min(due, soon), soon + FIRST_SPREAD
            if due != entry.due:
                self._push(key, _Entry(entry.rhythm, due, entry.ran))

    def _push(self, key: str, entry: _Entry) -> None:
        self._turns += 1
        entry.turn = self._turns
        self._entries[key] = entry
        heapq.heappush(self._heap, (entry.due, entry.turn, key))
        if len(self._heap) > 2 * len(self._entries) + 1000:  # more dead than living: build it anew
            self._heap = [(living.due, living.turn, name) for name, living in self._entries.items()]
            heapq.heapify(self._heap)

    def _skim(self) -> None:
        while self._heap:
            _, turn, key = self._heap[0]
            living = self._entries.get(key)
            if living is not None and living.turn == turn:
                return
            heapq.heappop(self._heap)


Handler = Callable[[list[str]], Awaitable[None]]
"""Gets the keys that are due; starts what they mean and returns."""


class Scheduler:
    """The loop over a Schedule. `run` is a task of the service's; everything else may be called at any time on its loop."""

    def __init__(self, handler: Handler, *, clock: Callable[[], float] = time.time, elapsed: Callable[[], float] = elapsed) -> None:
        self.schedule = Schedule()
        self._handler = handler
        self._clock = clock
        self._elapsed = elapsed
        self._settings: dict[str, ScheduleSettings] = {}
        self._last_full: float | None = None
        self._changed = asyncio.Event()

    def restore(self, last_full: float | None) -> None:
        """When the last full scan started, from the history: what `misfire: once` goes by."""
        self._last_full = last_full
        for name, settings in self._settings.items():
            self.configure(name, settings)

    def configure(self, name: str, settings: ScheduleSettings) -> None:
        """Takes what the config `name` says about its schedule."""
        self._settings[name] = settings
        key = FULL + name
        if settings.full is None:
            self.schedule.drop(key)
        else:
            rhythm = CronRhythm(settings.full, ZoneInfo(settings.timezone), settings.misfire == "once")
            self.schedule.set(key, rhythm, last=self._last_full, now=self._clock())
        self._changed.set()

    def put(self, check: CheckModel, *, owner: str, last: float | None) -> None:
        """Sets a check on the schedule by its `every` or `cron`, or takes it off. `last`: when it was looked at before."""
        rhythm = rhythm_of(check, self._settings.get(owner, ScheduleSettings()))
        if rhythm is None:
            self.drop(check.id)
            return
        spread = min(check.every or 0.0, FIRST_SPREAD * (len(self.schedule) + 1))
        self.schedule.set(check.id, rhythm, last=last, now=self._clock(), delay=(phase_of(check.id) + 0.5) * spread)
        self._changed.set()

    def drop(self, check_id: str) -> None:
        """Takes a check off."""
        self.schedule.drop(check_id)

    def hasten(self, check_id: str, *, after: float) -> None:
        """Looks at a check again in `after` seconds, if it is on the schedule and that is sooner."""
        self.schedule.hasten(check_id, self._clock() + after)
        self._changed.set()

    def wake(self) -> None:
        """Looks at the clock now."""
        self._changed.set()

    def next_full(self) -> float | None:
        """When the next full scan is due, in seconds since the epoch; None when no config asks for one."""
        dues = [due for name in self._settings if (due := self.schedule.due_of(FULL + name)) is not None]
        return min(dues, default=None)

    def next_of(self, check_id: str, owner: str) -> float | None:
        """When a check of the config `owner` is looked at next, by its own rhythm or in a full scan; None when nothing is due."""
        dues = [due for key in (check_id, FULL + owner) if (due := self.schedule.due_of(key)) is not None]
        return min(dues, default=None)

    async def run(self) -> None:
        """For ever: hands out what is due."""
        offset = self._clock() - self._elapsed()
        while True:
            now = self._clock()
            step = now - self._elapsed() - offset
            if abs(step) > CLOCK_STEP:
                _log.warning("the clock was set by %+.0f s; what is due moves along with it", step)
                self.schedule.after_clock_step(now, step)
            offset += step
            keys = self.schedule.pop_due(now)
            if keys:
                try:
                    await self._handler(keys)
                except Exception:
                    _log.exception("what was due could not be started: %s", ", ".join(keys[:5]))
                await asyncio.sleep(TICK)
            due = self.schedule.next_due()
            delay = LONGEST_SLEEP if due is None else min(LONGEST_SLEEP, due - self._clock())
            if delay > 0:
                self._changed.clear()
                try:
                    async with asyncio.timeout(delay):
                        await self._changed.wait()
                except TimeoutError:
                    pass
