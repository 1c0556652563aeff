"""A command that `run` typed, one between its marks, and what comes back of it."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from .ledger import Entry
from .ring import Ring
from .shell import behind_echo, printed

OUTPUT_LIMIT = 512 * 1024
"""Bytes of a command's output that come back: the last ones."""


@dataclass(slots=True)
class Request:
    """A command that `run` typed, at the offset `typed_at`. `began` is in seconds of the monotonic clock, `started` of the wall's."""

    id: str
    command: str
    line: str
    actor: str
    typed_at: int
    began: float
    started: float
    result: asyncio.Future[dict[str, Any]]
    task: asyncio.Task[Any] | None
    inside: bool
    """It was typed into the shell that another command opened."""


@dataclass(slots=True)
class Running:
    """A command between its marks; `offset` is where its output begins."""

    id: str
    command: str
    actor: str
    offset: int
    began: float
    started: float
    request: Request | None

    def start_mark(self) -> dict[str, Any]:
        """The `mark` message of its start."""
        return {"kind": "start", "id": self.id, "command": self.command, "actor": self.actor, "offset": self.offset}

    def ended(self, code: int | None, now: float, cwd: str) -> Entry:
        """Its line in the ledger; `now` is in seconds of the monotonic clock."""
        started = datetime.fromtimestamp(self.started, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return Entry(self.id, self.command, self.actor, code, started, round(now - self.began, 6), cwd, self.offset)


def end_mark(entry: Entry) -> dict[str, Any]:
    """The `mark` message of a command's end."""
    mark = {"kind": "end"} | asdict(entry)
    del mark["started_at"]
    return mark


def result_of(entry: Entry, running: Running, end: int, ring: Ring) -> dict[str, Any]:
    """What `run` answers of a command whose output ends at `end`."""
    start = max(running.offset, ring.base, end - OUTPUT_LIMIT)
    raw = ring.read(min(start, end), end)
    request = running.request
    unmarked = request is not None and running.offset == request.typed_at and start == running.offset
    text = behind_echo(raw, request.line) if request is not None and unmarked else None
    text = printed(raw) if text is None else text
    result = asdict(entry) | {"output": text}
    del result["actor"], result["started_at"]
    if start > running.offset:
        result["output_lost"] = start - running.offset
    return result


def new_id() -> str:
    """An id of a command."""
    return secrets.token_hex(6)


def short(command: str) -> str:
    """A command as a sentence quotes it: one line of at most 80 characters."""
    line = " ".join(command.split())
    return line if len(line) <= 80 else line[:79] + "…"
