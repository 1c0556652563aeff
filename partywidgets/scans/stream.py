"""The results of one scan on their way to disk and to the room: in batches, bounded, the newest of each fingerprint."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import islice
from typing import Any, Protocol

from .board import Board, Placement
from .history import History, Recorded
from .lapse import Lapse
from .message import Rows

TICK = 0.1
"""Seconds from one burst of a scan's `check-result` frames to the next."""
FRAMES = 4
"""Most `check-result` frames of one burst: some 600 rows of HTTP checks. With two, telling of them was slower than looking. Who cannot
read so fast is not told of them all; see `laggards.py`."""


class Emit(Protocol):
    """Sends messages of one type, and never raises."""

    async def __call__(self, kind: str, /, *messages: dict[str, Any] | Rows) -> None:
        """In order."""


class ResultStream:
    """Takes placements as checks end; writes them to the history, then emits them. `run` is the task that does it, `finish` ends it."""

    def __init__(self, scan_id: str, total: int, *, board: Board, history: History, lapse: Lapse, emit: Emit) -> None:
        self.done = 0
        self._kept = 0
        """Checks that had ended when the history was last written. A frame tells no more than that: a host that dies keeps what it told."""
        self._board = board
        self._scan_id, self._total = scan_id, total
        self._history, self._lapse, self._emit = history, lapse, emit
        self._unwritten: list[Recorded] = []
        self._pending: dict[str, Placement] = {}
        self._ready: dict[str, Placement] = {}
        self._came = asyncio.Event()
        self._finished = False
        self._ended = asyncio.Event()

    def add(self, placement: Placement) -> None:
        """One more check has ended."""
        self.done += 1
        self._unwritten.append(placement.recorded)
        self._pending[placement.recorded.result.fingerprint] = placement
        self._came.set()

    def skip(self) -> None:
        """One more check has ended, with nothing to tell."""
        self.done += 1

    def finish(self) -> None:
        """Nothing more comes: `run` returns when all is written and emitted."""
        self._finished = True
        self._ended.set()
        self._came.set()

    async def run(self) -> None:
        """Until `finish`: the first result at once, then a batch every 100 ms, and what is left when the scan ends at once."""
        loop = asyncio.get_running_loop()
        ends = loop.time()
        while True:
            await self._came.wait()
            self._came.clear()
            # What is left when the scan ends need not wait for the tick under way, which has a frame more then.
            begins = loop.time()
            frames = FRAMES if begins >= ends else 1
            await self._write()
            await self._send(frames)
            if self._pending or self._ready or self._unwritten:
                self._came.set()
            elif self._finished:
                return
            if frames == FRAMES:
                ends = begins + TICK
            if not self._finished:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(ends):
                        await self._ended.wait()
            elif self._pending or self._ready:
                await asyncio.sleep(ends - loop.time())

    async def _write(self) -> None:
        # What left the board since it was looked at has its end in the history already: written behind that it would be there again.
        batch, self._unwritten = [one for one in self._unwritten if one.result.fingerprint in self._board.rows], []
        fresh, self._pending = self._pending, {}
        done = self.done
        if batch:
            await self._lapse.kept(self._history.record(batch), results=True)
        self._kept = done
        self._ready |= fresh

    async def _send(self, frames: int) -> None:
        waiting, self._ready = [one for name, one in self._ready.items() if name in self._board.rows], {}
        sent = 0
        for results in islice(self._board.parts(placement.recorded.result for placement in waiting), frames):
            sent += len(results)
            head = {"seq": max(result.seq for result in results), "scan_id": self._scan_id, "done": self._kept, "total": self._total}
            await self._emit("check-result", Rows(head, results, [self._board.encoded(result) for result in results]))
        told = waiting[:sent]
        changes = [change for placement in told for change in placement.recorded.changes if not change.hardening]
        await self._emit("state-change", *(change.to_wire() for change in changes))
        ended = [placement.ended_ack for placement in told if placement.ended_ack is not None]
        await self._emit("ack", *({**ack.to_wire(), "reason": None} for ack in ended))
        for placement in waiting[sent:]:  # a newer one of the same fingerprint has come meanwhile, or it waits for the next tick
            self._ready.setdefault(placement.recorded.result.fingerprint, placement)
