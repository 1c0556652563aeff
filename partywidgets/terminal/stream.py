"""A terminal's output on its way to the viewers: drained at once, coalesced, conflated for whoever reads slowly."""

from __future__ import annotations

import asyncio
import codecs
import logging
import os
from collections import deque
from collections.abc import Callable, Collection, Coroutine
from typing import Any, Protocol

from ..party import Connection, Frame
from . import protocol
from .piece import Piece
from .ring import Ring
from .screen import SCREEN_BYTES, Capture, RawScreen, Screen, ScreenClosed
from .viewer import PlainViewer, RichViewer, Viewer

log = logging.getLogger(__name__)

COALESCE_SECONDS = 0.005
COALESCE_BYTES = 64 * 1024
RING_BYTES = 256 * 1024
"""The least that a ring holds, whatever is asked for: output that has not been sent is read out of it."""
IDLE_SECONDS = 0.02
"""After this long without output, and after input, the next output goes out at once, so that an echo is instant."""
HELD_BYTES = 8 << 20
"""Output held for viewers that are a little behind, once for all of them. Whoever is further behind than this, or for longer than
`Viewer.patience`, lags."""
DRAINED_BYTES = 16 * 1024
LOOK_SECONDS, LOOK_SELDOM_SECONDS = 0.01, 0.08
"""Seconds between two looks at viewers that are behind, since sockets do not tell when they have drained: more and more while nothing
changes, so that a viewer which stands still costs the others nothing."""
DELTA_BYTES = 256 * 1024
"""More than this since a screen was captured, and it is captured anew."""

give_way: Callable[[], object] = getattr(os, "sched_yield", lambda: None)
"""Lets whoever waits for an echo have it first: where the reader is on this machine, the kernel wakes it on our processor, where it would
wait until we have recorded the echo and sleep: a ninth of a key's way (`./dev bench terminal --only echo`)."""


class Room(Protocol):
    """What the stream needs of its room."""

    name: str

    def send_now(self, connections: Collection[Connection], message: Frame) -> None:
        """Writes a frame to some connections, behind what is queued."""

    def flush(self) -> None:
        """Writes what is queued now."""

    def spawn(self, coroutine: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """A task of the room."""


class Stream:
    """One epoch of output: ring, screen and who has got how far. `begin` starts an epoch."""

    def __init__(self, room: Room, viewers: dict[Any, Viewer], *, shown: Callable[[Viewer], None], ring_bytes: int) -> None:
        self._room, self._viewers, self._shown, self._ring_bytes = room, viewers, shown, max(ring_bytes, RING_BYTES)
        self.epoch = ""
        self.ring = Ring(self._ring_bytes)
        self.screen: Screen = RawScreen(self.ring, 80, 24)
        self.cols, self.rows = 80, 24
        self.position = 0
        """Offset behind what was made into pieces."""
        self._held: deque[Piece] = deque()
        """The newest pieces, from the first that a viewer in sync has not been sent."""
        self.gate = asyncio.Event()
        """Cleared while the upstream must not be read."""
        self.gate.set()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._timer: asyncio.TimerHandle | None = None
        self._poll: asyncio.TimerHandle | None = None
        self._look_after = LOOK_SECONDS
        self._last = 0.0
        self._typed = False
        self._syncing: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    async def begin(self, epoch: str, cols: int, rows: int, open_screen: Callable[[Ring], Coroutine[Any, Any, Screen]]) -> None:
        """A new process: everything counts from 0, and every viewer gets a new screen."""
        ring = Ring(self._ring_bytes)
        screen = await open_screen(ring)
        old, self.screen = self.screen, screen
        self.epoch, self.ring, self.cols, self.rows, self.position = epoch, ring, cols, rows, 0
        self._decoder.reset()
        self._held.clear()
        for viewer in self._viewers.values():
            viewer.in_sync = viewer.lagging = False
            viewer.consumed = None if viewer.consumed is None else 0
            viewer.position = 0
        await old.close()

    def append(self, piece: bytes) -> None:
        """Takes output; it goes out now, or with what follows within 5 ms."""
        whole = piece if self.position == self.ring.end else None
        self.ring.append(piece)
        now = self._loop.time()
        if self._typed or now - self._last >= IDLE_SECONDS or self.ring.end - self.position >= COALESCE_BYTES:
            self.flush(whole)
        elif self._timer is None:
            self._timer = self._loop.call_later(COALESCE_SECONDS, self.flush)
        self._last = now
        self.screen.append(piece)

    def typed(self) -> None:
        """Somebody typed: what comes next is its echo."""
        self._typed = True

    def flush(self, output: bytes | None = None) -> None:
        """Sends what waits to everyone in sync: in one go to those who take it as it is, whoever else is slow or stopped. `output`: what
        waits, where the caller has it."""
        typed, self._typed = self._typed, False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        offset, self.position = self.position, self.ring.end
        if offset == self.position:
            return
        if output is None:
            output = self.ring.read(offset)
        ready: list[Connection] = []
        others = bool(self._held)
        for viewer in self._viewers.values():
            if not viewer.in_sync:
                continue
            if viewer.position == offset and isinstance(viewer, RichViewer) and viewer.takes(len(output)):
                ready.append(viewer.connection)
                viewer.position = self.position
            else:
                others = True
        if ready:
            self._room.send_now(ready, Frame(protocol.encode_output(offset, output)))
            if typed:
                give_way()
        # Nobody waits for the rest: somebody's echo is out.
        text = self._decoder.decode(output)
        if others:
            self._held.append(Piece(self.epoch, offset, output, text, self._loop.time()))
            self._send_held()
        if not ready or others:
            self._room.flush()

    def _send_held(self) -> None:
        """Sends each viewer in sync what its window takes; what nobody needs any more, or is too old, goes."""
        now, needed = self._loop.time(), self.position
        for viewer in list(self._viewers.values()):
            if not viewer.in_sync:
                continue
            self._send_on(viewer)
            if viewer.position < self.position and viewer.in_sync:
                late = next(piece for piece in self._held if piece.offset >= viewer.position)
                if now - late.made > viewer.patience or self.position - viewer.position > HELD_BYTES:
                    self._lag(viewer)
                else:
                    needed = min(needed, viewer.position)
        while self._held and self._held[0].end <= needed:
            self._held.popleft()
        if self._held:
            text = any(viewer.in_sync and isinstance(viewer, PlainViewer) for viewer in self._viewers.values())
            for piece in self._held:
                piece.slim(text=text)
            self._look_soon()

    def _send_on(self, viewer: Viewer) -> None:
        if viewer.position == self.position or not viewer.open:
            return
        for piece in self._held:
            if piece.offset >= viewer.position:
                if not viewer.takes(len(piece.output)):
                    return
                viewer.output(piece)

    def drawn(self, viewer: Viewer, offset: int, rate: float | None = None) -> None:
        """A viewer says how far it has drawn; that makes room for more. `rate`: how fast it saw a screen come, in bytes a second."""
        awaited = viewer.awaits_screen
        viewer.drew(offset, self._loop.time(), rate)
        if awaited and not viewer.awaits_screen and viewer.more_follows():
            self.show(viewer, "above")
        elif viewer.in_sync:
            self._send_on(viewer)
        elif viewer.lagging:
            self._show_drained(viewer)

    def _lag(self, viewer: Viewer) -> None:
        viewer.in_sync, viewer.lagging = False, True
        viewer.lagged(self._loop.time())
        viewer.note(type="lag", behind=max(viewer.unread, self.position - viewer.position))
        self._look_after = LOOK_SECONDS
        self._look_soon()

    def _show_drained(self, viewer: Viewer) -> None:
        if not viewer.wanted and not viewer.awaits_screen and viewer.unread <= DRAINED_BYTES:
            viewer.drained(self._loop.time())
            self.show(viewer, "lagged")

    def _look_soon(self) -> None:
        if self._poll is None:
            self._poll = self._loop.call_later(LOOK_SECONDS if self._held else self._look_after, self._look)

    def _look(self) -> None:
        self._poll = None
        self._look_after = min(2 * self._look_after, LOOK_SELDOM_SECONDS)
        for viewer in list(self._viewers.values()):
            if viewer.lagging:
                self._show_drained(viewer)
                self._look_soon()
        if self._held:
            self._send_held()

    def show(self, viewer: Viewer, reason: str) -> None:
        """Has a whole screen sent to a viewer; from there on it is in sync."""
        viewer.in_sync = False
        viewer.wants(reason)
        if self._syncing is None:
            self._syncing = self._room.spawn(self._show_all(), name="screens")

    async def _show_all(self) -> None:
        try:
            tries = 0
            while waiting := [viewer for viewer in self._viewers.values() if viewer.wanted]:
                screen, tries = self.screen, tries + 1
                # Those on thin lines get less of the scrollback, in a drawing of their own.
                share = min((viewer.share for viewer in waiting), key=lambda share: SCREEN_BYTES if share is None else share)
                try:
                    capture = await screen.capture(SCREEN_BYTES, share)
                except ScreenClosed:
                    continue
                except Exception:
                    # Whoever waits gets what there is rather than nothing.
                    log.exception("room %s: the emulator cannot draw its screen; viewers get the raw output replayed", self._room.name)
                    capture = await RawScreen(self.ring, self.cols, self.rows).capture(SCREEN_BYTES, share)
                if screen is not self.screen:
                    continue
                self.flush()
                if not self.ring.holds(capture.offset) or (self.position - capture.offset > DELTA_BYTES and tries < 5):
                    # Faster than screens can be drawn: at the third try the upstream waits for one.
                    if tries >= 2:
                        self.gate.clear()
                    continue
                delta = self.ring.read(capture.offset, self.position)
                for viewer in list(self._viewers.values()):
                    if viewer.wanted and viewer.share == share:
                        self._send_screen(viewer, capture, delta)
                self.gate.set()
                tries = 0
        finally:
            self.gate.set()
            self._syncing = None

    def _send_screen(self, viewer: Viewer, capture: Capture, delta: bytes) -> None:
        """`delta`: the output since. Over a thin line that acknowledges, more of it than its window is left out: the next screen has it."""
        behind = len(delta) if viewer.thin and viewer.consumed is not None and len(delta) > viewer.window else 0
        if behind:
            delta = b""
        viewer.screen(self.epoch, capture, delta, viewer.wanted)
        viewer.position = capture.offset + len(delta)
        viewer.shown(capture.offset, len(capture.drawing) + len(delta), self._loop.time(), short=capture.short)
        self._shown(viewer)
        if behind:
            viewer.in_sync, viewer.lagging = False, True
            viewer.note(type="lag", behind=behind)
            self._look_after = LOOK_SECONDS
            self._look_soon()

    def clear(self) -> bool:
        """True when `room_for_more` would return at once."""
        return not self.screen.full and self.gate.is_set()

    async def room_for_more(self) -> None:
        """Returns when the upstream may be read: the emulator is not far behind, and no screen waits for silence."""
        await self.gate.wait()
        if self.screen.full:
            await self.screen.drained()

    def resize(self, cols: int, rows: int) -> int:
        """The size from here on; returns the offset that it counts from."""
        self.flush()
        self.cols, self.rows = cols, rows
        self.screen.resize(cols, rows)
        return self.ring.end

    async def close(self) -> None:
        """Ends the timers and frees the screen."""
        for timer in (self._timer, self._poll):
            if timer is not None:
                timer.cancel()
        self._timer = self._poll = None
        await self.screen.close()
