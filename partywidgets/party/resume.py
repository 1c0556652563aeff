"""Resume (`pw1`): a room's epoch and the log of its broadcasts. Pure, no I/O.

A client that lost its socket says how many broadcasts of which epoch it had, and gets either all it missed or a no: never a part.
Offsets are implicit. Each logged frame counts one, so the same bytes serve those who count and those who do not; what only those
who count understand travels in control frames: text that begins with RS (0x1E), then JSON. The shape is Centrifugo's recovery.

    ?_pw=1&_e=EPOCH&_o=OFFSET                  in the query of the upgrade; without _e and _o: counting begins
    RS {"type": "resumed", "e", "o", "rec", "hb"}   first of all; rec: the missed frames follow, else count from o anew
    RS {"type": "direct", "text" | "base64"}   a message to this connection alone, not counted
    RS {"type": "skip", "n": 1}                 a broadcast that left this connection out: count it
    RS {"type": "hb", "o"}                      every `hb` seconds: another count than o means a loss, reconnect
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs

from .wire import Frame

MARK = b"\x1e"
HEARTBEAT = 10.0
"""Seconds between two heartbeats; a client should reconnect after 25 s of silence."""

MAX_FRAMES = 2000
MAX_BYTES = 768 * 1024
"""Below the cap of a slow consumer, so that whoever gets all of it is not cut for that."""

MAX_AGE = 120.0

MAX_LEFT_OUT = 100_000
"""Ids of those whom the logged broadcasts left out, at about 64 bytes each: a room may leave out all but one every time."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client that counts says in its query; both None when it begins."""

    epoch: str | None
    offset: int | None


def asked_by(query: str) -> Asked | None:
    """None for a client that does not count. A malformed offset is one that cannot be resumed from."""
    values = parse_qs(query, keep_blank_values=True)
    if values.get("_pw") != ["1"]:
        return None
    epoch, offset = values.get("_e", [""])[0], values.get("_o", [""])[0]
    return Asked(epoch or None, int(offset) if offset.isascii() and offset.isdigit() and len(offset) < 19 else None)


@dataclass(frozen=True, slots=True)
class Logged:
    """One broadcast, when it was (seconds of the history's clock), and the connection ids that it left out."""

    frame: Frame
    at: float
    without: frozenset[str]


class History:
    """The last broadcasts of a room, bounded by number, bytes and age (seconds), whichever is first.

    `top` counts all broadcasts since the epoch began.
    """

    def __init__(
        self,
        *,
        max_frames: int = MAX_FRAMES,
        max_bytes: int = MAX_BYTES,
        max_age: float = MAX_AGE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_frames, self._max_bytes, self._max_age = max_frames, max_bytes, max_age
        self._clock = clock
        self.begin()

    def begin(self) -> None:
        """A new epoch, from which nothing is logged yet."""
        self.epoch = secrets.token_urlsafe(9)
        self.top = 0
        self._log: deque[Logged] = deque()
        self._bytes = self._left_out = 0

    def append(self, frame: Frame, without: frozenset[str] = frozenset()) -> None:
        """Logs a broadcast. Raises ValueError for one that would read as a control frame."""
        check_broadcast(frame)
        self.top += 1
        self._log.append(Logged(frame, self._clock(), without))
        self._bytes += len(frame)
        self._left_out += len(without)
        while self._log and (len(self._log) > self._max_frames or self._bytes > self._max_bytes or self._left_out > MAX_LEFT_OUT):
            self._drop()
        self._expire()

    def since(self, asked: Asked) -> list[Logged] | None:
        """All that came after the asked offset, in order; None when it is of another epoch, ahead of the top, or older than the log."""
        self._expire()
        if asked.epoch != self.epoch or asked.offset is None:
            return None
        missed = self.top - asked.offset
        if not 0 <= missed <= len(self._log):
            return None
        return [self._log[index] for index in range(len(self._log) - missed, len(self._log))]

    def fresh(self) -> bool:
        """True while somebody could resume from something."""
        self._expire()
        return bool(self._log)

    def _expire(self) -> None:
        oldest = self._clock() - self._max_age
        while self._log and self._log[0].at < oldest:
            self._drop()

    def _drop(self) -> None:
        gone = self._log.popleft()
        self._bytes -= len(gone.frame)
        self._left_out -= len(gone.without)


def check_broadcast(frame: Frame) -> None:
    """Raises ValueError for a text that begins with RS: a client that counts would take it for a control frame."""
    if frame.is_text and frame.payload.startswith(MARK):
        raise ValueError(
            "a broadcast of a resumable room cannot begin with the character U+001E: send it as bytes, or put something before it"
        )


def resumed(epoch: str, offset: int, *, recovered: bool) -> Frame:
    """The first control frame."""
    return _control({"type": "resumed", "e": epoch, "o": offset, "rec": recovered, "hb": HEARTBEAT})


def direct(frame: Frame) -> Frame:
    """A message to one connection, as those who count get it."""
    if frame.is_text:
        return _control({"type": "direct", "text": frame.payload.decode()})
    return _control({"type": "direct", "base64": base64.b64encode(frame.payload).decode()})


def skip(count: int = 1) -> Frame:
    """`count` broadcasts left this connection out."""
    return _control({"type": "skip", "n": count})


def heartbeat(top: int) -> Frame:
    """The number of broadcasts so far."""
    return _control({"type": "hb", "o": top})


def _control(fields: dict[str, object]) -> Frame:
    return Frame("\x1e" + json.dumps(fields, separators=(",", ":")))
