"""Commands in a shared terminal: run one at a time in the visible shell, and a ledger of all that ran."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

from ..exceptions import CommandError, CommandTimeoutError
from .busy import busy, doing
from .ledger import Entry
from .ring import Ring
from .running import Request, Running, end_mark, new_id, result_of, short
from .sandboxes import MarkSource
from .shell import Mark, MarkReader, behind_echo, command_line, keystrokes, same_line
from .shell_state import ShellState
from .taking_back import TakingBack
from .typed_marks import SEEN_BYTES, TypedMarks
from .vt import plain_text
from .waiting import prompts

PROMPT_SECONDS = 30.0
"""How long `run` waits for the shell's prompt, at most."""
QUIET_SECONDS = 3.0
"""A command that has printed nothing for so long is looked at: it may wait for a person."""
FIRST_SECONDS = 3.0
"""How long a shell that was not started with our marks may take for its first prompt: some show none."""
LOOK_SECONDS = 0.1
COMMAND_LIMIT = 16 * 1024


class Commands:
    """Reads the marks of one shell at a time; `begin` and `end` tell when it starts and is gone.

    `write` types, `announce` sends a `mark` message, `keep` stores a line of the ledger.
    """

    def __init__(
        self,
        *,
        write: Callable[[bytes], None],
        announce: Callable[[dict[str, Any]], None],
        keep: Callable[[Entry], None],
    ) -> None:
        self._write, self._announce, self._keep = write, announce, keep
        self._shell = ShellState(Ring(1), "none")
        self._reader = MarkReader("")
        self._turn = asyncio.Lock()
        self._request: Request | None = None
        self._running: Running | None = None
        self._outer: Running | None = None
        """What opened the shell in which `_running` runs."""
        self._typed: TypedMarks | None = None
        """Of the request, where its own line prints its marks."""
        self._ending: tuple[int, int, float] | None = None
        """Of a command whose end was marked: its code, where its output ends, and when. The next mark, which has the folder, ends it."""
        self._taking_back = TakingBack(write, over=lambda: bool(self._gone) or self._shell.at_prompt.is_set() or self._running is not None)
        self._gone = "the terminal is not running: restart it"

    def coming(self) -> None:
        """A shell is being started: whoever wants to run a command waits for its prompt."""
        self._gone = ""
        self._shell.source = "shell"
        self._shell.at_prompt.clear()

    def begin(self, nonce: str, source: MarkSource, ring: Ring) -> None:
        """A shell starts."""
        self._shell.leave()
        self._shell.at_prompt.set()  # whoever waits there looks at the new one
        self._shell, self._reader, self._gone = ShellState(ring, source), MarkReader(nonce), ""
        self._running = self._outer = self._typed = self._ending = None

    def end(self, reason: str) -> None:
        """The shell is gone: whoever waits for a command hears it."""
        self._taking_back.leave()
        self._shell.leave()
        self._gone = reason
        request, self._request = self._request, None
        self._running = self._outer = self._typed = self._ending = None
        self._shell.at_prompt.set()
        if request is not None and not request.result.done():
            request.result.set_exception(CommandError(f"{reason} while `{short(request.command)}` ran"))

    def typed(self, keys: bytes, actor: str) -> None:
        """Somebody typed; after Enter the shell is not at its prompt until it says so."""
        if self._typed is not None and b"\x03" in keys:
            self._typed.interrupted = True
        if b"\r" in keys or b"\n" in keys:
            self._taking_back.leave()  # what runs now is theirs
            self._shell.entered(actor, max(keys.count(b"\r"), keys.count(b"\n")))

    # The marks

    def output(self, piece: bytes, offset: int) -> None:
        """Output came, its first byte at `offset`."""
        self._shell.heard(piece)
        marks = [(mark, self._marked) for mark in self._reader.feed(piece, offset)]
        if self._typed is not None:
            marks += [(mark, self._typed_marked) for mark in self._typed.feed(piece, offset)]
            marks.sort(key=lambda found: found[0].start)
        for mark, take in marks:
            take(mark)

    def _marked(self, mark: Mark) -> None:
        self._shell.told(mark)
        if self._ending is not None:
            self._ended(*self._ending)  # the folder that follows the code is there, too
            self._ending = None
        if mark.kind == "F":
            # The shell asks for more. `env` in a plain sh prints its PS2 too, with `$?` in the mark.
            if mark.fields and mark.fields[0].isdecimal():
                self._goes_on()
        elif mark.kind == "C":
            request = self._marked_request
            if request is not None and self._shell.doubtful and self._shell.line and not same_line(self._shell.line, request.line):
                request = None
            self._started(mark.end, mark.start, request)
        elif mark.kind == "D" and mark.fields and mark.fields[0].isdecimal():
            # A plain sh has the marks in PS1, which `env` and `set` print as they are: with `$?` in them, not with a code.
            code, told_already, self._shell.told_already = int(mark.fields[0]), self._shell.told_already, False
            self._leave_inside()
            if self._running is None and not told_already:
                self._started_unseen(mark.start)
                code = self._unseen_code(code, mark.start)
            if self._running is not None:
                self._ending = code, mark.start, time.monotonic()

    def _typed_marked(self, mark: Mark) -> None:
        # One after the other, printed by the same line: where the command begins, its code, the folder.
        if self._typed is None:
            return
        if mark.kind == "C":
            echo = self._shell.output(mark.start - 2 * COMMAND_LIMIT, mark.start)
            self._typed.echoed(plain_text(echo.decode("utf-8", "replace")))
            self._started(mark.end, mark.start, self._request)
        elif mark.kind == "D" and mark.fields and mark.fields[0].isdecimal():
            self._typed.ending = int(mark.fields[0]), mark.start, time.monotonic()
        elif mark.kind == "P" and mark.fields and mark.fields[0].startswith("Cwd=") and self._typed.ending is not None:
            self._ended(*self._typed.ending, cwd=mark.fields[0][4:])

    def _leave_inside(self) -> None:
        """What opened the shell inside ended, and with it what was typed there."""
        request = self._request
        if request is None or not request.inside:
            return
        self._running, self._outer = self._outer or self._running, None
        self._request = self._typed = None
        if not request.result.done():
            request.result.set_exception(CommandError(f"the shell inside ended while `{short(request.command)}` ran"))

    def _conclude(self) -> None:
        """Ctrl-C ends a line that brings its own marks without that of its end: then the prompt tells it, and nothing the code."""
        running = self._running
        if self._typed is None or running is None or running.request is not self._request or not self._shell.rests:
            return
        if self._shell.source == "shell" and self._marked_request is not None:
            return  # its prompt has marks
        if self._typed.prompts_again(self._shell.last_line(running.offset)):
            end = self._shell.ring.end
            tail = self._shell.output(max(running.offset, end - SEEN_BYTES), end)
            self._ended(None, end - len(tail) + tail.rfind(b"\n") + 1, time.monotonic())

    @property
    def _marked_request(self) -> Request | None:
        """The request of which the shell's own marks tell."""
        return None if self._request is None or self._request.inside else self._request

    def _started(self, offset: int, echo_end: int, request: Request | None) -> None:
        self._shell.at_prompt.clear()
        self._outer = self._running if request is not None and request.inside else None
        if request is not None:
            self._shell.doubtful = False
            known, actor, identity = request.command, request.actor, request.id
        else:
            known = self._shell.line or self._shell.echo(echo_end)
            actor, identity = self._shell.typist, new_id()
        self._shell.line = ""
        self._running = Running(identity, known, actor, offset, time.monotonic(), time.time(), request)
        self._announce(self._running.start_mark())

    def _started_unseen(self, end: int) -> None:
        """A shell without a mark at a command's start says that one ended: the start was when its line was entered."""
        request = self._marked_request
        if request is not None and self._typed is not None:
            return  # its own line tells when it begins: this was one that somebody typed before
        if request is None:
            if self._shell.name != "sh" or self._shell.at_prompt.is_set():
                return
            echo = self._shell.echo(end)
            if not echo:
                return
            self._running = Running(new_id(), echo, self._shell.typist, self._shell.prompt_end, time.monotonic(), time.time(), None)
        elif self._shell.name == "sh" and behind_echo(self._shell.output(request.typed_at, end), request.line) is None:
            # busybox shows its prompt again when the size changes: the line is typed, but not run yet.
            return
        else:
            # Also bash's and zsh's way with a line that they cannot parse: it never starts.
            self._running = Running(request.id, request.command, request.actor, request.typed_at, request.began, request.started, request)
        self._announce(self._running.start_mark())

    def _unseen_code(self, code: int, end: int) -> int:
        """The code of a line that never began: one that zsh cannot parse leaves the code from before."""
        request = None if self._running is None else self._running.request
        if request is None or self._shell.name != "zsh":
            return code
        return 1 if behind_echo(self._shell.output(request.typed_at, end), request.line) else code

    def _goes_on(self) -> None:
        """What `run` typed is not a complete command: it is taken back, for nobody would type the rest of it."""
        request = self._marked_request
        if request is None or self._running is not None:
            return
        self._request, self._shell.typist = None, request.actor
        self._taking_back.begin()
        if not request.result.done():
            request.result.set_exception(
                CommandError(
                    f"`{short(request.command)}` is not a complete command, and was taken back with Ctrl-C: the shell waits for the rest, "
                    "such as a quote, a bracket, `done` or the end of a here-document"
                )
            )

    def _ended(self, code: int | None, end: int, now: float, *, cwd: str | None = None) -> None:
        running, self._running, self._outer = self._running, self._outer, None
        if running is None:
            return
        entry = running.ended(code, now, self._shell.folder if cwd is None else cwd)
        self._announce(end_mark(entry))
        self._keep(entry)
        request = running.request
        if request is not None:
            if self._request is request:
                self._shell.told_already = self._typed is not None and self._typed.ending is not None and not request.inside
                self._request = self._typed = None
                if self._shell.source == "typed":
                    self._shell.at_prompt.set()
            if not request.result.done():
                request.result.set_result(result_of(entry, running, end, self._shell.ring))

    # Running

    async def run(
        self,
        command: str,
        actor: str,
        timeout: float | None,
        waits: Callable[[str], None],
        *,
        inside: bool = False,
        may_type: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """Runs a command in the visible shell, after those before it: `{id, command, exit_code, output, duration_s, cwd, offset}`.

        `output_lost` is there when the beginning of the output, so many bytes, is not kept. `timeout` is in seconds and counts the
        waiting too; None: no end. `waits` is given a sentence when the command seems to wait for a person. `inside`: where another command
        has opened a shell (`sudo -i`), it is typed there. `may_type` is asked when its turn has come, and raises CommandError where nothing
        may be typed any more. `exit_code` is None where nothing told it. Raises CommandTimeoutError (the
        command goes on) and CommandError. Cancelled, it types nothing more; a command that was typed goes on.
        """
        if not command.strip():
            raise CommandError("run needs a command, got only blanks")
        if len(command.encode()) > COMMAND_LIMIT or "\0" in command:
            raise CommandError(f"a command has at most {COMMAND_LIMIT} bytes and no NUL: put a longer one into a script")
        request: Request | None = None
        # `_busy` is asked when the time has come: what the shell is busy with then.
        loop = asyncio.get_running_loop()
        late = loop.call_later(QUIET_SECONDS, lambda: waits(f"{self._busy()}; `{short(command)}` waits for its turn"))
        try:
            async with asyncio.timeout(timeout), self._turn:
                await self._prompt(inside)
                late.cancel()
                may_type()
                request = self._type(command, actor, inside=not self._ready)
                return await self._watched(request, waits)
        except TimeoutError:
            if request is None:
                raise CommandTimeoutError(f"{self._busy()}; `{short(command)}` was not typed within {timeout:g} s") from None
            shown = f" and {doing}" if (doing := self._seems(request)) else ""
            raise CommandTimeoutError(
                f"`{short(command)}` did not end within {timeout:g} s: it still runs in the terminal{shown}; press Ctrl-C there to end it"
            ) from None
        finally:
            late.cancel()

    def typed_for(self, task: asyncio.Task[Any]) -> bool:
        """True while the shell has the command that `run` was asked for in this task."""
        return self._request is not None and self._request.task is task

    async def _watched(self, request: Request, waits: Callable[[str], None]) -> dict[str, Any]:
        """The request's result; `waits` hears of each thing that it seems to wait for, once."""
        told, seen, since, plain_at = "", -1, 0.0, time.monotonic()
        while True:
            done, _ = await asyncio.wait([request.result], timeout=QUIET_SECONDS / 3)
            if done:
                return request.result.result()
            now = time.monotonic()
            if not self._shell.full_screen:
                plain_at = now
            if seen != self._shell.ring.end:
                seen, since = self._shell.ring.end, now
            self._conclude()
            # What has the whole screen may draw for ever: top, watch.
            quiet = now - (plain_at if self._shell.full_screen else since)
            if quiet >= QUIET_SECONDS * 0.6 and (doing := self._seems(request)) not in ("", told):
                told = doing
                waits(f"`{short(request.command)}` {doing}: it seems to wait for somebody in the terminal")

    def _busy(self) -> str:
        return busy(self._shell, self._running, self._request)

    def _seems(self, request: Request) -> str:
        return doing(self._shell, self._running, request) if self._request is request else ""

    @property
    def _ready(self) -> bool:
        shell = self._shell
        young = time.monotonic() - shell.began_at < FIRST_SECONDS
        if shell.source == "typed" and young and not (shell.heard_at and shell.rests):
            return False  # what is typed before there is a prompt may be lost, and stands there twice
        return shell.source != "none" and shell.at_prompt.is_set() and self._running is None and self._request is None

    def _open_inside(self) -> bool:
        """Whether another command has opened a shell that waits at its prompt."""
        if self._request is not None and (self._running is None or self._running.request is not self._request):
            return False
        if not self._shell.rests:
            return False
        if self._running is not None:
            return prompts(self._shell.last_line(self._running.offset))
        # No mark tells that a line which was entered has begun: the prompt before it may still be the last line.
        entered = self._shell.entered_at
        ran = entered == 0 or b"\n" in self._shell.output(entered, self._shell.ring.end)
        return ran and prompts(self._shell.last_line(entered))

    async def _prompt(self, inside: bool) -> None:
        """Waits until a command can be typed."""
        try:
            async with asyncio.timeout(PROMPT_SECONDS):
                while True:
                    if self._gone:
                        raise CommandError(self._gone)
                    if self._shell.source == "none" and not inside:
                        raise CommandError("run needs a shell that tells when a command ends: open the terminal with bash, zsh or sh")
                    if self._shell.modes.alternate:
                        raise CommandError("a full-screen program has the terminal: leave it, then run the command")
                    self._conclude()
                    if self._ready or (inside and self._open_inside()):
                        break
                    if self._shell.at_prompt.is_set():
                        # Its end mark is in the output, but what follows it is not yet.
                        await asyncio.sleep(LOOK_SECONDS if inside else 0.01)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_SECONDS):
                            await self._shell.at_prompt.wait()
        except TimeoutError:
            raise CommandError(f"{self._busy()}: wait for its prompt, or press Ctrl-C in the terminal") from None

    def _type(self, command: str, actor: str, *, inside: bool) -> Request:
        self._taking_back.leave()
        typed: TypedMarks | None = None
        # A plain sh tells no beginning: of lines that may have been typed before this one, none must be taken for it.
        if inside or self._shell.source == "typed" or (self._shell.name == "sh" and self._shell.doubtful):
            typed = TypedMarks(command, self._shell.last_line())
            line, keys = command, typed.keystrokes
        else:
            line = command_line(command, bracketed_paste=self._shell.modes.bracketed_paste)
            keys = keystrokes(line, bracketed_paste=self._shell.modes.bracketed_paste, clear=self._shell.name in ("bash", "zsh"))
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        # Whoever asked may be gone when the shell ends.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        request = Request(
            new_id(), command, line, actor, self._shell.ring.end, time.monotonic(), time.time(), future, asyncio.current_task(), inside
        )
        self._write(keys)
        self._shell.modes.cursor_keys = False  # what was killed may have left it on
        self._request, self._typed = request, typed
        self._shell.at_prompt.clear()
        return request
