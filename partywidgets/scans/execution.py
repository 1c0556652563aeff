"""Running checks: how many at once, never one twice, and an end even to those that hang."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from .checks.base import CheckModel
from .judge import RunContext, run_check
from .libraries import Libraries
from .model import CheckResult, ErrorClass, Failure, utc_now
from .probing import ProbeProcess
from .settings import LimitSettings

GRACE = 1.0
"""Seconds that a cancelled check has to end before it is abandoned."""

_log = logging.getLogger("partywidgets.scans")


@dataclass(frozen=True, slots=True)
class Loaded:
    """One check that can be run: what it is, whose it is, and how to look once.

    `owner` is the config's name or the runner's: who may replace it. `look` judges what it saw; when it raises the result is unknown.
    `limit` is in seconds: a look, with its retries, that takes longer is ended. `own`: the look is `run_check`'s, which ends by itself
    and whose result has no secrets.
    """

    check: CheckModel
    owner: str
    look: Callable[[], Coroutine[Any, Any, CheckResult]]
    limit: float
    own: bool = False

    @property
    def id(self) -> str:
        """The check's id."""
        return self.check.id


def configured(
    check: CheckModel,
    owner: str,
    *,
    resolve: Callable[[str], str],
    redact: Callable[[str], str] | None = None,
    probes: ProbeProcess | None = None,
) -> Loaded:
    """A check of a config, looked at in this process, or in that of `probes` where the check allows it."""
    context = RunContext(resolve=resolve, redact=redact)
    longest = (check.timeout + 2.0) * (check.retries + 1) + check.retry_delay * check.retries + 1.0
    look = run_check if probes is None or not check.apart else probes.look
    return Loaded(check, owner, lambda: look(check, context), longest, own=True)


@dataclass(slots=True)
class Slots:
    """Semaphores of `limits`: in all, of one type, and against one host. The narrow one is taken first:
    a slow host must not hold the wide ones."""

    limits: LimitSettings = field(default_factory=LimitSettings)
    _total: asyncio.Semaphore = field(init=False)
    _types: dict[str, asyncio.Semaphore] = field(init=False)
    _hosts: dict[str, tuple[asyncio.Semaphore, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._total = asyncio.Semaphore(self.limits.total)
        self._types = {name: asyncio.Semaphore(limit) for name, limit in self.limits.of_types().items()}

    async def take(self, host: str, kind: str = "") -> None:
        """Waits for a place, which its taker gives back."""
        narrow, users = self._hosts.get(host) or (asyncio.Semaphore(self.limits.per_host), 0)
        self._hosts[host] = narrow, users + 1
        taken: list[asyncio.Semaphore] = []
        try:
            for semaphore in (narrow, self._types.get(kind), self._total):
                if semaphore is not None:
                    await semaphore.acquire()
                    taken.append(semaphore)
        except BaseException:
            for semaphore in taken:
                semaphore.release()
            self._leave(host)
            raise

    def give_back(self, host: str, kind: str = "") -> None:
        """Leaves a place that was taken."""
        self._total.release()
        if kind in self._types:
            self._types[kind].release()
        self._hosts[host][0].release()
        self._leave(host)

    def _leave(self, host: str) -> None:
        narrow, users = self._hosts[host]
        if users == 1:
            del self._hosts[host]
        else:
            self._hosts[host] = narrow, users - 1


@lru_cache(maxsize=20_000)
def host_of(target: str) -> str:
    """What the limit per host counts by: the host of a URL or of `host:port`, else the target as it is."""
    try:
        return urlsplit(target if "://" in target else f"//{target}").hostname or target
    except ValueError:
        return target


Own = Callable[[Coroutine[Any, Any, CheckResult], str], "asyncio.Task[CheckResult]"]
"""Makes a task of the service's own: cancelled when it stops."""


class Bench:
    """Where checks run: one look at a time for each check id, within the limits.

    A look that is over its time is cancelled; one that does not even end then is abandoned, its check is `unknown` and is not started
    again until the abandoned look has ended.
    """

    def __init__(self, own: Own, limits: LimitSettings | None = None) -> None:
        self._own = own
        self._slots = Slots(limits or LimitSettings())
        self.libraries = Libraries()
        """What looks need: a scan has it loaded for all of its checks at once, a single look for its own."""
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}
        self._abandoned: dict[str, asyncio.Task[CheckResult]] = {}

    @property
    def limits(self) -> LimitSettings:
        """How many looks there are at once."""
        return self._slots.limits

    def set_limits(self, limits: LimitSettings) -> None:
        """Takes new limits; looks under way keep their places of before."""
        if limits != self._slots.limits:
            self._slots = Slots(limits)

    def busy(self, check_id: str) -> bool:
        """True while the check is being looked at or waits to be."""
        return check_id in self._locks

    async def look(self, loaded: Loaded, *, scan_id: str, scheduled_at: datetime) -> CheckResult:
        """One result, always: whatever the check does. Raises only CancelledError, after the look was cancelled."""
        lock, users = self._locks.get(loaded.id) or (asyncio.Lock(), 0)
        self._locks[loaded.id] = lock, users + 1
        try:
            async with lock:
                slots, host, kind = self._slots, host_of(loaded.check.target), loaded.check.type
                await self.libraries.ready(loaded.check)
                await slots.take(host, kind)
                try:
                    result = await self._bounded(loaded)
                finally:
                    slots.give_back(host, kind)
        finally:
            lock, users = self._locks[loaded.id]
            if users == 1:
                del self._locks[loaded.id]
            else:
                self._locks[loaded.id] = lock, users - 1
        result.scan_id, result.scheduled_at = scan_id, scheduled_at
        return result

    async def _bounded(self, loaded: Loaded) -> CheckResult:
        stuck = self._abandoned.get(loaded.id)
        if stuck is not None:
            if not stuck.done():
                return failed(loaded, "timeout", "an earlier look still hangs and could not be ended, so no other was started")
            del self._abandoned[loaded.id]
        started = utc_now()
        if loaded.own:
            return await loaded.look()  # a task and a timer around those that it has would only cost
        task = self._own(loaded.look(), f"look {loaded.id}")
        try:
            done, _ = await asyncio.wait({task}, timeout=loaded.limit)
            if not done:
                task.cancel()
                done, _ = await asyncio.wait({task}, timeout=GRACE)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done:
            self._abandoned[loaded.id] = task
            _log.warning("check %s: its look did not end when it was cancelled after %g s and is abandoned", loaded.id, loaded.limit)
        if not done or task.cancelled():
            return failed(loaded, "timeout", f"did not end within {loaded.limit:g} s", started=started)
        error = task.exception()
        if error is not None:
            _log.error("check %s: its look raised", loaded.id, exc_info=error)
            return failed(loaded, "internal", f"the check itself failed with {type(error).__name__}: see the host's log", started=started)
        return task.result()


def failed(loaded: Loaded, kind: ErrorClass, message: str, *, started: datetime | None = None) -> CheckResult:
    """The result of a check that could not be looked at: unknown, with the reason as its summary."""
    now, check = utc_now(), loaded.check
    return CheckResult(
        check_id=check.id,
        check_type=check.type,
        target=check.target,
        status="unknown",
        fingerprint=check.fingerprint,
        title=check.title,
        severity=check.severity,
        started_at=started or now,
        observed_at=now,
        duration_ms=0.0 if started is None else (now - started).total_seconds() * 1000,
        summary=message,
        error=Failure(kind, message),
        remediation=check.remedy,
        labels=dict(check.labels),
        ttl_s=check.ttl_s(now.timestamp()),
    )
