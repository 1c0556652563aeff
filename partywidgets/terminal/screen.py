"""What the terminal shows: one emulator a room, fed in a thread, so that whoever joins late gets the exact screen."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from .drawing import Drawn, Step, draw, is_plain
from .markup import to_html
from .ring import Ring
from .vt import plain_text

if TYPE_CHECKING:
    from .emulator import Emulator

log = logging.getLogger(__name__)
T = TypeVar("T")

BATCH = 512 * 1024
"""Output waits until this many bytes are there, or until somebody asks for the screen: a hand-over to a thread costs as much as
drawing 50 KB, and drawing the rest takes whoever joins 2 ms."""
TEXT_BYTES = 64 * 1024
SCREEN_BYTES = 384 * 1024
"""A screen with its scrollback is at most about this large: a slow viewer's socket may hold 1 MiB."""
RAW_BYTES = 16 * 1024
"""What a raw replay has at least, however little of the scrollback is wanted: about a screen."""
REST_SECONDS = 0.25
"""A run of plain lines that did not grow for so long is drawn, so that a room at rest holds no more than a batch."""
BACKLOG = 8 << 20
"""Past this many bytes waiting for the emulator, the upstream is to be paused."""
BACKLOG_SECONDS = 0.25
"""The same for the time that drawing them takes. Ordinary output never comes to it: 8 MiB of plain lines take 6 ms, of short coloured ones
0.17 s. A thousand screens erased in a row do: behind 8 MiB of them whoever wants the screen would wait for seconds, on a screen of
1000×1000 for minutes."""


class ScreenClosed(RuntimeError):
    """The screen was asked for after its terminal was freed."""


@dataclass(frozen=True, slots=True)
class Capture:
    """The screen as it was at `offset`: bytes that draw it on a terminal of this size after a reset."""

    offset: int
    cols: int
    rows: int
    drawing: bytes
    short: bool = False
    """Lines above the screen are left out."""


class Screen(Protocol):
    """A terminal's screen. Called on the room loop; `offset` is that of the ring."""

    exact: bool
    """False: late viewers get the raw output replayed, from the first whole line that is kept."""

    def append(self, piece: bytes) -> None:
        """Takes output. Never blocks."""

    def resize(self, cols: int, rows: int) -> None:
        """The size from here on in the output."""

    @property
    def full(self) -> bool:
        """True while the upstream is to be paused: more waits to be drawn than is good for whoever wants the screen."""

    async def drained(self) -> None:
        """Returns when it is not full any more."""

    async def capture(self, limit: int, scrollback: int | None = None) -> Capture:
        """The screen with as much scrollback as fits into about `limit` bytes, and at most `scrollback` bytes of it."""

    async def text(self) -> str:
        """The visible screen as plain text."""

    async def html(self) -> str:
        """The visible screen as script-free HTML with inline style."""

    async def close(self) -> None:
        """Frees the emulator."""


_pool: ThreadPoolExecutor | None = None


def emulator_threads() -> ThreadPoolExecutor:
    """The two threads in which all rooms' emulators run (they release the GIL while they parse)."""
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="partywidgets-screen")
    return _pool


class RawScreen:
    """Where there is no emulator: late viewers get what the ring holds."""

    exact = False
    full = False

    def __init__(self, ring: Ring, cols: int, rows: int) -> None:
        self._ring, self._cols, self._rows = ring, cols, rows

    def append(self, piece: bytes) -> None:
        """The ring has it already."""

    def resize(self, cols: int, rows: int) -> None:
        """The size from here on."""
        self._cols, self._rows = cols, rows

    async def drained(self) -> None:
        """Nothing ever waits."""

    def _replay(self, limit: int) -> bytes:
        start = max(self._ring.base, self._ring.end - limit)
        raw = self._ring.read(start)
        return raw if start == 0 else raw[raw.find(b"\n") + 1 :]

    async def capture(self, limit: int, scrollback: int | None = None) -> Capture:
        """The newest `limit` bytes of output, from the first whole line; which of them are scrollback nobody knows."""
        if scrollback is not None:
            limit = min(limit, max(scrollback, RAW_BYTES))
        return Capture(self._ring.end, self._cols, self._rows, self._replay(limit), self._ring.end - self._ring.base > limit)

    async def text(self) -> str:
        """The last lines of output without escape sequences."""
        return "\n".join(plain_text(self._replay(TEXT_BYTES).decode("utf-8", "replace")).split("\n")[-self._rows :])

    async def html(self) -> str:
        """The same, escaped."""
        return to_html(await self.text())

    async def close(self) -> None:
        """Nothing to free."""


class EmulatedScreen:
    """A libghostty terminal. One thread at a time works on it; the loop only queues. Made by `open_screen`."""

    exact = True

    def __init__(self, emulator: Emulator, *, room: str = "") -> None:
        self._emulator: Emulator | None = emulator
        self._room = room
        self._waiting: deque[Step] = deque()
        self.behind = 0
        """Bytes that wait to be drawn."""
        self._plain = 0
        """How many of them, the newest, are plain lines: nearly none of a long run of these has to be drawn."""
        self._settling: asyncio.TimerHandle | None = None
        self.offset = 0
        """Offset behind everything appended."""
        self._allowed = BACKLOG
        self._turn = asyncio.Lock()
        self._feeding: asyncio.Future[Drawn] | None = None

    def append(self, piece: bytes) -> None:
        """Queues output; a thread draws it once there is a batch."""
        self._waiting.append(piece)
        self.behind += len(piece)
        self.offset += len(piece)
        self._plain = self._plain + len(piece) if is_plain(piece) else 0
        self._start_due()

    def resize(self, cols: int, rows: int) -> None:
        """Queues the new size behind the output so far."""
        self._waiting.append((cols, rows))
        self._plain = 0

    def _take(self) -> deque[Step]:
        steps, self._waiting, self.behind, self._plain = self._waiting, deque(), 0, 0
        return steps

    def _start_due(self) -> None:
        """Has a batch drawn: at once, but a run of plain lines when it is long or does not grow any more."""
        if self.behind - self._plain >= BATCH or self.behind >= max(BATCH, self._allowed // 2):
            self._start()
        elif self.behind >= BATCH and self._settling is None:
            self._settle_later()

    def _settle_later(self) -> None:
        self._settling = asyncio.get_running_loop().call_later(REST_SECONDS, self._settle, self.offset)

    def _settle(self, offset: int) -> None:
        self._settling = None
        if self.behind >= BATCH:
            if offset == self.offset:
                self._start()
            else:
                self._settle_later()

    @property
    def full(self) -> bool:
        """More waits than 8 MiB, or than is drawn in 0.25 s."""
        return self.behind > self._allowed

    def _timed(self, size: int, seconds: float) -> None:
        """Learns how much may wait from how long a batch took; a batch at least, so that drawing never waits for the upstream."""
        if size >= BATCH // 2 and seconds > 0:
            self._allowed = min(BACKLOG, max(BATCH, int(size / seconds * BACKLOG_SECONDS)))

    def _start(self) -> None:
        if self._feeding is None and self._emulator is not None and not self._turn.locked():
            emulator, steps = self._emulator, self._take()
            self._feeding = asyncio.get_running_loop().run_in_executor(emulator_threads(), draw, emulator, steps)
            self._feeding.add_done_callback(self._fed)

    def _fed(self, future: asyncio.Future[Drawn]) -> None:
        self._feeding = None
        if not future.cancelled() and future.exception() is None:
            self._timed(*future.result())
        elif not future.cancelled():
            log.error(
                "room %s: the emulator failed on output; late viewers may see a damaged screen", self._room, exc_info=future.exception()
            )
        self._start_due()

    async def drained(self) -> None:
        """Returns when it is not full any more."""
        while self.full and self._emulator is not None:
            if self._feeding is not None:
                await asyncio.wait([self._feeding])
            else:
                async with self._turn:
                    pass
                self._start()

    async def _ask(self, question: Callable[[Emulator], T]) -> tuple[int, T]:
        """Draws what waits, then asks in the same thread; with the offset that the answer is for."""
        async with self._turn:
            while self._feeding is not None:
                await asyncio.wait([self._feeding])
            emulator = self._emulator
            if emulator is None:
                raise ScreenClosed(f"room {self._room}: the screen is closed")
            steps, offset = self._take(), self.offset

            def work() -> T:
                draw(emulator, steps)
                return question(emulator)

            # A cancelled caller must not let the next one into the emulator while the thread is still in it.
            job = asyncio.get_running_loop().run_in_executor(emulator_threads(), work)
            try:
                return offset, await asyncio.shield(job)
            except asyncio.CancelledError:
                await asyncio.wait([job])
                raise

    async def capture(self, limit: int, scrollback: int | None = None) -> Capture:
        """The screen as of now, with scrollback up to about `limit` bytes. Later output is not in it."""
        offset, (cols, rows, drawing) = await self._ask(lambda emulator: (*emulator.size, emulator.drawing(limit, scrollback)))
        return Capture(offset, cols, rows, drawing.output, drawing.short)

    async def text(self) -> str:
        """The visible screen as plain text."""
        return (await self._ask(lambda emulator: emulator.text()))[1]

    async def html(self) -> str:
        """The visible screen as script-free HTML with inline style."""
        return (await self._ask(lambda emulator: emulator.html()))[1]

    async def close(self) -> None:
        """Frees the emulator, once no thread is in it."""
        if self._settling is not None:
            self._settling.cancel()
        async with self._turn:
            while self._feeding is not None:
                await asyncio.wait([self._feeding])
            emulator, self._emulator = self._emulator, None
            self._waiting.clear()
            self.behind = 0
            if emulator is not None:
                emulator.close()


async def open_screen(ring: Ring, cols: int, rows: int, *, scrollback: int = 10_000, room: str = "") -> Screen:
    """The exact screen where pyghostty has a wheel, else the raw replay of `ring`.

    The first one in a process imports pyghostty (0.2 s), in a thread.
    """

    def make() -> Emulator:
        from .emulator import Emulator

        return Emulator(cols, rows, scrollback=scrollback)

    try:
        emulator = await asyncio.get_running_loop().run_in_executor(emulator_threads(), make)
    except (ImportError, OSError) as error:
        log.warning("room %s: no terminal emulator here (%s); late viewers get the raw output replayed", room, error)
        return RawScreen(ring, cols, rows)
    return EmulatedScreen(emulator, room=room)
