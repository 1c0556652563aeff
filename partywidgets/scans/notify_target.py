"""Telling people: a message to a target of `notify:` when a problem has become hard, changes its status, stands still, or is over.

What is told is decided by where a row stands, not by a passing event: a target remembers the status it was last told of each
fingerprint, and a message is due while the row stands elsewhere. So a problem that began under a silence is told when the silence ends,
one that came and went while a target could not be reached is not told at all, and a restart repeats nothing.

A reminder (`remind_every`) is due when a look, that long after the last message about a row, finds it where it was told to stand. It is
looks that remind, not a clock: what nobody has looked at since is not said to fail still, by a host that was away least of all.

That a row is worse is told at once, always; that it is better, of one that comes and goes, when that has lasted (`notify_calm`).

A service that opens incidents (`notify_incident`) is told of each row in an incident of its own, or of each group where the config names
labels for groups, and which one that was is remembered: the recovery goes to the same. Only new incidents count to the limit; what comes
beyond shares one, which ends when nothing of it fails any more.

Before a message goes out, that its rows are in doubt is on disk, and after the answer what they were told. So a host that is killed in
between tells the next one to say once more where they stand, a recovery above all: without it an incident stays open for ever. A service
that opens incidents and gives no answer leaves them in doubt, too; of any other, what it did not take counts as not told.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from .model import CheckResult, one_line, utc_now
from .notice import BADNESS, Known, Notice, compose, labels_of, standing_of, unmade, urgency
from .notify_calm import Calm
from .notify_delivery import deliver, opens_incidents
from .notify_ledger import Doubts, Keep, Ledger, Told
from .notify_settings import NotifySettings

LONGEST_WAIT = 300.0
"""Seconds between two attempts at a target that fails, at most."""
_log = logging.getLogger("partywidgets.scans.notify")

Troubled = Callable[[], Awaitable[None]]
"""Is called when a target began to fail, fails in another way, or takes messages again."""
Said = Callable[[str, str, str | None], Awaitable[None]]
"""Is called with a target's name and the title of a message that arrived, or began not to: then with the reason."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A notice that waits, in its group, until the moment `ready` of the loop's clock at least."""

    group: str
    notice: Notice
    ready: float


class Target:
    """One target: what it was told, what it is still to be told, and the task that tells it.

    `sent` and `failed` count messages; `last_error` is why the last one did not arrive, None after one that did.
    """

    def __init__(
        self,
        key: str,
        settings: NotifySettings,
        *,
        told: Told,
        resolve: Callable[[str], str],
        redact: Callable[[str], str],
        keep: Keep,
        current: Callable[[str], CheckResult | None],
        troubled: Troubled,
        said: Said,
    ) -> None:
        self.key, self.settings, self.resolve = key, settings, resolve
        self.ledger = Ledger(key, settings.name, told, keep)
        self.page = ""
        """The URL of the host's page, for the links of messages; "" where it has none that others reach."""
        self.waiting: dict[str, _Waiting] = {}
        self.sent = self.failed = 0
        self.last_error: str | None = None
        self._redact, self._current, self._troubled, self._said = redact, current, troubled, said
        self._due: dict[str, float] = {}
        self._sent_at: deque[float] = deque()
        self._calm = Calm()
        self._looked_at = set[str]()
        """Rows that it heard of in this process: of others nobody knows whether they still fail."""
        self._failures = 0
        self._opens_incidents = False
        self._not_before = 0.0
        self._wake = asyncio.Event()

    @property
    def told(self) -> Told:
        """What it was told of the rows that it knows as failing."""
        return self.ledger.told

    def seen(self, row: CheckResult) -> None:
        """Takes note of where a row stands: it waits for a message, or no longer does."""
        now = asyncio.get_running_loop().time()
        self._looked_at.add(row.fingerprint)
        known, standing, waiting = self.told.get(row.fingerprint), standing_of(row), self.waiting.get(row.fingerprint)
        told = "ok" if known is None else known.status
        in_doubt = known is not None and not known.sure
        if standing is None:
            if waiting is not None and waiting.ready > now:  # it does not stand as it did: its calm begins anew
                self.waiting[row.fingerprint] = replace(waiting, ready=now + self._calm.asked(row.fingerprint, now))
            return
        suppressed = row.suppression is not None and standing != "ok"
        unwanted = told == "ok" and not self.settings.wants(row, standing)
        nothing_new = standing == told and not in_doubt and not (known is not None and self._is_overdue(row, known))
        if nothing_new or suppressed or unwanted:
            if self.waiting.pop(row.fingerprint, None) is not None:
                self._wake.set()  # of a group that waits no more the time is over, too: who comes next is the first of those that wait
            return
        if standing == "ok" and not self.settings.recovery:
            self.waiting.pop(row.fingerprint, None)
            self.ledger.forget(row.fingerprint)
            self._note_over(row.fingerprint)
            return
        before = "ok" if in_doubt and standing != "ok" else told
        group, notice = self.settings.group_of(row), self._notice(row, before, standing, now)
        better = BADNESS[standing] < BADNESS[told]
        if waiting is not None and waiting.notice.standing == standing:
            ready = waiting.ready
        else:
            ready = now + self._calm.asked(row.fingerprint, now) if better else now
        self.waiting[row.fingerprint] = _Waiting(group, notice, ready)
        self._due[group] = min(self._due.get(group, math.inf), max(ready, now + self.settings.group_wait))
        self._wake.set()

    def _is_overdue(self, row: CheckResult, known: Known) -> bool:
        """Whether the last look at a row that stands as it was told came so late that people are reminded."""
        every = self.settings.remind_every
        if every is None or not self.settings.wants(row, known.status):
            return False
        told_at = min(known.at, utc_now())  # a clock that was set back would put the reminder off by as much
        return (row.observed_at - told_at).total_seconds() >= every

    def _notice(self, row: CheckResult, told: str, standing: str, now: float) -> Notice:
        remedy = row.remediation
        parts = [] if remedy is None else [remedy.text, f"runbook {remedy.place}" if remedy.place else ""]
        over, reminds = standing == "ok", standing == told
        since = row.state.since
        lasted = None if since is None or not reminds else (row.observed_at - since).total_seconds()
        return Notice(
            row.fingerprint,
            row.title,
            told,
            standing,
            row.severity,
            row.summary,
            row.target,
            "" if over else "; ".join(part for part in parts if part),
            "" if over or reminds else self._calm.words(row.fingerprint, now),
            since=since,
            check_id=row.check_id,
            labels=labels_of(row),
            lasted=self.ledger.lasted(row) if over else lasted,
        )

    def _with_company(self, notices: list[Notice]) -> list[Notice]:
        """Beside a reminder, what else of its group still fails: people are reminded of a group, not of each row at a time of its own."""
        groups = {self.waiting[notice.fingerprint].group for notice in notices if notice.reminds}
        if not groups:
            return notices
        now = asyncio.get_running_loop().time()
        company = []
        for fingerprint in (self.told.keys() & self._looked_at) - self.waiting.keys():
            row, told = self._current(fingerprint), self.told[fingerprint].status
            if row is None or row.suppression is not None or standing_of(row) != told or self.settings.group_of(row) not in groups:
                continue
            if self.settings.wants(row, told):
                company.append(self._notice(row, told, told, now))
        return notices + company

    def gone(self, row: CheckResult, reason: str) -> None:
        """A row leaves the board: who knows it as failing hears that nobody looks any more, and its incident is over."""
        known, group = self.told.get(row.fingerprint), self.settings.group_of(row)
        self._forget(row.fingerprint)
        if known is not None and self.settings.recovery:
            about = row.fingerprint, row.title, known.status, "ok", row.severity, reason, row.target, ""
            notice = Notice(*about, gone=True, check_id=row.check_id, labels=labels_of(row))
            now = asyncio.get_running_loop().time()
            self.told[row.fingerprint] = known
            self.waiting[row.fingerprint] = _Waiting(group, notice, now)
            self._due[group] = min(self._due.get(group, math.inf), now + self.settings.group_wait)
            self._wake.set()
        elif known is not None:
            self._note_over(row.fingerprint)

    def _note_over(self, fingerprint: str) -> None:
        self.ledger.note_over(fingerprint)
        self._wake.set()

    def say_only_what_is_gone(self) -> None:
        """Of what waits to be told keeps that rows are gone."""
        self.waiting = {name: waiting for name, waiting in self.waiting.items() if waiting.notice.gone}

    def _forget(self, fingerprint: str) -> None:
        self.waiting.pop(fingerprint, None)
        self._calm.forget(fingerprint)
        self._looked_at.discard(fingerprint)
        self.ledger.forget(fingerprint)

    def _still(self, notice: Notice) -> bool:
        """Whether that is still to be told: messages before it took their time."""
        waiting = self.waiting.get(notice.fingerprint)
        return waiting is not None and waiting.notice.standing == notice.standing

    def _others(self, notices: Sequence[Notice], belongs: Callable[[CheckResult], bool]) -> int:
        """How many rows of those that belong to it fail beside these, of which was told before."""
        told = self.told.keys() - {notice.fingerprint for notice in notices}
        rows = (row for name in told if (row := self._current(name)) is not None)
        return sum((row.status != "ok" or row.state.phase == "soft") and belongs(row) for row in rows)

    def _incident_of(self, fingerprint: str) -> str:
        """The key of the incident that a row is told in: the one that it was told in, else its own, or its group's."""
        known = self.told.get(fingerprint)
        if known is not None and known.incident:
            return known.incident
        name, row = fingerprint, self._current(fingerprint)
        if self.settings.group_by and row is not None:
            name = hashlib.sha256(f"{self.key} {self.settings.group_of(row)}".encode()).hexdigest()[:16]
        return f"partywidgets-{name}"

    def _is_in(self, incident: str) -> Callable[[CheckResult], bool]:
        return lambda row: self._incident_of(row.fingerprint) == incident

    def _incidents(self, notices: Sequence[Notice]) -> list[tuple[str, list[Notice]]]:
        """What is to be told of each incident: of those that are open, then of new ones, the worst first."""
        is_open = {self._incident_of(name) for name in self.told}
        of_open: dict[str, list[Notice]] = {}
        fresh: dict[str, list[Notice]] = {}
        for notice in sorted(notices, key=urgency):
            incident = self._incident_of(notice.fingerprint)
            (of_open if incident in is_open else fresh).setdefault(incident, []).append(notice)
        separate, room = list(fresh.items()), max(1, self.settings.limit - len(self._sent_at))
        if len(separate) > room:
            rest = [notice for _, some in separate[room - 1 :] for notice in some]
            separate[room - 1 :] = [(f"{separate[room - 1][0]}-and-others", rest)]
        return [*of_open.items(), *separate]

    async def run(self) -> None:
        """For ever: tells what is due, within the limits, and again later what did not arrive. A fault of ours is logged, and ends no later
        message."""
        while True:
            try:
                await self._tell()
            except Exception:
                _log.exception("notify target %r: tried again in %g s", self.settings.name, self.settings.retry_delay)
                await asyncio.sleep(self.settings.retry_delay)

    async def _tell(self) -> None:
        """One message, once it may go out; of a service that opens incidents one for each."""
        groups, notices = await self._next()
        # Who comes while this is told is the first of those that wait anew, however long a service takes.
        for group in groups:
            del self._due[group]
        try:
            await self._tell_of(groups, notices)
        finally:
            self._put_back(groups, notices)

    async def _tell_of(self, groups: list[str], notices: list[Notice]) -> None:
        named = ", ".join(filter(None, groups[:3]))
        opens = await opens_incidents(self.key, self.settings.url, self.resolve)
        self._opens_incidents = self._opens_incidents if opens is None else opens
        if not self._opens_incidents:
            notices = self._with_company([notice for notice in notices if self._still(notice)])
            if notices:
                await self._send(notices, named, self._others(notices, lambda row: self.settings.group_of(row) in groups))
            return
        for incident, planned in self._incidents(notices):
            some = [notice for notice in planned if self._still(notice)]
            if some and not await self._send(some, named, self._others(some, self._is_in(incident)), incident=incident):
                return

    def _put_back(self, groups: list[str], notices: list[Notice]) -> None:
        """What was not told is due as it was, and so is what of its group still has to prove its calm."""
        for notice in notices:
            if self._still(notice):
                waiting = self.waiting[notice.fingerprint]
                self._due[waiting.group] = min(self._due.get(waiting.group, math.inf), waiting.ready)
        for waiting in self.waiting.values():
            if waiting.group in groups:
                self._due.setdefault(waiting.group, waiting.ready)

    async def _send(self, notices: list[Notice], group: str, others: int, *, incident: str = "") -> bool:
        """Delivers one message; False when it did not arrive."""
        try:
            message = compose(notices, redact=self._redact, group=group, others=others, page=self.page)
        except Exception:  # a fault of ours: that something is wrong must be told all the same
            _log.exception("notify target %r: a message could not be made", self.settings.name)
            message = unmade(len(notices))
        opens = not incident or (any(one.standing != "ok" for one in notices) and not self._is_open(incident))
        doubts = self.ledger.doubt(notices, incident)
        await self.ledger.store({name: doubt for name, (doubt, _) in doubts.items()})
        # The thread may outlive its time: a service that hangs must not hold up the others, nor be called twice at once.
        undelivered = await deliver(
            self.key, self.settings.url, self.resolve, message.title, message.body, message.kind, incident=incident or None
        )
        now, error = asyncio.get_running_loop().time(), None if undelivered is None else undelivered.reason
        news, self.last_error = error != self.last_error, error
        if undelivered is not None and error is not None:
            self.failed += 1
            self._failures += 1
            delay = min(LONGEST_WAIT, self.settings.retry_delay * 2 ** min(self._failures - 1, 20))
            self._not_before = now + delay
            _log.warning(
                "notify target %r: a message about %d rows was not delivered (attempt %d): %s; again in %g s",
                self.settings.name,
                len(notices),
                self._failures,
                self._redact(error),
                delay,
            )
            if not (undelivered.in_doubt and incident):
                await self._undoubt(doubts)
            if news:
                await self._said(self.settings.name, message.title, one_line(self._redact(error)))
                await self._troubled()
            return False
        self.sent += 1
        self._failures = 0
        if opens:
            self._sent_at.append(now)
        await self._was_told(notices, incident)
        await self._said(self.settings.name, message.title, None)
        if news:
            await self._troubled()
        return True

    def _is_open(self, incident: str) -> bool:
        """Whether the service is known to have that incident."""
        return any(known.sure and self._incident_of(name) == incident for name, known in self.told.items())

    async def _undoubt(self, doubts: Doubts) -> None:
        """The message did not arrive: what its rows wait for follows from what was known of them before."""
        for name in await self.ledger.undoubt(doubts) & self.waiting.keys():
            row = self._current(name)
            if row is not None:
                self.seen(row)
            elif name not in self.told:
                self._forget(name)

    async def _was_told(self, notices: Sequence[Notice], incident: str) -> None:
        at = utc_now()
        for notice in notices:
            self.ledger.sure(notice, at, incident)
            if not notice.reminds:
                self._calm.told(notice.fingerprint, asyncio.get_running_loop().time())
            waiting = self.waiting.get(notice.fingerprint)
            if waiting is not None and waiting.notice.standing == notice.standing:  # also one of a look meanwhile: it would be told twice
                del self.waiting[notice.fingerprint]
        await self.ledger.store({one.fingerprint: self.told.get(one.fingerprint) for one in notices})
        for notice in notices:  # while the message was under way the row may have moved on
            row, waiting = self._current(notice.fingerprint), self.waiting.get(notice.fingerprint)
            if row is not None:
                self.waiting.pop(notice.fingerprint, None)  # how long it must be calm counts this message, too
                self.seen(row)
            elif waiting is None or not waiting.notice.gone:
                self._forget(notice.fingerprint)
                self._note_over(notice.fingerprint)

    async def _next(self) -> tuple[list[str], list[Notice]]:
        """Waits until a message may go out. Behind the limit, and behind failures, all groups that are due share one message."""
        loop = asyncio.get_running_loop()
        while True:
            await self.ledger.store_over()
            now = loop.time()
            while self._sent_at and self._sent_at[0] <= now - self.settings.per:
                self._sent_at.popleft()
            free = self._sent_at[0] + self.settings.per if len(self._sent_at) >= self.settings.limit else now
            groups: dict[str, list[Notice]] = {}
            held: dict[str, float] = {}
            for fingerprint, waiting in self.waiting.items():
                opens_one = self._opens_incidents and fingerprint not in self.told
                ready = max(waiting.ready, free) if opens_one else waiting.ready
                if ready <= now:
                    groups.setdefault(waiting.group, []).append(waiting.notice)
                else:
                    held[waiting.group] = min(held.get(waiting.group, math.inf), ready)
            # A group whose rows all still have to prove their calm is due when the first has.
            known = groups.keys() | held.keys()
            self._due = {group: due if group in groups else max(due, held[group]) for group, due in self._due.items() if group in known}
            earliest = max(min(self._due.values(), default=now + 3600.0), now if self._opens_incidents else free, self._not_before)
            if self._due and earliest <= now:
                due = sorted((when, group) for group, when in self._due.items() if when <= now)
                held_back = len(self._sent_at) + 1 >= self.settings.limit or self._failures > 0
                chosen = [group for _, group in due] if held_back else [due[0][1]]
                if self._failures == 0:
                    self._not_before = now
                return chosen, [notice for group in chosen for notice in groups[group]]
            self._wake.clear()
            try:
                async with asyncio.timeout(max(earliest - now, 0.01)):
                    await self._wake.wait()
            except TimeoutError:
                pass
