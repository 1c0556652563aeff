"""The file of one recording: asciicast v3 (https://docs.asciinema.org/manual/asciicast/v3/) without secrets, with notes of ours."""

from __future__ import annotations

import codecs
import json
import logging
import os
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from ..output_redaction import StreamRedactor
from ..redaction import redact
from .settings import RecordingSettings

log = logging.getLogger(__name__)

SLICE, SLICE_PAUSE = 4096, 0.0003
"""Characters that are redacted at once, and seconds until the next: a regular expression keeps the interpreter's lock until it is done, 20
to 50 ms for a whole screen, and no key is echoed in any room meanwhile."""
PART_BYTES = 16 << 20
"""A recording larger than this is continued in another file."""
PRUNE_SECONDS = 3600.0
NOTE = "#pw "
"""What a line of ours begins with, which players take for a comment."""

Tag = tuple[str, float, Any]
"""Code of an event, seconds since the recording began, and what it holds beside text."""

_pruned: dict[Path, float] = {}


class Written(NamedTuple):
    """What one writing did: the file's size and the output redacted, in bytes, and the thread's work in seconds."""

    size: int
    output: int
    seconds: float


class CastFile:
    """The file of one recording; on the recording thread. It is open only while it is written, so that a room holds no descriptor."""

    def __init__(
        self,
        folder: Path,
        policy: RecordingSettings,
        *,
        room: str,
        sandbox: str,
        epoch: str,
        size: tuple[int, int],
        known: Callable[[], Iterable[str]],
    ) -> None:
        self._folder, self._policy, self._room, self._sandbox, self._size, self._known = folder, policy, room, sandbox, size, known
        self._epoch = epoch
        self._part = self._gaps = self._commands = self._bytes = 0
        self._at = self._zero = 0.0
        self.identity = _identity(epoch)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._redactor: StreamRedactor[Tag] = StreamRedactor(known)
        self._keys: StreamRedactor[Tag] = StreamRedactor(known)
        self._lines: list[str] = []

    def write(self, items: list[tuple[str, float, Any]]) -> Written:
        """Writes events. Raises OSError."""
        began, output = time.thread_time(), 0
        if self._bytes == 0 and items[0][0] != "begin":
            self._begin("")  # the disk did not take its beginning
        for code, at, what in items:
            if code == "begin":
                self._begin("")
            elif code == "o":
                output += len(what)
                self._events(self._redacted(at, self._decoder.decode(what)))
            elif code == "i":
                self._events(self._keys.feed(("i", at, None), what.decode("utf-8", "replace")))
                if b"\r" in what or b"\x03" in what:
                    self._events(self._keys.flush())
            elif code in ("gap", "x", "continue"):
                self._events([*self._keys.flush(), *self._redactor.flush()])
                self._special(code, at, what)
            else:
                if code == "m":
                    self._command(at, what)
                self._events(self._redactor.feed((code, at, what), ""))
        self._append()
        return Written(self._bytes, output, time.thread_time() - began)

    def _redacted(self, at: float, text: str) -> list[tuple[Tag, str]]:
        """Output without its secrets. Of a long piece, a screen above all, slices with a moment for the loop behind each."""
        events = self._redactor.feed(("o", at, None), text[:SLICE])
        for start in range(SLICE, len(text), SLICE):
            time.sleep(SLICE_PAUSE)
            events += self._redactor.feed(("o", at, None), text[start : start + SLICE])
        return events

    def _command(self, at: float, mark: dict[str, Any]) -> None:
        """Notes a command at once: the prompt that came with its end is a line that has not ended."""
        if mark["kind"] == "start":
            note = {"id": mark["id"], "time": round(at - self._zero, 3), "command": redact(mark["command"], self._known())}
            self._note(start=note | {"actor": mark["actor"], "offset": mark["offset"]})
            self._commands += 1
        else:
            self._note(end_of={name: mark.get(name) for name in ("id", "exit_code", "duration_s", "cwd")})

    def _special(self, code: str, at: float, what: Any) -> None:
        if code == "gap":
            self._gaps += 1
            self._event(at, "m", f"gap: {what} bytes were not recorded")
        elif code == "x":
            if what is not None:
                self._event(at, "x", str(what))
            self._end(what)
        else:
            before = self.identity
            self._end(None)
            self._append()
            self._part += 1
            self._bytes, self._zero, self._at, self._gaps, self._commands = 0, at, 0.0, 0, 0
            self.identity = f"{_identity(self._epoch)}-{self._part + 1:03}"
            self._begin(before)

    def _begin(self, before: str) -> None:
        _prune(self._folder, self._policy)
        cols, rows = self._size
        head: dict[str, Any] = {"version": 3, "term": {"cols": cols, "rows": rows, "type": "xterm-256color"}, "timestamp": int(time.time())}
        self._lines.append(_json(head | {"title": redact(self._room, self._known()), "tags": ["partywidgets"]}))
        self._note(
            begin={"id": self.identity, "room": self._room, "sandbox": self._sandbox, "started_at": _now(), "cols": cols, "rows": rows}
        )
        if before:
            self._event(self._zero, "m", f"continued from {before}")

    def _end(self, code: int | None) -> None:
        self._note(end={"exit_code": code, "duration_s": round(self._at, 3), "gaps": self._gaps, "commands": self._commands})

    def _events(self, events: list[tuple[Tag, str]]) -> None:
        joined: list[tuple[Tag, str]] = []
        for tag, text in events:
            if joined and tag[0] in "oi" and joined[-1][0] == tag:
                joined[-1] = (tag, joined[-1][1] + text)
            else:
                joined.append((tag, text))
        for (code, at, what), text in joined:
            if code in ("o", "i"):
                if text:
                    self._event(at, code, text)
            elif code == "r":
                self._size = what
                self._event(at, "r", f"{what[0]}x{what[1]}")
            elif what["kind"] == "start":
                command = redact(what["command"], self._known())
                self._event(at, "m", "$ " + " ".join(command.split())[:200])
            else:
                self._event(at, "m", "ended" if what.get("exit_code") is None else f"exit {what['exit_code']}")

    def _event(self, at: float, code: str, text: str) -> None:
        at -= self._zero
        interval = max(0.0, round(at - self._at, 3))
        self._at += interval
        self._lines.append(_json([interval, code, text]))

    def _note(self, **what: Any) -> None:
        self._lines.append(NOTE + _json(what))

    def _append(self) -> None:
        if not self._lines:
            return
        content = ("\n".join(self._lines) + "\n").encode("utf-8", "replace")
        self._lines = []
        for folder in (self._folder.parent, self._folder):  # mkdir gives its mode to the last alone
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = os.open(self._folder / f"{self.identity}.cast", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with open(target, "ab", buffering=0) as file:
            before, left = os.fstat(target).st_size, memoryview(content)
            try:
                while left:
                    left = left[file.write(left) :]
            except OSError:
                os.ftruncate(target, before)  # a torn line would be the last that a reader of this file sees
                raise
        self._bytes += len(content)


def _identity(epoch: str) -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{epoch}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _prune(folder: Path, policy: RecordingSettings) -> None:
    """Deletes what is too old, in every room at most once an hour, and in this room what is too much."""
    root, now = folder.parent, time.time()
    everywhere = now - _pruned.get(root, 0.0) > PRUNE_SECONDS
    if everywhere:
        _pruned[root] = now
    for file in root.glob("*/*.cast") if everywhere else folder.glob("*.cast"):
        try:
            if now - file.stat().st_mtime > policy.keep:
                file.unlink()
        except OSError as error:
            log.warning("the old recording %s cannot be deleted: %s", file, error.strerror)
    files = sorted(folder.glob("*.cast"), key=lambda file: file.stem)
    sizes = [file.stat().st_size for file in files]
    while files and sum(sizes) > max(0, policy.room_bytes - PART_BYTES):
        files.pop(0).unlink(missing_ok=True)
        sizes.pop(0)
