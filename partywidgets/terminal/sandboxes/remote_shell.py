"""What shells on other machines and in containers have in common: reading that waits, bounded input, a host that may hang, an end that is
told once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from ...exceptions import EngineError, SandboxError, SandboxGoneError
from ..ending import to_the_end
from .base import Exit, MarkSource
from .guard import Attached, Guard
from .watch import Watch

log = logging.getLogger(__name__)

INPUT_BOUND = 1 << 20
"""Bytes of input that may wait for the program."""
SIZE_AGAIN = (0.2, 1.0, 5.0)
"""Seconds after which a size is told again. Of two sizes that it reads in one go, conmon, which Podman and CRI-O have, set the first
and dropped the second until 2025 (containers/conmon#566), and of two requests the later may come first. A program hears of no size that it
has."""
FIRST_WORD = 2.0
"""Seconds that a shell whose start is given up has to say which process it is, so that it can be ended."""


class Closable(Protocol):
    """A client."""

    async def close(self) -> None:
        """Lets its connection go."""


class Execution(Closable, Protocol):
    """A program's input and output."""

    async def resize(self, cols: int, rows: int) -> None:
        """The size of its terminal in cells."""

    def abort(self) -> None:
        """Cuts its connection at once: whoever reads comes to the end."""


class RemoteShell:
    """A shell that is not read while it is paused: the connection to it then fills, and the program blocks.

    `host` is what people call what stands between us and the shell; it is gone when it has said nothing for `gone_after` seconds.
    """

    def __init__(self, host: str, gone_after: float) -> None:
        self.marks: MarkSource = "shell"
        self._host = host
        self._tell_away: Callable[[str], None] = lambda _: None
        self._watch = Watch(host, gone_after, self._ask, lambda said: self._tell_away(said))
        self._watcher = asyncio.create_task(self._watch_over(), name=f"watch over {host}")
        self._going = asyncio.Event()
        self._going.set()
        self._exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._open = True

    def on_away(self, tell: Callable[[str], None]) -> None:
        """See Renewing."""
        self._tell_away = tell

    async def _ask(self) -> str:
        """See Watch."""
        raise NotImplementedError

    def _cut(self) -> None:
        """Ends the connection at once."""
        raise NotImplementedError

    async def _watch_over(self) -> None:
        await self._watch.until_gone()
        self._tell_end(Exit(None, f"{self._host} no longer answers: look whether it runs, then restart the terminal"))
        self._cut()

    async def _unwatch(self) -> None:
        self._watcher.cancel()
        await asyncio.gather(self._watcher, return_exceptions=True)

    def pause(self) -> None:
        """Stops reading."""
        self._going.clear()

    def resume(self) -> None:
        """Reads on."""
        self._going.set()

    async def wait_exit(self) -> Exit:
        """How it ended. Known once `read` came to the end."""
        return await asyncio.shield(self._exit)

    def _tell_end(self, end: Exit) -> None:
        if not self._exit.done():
            self._exit.set_result(end)


class ExecShell(RemoteShell):
    """A shell by the exec of an engine or an API. Both clients are its own, and neither has a call that ends an exec.

    `kind` and `name` say in the log and to people where it runs: `container`, `web-1`; `host` is the engine or the API.
    """

    def __init__(self, kind: str, name: str, *, engine: Closable, job: Execution, host: str, gone_after: float) -> None:
        super().__init__(host, gone_after)
        self._kind, self._name = kind, name
        self._clients = (job, engine)
        self._size = (0, 0)
        self._size_again: asyncio.Task[None] | None = None
        self._pid: int | None = None
        self._guard: Guard | None = None
        self._given_up = False
        self._input: asyncio.Queue[bytes] = asyncio.Queue()
        self._input_size = 0
        self._writer = asyncio.create_task(self._write_out(), name=f"input of {name}")

    def write(self, keystrokes: bytes) -> None:
        """Queues input; see Sandbox."""
        if not self._open or self._exit.done():
            raise SandboxGoneError("the shell has ended: restart the terminal")
        if self._input_size + len(keystrokes) > INPUT_BOUND:
            raise SandboxError(f"the program in the terminal has {self._input_size} bytes of input unread: wait, or press Ctrl-C")
        self._input_size += len(keystrokes)
        self._input.put_nowait(keystrokes)

    async def _write_out(self) -> None:
        while True:
            keystrokes = await self._input.get()
            try:
                await self._send(keystrokes)
            except (OSError, RuntimeError, AssertionError) as error:
                log.info("%s %s: input was lost, its terminal is gone: %s", self._kind, self._name, error)
                return
            finally:
                self._input_size -= len(keystrokes)

    async def resize(self, cols: int, rows: int) -> None:
        """Sets the terminal's size. A program that has just ended keeps its old one."""
        self._size = cols, rows
        await self._tell_size()
        if self._size_again is not None:
            self._size_again.cancel()
        if self._open:
            self._size_again = asyncio.create_task(self._resize_again(), name=f"size of {self._name}")

    async def _resize_again(self) -> None:
        for seconds in SIZE_AGAIN:
            await asyncio.sleep(seconds)
            await self._tell_size()

    async def _tell_size(self) -> None:
        if self._open and not self._exit.done():
            try:
                await self._set_size(*self._size)
            except (EngineError, OSError, TimeoutError) as error:
                log.info("%s %s: the size was not told: %s", self._kind, self._name, error)

    async def _set_size(self, cols: int, rows: int) -> None:
        await self._clients[0].resize(cols, rows)

    def _cut(self) -> None:
        self._clients[0].abort()

    async def read(self) -> bytes:
        """See Sandbox."""
        raise NotImplementedError

    async def _send(self, keystrokes: bytes) -> None:
        raise NotImplementedError

    async def _end_shell(self, pid: int) -> None:
        raise NotImplementedError

    async def _beside(self, command: list[str]) -> Attached:
        """Starts a command without a terminal where the shell is."""
        raise NotImplementedError

    def _found(self, pid: int, born: str) -> None:
        """The shell has said which process it is, and when that began ("": it has no /proc, and so no guard)."""
        self._pid = pid
        if born and not self._given_up:
            self._guard = Guard(f"{self._kind} {self._name}", pid, born, self._beside)

    async def close(self) -> None:
        """Hangs the shell up, kills it after 2 s, and leaves the container as it is."""
        if not self._open:
            return
        self._open = False
        self._going.set()
        await self._unwatch()
        owned = [task for task in (self._writer, self._size_again) if task is not None]
        for task in owned:
            task.cancel()
        await asyncio.gather(*owned, return_exceptions=True)
        job, engine = self._clients
        try:
            if not self._exit.done() and self._pid is not None and not (self._guard is not None and await self._guard.end_shell()):
                await self._end_shell(self._pid)
        except (EngineError, OSError) as error:
            # A second exec has to end it: what that cannot reach is left to the container.
            log.warning("%s %s: its shell could not be ended: %s", self._kind, self._name, error or type(error).__name__)
        finally:
            if self._guard is not None:
                await self._guard.close()
            await job.close()
            self._tell_end(Exit(None, f"the terminal in {self._name} was closed"))
            await engine.close()

    async def give_up(self) -> None:
        """Closes it before anybody has read: a shell that we started says first which process it is, and can only then be ended."""
        self._given_up = True
        if self.marks == "shell":
            with contextlib.suppress(EngineError, OSError):
                async with asyncio.timeout(FIRST_WORD):
                    while self._pid is None and await self.read():
                        pass
        await self.close()


@contextlib.asynccontextmanager
async def starting(sandbox: ExecShell) -> AsyncIterator[None]:
    """What fails in the block, or is cancelled there, leaves no half-started terminal: neither its tasks nor its shell."""
    try:
        yield
    except BaseException:
        await to_the_end(sandbox.give_up())
        raise
