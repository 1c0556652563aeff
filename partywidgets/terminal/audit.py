"""What was decided in terminal rooms: one JSON line each, on the logger `partywidgets.audit` and in a file whose lines are chained."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .lease import Person
from .recording_thread import recording_thread

log = logging.getLogger("partywidgets.audit")

DROP_EVERY = 100
"""Of input that is dropped, the first and then every hundredth message of a connection makes a line; all are counted."""
TYPED_EVERY = 1000
"""After so many messages of keystrokes a person's count makes a line; the rest does when they leave."""
FILE_BYTES = 16 << 20
"""A file larger than this is put aside as `terminals-N.jsonl`; the chain goes on in a new one."""
FIRST = "0" * 64
"""What the first line of a chain names as the one before it."""
DROPPED = "file-dropped"
"""The event of a line that says which of the files put aside the host deleted, and with which SHA-256 that file's last line ended."""


class AuditFile:
    """A host's chain of decisions: each line holds the SHA-256 of the line before it, bytes as written, without the newline.

    Nothing is ever changed, and only whole files are deleted, the oldest first, each after a line of the chain that says so: what is left
    can be checked from its first line on. Everything but `write` runs on the recording thread.
    """

    _open: dict[Path, AuditFile] = {}  # noqa: RUF012 - one a directory, shared by its rooms

    def __init__(self, folder: Path) -> None:
        self._path = folder / "terminals.jsonl"
        self._last: str | None = None
        self._size = 0
        self._broken = False

    @classmethod
    def of(cls, folder: Path) -> AuditFile:
        """The one in a directory; nothing is made before the first line."""
        return cls._open.setdefault(folder, cls(folder))

    def write(self, line: dict[str, Any], *, keep_bytes: int | None = None) -> None:
        """Adds a line, soon, and in the order of the calls. `keep_bytes`: what all files may take; None: nothing is deleted."""
        recording_thread().submit(self._write, line, keep_bytes)

    def _write(self, line: dict[str, Any], keep_bytes: int | None) -> None:
        try:
            if self._last is None or not self._path.exists():
                self._continue()
            self._append(line)
            self._broken = False
            if self._size > FILE_BYTES:
                self._put_aside()
                if keep_bytes is not None:
                    self._drop(keep_bytes)
        except OSError as error:
            if not self._broken:
                log.error("room %s: the audit log %s cannot be written: %s", line.get("room"), self._path, error.strerror or error)
            self._broken, self._last = True, None

    def _append(self, line: dict[str, Any]) -> None:
        written = json.dumps({**line, "prev": self._last}, ensure_ascii=False).encode("utf-8", "replace")
        target = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with open(target, "ab") as file:
            file.write(written + b"\n")
        self._last = hashlib.sha256(written).hexdigest()
        self._size += len(written) + 1

    def _drop(self, keep_bytes: int) -> None:
        """Deletes the oldest files while all of them, and the one that is begun, could take more. The newest of those put aside stays."""
        files = _aside(self._path)
        sizes = [file.stat().st_size for file in files]
        while len(files) > 1 and sum(sizes) + FILE_BYTES > keep_bytes:
            oldest, ended = files.pop(0), _end(files[0])
            sizes.pop(0)
            # Said before it is done: a host that is killed in between leaves a file too many, never a chain without a beginning.
            self._append({"at": _now(), "event": DROPPED, "file": _number(oldest), "ended": ended})
            oldest.unlink()

    def _continue(self) -> None:
        """Finds the last line, of this file or of the newest that was put aside."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._last, self._size = FIRST, 0
        for path in (self._path, *reversed(_aside(self._path))):
            if not path.exists() or not (content := path.read_bytes()):
                continue
            if path == self._path:
                self._size = len(content)
                if not content.endswith(b"\n"):
                    # A host was killed in the middle of a line: it stays, as it is, and counts as one.
                    with open(path, "ab") as file:
                        file.write(b"\n")
                    content += b"\n"
            self._last = hashlib.sha256(content[:-1].rpartition(b"\n")[2]).hexdigest()
            return

    def _put_aside(self) -> None:
        numbers = [_number(path) for path in _aside(self._path)]
        self._path.rename(self._path.with_name(f"{self._path.stem}-{max(numbers, default=0) + 1}.jsonl"))
        self._size = 0


def _number(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _end(next_file: Path) -> str | None:
    """What the first line of a file names as the one before it; None when it is torn."""
    with open(next_file, "rb") as opened:
        return _said(opened.readline().rstrip(b"\n"))


def _said(line: bytes) -> str | None:
    """What a line names as the one before it; None for half a line, or none of a chain."""
    try:
        said = json.loads(line)["prev"]
    except (ValueError, KeyError, TypeError):
        return None
    return said if isinstance(said, str) else ""


def _aside(path: Path) -> list[Path]:
    """The files of a chain that were put aside, the oldest first."""
    return sorted((file for file in path.parent.glob(f"{path.stem}-*.jsonl") if file.stem.rpartition("-")[2].isdecimal()), key=_number)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found: `lines` in all files; where the chain breaks, "" when it holds; lines cut off when a host was killed; how many
    of the oldest files the host deleted, as the chain itself says."""

    lines: int
    broken: str
    torn: tuple[str, ...] = ()
    dropped: int = 0


def verify(path: Path) -> Verdict:
    """Reads a chain from its first line, in the files put aside beside `path`, to its last. Raises OSError.

    It finds a line that was changed, left out, put in or moved. Where the oldest files are gone, a later line must say that the host
    deleted them, and how the last of them ended. The end cannot be proved: who may write the file may cut lines off there.
    """
    count, aside = 0, _aside(path)
    torn: list[str] = []
    dropped = _number(aside[0]) - 1 if aside else 0
    before = begins = _end(aside[0]) if dropped else FIRST
    vouched = not dropped
    for place, line in _lines([*aside, path] if path.exists() or not aside else aside):
        count += 1
        if (said := _said(line)) is None:
            if line and not line.startswith(b"{"):
                return Verdict(count, f"{place}: this was never a line of an audit log", tuple(torn))
            torn.append(place)
        elif said != before:
            return Verdict(count, f"{place}: the line before it is not the one that was there when it was written", tuple(torn))
        elif not vouched:
            facts = json.loads(line)
            vouched = (facts.get("event"), facts.get("file"), facts.get("ended")) == (DROPPED, dropped, begins)
        before = hashlib.sha256(line).hexdigest()
    if not vouched:
        return Verdict(count, f"{aside[0]}:1: the files before it are gone, and no line says that the host deleted them", tuple(torn))
    return Verdict(count, "", tuple(torn), dropped)


def _lines(files: list[Path]) -> Iterator[tuple[str, bytes]]:
    for file in files:
        with open(file, "rb") as opened:
            for number, line in enumerate(opened, 1):
                yield f"{file}:{number}", line.rstrip(b"\n")


class Audit:
    """A room's decisions. Who did it, never what was typed. `folder`: where the host's chain is; None: only the logger. `keep_bytes`: what
    the chain's files may take together."""

    def __init__(self, room: str, folder: Path | None = None, *, keep_bytes: Callable[[], int | None] = lambda: None) -> None:
        self._keep_bytes = keep_bytes
        self._room = room
        self._file = None if folder is None else AuditFile.of(folder)
        self.counts: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._typed: dict[str, list[int]] = {}

    def note(self, event: str, person: Person, **facts: str | int | float | None) -> None:
        """Records a decision about a person."""
        self.counts[event] += 1
        line = {
            "at": _now(),
            "room": self._room,
            "event": event,
            "subject": person.subject,
            "connection": person.connection,
            "role": person.role,
        } | facts
        if self._file is not None:
            self._file.write(line, keep_bytes=self._keep_bytes())
        if log.isEnabledFor(logging.INFO):
            log.info("%s", json.dumps(line, ensure_ascii=False))

    def typed(self, person: Person, size: int) -> None:
        """Input that was taken: counted."""
        counts = self._typed.setdefault(person.connection, [0, 0])
        counts[0] += 1
        counts[1] += size
        if counts[0] >= TYPED_EVERY:
            self._tell_typed(person)

    def _tell_typed(self, person: Person) -> None:
        counts = self._typed.pop(person.connection, None)
        if counts is not None:
            self.note("typed", person, messages=counts[0], bytes=counts[1])

    def dropped(self, person: Person, size: int) -> None:
        """Input that was not taken."""
        self._dropped[person.connection] += 1
        if self._dropped[person.connection] % DROP_EVERY == 1:
            self.note("input-dropped", person, bytes=size, messages=self._dropped[person.connection])
        else:
            self.counts["input-dropped"] += 1

    def left(self, person: Person) -> None:
        """A connection ended; its counts go with it."""
        self._tell_typed(person)
        self._dropped.pop(person.connection, None)
        self.note("left", person)
