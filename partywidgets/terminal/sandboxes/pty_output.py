"""What a program prints on its PTY, as it is read."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections import deque
from collections.abc import Callable, Coroutine

from .base import Exit
from .pump import Pump

log = logging.getLogger(__name__)

CHUNK = 64 * 1024
READ_BYTES = 4096
"""What a Linux PTY gives in one read at most; room for more is only memory that is fetched and given back."""
SILENCE_SECONDS = 0.005
"""What comes behind so much silence is handed over at once: a look for more waits for a worker of the kernel, 30 µs of an echo."""
PIECES_AHEAD = 2
"""Pieces of at most CHUNK that are read before anybody asked for them."""
FLOOD_BYTES = 1 << 20
FLOOD_SECONDS = 0.2
"""A program that prints so much in so long gets a process that reads it (`Pump`): below 5 MB/s no program waits for us."""


class PtyOutput:
    """The output of one program. `ended` is done when the program is; whoever owns the PTY closes this before it."""

    def __init__(self, master: int, ended: asyncio.Future[Exit]) -> None:
        self._master = master
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._readable = asyncio.Event()
        self._pieces: deque[bytes] = deque()
        self._listening = self._over = self._awaited = False
        self._came_at = self._flood_at = 0.0
        self._flood_size = 0
        self._take_now: Callable[[bytes], bool] | None = None
        self._failure: Exception | None = None
        self._going = asyncio.Event()
        self._going.set()
        self._open = True
        self._pump: Pump | None = None
        self._pump_fails = False
        self._pumping: set[asyncio.Task[None]] = set()
        """A pump that starts, and those that end."""
        ended.add_done_callback(self._program_ended)

    def _program_ended(self, _: asyncio.Future[Exit]) -> None:
        if self._pump is not None:
            self._pump.give_back()
        self._readable.set()

    async def read(self) -> bytes:
        """The next output, at most 64 KiB; b"" when the program has ended and everything it printed was read."""
        while True:
            await self._going.wait()
            if self._pieces:
                return self._pieces.popleft()
            if self._failure is not None:
                raise self._failure
            if self._over or not self._open:
                await asyncio.shield(self._ended)
                return b""
            if self._ended.done() and self._pump is None:
                return self._take() or b""
            self._readable.clear()
            self._awaited = True
            self._listen(True)
            try:
                await self._readable.wait()
            finally:
                self._awaited = False

    def hand_over(self, take: Callable[[bytes], bool]) -> None:
        """See Prompt."""
        self._take_now = take

    def pause(self) -> None:
        """Stops reading, so that the program blocks in its write."""
        self._listen(False)
        self._going.clear()

    def resume(self) -> None:
        """Reads on."""
        self._going.set()
        if self._awaited:
            self._listen(True)

    def _came(self) -> None:
        """Output is there. The reader stays registered between two reads, unless nobody fetches what was read."""
        now = self._loop.time()
        try:
            piece = self._take(READ_BYTES if now - self._came_at >= SILENCE_SECONDS else CHUNK)
            if piece == b"":
                return
            if piece:
                self._gauge(now, len(piece))
                if self._awaited and not self._pieces and self._take_now is not None and self._take_now(piece):
                    self._came_at = now
                    return
        except Exception as error:
            self._failure, piece = error, None
        self._came_at = now
        if piece:
            self._pieces.append(piece)
        self._over = piece is None
        if self._over or len(self._pieces) >= PIECES_AHEAD:
            self._listen(False)
        self._readable.set()

    def _take(self, most: int = CHUNK) -> bytes | None:
        """What is there, up to `most` bytes and the rest of the read that reaches them; b"" when nothing is yet, None at the end."""
        if not self._open:
            return None
        parts: list[bytes] = []
        size = 0
        while size < most:
            try:
                part = os.read(self._source, READ_BYTES if self._pump is None else most - size)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                part = b""
            if not part:
                if self._pump is None:
                    return b"".join(parts) or None
                self._leave(self._pump)
                continue
            if most == READ_BYTES:
                return part
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def _listen(self, on: bool) -> None:
        if on is self._listening or not self._open:
            return
        self._listening = on
        if on:
            self._loop.add_reader(self._source, self._came)
        else:
            self._loop.remove_reader(self._source)

    @property
    def _source(self) -> int:
        return self._master if self._pump is None else self._pump.output

    def _read_with(self, pump: Pump | None) -> None:
        """Reads what the pump does from now on, or the PTY itself."""
        listening = self._listening
        self._listen(False)
        self._pump = pump
        self._listen(listening)

    def _gauge(self, now: float, size: int) -> None:
        """Has a pump started when the program pours."""
        if now - self._flood_at > FLOOD_SECONDS:
            self._flood_at, self._flood_size = now, 0
        self._flood_size += size
        if self._flood_size >= FLOOD_BYTES and self._pump is None and not self._pumping and not self._pump_fails and Pump.may_start():
            self._flood_size = 0
            self._own(self._start_pump())

    def _own(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._pumping.add(task)
        task.add_done_callback(self._pumping.discard)

    async def _start_pump(self) -> None:
        try:
            pump = await Pump.start(self._master)
        except OSError as error:
            self._pump_fails = True
            log.warning("the output of a shell is read without a process of its own: %s", error)
            return
        if self._ended.done() or not self._open:
            await pump.close()
            return
        self._read_with(pump)
        pump.begin()

    def _leave(self, pump: Pump) -> None:
        """Its output has ended: the PTY is read here again."""
        self._read_with(None)
        self._readable.set()  # behind the program's end nothing else would tell
        self._own(pump.close())

    async def close(self) -> None:
        """Reads no more; `read` returns what was read, then b"" behind the program's end. Safe to call twice."""
        if not self._open:
            return
        self._listen(False)
        self._open = False
        self._readable.set()
        self._going.set()
        if self._pump is not None:
            pump, self._pump = self._pump, None
            self._own(pump.close())
        if self._pumping:
            await asyncio.wait(self._pumping)
