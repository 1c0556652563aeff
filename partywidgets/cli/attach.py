"""`partywidgets attach`: a terminal room in this terminal."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..exceptions import CommandError, ConfigError, PartyError
from .running import run_to_end
from .tokens import read_token

if TYPE_CHECKING:
    from ..client.terminal import TerminalClient

DETACH = b"\x1d"
"""Ctrl-]"""
RESTARTERS = frozenset({"peer", "moderator"})
TYPISTS = RESTARTERS | {"operator"}
ENTER = (b"\r", b"\n")
_RESET = b"\x1bc"
# Leaves what a program there may have switched on: alternate screen, hidden cursor, colours, mouse reports, bracketed paste, keypad.
_PLAIN = b"\x1b[?1049l\x1b[?25h\x1b[0m\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1l\x1b>\r\n"


def run(room: str, *, url: str, sandbox: str | None, observe: bool, token_file: Path | None) -> None:
    """Joins the room until Ctrl-], the end of its shell, or a refusal. Raises PartyError."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError("attach needs a terminal on its input and output: in a script, use partywidgets.TerminalClient")
    token = read_token(token_file)
    print(run_to_end(_attach(room, url=url, sandbox=sandbox, observe=observe, token=token)), file=sys.stderr)


async def _attach(room: str, *, url: str, sandbox: str | None, observe: bool, token: str | None) -> str:
    from ..client.terminal import TerminalClient

    columns, lines = os.get_terminal_size(sys.stdout.fileno())
    try:
        terminal = TerminalClient(url, room, token=token, sandbox=sandbox, cols=columns, rows=lines)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    async with terminal:
        quiet = observe or terminal.role not in TYPISTS
        role = f"{terminal.role}, read only" if quiet else terminal.role
        notice = f"{room} as {role}; Ctrl-] leaves"
        print(f"attached to {notice}", file=sys.stderr)
        with _raw_terminal():
            try:
                return await _pump(terminal, quiet=quiet, room=room, notice=notice)
            finally:
                os.write(sys.stdout.fileno(), _PLAIN)


async def _pump(terminal: TerminalClient, *, quiet: bool, room: str, notice: str) -> str:
    """Copies both ways; returns the sentence to end with."""
    loop = asyncio.get_running_loop()
    left, again, wanted = asyncio.Event(), asyncio.Event(), asyncio.Event()
    stdin, stdout = sys.stdin.fileno(), sys.stdout.fileno()

    def typed() -> None:
        keys = os.read(stdin, 4096)
        keys, detach, _ = keys.partition(DETACH)
        if keys and terminal.upstream.state == "failed":
            if keys in ENTER and terminal.role in RESTARTERS:
                again.set()
        elif keys and not quiet and (terminal.can_type or terminal.lease is None):
            terminal.write(keys)
        elif keys in ENTER and not quiet:
            wanted.set()
        if detach or not keys:
            left.set()

    def resized() -> None:
        terminal.resize(*os.get_terminal_size(stdout))
        look()

    standing = _standing(terminal, quiet=quiet)

    def look() -> None:
        nonlocal standing
        if terminal.state == "live" and (now := _standing(terminal, quiet=quiet)) != standing:
            standing = now
            terminal.redraw()  # what the last badge stood over comes back

    async def show() -> None:
        async for output in terminal.output():
            # In a thread: a terminal held with Ctrl-S must not stop the answers to pings.
            if output.startswith(_RESET):
                output += _failure(terminal, room) + _badge(_standing(terminal, quiet=quiet) or notice)
            await asyncio.to_thread(_write_all, stdout, output)

    async def restart() -> None:
        while True:
            await again.wait()
            again.clear()
            with suppress(CommandError):  # what kept it from starting comes as the next state
                await terminal.restart()

    async def ask() -> None:
        while True:
            await wanted.wait()
            wanted.clear()
            await say(f"you asked {terminal.lease[1]} for control; Ctrl-] leaves" if terminal.lease else notice)
            try:
                await terminal.ask_control()
            except PartyError as error:
                await say(str(error))

    async def say(sentence: str) -> None:
        await asyncio.to_thread(_write_all, stdout, _badge(sentence))

    async def ended() -> None:
        known, before = terminal.state, terminal.upstream.state
        while terminal.exit is None:
            await terminal.changed()
            look()
            if terminal.upstream.state != before and (text := _failure(terminal, room)):
                await asyncio.to_thread(_write_all, stdout, text)
            before = terminal.upstream.state
            if terminal.state != known and "lost" in (terminal.state, known):
                news = "connection lost, trying again" if terminal.state == "lost" else "connected again"
                await say(f"{room}: {news}; Ctrl-] leaves")
            known = terminal.state

    loop.add_reader(stdin, typed)
    loop.add_signal_handler(signal.SIGWINCH, resized)
    tasks = [asyncio.ensure_future(work) for work in (show(), ended(), restart(), ask(), left.wait())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # a refusal or a lost host ends here as its PartyError
    finally:
        loop.remove_reader(stdin)
        loop.remove_signal_handler(signal.SIGWINCH)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if terminal.exit is not None and not left.is_set():
        return f"the terminal of {room} ended: {terminal.exit.reason}"
    return f"left {room}; its terminal lives on"


def _standing(terminal: TerminalClient, *, quiet: bool) -> str:
    """What whoever sits here must know of the others: who types, who wants to, and whose window is larger than this one."""
    others = ", ".join(name for connection, name in terminal.asking if connection != terminal.connection)
    if others and terminal.has_control:
        return f"{others} asks for control: leave (Ctrl-]), or type nothing for a minute, and they have it"
    if terminal.lease is not None and not terminal.can_type and not quiet:
        return f"{terminal.lease[1]} has control, what you type is dropped; Enter asks for it, Ctrl-] leaves"
    columns, lines = os.get_terminal_size(sys.stdout.fileno())
    cols, rows, by = terminal.size.cols, terminal.size.rows, terminal.size.by
    if cols > columns or rows > lines:
        return f"the screen is {cols}×{rows}" + (f" as {by} has it" if by else "") + ": make this window larger"
    return ""


def _failure(terminal: TerminalClient, room: str) -> bytes:
    """Why there is no shell, on a line of its own; nothing where there is one."""
    if terminal.upstream.state != "failed":
        return b""
    reason = "".join(character if character.isprintable() else " " for character in terminal.upstream.reason)
    again = "; Enter tries again" if terminal.role in RESTARTERS else ""
    return f"\r\n{room}: {reason or 'its shell could not be started'}{again}\r\n".encode()


def _badge(text: str) -> bytes:
    """The text in the upper right corner, the cursor left where it is: there until something is printed over it."""
    columns = os.get_terminal_size(sys.stdout.fileno()).columns
    shown = f" {text[: max(columns - 3, 1)]} "
    return f"\x1b7\x1b[1;{max(columns - len(shown) + 1, 1)}H\x1b[7m{shown}\x1b[0m\x1b8".encode()


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
