"""What was decided in a terminal room: one JSON line each on the logger `partywidgets.audit`, and counts."""

from __future__ import annotations

import json
import logging
from collections import Counter
from datetime import UTC, datetime

from .lease import Person

log = logging.getLogger("partywidgets.audit")

DROP_EVERY = 100
"""Of input that is dropped, the first and then every hundredth message of a connection makes a line; all are counted."""


class Audit:
    """A room's decisions. Who did it, never what was typed."""

    def __init__(self, room: str) -> None:
        self._room = room
        self.counts: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()

    def note(self, event: str, person: Person, **facts: str | int | float | None) -> None:
        """Records a decision about a person."""
        self.counts[event] += 1
        if log.isEnabledFor(logging.INFO):
            line = {
                "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "room": self._room,
                "event": event,
                "subject": person.subject,
                "connection": person.connection,
                "role": person.role,
            }
            log.info("%s", json.dumps(line | facts, ensure_ascii=False))

    def dropped(self, person: Person, size: int) -> None:
        """Input that was not taken."""
        self._dropped[person.connection] += 1
        if self._dropped[person.connection] % DROP_EVERY == 1:
            self.note("input-dropped", person, bytes=size, messages=self._dropped[person.connection])
        else:
            self.counts["input-dropped"] += 1

    def left(self, person: Person) -> None:
        """A connection ended; its count goes with it."""
        self._dropped.pop(person.connection, None)
        self.note("left", person)
