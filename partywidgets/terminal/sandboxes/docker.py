"""`docker:NAME` and `podman:NAME` — a shell in a running container, by the engine's exec."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Literal, cast

from ...engines.docker import ContainerExec, DockerEngine, EngineRefused
from ...exceptions import EngineError, SandboxError
from ..shell import container_start, pid_mark
from .base import Address, Exit
from .remote_shell import ExecShell, starting
from .watch import gone_after

log = logging.getLogger(__name__)

CHUNK = 64 * 1024
GRACE = 2.0
"""Seconds between hang-up and kill."""
POLL = 0.05
"""Seconds between two looks at an exec that closed its output but is still reported as running."""
FIRST_LOOK = 0.25
"""Seconds after which an exec that has no size yet is asked whether it runs."""
SETTLE = 1.0
"""Seconds in which an engine that killed a container comes to say so: its shell's end is often known before."""
_KILLED = 128 + 9
_NO_SHELL = (126, 127)


class ContainerSandbox(ExecShell):
    """An exec with a terminal. The engine's client is its own: one socket to the engine a terminal."""

    def __init__(self, engine: DockerEngine, job: ContainerExec, *, nonce: str, user: str = "", cwd: str = "", gone_after: float) -> None:
        super().__init__("container", job.container, engine=engine, job=job, host=engine.name, gone_after=gone_after)
        self._engine, self._job, self._user, self._cwd = engine, job, user, cwd
        self._pid_mark = pid_mark(nonce)
        self._head = b""
        self._begun = self._unechoed = False
        self._rest = b""
        self._broken = False

    async def read(self) -> bytes:
        """The next output; b"" at the end. Not reading is what pauses it: the engine's connection then fills."""
        await self._going.wait()
        piece, self._rest = self._rest[:CHUNK], self._rest[CHUNK:]
        if not piece and self._open:
            try:
                message = await self._job.stream.read_out()
            except (OSError, RuntimeError) as error:
                log.info("container %s: its output ended: %s", self._job.container, error)
                message, self._broken = None, True
            if message is not None:
                piece, self._rest = message.data[:CHUNK], message.data[CHUNK:]
        if piece:
            self._watch.heard()
            self._unechoed = False
            self._look_for_pid(piece)
            return piece
        await self._finish()
        return b""

    async def _ask(self) -> str:
        """Asks the engine on another connection: its stream has no question of its own. A container that says nothing to what is typed may
        be paused."""
        with answer_of(self._engine):
            await self._job.state()
            if self._unechoed and await self._engine.paused(self._job.container):
                return paused(self._engine, self._job.container)
        return ""

    def _look_for_pid(self, piece: bytes) -> None:
        if self._begun:
            return
        self._head += piece[:4096]
        if self._pid is None and (found := self._pid_mark.search(self._head)):
            self._found(int(found[1]), found[2].decode())
        if b"\x1b]633;B;" in self._head or len(self._head) >= 4096:
            self._begun, self._head = True, b""

    async def _finish(self) -> None:
        if self._exit.done():
            return
        name, kind = self._job.container, self._engine.kind
        try:
            code: int | None = None
            async with asyncio.timeout(GRACE):
                while True:
                    going, code = await self._job.state()
                    if not going:
                        break
                    await asyncio.sleep(POLL)
            if await self._stopped(code):
                end = Exit(code, f"the container {name} stopped: start it with `{kind} start {name}`")
            elif code in _NO_SHELL and not self._begun:
                end = Exit(code, self._no_shell())
            else:
                end = Exit(code, f"the shell in {name} ended" + ("" if code is None else f" with code {code}"))
        except (EngineError, TimeoutError) as error:
            end = Exit(None, f"the terminal in {name} ended: {error or 'the engine does not say how'}")
        self._tell_end(end)

    async def _stopped(self, code: int | None) -> bool:
        """Whether it was the container that ended. A kill looks like the shell's own end at first: then the engine is asked again."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (SETTLE if code == _KILLED or self._broken else 0.0)
        while await self._engine.running(self._job.container):
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(POLL)
        return True

    async def _send(self, keystrokes: bytes) -> None:
        self._unechoed = True
        await self._job.stream.write_in(keystrokes)

    async def begin(self, cols: int, rows: int) -> None:
        """Gives the shell that starts its size. Docker answers that once it runs, or after 10 s: where it cannot run, nobody waits."""
        first = asyncio.ensure_future(self.resize(cols, rows))
        try:
            while not (await asyncio.wait([first], timeout=FIRST_LOOK))[0]:
                going, code = await self._job.state()
                if not going and code in _NO_SHELL:
                    return
            first.result()
        finally:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)

    def _no_shell(self) -> str:
        name = self._job.container
        given = " and ".join(f"{option}={value}" for option, value in (("user", self._user), ("cwd", self._cwd)) if value)
        if given:
            return f"the container {name} cannot run the shell with {given}: give what it has, and a shell that is there as ?shell=/path"
        return f"the container {name} cannot run the shell: name one that it has, {self._engine.kind}:{name}?shell=/path"

    async def _beside(self, command: list[str]) -> ContainerExec:
        return await self._engine.execute(self._job.container, command, tty=False, user=self._user)

    async def _end_shell(self, pid: int) -> None:
        script = f"kill -HUP -{pid} {pid} 2>/dev/null; kill -CONT -{pid} 2>/dev/null; true"
        await self._engine.run(self._job.container, ["/bin/sh", "-c", script], user=self._user, timeout=GRACE)
        deadline = asyncio.get_running_loop().time() + GRACE
        while (await self._job.state())[0]:
            if asyncio.get_running_loop().time() > deadline:
                await self._engine.run(
                    self._job.container, ["/bin/sh", "-c", f"kill -KILL -{pid} {pid} 2>/dev/null; true"], user=self._user, timeout=GRACE
                )
                return
            await asyncio.sleep(POLL)


@contextlib.contextmanager
def answer_of(engine: DockerEngine) -> Iterator[None]:
    """A question to a silent engine, as Watch puts it: a refusal is an answer."""
    try:
        yield
    except EngineRefused as error:
        log.info("%s: %s", engine.name, error)
    except EngineError as error:
        raise ConnectionError(str(error)) from error


def paused(engine: DockerEngine, container: str) -> str:
    """What people are told of a frozen container."""
    return f"the container {container} is paused: let it go on with `{engine.kind} unpause {container}`"


@contextlib.asynccontextmanager
async def engine_for(address: Address) -> AsyncIterator[DockerEngine]:
    """The engine of an address, which the sandbox made in the block owns when that ends well.

    Else the engine is closed, and its EngineError becomes a SandboxError.
    """
    engine = DockerEngine(kind=cast(Literal["docker", "podman"], address.scheme))
    try:
        await engine.__aenter__()
        yield engine
    except BaseException as error:
        await engine.close()
        if isinstance(error, EngineError):
            raise SandboxError(str(error)) from error
        raise


async def open_container(address: Address, *, cols: int, rows: int, nonce: str) -> ContainerSandbox:
    """Opens a shell in the container `address.target`. Raises SandboxError.

    Options: `shell` (else the first of bash, zsh and sh that is there), `user`, `cwd`, `gone_after`.
    """
    name, options, seconds = address.target, address.options, gone_after(address)
    start = container_start(nonce, options.get("shell", ""))
    environ = {"TERM": "xterm-256color", "COLORTERM": "truecolor"} | start.environ
    async with engine_for(address) as engine:
        user, cwd = options.get("user", ""), options.get("cwd", "")
        try:
            job = await engine.execute(name, start.argv, environ=environ, user=user, cwd=cwd or None)
        except EngineRefused:
            if await engine.paused(name):
                raise EngineError(paused(engine, name)) from None
            raise
        sandbox = ContainerSandbox(engine, job, nonce=nonce, user=user, cwd=cwd, gone_after=seconds)
        async with starting(sandbox):
            await sandbox.begin(cols, rows)
        return sandbox
