"""The present: the last result of each fingerprint, and what people said about it. No I/O; one loop owns it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime

# A row is encoded once a look, which was a tenth of a check's whole cost with `json`: this is four times as fast.
from pydantic_core import PydanticSerializationError, to_json

from ..exceptions import ScanError
from .history import Recorded, Restored, StateChange
from .maintenance import Maintenance
from .model import FRAME_BYTES, CheckResult, Status, Suppression
from .report import count_statuses
from .silence import SILENCES, Ack, Silence, suppression_of
from .state import Standing, advance

ROWS = 20_000
"""Most fingerprints on a board."""
PART_BYTES = FRAME_BYTES - 1024
"""Of the rows in a frame: what is around them has 1 KiB."""
PUBLISHED = "published"
"""The owner of rows whose check is in no config here: reports made elsewhere."""


@dataclass(frozen=True, slots=True)
class Placement:
    """What placing a result did: what goes to disk, the ack that its recovery ended, and whether people are to be told: a problem, or its
    end, is hard now."""

    recorded: Recorded
    ended_ack: Ack | None = None
    hardened: bool = False


class Board:
    """Rows by fingerprint, acks and silences. Every change takes the next `seq`; `epoch` is new with each start of the host."""

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(8)
        self.seq = 0
        self.rows: dict[str, CheckResult] = {}
        self.acks: dict[str, Ack] = {}
        self.silences: dict[str, Silence] = {}
        self.maintenance = Maintenance()
        self.plan: tuple[int, list[list[str]]] | None = None
        """How `snapshot.plan` divided the rows, and at which seq."""
        self._standings: dict[str, Standing] = {}
        self._owners: dict[str, str] = {}
        self._by_check: dict[str, set[str]] = {}
        self._encoded: dict[str, str] = {}
        self._counted: tuple[int, dict[Status, int]] | None = None

    def counts(self) -> dict[Status, int]:
        """How many rows have each status. Counted once for each state of the board: when a host restarts, everyone joins at once."""
        if self._counted is None or self._counted[0] != self.seq:
            self._counted = self.seq, count_statuses(self.rows.values())
        return dict(self._counted[1])

    def restore(self, restored: Restored) -> None:
        """Takes what the last run left: acks and silences that are over by now as well, whose end is still to be told."""
        self.seq = restored.seq
        self.acks = {ack.fingerprint: ack for ack in restored.acks}
        self.silences = {silence.id: silence for silence in restored.silences}
        for item in restored.latest:
            result = item.result
            self._keep(result, Standing(result.status, result.state, item.hard, item.flips), item.owner)

    def place(
        self,
        result: CheckResult,
        *,
        owner: str,
        attempts: int,
        now: datetime,
        recovery_attempts: int = 1,
        depends_on: Sequence[str] = (),
    ) -> Placement:
        """Puts a new result in place of the last one of its fingerprint: seq, state, change and suppression are set here.

        The result is the board's from then on. Raises ScanError for a new fingerprint on a full board.
        """
        fingerprint = result.fingerprint
        before = self._standings.get(fingerprint)
        if before is None and len(self.rows) >= ROWS:
            raise ScanError(f"the board is full with {ROWS} rows: remove checks, or wait until published rows have aged out")
        transition = advance(before, result.status, attempts=attempts, recovery_attempts=recovery_attempts, at=result.observed_at)
        self.seq += 1
        result.seq, result.state, result.change = self.seq, transition.standing.state, transition.change
        over = result.status == "ok" and transition.standing.hard == "ok"
        ended = self.acks.pop(fingerprint, None) if over else None
        result.suppression = self._suppression(result, depends_on, now)
        self._keep(result, transition.standing, owner)
        changes: tuple[StateChange, ...] = ()
        if transition.changed:
            changes = (self._change(result, transition.from_status, hardening=False),)
        elif transition.hardened:
            changes = (self._change(result, None if before is None else before.hard, hardening=True),)
        standing = transition.standing
        return Placement(Recorded(result, owner, standing.hard, standing.flips, changes, self.encoded(result)), ended, transition.hardened)

    def remove(self, fingerprint: str) -> CheckResult:
        """Takes a row off; returns its last form, `absent` and skipped, for those who show it."""
        last = self.rows.pop(fingerprint)
        self._standings.pop(fingerprint, None)
        self._owners.pop(fingerprint, None)
        self._encoded.pop(fingerprint, None)
        self.acks.pop(fingerprint, None)
        fingerprints = self._by_check.get(last.check_id, set())
        fingerprints.discard(fingerprint)
        if not fingerprints:
            self._by_check.pop(last.check_id, None)
        self.seq += 1
        gone = copy(last)  # `last` may be in a report that somebody holds
        gone.seq, gone.change, gone.status, gone.suppression = self.seq, "absent", "skip", None
        return gone

    def of_check(self, check_id: str) -> list[CheckResult]:
        """The rows of one check."""
        return [self.rows[fingerprint] for fingerprint in sorted(self._by_check.get(check_id, ()))]

    def owned_by(self, owner: str) -> list[CheckResult]:
        """The rows of one config's (or runner's) checks."""
        return [row for fingerprint, row in self.rows.items() if self._owners[fingerprint] == owner]

    def owner_of(self, fingerprint: str) -> str:
        """Whose check a row is of."""
        return self._owners[fingerprint]

    def hand_over(self, fingerprint: str, owner: str) -> None:
        """Makes a row, if there is one, that owner's."""
        if fingerprint in self._owners:
            self._owners[fingerprint] = owner

    def last_observed(self, check_id: str) -> float | None:
        """When a check was last looked at, in seconds since the epoch."""
        return max((row.observed_at.timestamp() for row in self.of_check(check_id)), default=None)

    def acknowledge(self, ack: Ack) -> CheckResult:
        """Records an ack and returns the row with it. Raises ScanError when there is no such row or nothing to acknowledge."""
        row = self.rows.get(ack.fingerprint)
        if row is None:
            raise ScanError(f"no row is {ack.fingerprint!r}: take its check_id or fingerprint from the table")
        if row.status in ("ok", "skip"):
            raise ScanError(f"{row.title} is {row.status}: there is nothing to acknowledge")
        self.acks[ack.fingerprint] = ack
        return row

    def silence(self, silence: Silence) -> None:
        """Records a silence. Raises ScanError when there are too many."""
        if len(self.silences) >= SILENCES and silence.id not in self.silences:
            raise ScanError(f"{SILENCES} silences are in force: lift one first")
        self.silences[silence.id] = silence

    def resuppress(self, now: datetime, depends_on: Callable[[str], Sequence[str] | None]) -> list[CheckResult]:
        """Ends what is over by `now`, and returns the rows whose suppression changed, each with a new seq.

        `depends_on` gives what a check waits for, None of one that is not known here. A row that waits does so until it is looked at anew,
        also where what it waits for is better by now: what was seen of it before may be over with that.
        """
        self.acks = {fingerprint: ack for fingerprint, ack in self.acks.items() if ack.in_force(now)}
        self.silences = {name: silence for name, silence in self.silences.items() if silence.in_force(now)}
        changed = []
        for fingerprint, row in self.rows.items():
            said = suppression_of(row, self.acks, self.silences.values(), now, self.maintenance.open)
            suppression = said or self._still_waits(row, depends_on(row.check_id))
            if suppression != row.suppression:
                self.seq += 1
                changed.append(fresh := copy(row))  # `row` may be in a report that somebody holds
                fresh.suppression, fresh.seq = suppression, self.seq
                self._encoded.pop(fingerprint, None)
        for row in changed:
            self.rows[row.fingerprint] = row
        return changed

    def depend(self, check_id: str, depends_on: Sequence[str], now: datetime) -> list[CheckResult]:
        """Looks again whether the failing rows of a check wait for another, which has just failed; returns those that do now."""
        changed = []
        for row in self.of_check(check_id):
            if row.suppression is None and (suppression := self._suppression(row, depends_on, now)) is not None:
                self.seq += 1
                fresh = copy(row)  # `row` may be in a report that somebody holds
                fresh.suppression, fresh.seq = suppression, self.seq
                self._encoded.pop(row.fingerprint, None)
                self.rows[row.fingerprint] = fresh
                changed.append(fresh)
        return changed

    def encoded(self, row: CheckResult) -> str:
        """A row as compact JSON text in ASCII; that of a row on the board is made once, for history, frames and snapshots."""
        if self.rows.get(row.fingerprint) is not row:
            return _json(row)
        text = self._encoded.get(row.fingerprint)
        if text is None:
            text = self._encoded[row.fingerprint] = _json(row)
        return text

    def parts(self, rows: Iterable[CheckResult]) -> Iterator[list[CheckResult]]:
        """Rows in lists whose compact JSON fits a frame, with 1 KiB left for what is around them."""
        part: list[CheckResult] = []
        left = PART_BYTES
        for row in rows:
            size = len(self.encoded(row)) + 1
            if size > left and part:
                yield part
                part, left = [], PART_BYTES
            part.append(row)
            left -= size
        if part:
            yield part

    def _keep(self, result: CheckResult, standing: Standing, owner: str) -> None:
        fingerprint = result.fingerprint
        self.rows[fingerprint] = result
        self._standings[fingerprint] = standing
        self._owners[fingerprint] = owner
        self._by_check.setdefault(result.check_id, set()).add(fingerprint)
        self._encoded.pop(fingerprint, None)

    def _suppression(self, result: CheckResult, depends_on: Sequence[str], now: datetime) -> Suppression | None:
        said = suppression_of(result, self.acks, self.silences.values(), now, self.maintenance.open)
        return said or self._waits(result, depends_on)

    def _still_waits(self, row: CheckResult, depends_on: Sequence[str] | None) -> Suppression | None:
        before = row.suppression
        if (
            before is not None
            and before.by == "dependency"
            and (depends_on is None or (before.id in depends_on and self.of_check(before.id)))
        ):
            return before
        return self._waits(row, depends_on or ())

    def _waits(self, result: CheckResult, depends_on: Sequence[str]) -> Suppression | None:
        if result.status in ("ok", "skip"):
            return None
        for check_id in depends_on:
            for row in self.of_check(check_id):
                if row.suppression is not None and (row.suppression.by, row.suppression.id) == ("dependency", result.check_id):
                    continue  # two configs made them depend on each other: one of them is told of
                if row.status in ("crit", "unknown"):
                    return Suppression("dependency", check_id, None, None, f"depends on {row.title}, which is {row.status}")
        return None

    def _change(self, row: CheckResult, came_from: Status | None, *, hardening: bool) -> StateChange:
        return StateChange(
            seq=row.seq,
            fingerprint=row.fingerprint,
            check_id=row.check_id,
            title=row.title,
            from_status=came_from,
            to_status=row.status,
            severity=row.severity,
            phase=row.state.phase,
            at=row.observed_at,
            summary=row.summary,
            scan_id=row.scan_id,
            hardening=hardening,
        )


def _json(row: CheckResult) -> str:
    wire = row.to_wire()
    try:
        return to_json(wire, ensure_ascii=True).decode("ascii")
    except PydanticSerializationError:  # half of a surrogate pair, in a text that no bound looks at
        return json.dumps(wire, separators=(",", ":"))
