"""What is known of the shell behind a terminal, by its marks and by what it shows."""

from __future__ import annotations

import asyncio
import time

from .ring import Ring
from .sandboxes import MarkSource
from .shell import Mark
from .typed_marks import last_line
from .vt import ModeReader, plain_text

MARKING = ("bash", "zsh", "sh")
"""Shells that mark their prompts; a container or host names whichever else it was told to open."""
AHEAD_SECONDS = 0.25
"""How long a prompt behind lines that were typed before it is looked at: a shell begins at once with those that no program read."""
REST_SECONDS = 0.5
"""How long nothing comes before a prompt counts as one that stays."""
ECHO_LIMIT = 16 * 1024
"""Bytes in which an entered line is looked for."""


class ShellState:
    """One shell, whose output is in `ring`, from its start to its end.

    `source` says who marks: the shell itself, the line that is typed, or nobody. `name` is what a marking shell calls itself, "" before.
    """

    def __init__(self, ring: Ring, source: MarkSource) -> None:
        self.ring = ring
        self.source: MarkSource = source
        self.name = ""
        self.folder = ""
        self.line = ""
        """The line that was entered last, where a mark told it."""
        self.typist = ""
        """Who pressed Enter last."""
        self.modes = ModeReader()
        self.at_prompt = asyncio.Event()
        self._ahead = 0
        """Lines that were entered before the prompt was there."""
        self.doubtful = False
        """There were such since `run` typed last: what begins may be one of them."""
        self.told_already = False
        """The command before the next prompt has told its own end: what a plain sh says there is not another's."""
        self._hold: asyncio.TimerHandle | None = None
        self.prompt_end = 0
        """Where what is typed at the prompt begins."""
        self.entered_at = 0
        """Where the output was when somebody pressed Enter."""
        self.began_at, self.heard_at = time.monotonic(), 0.0
        if source != "shell":
            self.at_prompt.set()

    def heard(self, piece: bytes) -> None:
        """Output came."""
        self.heard_at = time.monotonic()
        self.modes.feed(piece)

    def entered(self, actor: str, lines: int = 1) -> None:
        """Somebody pressed Enter: a shell that marks is not at its prompt until it says so."""
        self.typist, self.entered_at = actor, self.ring.end
        if self.source == "shell":
            self._ahead += lines - self.at_prompt.is_set()
            self.doubtful = self.doubtful or self._ahead > 0
            self.at_prompt.clear()

    def told(self, mark: Mark) -> None:
        """A mark of the shell's own: its name, its folder, the end of its prompt, the line that was entered."""
        if mark.kind == "P" and mark.fields:
            name, _, value = mark.fields[0].partition("=")
            if name == "Shell":
                self.name = value
                if value not in MARKING:
                    self.source = "none"
                    self.at_prompt.set()
            elif name == "Cwd" and value.startswith("/"):
                self.folder = value
        elif mark.kind == "B":
            self.prompt_end = mark.end
            self.leave()
            if self._ahead:
                self._hold = asyncio.get_running_loop().call_later(AHEAD_SECONDS, self._nothing_ahead)
            else:
                self.at_prompt.set()
        elif mark.kind == "C":
            self._ahead = max(self._ahead - self.leave(), 0)
        elif mark.kind == "E":
            self.line = mark.fields[0] if mark.fields else ""

    def _nothing_ahead(self) -> None:
        self._hold, self._ahead = None, 0
        self.at_prompt.set()

    def leave(self) -> bool:
        """Looks no longer at a prompt; True if it did."""
        held, self._hold = self._hold, None
        if held is not None:
            held.cancel()
        return held is not None

    @property
    def rests(self) -> bool:
        """Nothing has come for a while."""
        return time.monotonic() - self.heard_at >= REST_SECONDS

    @property
    def full_screen(self) -> bool:
        """A program has the whole screen, or the keys of one."""
        return self.modes.alternate or self.modes.cursor_keys

    def last_line(self, start: int = 0) -> str:
        """The line that the cursor is in, of what came since `start`."""
        return last_line(self.ring, start)

    def output(self, start: int, end: int) -> bytes:
        """What came between two offsets, as far as it is kept."""
        start = max(start, self.ring.base)
        return self.ring.read(start, end) if start <= end else b""

    def echo(self, end: int) -> str:
        """The line that stands behind the prompt, as the screen shows it."""
        start = max(self.prompt_end, self.ring.base)
        if not start <= end <= self.ring.end:
            return ""
        return plain_text(self.ring.read(start, min(end, start + ECHO_LIMIT)).decode("utf-8", "replace")).split("\n")[0].strip()
