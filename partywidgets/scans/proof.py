"""What a remedy did: the row before, the command that ran, the row after. Kept beside the scan that looked again."""

from __future__ import annotations

import html
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from .model import CheckResult, one_line, parse_time, wire_time

if TYPE_CHECKING:
    from .history import History

T = TypeVar("T")

COMMAND = 4096
"""Characters of a command that are kept."""
KEPT = 10_000
"""Most proofs in a history; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A row at one moment."""

    seq: int
    result_id: str
    status: str
    summary: str
    observed_at: str

    @classmethod
    def of(cls, result: CheckResult) -> Seen:
        """What a result said."""
        return cls(result.seq, result.result_id, result.status, result.summary, wire_time(result.observed_at))


@dataclass(frozen=True, slots=True)
class Proof:
    """A command that was run for a row, and what the check saw before and after it.

    `actor` is by the grant of whoever told it, `exit_code` (None: the shell did not tell) and `duration_s` are what that client saw in the
    shared terminal. `after` is None when the check was not looked at again: it was taken out of its config meanwhile.
    `scan_id` is the scan that looked again; a state change that it brought has the same one.
    """

    id: str
    fingerprint: str
    check_id: str
    title: str
    actor: str
    sandbox: str
    command: str
    exit_code: int | None
    duration_s: float
    scan_id: str
    at: datetime
    before: Seen | None
    after: Seen | None

    @property
    def mended(self) -> bool:
        """True when the row is ok now and was not before."""
        return self.after is not None and self.after.status == "ok" and (self.before is None or self.before.status != "ok")

    def to_wire(self) -> dict[str, Any]:
        """The `remedy` message's data."""
        return {**asdict(self), "at": wire_time(self.at)}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Proof:
        """The proof in a `remedy` message. Raises ValueError."""
        try:
            before, after = (None if wire[name] is None else Seen(**wire[name]) for name in ("before", "after"))
            plain = {name: wire[name] for name in cls.__slots__ if name not in ("before", "after", "at")}
            return cls(**plain, at=parse_time(wire["at"]), before=before, after=after)
        except (KeyError, TypeError) as error:
            raise ValueError(f"a remedy without {error}") from None

    def to_event(self) -> dict[str, Any]:
        """The remedy as a row of `events()`."""
        return {
            "at": wire_time(self.at),
            "kind": "remedy",
            "subject": self.fingerprint,
            "title": self.title or self.check_id,
            "actor": self.actor,
            "reason": one_line(f"{self._outcome}: {self.command!r} in {self.sandbox}, {self._exit}", 1000),
            "until": None,
        }

    @property
    def _exit(self) -> str:
        return "exit code unknown" if self.exit_code is None else f"exit {self.exit_code}"

    @property
    def _outcome(self) -> str:
        """The row's status before and after."""
        before, after = (
            "new" if self.before is None else self.before.status,
            "not looked at again" if self.after is None else self.after.status,
        )
        return f"{before} → {after}"

    def __str__(self) -> str:
        seen = "" if self.after is None else f": {self.after.summary}"
        ran = f"{self.actor} ran {self.command!r} in {self.sandbox}, {self._exit}"
        return one_line(f"{self.title or self.check_id}: {self._outcome}{seen} ({ran})", 1000)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f'<div class="pw-still"><p>{html.escape(str(self))}</p></div>'


def read_remedy(message: Mapping[str, Any]) -> tuple[str, str, str, int | None, float, int | None]:
    """`fingerprint`, `sandbox`, `command`, `exit_code`, `duration_s` and `before` (the row's seq) of a request. Raises ValueError."""
    for name in ("fingerprint", "sandbox", "command"):
        if not isinstance(message.get(name), str) or not message[name]:
            raise ValueError(f"`{name}` is missing: a remedy says for which row, where and what was run")
    if len(message["command"]) > COMMAND:
        raise ValueError(f"`command` has {len(message['command'])} characters, at most {COMMAND} are kept: run a script instead")
    exit_code, before, duration = message.get("exit_code"), message.get("before"), message.get("duration_s", 0.0)
    for name, number in (("exit_code", exit_code), ("before", before)):
        if number is not None and (not isinstance(number, int) or isinstance(number, bool) or abs(number) >= 2**53):
            raise ValueError(f"`{name}` must be a whole number or null")
    if not isinstance(duration, (int, float)) or isinstance(duration, bool) or not 0 <= duration < 1e9:
        raise ValueError("`duration_s` must be seconds, from 0 on")
    return message["fingerprint"], one_line(message["sandbox"], 200), message["command"], exit_code, float(duration), before


async def keep(history: History, proof: Proof) -> None:
    """Stores a proof. Raises StorageError."""
    row = (proof.id, proof.fingerprint, proof.at.timestamp(), json.dumps(proof.to_wire(), separators=(",", ":")))

    def kept(database: sqlite3.Connection) -> None:
        database.execute("INSERT OR REPLACE INTO proofs VALUES (?, ?, ?, ?)", row)
        database.execute("DELETE FROM proofs WHERE id IN (SELECT id FROM proofs ORDER BY at DESC LIMIT -1 OFFSET ?)", (KEPT,))

    await history.change(kept)


def read(database: sqlite3.Connection, *, hours: float, fingerprint: str | None = None, limit: int = 1000) -> list[dict[str, Any]]:
    """The proofs of the last `hours`, the oldest first (the newest `limit` of them). Runs on a thread of the history's."""
    since = datetime.now(UTC).timestamp() - hours * 3600
    where, values = ("AND fingerprint = ?", (since, fingerprint, limit)) if fingerprint else ("", (since, limit))
    found = database.execute(f"SELECT body FROM proofs WHERE at >= ? {where} ORDER BY at DESC LIMIT ?", values).fetchall()
    return [json.loads(row[0]) for row in reversed(found)]


def seen_before(database: sqlite3.Connection, seq: int, fingerprint: str) -> Seen | None:
    """What the result of that seq said of a fingerprint; None when it is not kept. Runs on a thread of the history's."""
    query = "SELECT seq, result_id, status, summary, observed_at FROM results WHERE seq = ? AND fingerprint = ?"
    row = database.execute(query, (seq, fingerprint)).fetchone()
    return None if row is None else Seen(row[0], row[1], row[2], row[3], wire_time(datetime.fromtimestamp(row[4], UTC)))
