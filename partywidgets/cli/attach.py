"""`partywidgets attach`: a terminal room in this terminal."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..exceptions import CommandError, ConfigError, PartyError, SandboxError
from ..scans.text import safe_text
from .arrival import Arrival
from .pane import RESET, Pane
from .running import run_to_end
from .tokens import read_token

if TYPE_CHECKING:
    from ..client.terminal import TerminalClient

DETACH = b"\x1d"
"""Ctrl-]"""
RESTARTERS = frozenset({"peer", "moderator"})
TYPISTS = RESTARTERS | {"operator"}
ENTER = (b"\r", b"\n")
FRAME = 0.03
"""Seconds between two drawings of a part of the screen."""
SETTLED = 0.3
"""Seconds in which a room takes the size of a new window, if it does, and the lines above a first screen come, if they do."""
USUAL = (80, 24)
"""Columns and lines where the window says none."""
# Leaves what a program there may have switched on: alternate screen, hidden cursor, colours, mouse reports, bracketed paste, keypad.
_PLAIN = b"\x1b[?1049l\x1b[?25h\x1b[0m\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1l\x1b>\r\n"


def run(room: str, *, url: str, sandbox: str | None, observe: bool, token_file: Path | None, wait: bool = False) -> None:
    """Joins the room until Ctrl-], the end of its shell, or a refusal. Raises PartyError. `wait`: until there is a host, too."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError("attach needs a terminal on its input and output: in a script, use partywidgets.TerminalClient")
    token = read_token(token_file)
    print(safe_text(run_to_end(_attach(room, url=url, sandbox=sandbox, observe=observe, token=token, wait=wait))), file=sys.stderr)


async def _attach(room: str, *, url: str, sandbox: str | None, observe: bool, token: str | None, wait: bool) -> str:
    from ..client.terminal import TerminalClient

    columns, lines = _window() or (None, None)
    arrival = Arrival(url, waits=wait)
    first: dict[str, Any] = {"should_reconnect_on_close": arrival.goes_on, "on_error": arrival.failed}
    try:
        terminal = TerminalClient(url, room, token=token, sandbox=sandbox, cols=columns, rows=lines, **first)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    with terminal.reading() as output:
        return await _attached(terminal, output, arrival, room=room, observe=observe)


async def _attached(terminal: TerminalClient, output: AsyncIterator[bytes], arrival: Arrival, *, room: str, observe: bool) -> str:
    async with arrival.entered(terminal):
        quiet = observe or terminal.role not in TYPISTS
        role = f"{terminal.role}, read only" if quiet else terminal.role
        notice = f"{room} as {role}; Ctrl-] leaves"
        print(f"attached to {notice}", file=sys.stderr)
        # What the client would log stands in the corner: a line of its own would lie across the screen.
        logging.getLogger("partywidgets").addHandler(logging.NullHandler())
        with _raw_terminal():
            attached = _Attached(terminal, output, quiet=quiet, room=room, notice=notice)
            try:
                return await attached.until_left()
            finally:
                os.write(sys.stdout.fileno(), attached.leave() + _PLAIN)


class _Attached:
    """This terminal and a room's, each copied to the other until the person leaves, the shell ends or the room refuses."""

    def __init__(self, terminal: TerminalClient, output: AsyncIterator[bytes], *, quiet: bool, room: str, notice: str) -> None:
        self._output, self._terminal, self._quiet, self._room, self._notice = output, terminal, quiet, room, notice
        self._left, self._again, self._wanted = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._stdin, self._stdout = sys.stdin.fileno(), sys.stdout.fileno()
        self._stays = quiet
        """Where there is no shell: whoever came to type in one leaves, unless there was one before."""
        self._standing = self._stands()
        self._unheard = ""
        """What was not taken, until more is typed."""
        self._corner: list[str] = []
        """The lines of the sentence that stands there."""
        self._pane: Pane | None = None
        """What draws a screen of another size than this window's; None: it fits, and is written as it comes."""
        self._shape = self._shapes()
        self._fed, self._drawing = asyncio.Event(), asyncio.Lock()

    async def until_left(self) -> str:
        """Copies both ways; returns the sentence to end with. Raises PartyError."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._stdin, self._typed)
        loop.add_signal_handler(signal.SIGWINCH, self._resized)
        parts = (self._show(), self._paint(), self._tell(), self._restart(), self._ask(), self._left.wait())
        tasks = [asyncio.ensure_future(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # a refusal or a lost host ends here as its PartyError
        finally:
            loop.remove_reader(self._stdin)
            loop.remove_signal_handler(signal.SIGWINCH)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._terminal.exit is not None and not self._left.is_set():
            return f"the terminal of {self._room} ended: {self._terminal.exit.reason}"
        return f"left {self._room}; its shell keeps running"

    def _typed(self) -> None:
        terminal = self._terminal
        keys, detach, _ = os.read(self._stdin, 4096).partition(DETACH)
        self._unheard = ""
        if keys and terminal.upstream.state == "failed":
            if keys in ENTER and terminal.role in RESTARTERS:
                self._again.set()
        elif keys and not self._quiet and (terminal.can_type or terminal.lease is None):
            terminal.write(keys)
        elif keys in ENTER and not self._quiet:
            self._wanted.set()
        if detach or not keys:
            self._left.set()

    def _resized(self) -> None:
        if (window := _window()) is not None:
            self._terminal.resize(*window)
        asyncio.get_running_loop().call_later(SETTLED, self._look)
        if self._standing:
            self._terminal.redraw()  # its lines are as long as the window was

    def _stands(self) -> str:
        return _standing(self._terminal, quiet=self._quiet)

    def _shapes(self) -> tuple[int, int] | None:
        """The room's columns and rows where this window has others."""
        size = self._terminal.size.cols, self._terminal.size.rows
        return None if _window() in (None, size) else size

    def _look(self) -> None:
        if self._terminal.state == "live" and (self._stands(), self._shapes()) != (self._standing, self._shape):
            self._standing, self._shape = self._stands(), self._shapes()
            self._terminal.redraw()  # what the last badge stood over comes back

    async def _write(self, output: bytes) -> None:
        # In a thread: a terminal held with Ctrl-S must not stop the answers to pings.
        await asyncio.to_thread(_write_all, self._stdout, output)

    async def _say(self, sentence: str) -> None:
        await self._write(self._badge(sentence))

    def _badge(self, sentence: str, *, over: bool = True) -> bytes:
        """A sentence in the corner; `over` all of the one that stands there."""
        lines = _lines(sentence) or [""]
        if over:
            lines += [""] * (len(self._corner) - len(lines))
            lines[0] = lines[0].ljust(max(map(len, self._corner), default=0))
        self._corner = lines
        return _badge(lines)

    async def _show(self) -> None:
        """The room's output, and again what a fresh screen has wiped away."""
        await self._terminal.lines_above(SETTLED)  # where they are there at once, the window's own scrollback has the screen once
        async for output in self._output:
            fresh = output.startswith(RESET)
            async with self._drawing:
                if fresh:
                    self._fit()
                if self._pane is not None:
                    await asyncio.to_thread(self._pane.feed, output)
                    output = await self._drawn() if fresh else b""
                    self._fed.set()
                if fresh:
                    failure = _failure(self._terminal, self._room) if self._stays else b""
                    output += failure + self._badge(self._unheard or self._stands() or self._notice, over=False)
                await self._write(output)

    def _fit(self) -> None:
        """A screen comes: is it of this window's size?"""
        self._shape = self._shapes()
        if self._pane is not None and self._pane.size != self._shape:
            self._pane.close()
            self._pane = None
        if self._pane is None and self._shape is not None and Pane.possible():
            self._pane = Pane.of(*self._shape)

    async def _drawn(self) -> bytes:
        return b"" if self._pane is None else await asyncio.to_thread(self._pane.draw, *(_window() or self._pane.size))

    async def _paint(self) -> None:
        """Draws what was fed to the pane, as often as an eye sees."""
        while True:
            await self._fed.wait()
            self._fed.clear()
            async with self._drawing:
                await self._write(await self._drawn())
            await asyncio.sleep(FRAME)

    def leave(self) -> bytes:
        """What is to be written behind the last output."""
        return b"" if self._pane is None else self._pane.leave()

    async def _restart(self) -> None:
        while True:
            await self._again.wait()
            self._again.clear()
            with suppress(CommandError):  # what kept it from starting comes as the next state
                await self._terminal.restart()

    async def _ask(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            lease = self._terminal.lease
            await self._say(f"you asked {lease[1]} for control; Ctrl-] leaves" if lease else self._notice)
            try:
                await self._terminal.ask_control()
            except PartyError as error:
                await self._say(str(error))

    async def _tell(self) -> None:
        """What happens beside the shell's output: no start, a connection lost or back, who has control, what is not taken. Returns when the
        shell has ended."""
        terminal = self._terminal
        known, before = terminal.state, terminal.upstream.state
        while terminal.exit is None:
            self._stays = self._stays or terminal.upstream.state == "running"
            if terminal.upstream.state == "failed" and not self._stays:
                raise SandboxError(f"{self._room}: {_reason(terminal)}")
            await terminal.changed()
            self._look()
            if self._stays and terminal.upstream.state != before and (text := _failure(terminal, self._room)):
                await self._write(text)
            before = terminal.upstream.state
            if terminal.state != known and "lost" in (terminal.state, known):
                news = "connection lost, trying again" if terminal.state == "lost" else "connected again"
                await self._say(f"{self._room}: {news}; Ctrl-] leaves")
            known = terminal.state
            if terminal.last_error:
                refusal, terminal.last_error = terminal.last_error, ""
                self._unheard = f"not taken: {refusal}"
                await self._say(self._unheard)


def _standing(terminal: TerminalClient, *, quiet: bool) -> str:
    """What whoever sits here must know of the others: who types, who wants to, and whose window is larger than this one."""
    others = ", ".join(name for connection, name in terminal.asking if connection != terminal.connection)
    if others and terminal.has_control:
        return f"{others} asks for control: leave (Ctrl-]), or type nothing for a minute, and they have it"
    if terminal.lease is not None and not terminal.can_type and not quiet:
        return f"{terminal.lease[1]} has control, what you type is dropped; Enter asks for it, Ctrl-] leaves"
    cols, rows, by = terminal.size.cols, terminal.size.rows, terminal.size.by
    window = _window()
    if window is not None and (cols > window[0] or rows > window[1]):
        seen = "what is around the cursor is shown" if Pane.possible() else "make this window larger"
        return f"the screen is {cols}×{rows}" + (f" as {by} has it" if by else "") + f": {seen}"
    return ""


def _failure(terminal: TerminalClient, room: str) -> bytes:
    """Why there is no shell, on a line of its own; nothing where there is one."""
    if terminal.upstream.state != "failed":
        return b""
    again = "; Enter tries again" if terminal.role in RESTARTERS else ""
    return f"\r\n{room}: {_reason(terminal)}{again}\r\n".encode()


def _reason(terminal: TerminalClient) -> str:
    reason = "".join(character if character.isprintable() else " " for character in terminal.upstream.reason)
    return reason or "its shell could not be started"


def _lines(sentence: str) -> list[str]:
    """A sentence in as many lines as this window makes of it: text, for names in it are those that others gave themselves."""
    return textwrap.wrap(safe_text(sentence), max((_window() or USUAL)[0] - 3, 1))


def _badge(lines: list[str]) -> bytes:
    """The lines in the upper right corner, the cursor left where it is: there until something is printed over it."""
    width = max(map(len, lines), default=0)
    at = max((_window() or USUAL)[0] - width - 1, 1)
    shown = "".join(f"\x1b[{row};{at}H\x1b[7m {line:<{width}} \x1b[0m" for row, line in enumerate(lines, 1))
    return f"\x1b7{shown}\x1b8".encode()


def _window() -> tuple[int, int] | None:
    """This window's columns and lines; None where its terminal knows none, as a serial line's: then whatever comes fits."""
    columns, lines = os.get_terminal_size(sys.stdout.fileno())
    return (columns, lines) if columns and lines else None


def _write_all(descriptor: int, output: bytes) -> None:
    while output:
        output = output[os.write(descriptor, output) :]


@contextmanager
def _raw_terminal() -> Iterator[None]:
    import termios
    import tty

    stdin = sys.stdin.fileno()
    before = termios.tcgetattr(stdin)
    tty.setraw(stdin)
    try:
        yield
    finally:
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)
