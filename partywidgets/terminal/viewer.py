"""One viewer of a terminal room, in the dialect that it speaks."""

from __future__ import annotations

import asyncio
import codecs
import secrets
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from ..exceptions import ConnectionClosedError
from ..party import Connection, Frame
from . import cloudflare, protocol
from .above import FIRST, MOMENT, is_worth_following, share_of
from .lease import Person
from .line_speed import LineSpeed
from .piece import Piece, chunk, control
from .sandboxes.base import Exit
from .screen import Capture

RESET = "\x1bc"
WINDOW_BYTES = 512 * 1024
"""What a viewer that acknowledges quickly may have unread."""
NARROW_BYTES = 128 * 1024
"""What a new one may, and one that lagged. Not less than what clients acknowledge in one go."""
THIN_BYTES = 32 * 1024
"""What one on a thin line may at least, and what one may beyond its first screen before it has acknowledged anything."""
LAG_SECONDS = 0.1
"""A viewer for whom output has waited this long gets no more of it, and one fresh screen when it has drained."""
QUICK_LAG_SECONDS = 0.3
"""The same for one that had a wider window, and was only kept from reading for a moment, and for one that has acknowledged nothing yet."""
QUICK_SECONDS = 0.04
"""A window that is drawn within this time may be twice as wide: so what is under way is at most a moment old."""
SOCKET_BYTES = 48 * 1024
"""With more than this waiting in our socket a viewer is sent nothing: past 64 KiB its own messages are not read either, a Ctrl-C among
them."""
DELTA_PIECE = 64 * 1024
HOLE_SECONDS = 1.0
"""What follows input that was not taken is not typed either, until its sender has been silent for so long: behind a hole the rest of a
pasted text may be another command."""
_INTERRUPT = b"\x03"


class Viewer(ABC):
    """A connection that watches. `in_sync`: it has everything before the stream's position; else it waits for a screen."""

    dialect: ClassVar[str]
    acknowledges: ClassVar[bool] = False
    """True for a dialect that says what it has drawn."""

    def __init__(self, connection: Connection, person: Person) -> None:
        self.connection, self.person = connection, person
        self.greeted = False
        self.size: tuple[int, int] | None = None
        """Columns and rows of its window, as far as it said."""
        self.in_sync = False
        self.lagging = False
        self.wanted = ""
        """Why it waits for a screen: joined, lagged, epoch, history, above, asked; "" when it does not."""
        self.position = 0
        """Offset behind what it was sent; what follows is held for it in the stream."""
        self.heard = not self.acknowledges
        """It has acknowledged something: until then nobody knows what its line brings, nor how much stands on it."""
        self.window = NARROW_BYTES if self.heard else THIN_BYTES
        """Bytes that it may have unread, as far as it acknowledges."""
        self._timed = (0, 0.0)
        """From which offset on, and since when, the time of a window is measured."""
        self.speed = LineSpeed()
        self.scrollback: int | None = None
        """Bytes of scrollback that it wants with a screen; None: all that fits."""
        self.first: int | None = None
        """Bytes of scrollback that it wants with a first screen, whose time tells its line; the rest follows. None: all with the first."""
        self.share: int | None = None
        """How many it gets with the screen that it waits for."""
        self._above: int | None = None
        """How many it got with a screen that is to be followed by one with more; None: nothing follows."""
        self._screen_at: int | None = None
        """The offset of a screen that it was sent and has not acknowledged."""
        self.consumed: int | None = 0 if self.acknowledges else None
        """Offset behind what it says it has drawn; None where its dialect says nothing."""
        self._hole_at = float("-inf")
        """The loop's time of the newest input that was not taken, or came behind such."""
        self.ticket = ""
        self.tasks: set[asyncio.Task[None]] = set()
        """What it asked for and waits for; cancelled when it leaves."""
        self.runs: dict[str, asyncio.Task[None]] = {}
        """Of these the commands that it runs, by the request's id."""

    def send(self, frame: Frame) -> None:
        """Queues a frame; one that left in this moment gets nothing."""
        try:
            self.connection.send(frame)
        except ConnectionClosedError:
            self.in_sync = False

    @property
    def unread(self) -> int:
        """Bytes that it was sent and, as far as anybody knows, has not taken."""
        drawn = 0 if self.consumed is None else self.position - self.consumed
        return max(self.connection.buffered, drawn)

    @property
    def open(self) -> bool:
        """True while it may be sent more: the socket has taken nearly everything, and what is not drawn yet is within its window."""
        drawn = 0 if self.consumed is None else self.position - self.consumed
        return drawn < self.window and self.connection.buffered < SOCKET_BYTES

    @property
    def thin(self) -> bool:
        """True on a line that brings less than a narrow window in a moment."""
        return self.window < NARROW_BYTES

    def takes(self, size: int) -> bool:
        """True while it may be sent so many bytes more in one piece. On a thin line at most its window: a longer piece would hold up for
        seconds what comes behind it, and a fresh screen shows the same."""
        return self.open and not (self.thin and size > self.window)

    @property
    def awaits_screen(self) -> bool:
        """True while a screen is on its way to a viewer that will say when it has drawn it."""
        return self._screen_at is not None and self.consumed is not None

    def output(self, piece: Piece) -> None:
        """Sends live output."""
        self.position = piece.end
        self.send_piece(piece)

    @property
    def patience(self) -> float:
        """Seconds that output may wait for it before it counts as lagging."""
        return LAG_SECONDS if self.heard and self.window <= NARROW_BYTES else QUICK_LAG_SECONDS

    def behind_hole(self, keys: bytes, now: float) -> bool:
        """True for what must not be typed because what came before it was not; a Ctrl-C by itself always may."""
        if now - self._hole_at >= HOLE_SECONDS or keys == _INTERRUPT:
            return False
        self._hole_at = now
        return True

    def not_taken(self, now: float) -> None:
        """Its input was not taken."""
        self._hole_at = now

    def lagged(self, now: float) -> None:
        """It is too slow: it starts anew with a narrow window, so that what it shows is young."""
        self.window = min(self.window, NARROW_BYTES)
        if self.consumed is None:
            self.speed.forget()  # of a screen nobody was told that it came
        self.speed.sent(self.unread, now)

    def drained(self, now: float) -> None:
        """It lagged, and has taken nearly all that was sent to it."""
        self.speed.came(self.unread, now)
        self._narrow()

    def _narrow(self) -> None:
        """No wider a window than what its line brings in a moment."""
        if self.speed.rate is not None and self.speed.rate * MOMENT < NARROW_BYTES:
            # So what it sees is at most a moment or two old, even where a whole scrollback would take a minute.
            self.window = max(THIN_BYTES, int(self.speed.rate * MOMENT))

    def wants(self, reason: str) -> None:
        """It is to get a screen."""
        self.wanted = reason
        self.share = share_of(reason, wanted=self.scrollback, first=self.first, before=self._above, rate=self.speed.rate)

    def more_follows(self) -> bool:
        """True, once, when the line of the screen that it has now drawn brings more of the lines above than came with it."""
        above, self._above = self._above, None
        if above is None or not self.in_sync or not is_worth_following(above, self.speed.rate):
            return False
        self._above = above
        return True

    def shown(self, offset: int, size: int, now: float, *, short: bool = False) -> None:
        """It was sent a screen of so many bytes, the output since included; `offset` is that of the screen. `short`: not all above it."""
        follows = short and self.first and self.scrollback is None and self.wanted in (*FIRST, "above")
        self._above = self.share if follows else None
        self.wanted = ""
        self.in_sync, self.lagging = True, False
        self._screen_at = offset
        self._timed = (offset, now)
        self.speed.sent(size, now)

    def drew(self, offset: int, now: float, rate: float | None = None) -> None:
        """It says that it has drawn everything before `offset`; when a whole window went quickly, the next one is twice as wide.
        What it drew before a screen that is on its way says nothing. `rate`: bytes a second in which that screen came, as it saw them come:
        of a small one the time until now is mostly the way there and back, and the drawing."""
        if self._screen_at is not None and offset < self._screen_at:
            return
        self.consumed = min(max(offset, 0), self.position)
        if not self.heard:
            self.heard, self.window = True, NARROW_BYTES
        if self._screen_at is not None:
            self._screen_at = None
            if not self.lagging:
                self.speed.came(0, now)
                if rate is not None and self._above is not None:
                    self.speed.rate = rate
                self._narrow()
        start, since = self._timed
        if self.consumed - start >= self.window or self.consumed < start:
            if self.consumed > start and now - since <= QUICK_SECONDS:
                self.window = min(2 * self.window, WINDOW_BYTES)
                self.speed.came_within(self.consumed - start, now - since)
            self._timed = (self.consumed, now)

    @abstractmethod
    def send_piece(self, piece: Piece) -> None:
        """Live output in its dialect."""

    @abstractmethod
    def screen(self, epoch: str, capture: Capture, delta: bytes, reason: str) -> None:
        """A whole screen, and the output since."""

    @abstractmethod
    def state(self, state: str, reason: str, sandbox: str) -> None:
        """The upstream's state changed."""

    @abstractmethod
    def ended(self, end: Exit, epoch: str, offset: int) -> None:
        """The upstream ended."""

    def note(self, **message: Any) -> None:
        """A control message of terminal.v1; other dialects have none."""
        return

    def refuse(self, sentence: str) -> None:
        """It sent what it may not or what nobody understands."""
        return

    def input(self, message: str | bytes) -> bytes | dict[str, Any]:
        """What its message means: keystrokes, or a control message. Raises ValueError with a sentence for it."""
        return message.encode() if isinstance(message, str) else message


class PlainViewer(Viewer):
    """Text frames of output and nothing else; what it sends is keystrokes."""

    dialect = "plain"

    def send_piece(self, piece: Piece) -> None:
        if piece.text:
            self.send(piece.plain)

    def screen(self, epoch: str, capture: Capture, delta: bytes, reason: str) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        # What the room's own decoder holds back of a cut character, this one holds back too.
        self.send(Frame(RESET + decoder.decode(capture.drawing + delta)))

    def _line(self, sentence: str) -> None:
        quiet = "".join(character if character.isprintable() else " " for character in sentence)
        self.send(Frame(f"\r\n\x1b[0;2m[{quiet}]\x1b[0m\r\n"))

    def state(self, state: str, reason: str, sandbox: str) -> None:
        if state == "failed":
            self._line(f"{reason}; {self._remedy}")

    def ended(self, end: Exit, epoch: str, offset: int) -> None:
        self._line(f"{end.reason}; {self._remedy}")

    @property
    def _remedy(self) -> str:
        return "press Enter to start it again" if self.person.may_restart else "a peer or a moderator can start it again"


class RichViewer(Viewer):
    """partywidgets.terminal.v1."""

    dialect = "rich"
    acknowledges = True

    def __init__(self, connection: Connection, person: Person) -> None:
        super().__init__(connection, person)
        self.socket = secrets.token_urlsafe(9)
        """What its client calls this socket by when it comes back on another."""
        self.taken = 0
        """The number of the last input that came."""

    def send_piece(self, piece: Piece) -> None:
        self.send(piece.rich)

    def resumed(self, offset: int, missed: bytes) -> None:
        """Sends what it missed since `offset`, in frames that fit between others."""
        for at in range(0, len(missed), DELTA_PIECE):
            self.send(Frame(protocol.encode_output(offset + at, missed[at : at + DELTA_PIECE])))
        self.consumed, self.position = offset, offset + len(missed)

    def screen(self, epoch: str, capture: Capture, delta: bytes, reason: str) -> None:
        if self.lagging:
            self.note(type="lag", behind=0)
        short = self.share is not None and capture.short
        self.note(type="resync", reason=reason, **({"short": True} if short else {}))
        self.send(Frame(protocol.encode_snapshot(capture.offset, capture.cols, capture.rows, capture.drawing)))
        self.resumed(capture.offset, delta)

    def state(self, state: str, reason: str, sandbox: str) -> None:
        self.note(type="upstream", state=state, reason=reason, sandbox=sandbox)

    def ended(self, end: Exit, epoch: str, offset: int) -> None:
        self.note(type="exit", code=end.code, reason=end.reason)

    def note(self, **message: Any) -> None:
        self.send(control(**message))

    def refuse(self, sentence: str) -> None:
        self.note(type="error", message=sentence)

    def input(self, message: str | bytes) -> bytes | dict[str, Any]:
        if isinstance(message, str):
            return protocol.decode_control(message)
        self.taken, keys = protocol.decode_input(message)
        return keys


class CloudflareViewer(Viewer):
    """Cloudflare Sandbox, stable: the SDK's own xterm addon."""

    dialect = "cloudflare"
    preview: ClassVar[bool] = False

    def __init__(self, connection: Connection, person: Person) -> None:
        super().__init__(connection, person)
        self._ready = False

    def send_piece(self, piece: Piece) -> None:
        self.send(piece.bare)

    def screen(self, epoch: str, capture: Capture, delta: bytes, reason: str) -> None:
        drawing = RESET.encode() + capture.drawing + delta
        if self._ready or len(drawing) > len(RESET):
            self.send(Frame(drawing))

    def state(self, state: str, reason: str, sandbox: str) -> None:
        if state == "running" and not self._ready:
            self._ready = True
            self.send(control(type="ready"))
        elif state == "failed":
            self.refuse(reason)
            self.connection.close(1011, reason.encode()[:120].decode("utf-8", "ignore"))

    def ended(self, end: Exit, epoch: str, offset: int) -> None:
        # Typed and documented by the SDK, though its own container stays silent.
        self.send(control(type="exit", code=end.code if end.code is not None else -1))

    def refuse(self, sentence: str) -> None:
        self.send(control(type="error", message=sentence))

    def input(self, message: str | bytes) -> bytes | dict[str, Any]:
        if isinstance(message, str):
            return cloudflare.decode_control(message, preview=self.preview)
        return message


class CloudflarePreviewViewer(CloudflareViewer):
    """Cloudflare Sandbox, 1.0 preview: every binary frame behind its `chunk`, resume by cursor."""

    dialect = "cloudflare-1"
    preview = True

    def greet(self, cursor: str | None) -> None:
        """`ready`, which comes before any output."""
        self._ready = True
        self.send(control(type="ready", **({"cursor": cursor} if cursor else {})))

    def send_piece(self, piece: Piece) -> None:
        self.send(piece.chunk)
        self.send(piece.bare)

    def resumed_after(self, epoch: str, offset: int, missed: bytes) -> None:
        """Sends what came after its cursor."""
        for at in range(0, len(missed), DELTA_PIECE):
            part = missed[at : at + DELTA_PIECE]
            self.send(chunk(epoch, offset + at + len(part), len(part)))
            self.send(Frame(part))
        self.position = offset + len(missed)

    def screen(self, epoch: str, capture: Capture, delta: bytes, reason: str) -> None:
        if reason in ("history", "lagged"):
            self.send(control(type="truncated"))
        end = capture.offset + len(delta)
        drawing = RESET.encode() + capture.drawing + delta
        if end:
            self.send(chunk(epoch, end, len(drawing)))
            self.send(Frame(drawing))

    def ended(self, end: Exit, epoch: str, offset: int) -> None:
        cursor = {"cursor": cloudflare.encode_cursor(epoch, offset)} if offset else {}
        self.send(control(type="exit", **cursor, exit={"code": end.code if end.code is not None else -1, "timedOut": False}))
        self.connection.close(1000, "Terminal exited")
