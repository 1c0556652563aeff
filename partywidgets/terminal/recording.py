"""A room's recordings: asciicast v3 (https://docs.asciinema.org/manual/asciicast/v3/), written off the loop, never slowing the room."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from .cast import PART_BYTES, CastFile, Written
from .recording_budget import Budget
from .recording_thread import recording_thread
from .settings import RecordingSettings

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.5
PENDING_BYTES = 512 * 1024
"""Output that may wait for the disk; what comes beyond it is a gap in the recording, and the room goes on."""
QUIET_SECONDS, FLOOD_SECONDS = 0.25, 10.0
"""A gap lasts until nothing came for the first, or, when output never pauses, for the second."""
RETRY_SECONDS = 60.0
"""After a disk that took nothing, until a screen is asked for with which the recording goes on."""
BEHIND = 4
"""Recordings that may wait for the disk after their end."""
RESET = b"\x1bc"


class Recorder:
    """Records one shell at a time. It belongs to the loop; a method that is called while nothing records does nothing.

    `want_screen(reason)` asks the room for a screen, which it gives to `screen`: behind a gap, and where a new file begins.
    """

    def __init__(self, folder: Path, *, room: str, want_screen: Callable[[str], None], known: Callable[[], Iterable[str]] = tuple) -> None:
        self._folder, self._room, self._want_screen, self._known = folder, room, want_screen, known
        self._policy = RecordingSettings()
        self._file: CastFile | None = None
        self._began = 0.0
        self._items: list[tuple[str, float, Any]] = []
        self._behind: deque[tuple[CastFile, list[tuple[str, float, Any]]]] = deque()
        """Recordings that have ended and are not written yet: a shell that is restarted does not wait for the disk."""
        self._pending = self._lost = 0
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
        self._pending = self._lost = 0
        self._asked = ""
        self._file = CastFile(self._folder, policy, room=self._room, sandbox=sandbox, epoch=epoch, size=(cols, rows), known=self._known)
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
        if len(self._behind) == BEHIND:
            self._behind.popleft()
            log.warning("room %s: the end of a recording is not written: the disk is behind by %d of them", self._room, BEHIND)
        self._behind.append((self._file, self._items))
        self._file, self._items, self._pending = None, [], 0
        self._write_now()

    async def close(self) -> None:
        """Ends what is recorded, and returns when it is on the disk, at most after 3 s."""
        self.end(None)
        while self._writing is not None or self._behind:
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
        for _ in range(2 + len(self._behind)):  # what is being written now, and what came meanwhile
            self._write_now()
            if self._writing is None:
                return
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
        if self._writing is not None:
            return
        if self._behind:
            self._under_way = 0
            file, items = self._behind.popleft()
        elif self._items and self._file is not None:
            self._under_way, self._pending = self._pending, 0
            file, items = self._file, self._items
            self._items = []
        else:
            return
        self._writing = asyncio.get_running_loop().run_in_executor(recording_thread(), file.write, items)
        self._writing.add_done_callback(partial(self._written, file))

    def _written(self, file: CastFile, done: asyncio.Future[Written]) -> None:
        self._writing = None
        if done.cancelled():
            return
        if (error := done.exception()) is not None:
            if isinstance(error, OSError):
                self._not_written(file, error)
            else:
                log.error("room %s: it is not recorded any more", self._room, exc_info=error)
                if file is self._file:
                    self._file, self._items = None, []
            self._go_on()
            return
        if self._refused:
            self._refused = False
            log.warning("room %s: it is recorded again; what came meanwhile is a gap", self._room)
        self._budget.measured(done.result())
        if file is self._file and not self._asked and not self._lost and done.result().size > PART_BYTES:
            self._ask("continued")
        self._go_on()

    def _go_on(self) -> None:
        if self._behind:
            self._write_now()
        elif self._items and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._write_now)

    def _not_written(self, file: CastFile, error: OSError) -> None:
        """The disk took nothing, which may pass: from here on is a gap, and a screen is asked for again and again."""
        if not self._refused:
            log.error("room %s: its recording has a gap from here on: %s; it is tried again every %.0f s", self._room, error, RETRY_SECONDS)
        self._refused = True
        if file is self._file:
            self._lost += max(1, self._under_way + self._pending)
            self._lost_at = self._gap_began = time.monotonic()
            if self._gap is None:
                self._look_later(RETRY_SECONDS)
            self._items, self._pending = [], 0
