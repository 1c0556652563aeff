"""The process behind a terminal room: opened in the background, drained whatever the viewers do, ended with a reason."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

from ..exceptions import SandboxError, SandboxGoneError
from .ending import to_the_end
from .sandboxes import Address, Exit, Lasting, Prompt, Renewing, Sandbox, open_sandbox
from .vt import plain_text

log = logging.getLogger(__name__)

State: TypeAlias = Literal["idle", "starting", "running", "ended", "failed"]

FAIR_BYTES = 256 * 1024
"""After this much output without a pause, others get the loop."""
OPEN_TIMEOUT = 45.0
BLANK_SECONDS = 5.0
"""After which people are told that a shell of ours has shown nothing at all: an empty screen that is live looks broken."""
BLANK = f"the shell has shown nothing for {BLANK_SECONDS:g} s: its start files may take their time, and what is typed waits for it"
_PROMPT = b"\x1b]633;B;"
AHEAD_BYTES = 4096
"""Keystrokes that wait for a sandbox that is still being opened."""


class Upstream:
    """At most one sandbox. Its states: idle → starting → running → ended, or starting → failed; both may start again.

    `changed` is told of each new state, `wavered` of a new `reason` while it runs: its connection is being made again; `output` gets what
    comes; `ready` is awaited before each read, unless `clear` says that it would return at once.
    """

    def __init__(
        self,
        place: str,
        *,
        changed: Callable[[], None],
        wavered: Callable[[], None],
        output: Callable[[bytes], None],
        clear: Callable[[], bool],
        ready: Callable[[], Awaitable[None]],
    ) -> None:
        self._place, self._changed, self._wavered = place, changed, wavered
        self._output, self._clear, self._ready = output, clear, ready
        self.state: State = "idle"
        self.reason = ""
        self.sandbox_id = ""
        self.exit: Exit | None = None
        self.sandbox: Sandbox | None = None
        self._ahead = b""
        self._blank: asyncio.TimerHandle | None = None
        """Runs, or has run, until the shell has shown something."""
        self._unechoed = 0
        """Until then: what was typed and may be echoed by its terminal, a control character as two."""
        self._turn = 0
        """Which start it is: a process whose end takes longer than somebody waits for it says nothing of the one after it."""

    @property
    def alive(self) -> bool:
        """True while there is, or is about to be, a process."""
        return self.state in ("starting", "running")

    def _become(self, state: State, reason: str = "") -> None:
        self.state, self.reason = state, reason
        self._changed()

    def starting(self, sandbox_id: str) -> None:
        """A start was decided; the room may still have to prepare."""
        self.sandbox_id, self.exit, self._ahead, self._unechoed = sandbox_id, None, b"", 0
        self._turn += 1
        self._become("starting")

    def fail(self, sentence: str) -> None:
        """The start came to nothing."""
        log.warning("room %s: the sandbox %s could not be opened: %s", self._place, self.sandbox_id, sentence)
        self._become("failed", sentence)

    async def run(self, address: Address, *, cols: int, rows: int, nonce: str) -> None:
        """Opens the sandbox, passes its output on, and returns when it has ended. Never raises for what the sandbox does."""
        turn = self._turn
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                sandbox = await open_sandbox(address, cols=cols, rows=rows, nonce=nonce)
        except SandboxError as error:
            self.fail(str(error))
            return
        except TimeoutError:
            self.fail(f"the sandbox {self.sandbox_id} did not open within {OPEN_TIMEOUT:g} s: look whether its container or host answers")
            return
        self.sandbox = sandbox
        try:
            self._become("running")
            if sandbox.marks == "shell":
                self._blank = asyncio.get_running_loop().call_later(BLANK_SECONDS, self._away, BLANK)
            if isinstance(sandbox, Renewing):
                sandbox.on_away(self._away)
            if self._ahead:
                sandbox.write(self._ahead)
                self._unechoed += 2 * len(self._ahead)
            await self._pump(sandbox)
            self.exit = await sandbox.wait_exit()
        except OSError as error:
            log.warning("room %s: reading the sandbox %s failed", self._place, self.sandbox_id, exc_info=error)
            self.exit = Exit(None, f"the terminal of {self.sandbox_id} was lost: {error.strerror or error}")
        finally:
            if turn == self._turn:
                self.sandbox = None
                self._show_blank_no_more()
            try:
                await to_the_end(sandbox.close())
            except Exception:
                log.exception("room %s: the sandbox %s could not be closed", self._place, address.target)
            finally:
                if turn == self._turn:
                    if self.exit is None:
                        self.exit = Exit(None, "the terminal was closed")
                    self._become("ended", self.exit.reason)

    def _away(self, reason: str) -> None:
        self.reason = reason
        self._wavered()

    def _take(self, piece: bytes) -> bool:
        """Output that is passed on where it was read: what wakes no task is a third of an echo's way through us."""
        clear = self._clear()
        if clear:
            if self._blank is not None:
                self._look(piece)
            self._output(piece)
        return clear

    def _look(self, piece: bytes) -> None:
        """Is there something to see at last that is no echo of what was typed, or a prompt, which may be empty?"""
        self._unechoed -= len(plain_text(piece.decode("utf-8", "replace")).strip())
        if _PROMPT in piece or self._unechoed < 0:
            self._show_blank_no_more()
            if self.reason == BLANK:
                self._away("")

    def _show_blank_no_more(self) -> None:
        if self._blank is not None:
            self._blank.cancel()
            self._blank = None

    async def _pump(self, sandbox: Sandbox) -> None:
        unbroken = 0
        if isinstance(sandbox, Prompt):
            sandbox.hand_over(self._take)
        while piece := await sandbox.read():
            if self._blank is not None:
                self._look(piece)
            self._output(piece)
            unbroken += len(piece)
            if unbroken >= FAIR_BYTES:
                unbroken = 0
                await asyncio.sleep(0)
            if not self._clear():
                await self._ready()

    def write(self, keystrokes: bytes) -> None:
        """Types; up to 4 KiB wait for a sandbox that is still being opened.

        Raises SandboxGoneError when nothing runs, SandboxError when the process does not read.
        """
        if self.sandbox is not None:
            self.sandbox.write(keystrokes)
            if self._blank is not None:
                self._unechoed += 2 * len(keystrokes)
        elif self.state == "starting" and len(self._ahead) + len(keystrokes) <= AHEAD_BYTES:
            self._ahead += keystrokes
        elif self.state == "starting":
            raise SandboxGoneError("the terminal is still starting: wait for its prompt")
        else:
            raise SandboxGoneError("the terminal is not running: restart it")

    def end(self) -> bool:
        """Asks for the end of what would outlive our leaving it; False where leaving is all that there is."""
        if not isinstance(self.sandbox, Lasting):
            return False
        self.sandbox.end()
        return True

    async def resize(self, cols: int, rows: int) -> None:
        """Sets the size in cells of what runs."""
        if self.sandbox is not None:
            await self.sandbox.resize(cols, rows)
