"""file: whether a file is there, how old and how large it is, and what is in it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import time
from typing import Any, ClassVar, Literal

from pydantic import Field

from ...duration import PositiveSeconds, format_duration
from ...party.database import OUT_OF_FILES
from ..condition import compile_condition
from ..model import ErrorClass, Metric
from .base import CheckModel, Probe, ProbeContext
from .blocking import look_blocking
from .dial import DialError

CHUNK_BYTES = 1 << 20
ENTRIES = 10_000
"""Most entries of a directory that are counted."""

_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFSOCK: "socket", stat.S_IFIFO: "pipe"}


class FileCheck(CheckModel):
    """The file, directory or socket at `path`; a link is followed.

    `max_age` (a duration) and `sha256` (64 hex digits) must hold where they are given. The content is read only when `sha256` is asked for,
    and only of a regular file.
    Values: `exists`, `kind` (`file`, `directory`, `socket`, `pipe`, `device`), `age_s` (since the content changed, never below 0), `size`
    (bytes), `mode` (as `'0644'`), `owner` (the user's number), `entries` (of a directory, at most 10,000 are counted), `sha256`, `error`.
    Without conditions, `exists` must hold.
    """

    value_names: ClassVar[frozenset[str] | None] = frozenset(
        {"exists", "kind", "age_s", "size", "mode", "owner", "entries", "sha256", "error"}
    )
    unknown_errors: ClassVar[frozenset[ErrorClass]] = frozenset({"internal", "timeout"})

    type: Literal["file"] = "file"
    path: str = Field(min_length=1, max_length=4096, pattern=r"^[^\x00]+$", description="a path", examples=["/var/log/syslog"])
    max_age: PositiveSeconds | None = None
    sha256: str | None = Field(
        default=None, pattern=r"^[0-9a-fA-F]{64}$", description="a SHA-256 in hexadecimal: 64 digits, as sha256sum prints it"
    )

    @property
    def target(self) -> str:
        """The path."""
        return self.path

    @property
    def implied_conditions(self) -> tuple[str, ...]:
        """It exists, is young enough and holds what it should."""
        implied: tuple[str, ...] = () if self.conditions else ("exists",)
        if self.max_age is not None:
            implied += (f"age_s <= {self.max_age}",)
        if self.sha256 is not None:
            implied += (f"sha256 == '{self.sha256.lower()}'",)
        return implied

    async def probe(self, context: ProbeContext) -> Probe:
        """One look, in a thread: a file system that hangs holds up that thread alone."""
        probe = Probe(self.target)
        digest = self.sha256 is not None or any("sha256" in compile_condition(expr).names for expr in self.expressions)
        until = time.monotonic() + context.deadline - asyncio.get_running_loop().time()
        try:
            probe.values = await look_blocking(self, self.path, lambda: _look(self.path, digest, until), context)
        except DialError as error:
            probe.error = (error.kind, error.message)
        except OSError as error:
            if error.errno in OUT_OF_FILES:
                raise
            probe.error = ("internal", f"{self.path}: {(error.strerror or str(error)).lower()}")
        if probe.values.get("exists"):
            probe.metrics = [Metric("age_s", probe.values["age_s"], "s"), Metric("size", float(probe.values["size"]), "B")]
            changed = f"changed {format_duration(round(probe.values['age_s']))} ago"
            probe.summary = f"{self.path}: {probe.values['size']} bytes, {changed}"
            if self.max_age is not None and probe.values["age_s"] > self.max_age:
                probe.fault = f"{self.path}: {changed}, at most {format_duration(self.max_age)} is expected"
        elif probe.error is None:
            probe.summary = probe.fault = f"{self.path}: there is no such file"
        return probe


def _look(path: str, digest: bool, until: float) -> dict[str, Any]:
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return {"exists": False}
    kind = _KINDS.get(stat.S_IFMT(found.st_mode), "device")
    values: dict[str, Any] = {
        "exists": True,
        "kind": kind,
        "age_s": round(max(0.0, time.time() - found.st_mtime), 3),
        "size": found.st_size,
        "mode": f"{stat.S_IMODE(found.st_mode):04o}",
        "owner": found.st_uid,
    }
    if kind == "directory":
        with os.scandir(path) as entries:
            values["entries"] = sum(1 for _ in zip(range(ENTRIES), entries, strict=False))
    if digest and kind == "file":
        values["sha256"] = _digest(path, until)
    return values


def _digest(path: str, until: float) -> str:
    # Without blocking: what was a file a moment ago may be a pipe now, and opening one waits for its writer.
    descriptor, digest = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), hashlib.sha256()
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            if time.monotonic() > until:  # nobody waits for it any more
                raise TimeoutError("the file is too large to be read within the timeout")
    return digest.hexdigest()
