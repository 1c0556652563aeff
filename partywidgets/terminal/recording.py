"""A room's recordings: asciicast v3 (https://docs.asciinema.org/manual/asciicast/v3/), written off the loop, never slowing the room."""

from __future__ import annotations

import asyncio
import codecs
import json
import logging
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ..redaction import StreamRedactor, redact
from .settings import RecordingSettings

log = logging.getLogger(__name__)

T = TypeVar("T")


class Written(NamedTuple):
    """What one writing did: the file's size and the output redacted, in bytes, and the thread's work in seconds."""

    size: int
    output: int
    seconds: float


class Budget:
    """How much output may be redacted now, by how fast that went last. Pure; the clock is given."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._at = clock, clock()
        self.speed = 8e6
        """Bytes a second."""
        self._left = self._burst

    @property
    def _burst(self) -> float:
        return max(BURST_BYTES, BURST_SECONDS * self.speed)

    @property
    def screen_seconds(self) -> float:
        """Between two screens, so that they take no more than their share."""
        return max(GAP_SECONDS, SCREEN_BYTES / self.speed / SHARE)

    def take(self, size: int) -> bool:
        """True when a piece may still be redacted; it is then counted."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * SHARE * self.speed)
        self._at = now
        if self._left <= 0:
            return False
        self._left -= size
        return True

    def measured(self, written: Written) -> None:
        """Learns from a writing that was long enough to tell."""
        if written.output > 8192 and written.seconds > 0:
            self.speed = min(20e6, max(0.4e6, written.output / written.seconds))


FLUSH_SECONDS = 0.5
PENDING_BYTES = 512 * 1024
"""Output that may wait for the disk; what comes beyond it is a gap in the recording, and the room goes on."""
SHARE = 0.05
"""Of a core that a room's recording takes at most while output pours: the redactor reads 10 MB/s, 0.6 where much looks like a secret, and
holds the interpreter's lock meanwhile."""
BURST_SECONDS = 0.03
BURST_BYTES = 64 * 1024
"""What comes at once after a silence is recorded up to so much work, but at least this much."""
GAP_SECONDS, QUIET_SECONDS, FLOOD_SECONDS = 1.0, 0.25, 10.0
RETRY_SECONDS = 60.0
"""After a disk that took nothing, until a screen is asked for with which the recording goes on."""
"""A gap lasts at least the first, until nothing came for the second, or, when output never pauses, for the third."""
SCREEN_BYTES = 384 * 1024
"""About the largest screen that ends a gap."""
SLICE, SLICE_PAUSE = 4096, 0.0003
"""Characters that are redacted at once, and seconds until the next: a regular expression never gives the interpreter's lock up, and in a
whole screen it looked for 20 to 50 ms, in which no key was echoed in any room."""
PART_BYTES = 16 << 20
"""A recording larger than this is continued in another file."""
PRUNE_SECONDS = 3600.0
RESET = b"\x1bc"
NOTE = "#pw "

Tag = tuple[str, float, Any]
"""Code of an event, seconds since the recording began, and what it holds beside text."""

_pool: ThreadPoolExecutor | None = None
_pruned: dict[Path, float] = {}


def recording_thread() -> ThreadPoolExecutor:
    """The one thread on which all rooms' recordings are redacted and written."""
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="partywidgets-recording")
    return _pool


async def off_loop(call: Callable[[], T]) -> T:
    """What `call` returns, called on that thread."""
    return await asyncio.get_running_loop().run_in_executor(recording_thread(), call)


async def redacted(text: str, known: Iterable[str]) -> str:
    """A text without its secrets, found off the loop."""
    return await off_loop(lambda: redact(text, known))


class Recorder:
    """Records one shell at a time. Everything but `_write` belongs to the loop; a method that is called while nothing records does nothing.

    `want_screen(reason)` asks the room for a screen, which it gives to `screen`: behind a gap, and where a new file begins.
    """

    def __init__(self, folder: Path, *, room: str, want_screen: Callable[[str], None], known: Callable[[], Iterable[str]] = tuple) -> None:
        self._folder, self._room, self._want_screen, self._known = folder, room, want_screen, known
        self._policy = RecordingSettings()
        self._file: _File | None = None
        self._began = 0.0
        self._items: list[tuple[str, float, Any]] = []
        self._pending = self._lost = self._gaps = 0
        self._asked = ""
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[Written] | None = None
        self._budget = Budget()
        self._gap: asyncio.TimerHandle | None = None
        self._gap_began = self._lost_at = 0.0
        self._under_way = 0
        self._refused = False

    @property
    def current(self) -> str:
        """The id of what is being recorded, "" when nothing is."""
        return "" if self._file is None else self._file.identity

    def begin(self, policy: RecordingSettings, *, epoch: str, sandbox: str, cols: int, rows: int) -> None:
        """A shell starts."""
        self._policy = policy
        self._began = time.monotonic()
        self._pending = self._lost = self._gaps = 0
        self._asked = ""
        self._file = _File(self._folder, policy, room=self._room, sandbox=sandbox, epoch=epoch, size=(cols, rows), known=self._known)
        self._put("begin", None)

    def output(self, piece: bytes) -> None:
        """Output came."""
        if self._file is None:
            return
        if self._lost or self._pending + len(piece) > PENDING_BYTES or not self._budget.take(len(piece)):
            self._lose(len(piece))
            return
        self._pending += len(piece)
        self._put("o", piece)

    def _lose(self, size: int) -> None:
        """Output is left out: from the first of it on, all is, until a screen comes."""
        self._lost_at = time.monotonic()
        if not self._lost:
            self._gaps += 1
            log.warning("room %s: its output comes faster than it is recorded; the recording has a gap", self._room)
            self._gap_began = self._lost_at
            self._look_later(self._budget.screen_seconds)
        self._lost += size

    def _look_later(self, seconds: float) -> None:
        self._gap = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        """Asks for the screen that ends a gap, when it is not the start of the next one."""
        self._gap = None
        now = time.monotonic()
        if self._file is None or not self._lost or self._asked:
            return
        quiet = now - self._lost_at >= QUIET_SECONDS or now - self._gap_began >= self._budget.screen_seconds + FLOOD_SECONDS
        if quiet and self._writing is None:
            self._ask("lagged")
        else:
            self._look_later(QUIET_SECONDS)

    def _ask(self, reason: str) -> None:
        self._asked = reason
        self._want_screen(reason)

    def typed(self, keys: bytes) -> None:
        """Somebody typed; kept only when the policy says so."""
        if self._policy.input:
            self._put("i", keys[:65536])

    def resize(self, cols: int, rows: int) -> None:
        """The size changed."""
        self._put("r", (cols, rows))

    def mark(self, mark: dict[str, Any]) -> None:
        """A command started or ended: the room's own `mark` message."""
        self._put("m", mark)

    def screen(self, reason: str, drawing: bytes | None) -> None:
        """The room's screen as it is now, everything before it included; None: there was none to be had, and it is asked for again."""
        self._asked = ""
        if self._file is None:
            return
        if drawing is None:
            if self._lost and self._gap is None:
                self._look_later(self._budget.screen_seconds)
            return
        lost, self._lost = self._lost, 0
        if lost:
            self._put("gap", lost)
        if reason == "continued":
            self._put("continue", None)
        self._put("o", RESET + drawing)

    def end(self, exit_code: int | None) -> None:
        """The shell ended."""
        if self._file is None:
            return
        if self._gap is not None:
            self._gap.cancel()
            self._gap = None
        if self._lost:
            self._put("gap", self._lost)
        self._put("x", exit_code)
        self._write_now()
        self._file = None

    async def close(self) -> None:
        """Ends what is recorded, and returns when it is on the disk, at most after 3 s."""
        self.end(None)
        while self._writing is not None or self._items:
            self._write_now()
            writing = self._writing
            if writing is None:
                break
            done, _ = await asyncio.wait([writing], timeout=3.0)
            if not done:
                log.warning("room %s: its recording could not be written within 3 s; its last seconds are missing", self._room)
                break
            await asyncio.sleep(0)

    async def flushed(self) -> None:
        """Returns when what came so far is written, but for a line that has not ended."""
        if self._items:
            self._write_now()
        while self._writing is not None:
            await asyncio.wait([self._writing], timeout=10.0)
            await asyncio.sleep(0)

    def _put(self, code: str, what: Any) -> None:
        if self._file is None:
            return
        self._items.append((code, time.monotonic() - self._began, what))
        if self._timer is None and self._writing is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._write_now)

    def _write_now(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is not None or not self._items or (file := self._file or self._last) is None:
            return
        self._last = file
        items, self._items = self._items, []
        self._under_way, self._pending = self._pending, 0
        self._writing = asyncio.get_running_loop().run_in_executor(recording_thread(), file.write, items)
        self._writing.add_done_callback(self._written)

    _last: _File | None = None

    def _written(self, done: asyncio.Future[Written]) -> None:
        self._writing = None
        if done.cancelled():
            return
        if (error := done.exception()) is not None:
            if isinstance(error, OSError):
                self._not_written(error)
            else:
                log.error("room %s: it is not recorded any more", self._room, exc_info=error)
                self._file, self._items = None, []
            return
        if self._refused:
            self._refused = False
            log.warning("room %s: it is recorded again; what came meanwhile is a gap", self._room)
        self._budget.measured(done.result())
        if self._file is not None and not self._asked and not self._lost and done.result().size > PART_BYTES:
            self._ask("continued")
        if self._items:
            if self._file is None:
                self._write_now()
            elif self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._write_now)

    def _not_written(self, error: OSError) -> None:
        """The disk took nothing, which may pass: from here on is a gap, and a screen is asked for again and again."""
        if not self._refused:
            log.error("room %s: its recording has a gap from here on: %s; it is tried again every %.0f s", self._room, error, RETRY_SECONDS)
        self._refused = True
        if self._file is not None:
            self._lost += max(1, self._under_way + self._pending)
            self._lost_at = self._gap_began = time.monotonic()
            if self._gap is None:
                self._look_later(RETRY_SECONDS)
        self._items, self._pending = [], 0


class _File:
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
        self._part = self._gaps = self._bytes = 0
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
            self._bytes, self._zero, self._at, self._gaps = 0, at, 0.0, 0
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
        self._note(end={"exit_code": code, "duration_s": round(self._at, 3), "gaps": self._gaps})

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
                self._event(at, "m", f"exit {what.get('exit_code')}")

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
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
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
