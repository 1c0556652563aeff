"""log: how many new lines of a log say something, and whether it is still written."""

from __future__ import annotations

import os
import re
import stat
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from ...duration import PositiveSeconds, format_duration
from ...party.database import OUT_OF_FILES
from ..model import ErrorClass, Evidence, Metric
from .base import CheckModel, Probe, ProbeContext
from .blocking import look_blocking
from .dial import DialError

READ_BYTES = 16 << 20
"""How much of a log one look reads; the rest comes with the next one, and `behind` says how much that is."""
LINE_BYTES = 64 * 1024
"""How much of a line is searched."""
SHOWN = 20
"""How many of the matching lines are evidence: the last ones."""
_SHOWN_BYTES = re.compile(rb".{0,500}\S{0,3500}", re.DOTALL)
"""How much of such a line is shown. No word is cut: half a secret would not be recognised."""
LOGS = 20_000
"""How many logs' places are remembered: as many as there may be checks."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """How far a log was read: which file that was, and the offset in bytes behind the last whole line."""

    device: int
    inode: int
    offset: int


@dataclass(slots=True)
class _Read:
    """What one look read."""

    lines: int = 0
    count: int = 0
    shown: list[str] = field(default_factory=list)


class LogCheck(CheckModel):
    """The lines of `path` that were written since the last look, and how many of them match `pattern` (RE2).

    The first look starts at the end of the log, or at its start with `from_start`. A log that was rotated is read to its end as `path`.1,
    if it is there under that name, and then anew; one that became shorter is read from its start. Where a log was read to is kept by this
    process. `max_age` (a duration) must hold where it is given.
    Values: `exists`, `count` (new lines that match; all new lines without `pattern`), `lines` (new lines), `age_s` (since the last
    write), `size`, `behind` (bytes that are left for the next look), `rotated`, `error`. Without conditions `exists` must hold, and
    `count == 0` when there is a `pattern`.
    """

    libraries: ClassVar[tuple[str, ...]] = ("re2",)
    value_names: ClassVar[frozenset[str] | None] = frozenset({"exists", "count", "lines", "age_s", "size", "behind", "rotated", "error"})
    unknown_errors: ClassVar[frozenset[ErrorClass]] = frozenset({"internal", "timeout"})

    type: Literal["log"] = "log"
    path: str = Field(min_length=1, max_length=4096, pattern=r"^[^\x00]+$", description="a path", examples=["/var/log/syslog"])
    pattern: str | None = Field(default=None, min_length=1, max_length=1000)
    max_age: PositiveSeconds | None = None
    from_start: bool = False

    @field_validator("pattern")
    @classmethod
    def _pattern(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            _compiled(pattern)
        return pattern

    @model_validator(mode="after")
    def _no_retries(self) -> LogCheck:
        if self.retries:
            raise ValueError("a log check has no retries: what it read once is not new again; set retries to 0")
        return self

    @property
    def target(self) -> str:
        """The path."""
        return self.path

    @property
    def implied_conditions(self) -> tuple[str, ...]:
        """It exists, nothing in it matches, and it is young enough."""
        new = () if self.pattern is None else (("count == 0", ("count", "lines", "error")),)
        implied = self.unless_asked(("exists", ("exists", "error")), *new)
        return implied if self.max_age is None else (*implied, f"age_s <= {self.max_age}")

    async def probe(self, context: ProbeContext) -> Probe:
        """One look, in a thread: a file system that hangs holds up that thread alone."""
        probe, shown = Probe(self.target), list[str]()
        try:
            probe.values, shown = await look_blocking(self, self.path, lambda: _look(self), context)
        except DialError as error:
            probe.error = (error.kind, error.message)
        except OSError as error:
            if error.errno in OUT_OF_FILES:
                raise
            probe.error = ("internal", f"{self.path}: {(error.strerror or str(error)).lower()}")
        values = probe.values
        if values.get("exists"):
            units = {"count": "", "lines": "", "age_s": "s", "size": "B", "behind": "B"}
            probe.metrics = [Metric(name, float(values[name]), unit) for name, unit in units.items()]
            what = "new lines" if self.pattern is None else f"of {values['lines']} new lines match"
            probe.summary = f"{self.path}: {values['count']} {what}, written {format_duration(round(values['age_s']))} ago"
            probe.fault = probe.summary
        elif probe.error is None:
            probe.summary = probe.fault = f"{self.path}: there is no such file"
        if shown:
            probe.evidence.append(Evidence("log-lines", "matching lines", "\n".join(shown), truncated=values["count"] > len(shown)))
        return probe


_marks: OrderedDict[tuple[str, str, str | None], _Mark] = OrderedDict()


def _compiled(pattern: str) -> Any:
    # RE2 reads a line in linear time: a pattern may come from a notebook, and a log from anybody.
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern.encode(), options)
    except re2.error as error:
        said = error.args[0].decode("utf-8", "replace") if error.args and isinstance(error.args[0], bytes) else str(error)
        raise ValueError(f"the pattern {pattern!r} is not an RE2 expression: {said}") from None


def _look(check: LogCheck) -> tuple[dict[str, Any], list[str]]:
    key, read = (check.id, check.path, check.pattern), _Read()
    mark, rotated, budget = _marks.get(key), False, READ_BYTES
    try:
        descriptor = os.open(check.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return {"exists": False, "count": 0, "lines": 0}, []
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "is not a regular file")
        offset = 0
        if mark is None:
            offset = 0 if check.from_start else found.st_size
        elif (mark.device, mark.inode) == (found.st_dev, found.st_ino):
            offset = mark.offset if mark.offset <= found.st_size else 0
            rotated = mark.offset > found.st_size
        else:
            rotated = True
            budget -= _rest_of(f"{check.path}.1", mark, check, read, budget)
        offset += _lines_of(file, offset, budget, check, read, whole=False)
    _marks[key] = _Mark(found.st_dev, found.st_ino, offset)
    _marks.move_to_end(key)
    while len(_marks) > LOGS:
        _marks.popitem(last=False)
    values = {
        "exists": True,
        "count": read.count,
        "lines": read.lines,
        "age_s": round(max(0.0, time.time() - found.st_mtime), 3),
        "size": found.st_size,
        "behind": max(0, found.st_size - offset),
        "rotated": rotated,
    }
    return values, read.shown


def _rest_of(path: str, mark: _Mark, check: LogCheck, read: _Read, budget: int) -> int:
    """Reads what was written to a rotated log after the last look, if it is found; how many bytes that were."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # rotated away under another name, or compressed: what was written last is not seen
        return 0
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        found = os.fstat(descriptor)
        if (found.st_dev, found.st_ino) != (mark.device, mark.inode):
            return 0
        return _lines_of(file, mark.offset, budget, check, read, whole=True)


def _lines_of(file: Any, offset: int, budget: int, check: LogCheck, read: _Read, *, whole: bool) -> int:
    """Counts the lines from `offset` on, at most `budget` bytes; how many bytes that were. A last line without its end waits for it,
    unless the file is `whole` or the line is longer than a line may be."""
    search = None if check.pattern is None else _compiled(check.pattern).search
    file.seek(offset)
    text, taken = bytearray(), 0
    while taken < budget:
        chunk = file.read(min(1 << 20, budget - taken))
        if not chunk:
            break
        taken += len(chunk)
        text += chunk
        *lines, rest = bytes(text).split(b"\n")
        for line in lines:
            _count(line, search, read)
        text = bytearray(rest)
    if text and (whole or len(text) > LINE_BYTES):
        _count(bytes(text), search, read)
        text.clear()
    return taken - len(text)


def _count(line: bytes, search: Any, read: _Read) -> None:
    read.lines += 1
    cut = line[:LINE_BYTES]
    if search is None or search(cut):
        read.count += 1
        if search is not None:
            shown = _SHOWN_BYTES.match(cut)
            read.shown.append((shown[0] if shown else b"").decode("utf-8", "replace").rstrip("\r"))
            del read.shown[:-SHOWN]
