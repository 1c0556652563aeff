"""What one target was told of the rows that it knows as failing, in memory and in the history: in doubt, sure, or over."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from ..exceptions import StorageError
from .model import CheckResult, utc_now
from .notice import Known, Notice

_log = logging.getLogger("partywidgets.scans.notify")

Told = dict[str, Known]
"""Fingerprint → what a target was last told, for those that it knows as failing."""
Keep = Callable[[str, Mapping[str, Known | None]], Awaitable[None]]
"""Stores what a target (by key) was told; None: nothing any more."""
Doubts = dict[str, tuple[Known, Known | None]]
"""Fingerprint → what is known while a message is under way, and what was before."""


class Ledger:
    """The ledger of the target `key`, which people know as `name`."""

    def __init__(self, key: str, name: str, told: Told, keep: Keep) -> None:
        self.told = told
        self._key, self._name, self._keep = key, name, keep
        self._began: dict[str, datetime] = {}
        """When the problems that it knows began, as far as this process saw them."""
        self._over = set[str]()
        """Rows of which the history is to forget what was told: nobody will be told of an end."""

    def lasted(self, row: CheckResult) -> float | None:
        """For how many seconds the problem of a row that is ok lasted."""
        began, ended = self._began.get(row.fingerprint), row.state.since
        return None if began is None or ended is None else (ended - began).total_seconds()

    def forget(self, fingerprint: str) -> None:
        """Knows nothing of a row any more; the history does until `store_over`."""
        self.told.pop(fingerprint, None)
        self._began.pop(fingerprint, None)

    def note_over(self, fingerprint: str) -> None:
        """The history is to forget a row, too."""
        self._over.add(fingerprint)

    async def store_over(self) -> None:
        """Forgets in the history what is over."""
        over, self._over = self._over - self.told.keys(), set()
        await self.store(dict.fromkeys(over))

    def doubt(self, notices: Sequence[Notice], incident: str) -> Doubts:
        """The rows of a message that is about to go out are in doubt: each with what was known of it before. A reminder changes nothing."""
        at, doubts = utc_now(), Doubts()
        for notice in notices:
            known = self.told.get(notice.fingerprint)
            if notice.reminds or (known is None and notice.standing == "ok"):
                continue
            if known is None:
                doubt = Known(notice.standing, at, incident, sure=False)
            else:
                doubt = replace(known, incident=incident or known.incident, sure=False)
            self.told[notice.fingerprint] = doubt
            doubts[notice.fingerprint] = doubt, known
        return doubts

    async def undoubt(self, doubts: Doubts) -> set[str]:
        """The message did not arrive: its rows are known as before. Gives those that were told of nothing else meanwhile."""
        mine = {name: known for name, (doubt, known) in doubts.items() if self.told.get(name) is doubt}
        for name, known in mine.items():
            if known is None:
                del self.told[name]
            else:
                self.told[name] = known
        await self.store(mine)
        return set(mine)

    def sure(self, notice: Notice, at: datetime, incident: str) -> None:
        """The message about it arrived."""
        if notice.standing == "ok":
            self.forget(notice.fingerprint)
            return
        self.told[notice.fingerprint] = Known(notice.standing, at, incident)
        if notice.since is not None:
            self._began.setdefault(notice.fingerprint, notice.since)

    async def store(self, told: Mapping[str, Known | None]) -> None:
        """Puts into the history what was told; a disk that is full holds no message up."""
        if not told:
            return
        try:
            await self._keep(self._key, told)
        except StorageError as error:
            _log.error("notify target %r: what it was told is not kept, and may be told again after a restart: %s", self._name, error)
