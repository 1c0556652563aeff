"""`docker:NAME?attach` and `podman:NAME?attach` — the terminal of a container's own program, as `docker attach` joins it."""

from __future__ import annotations

import asyncio
import logging

from ...engines.docker import ContainerAttachment, DockerEngine
from ...exceptions import EngineError, SandboxError
from .base import Address, Exit
from .docker import answer_of, engine_for, paused
from .remote_shell import ExecShell, starting
from .watch import gone_after

log = logging.getLogger(__name__)

CHUNK = 64 * 1024
GRACE = 2.0
"""Seconds in which the engine says how the program ended, after its output did."""


class AttachedSandbox(ExecShell):
    """A program that was there before us and stays when we leave. `run` types its marks: the shell was not started by us."""

    def __init__(self, engine: DockerEngine, job: ContainerAttachment, gone_after: float) -> None:
        super().__init__("container", job.container, engine=engine, job=job, host=engine.name, gone_after=gone_after)
        self.marks = "typed"
        self._engine, self._job = engine, job
        self._rest = b""
        self._code = asyncio.create_task(job.exit_code(), name=f"the end of {job.container}")

    async def read(self) -> bytes:
        """The next output; b"" at the end. Not reading is what pauses it, for all who are attached."""
        await self._going.wait()
        if not self._rest and self._open:
            try:
                message = await self._job.stream.read_out()
            except (OSError, RuntimeError) as error:
                log.info("container %s: its output ended: %s", self._job.container, error)
                message = None
            self._rest = b"" if message is None else message.data
        piece, self._rest = self._rest[:CHUNK], self._rest[CHUNK:]
        if piece:
            self._watch.heard()
        else:
            await self._finish()
        return piece

    async def _ask(self) -> str:
        with answer_of(self._engine):
            if await self._engine.paused(self._job.container):
                return paused(self._engine, self._job.container)
        return ""

    async def _finish(self) -> None:
        if self._exit.done():
            return
        name, kind = self._job.container, self._engine.kind
        try:
            done, _ = await asyncio.wait([self._code], timeout=GRACE)
            state = {} if done else (await self._engine.inspect(name)).get("State", {})
            if state.get("Running"):
                end = Exit(None, f"the engine let go of the terminal of {name}, whose program runs on: restart the terminal")
            else:
                code = self._code.result() if done else state.get("ExitCode")
                told = "" if code is None else f" with code {code}"
                end = Exit(code, f"the program of {name} ended{told}: `{kind} start {name}`")
        except EngineError as error:
            end = Exit(None, f"the terminal of {name} ended: {error}")
        self._tell_end(end)

    def write(self, keystrokes: bytes) -> None:
        """Queues input; see Sandbox. Raises SandboxError where the container was started without."""
        if not self._job.takes_input:
            name = self._job.container
            raise SandboxError(f"the container {name} takes no input: it was started without -i ({self._engine.kind} run -it)")
        super().write(keystrokes)

    async def _send(self, keystrokes: bytes) -> None:
        await self._job.stream.write_in(keystrokes)

    async def close(self) -> None:
        """Lets go. The program and its container run on."""
        self._code.cancel()
        await asyncio.gather(self._code, return_exceptions=True)
        await super().close()


async def open_attached(address: Address, *, cols: int, rows: int) -> AttachedSandbox:
    """Joins the terminal of the container `address.target`; its option is `gone_after`. Raises SandboxError where it has none."""
    seconds = gone_after(address)
    async with engine_for(address) as engine:
        sandbox = AttachedSandbox(engine, await engine.attach(address.target), seconds)
        # What was printed before is not told: at another size a prompt and a full-screen program draw themselves anew.
        async with starting(sandbox):
            await sandbox.resize(cols, rows - 1 or 2)
            await sandbox.resize(cols, rows)
        return sandbox
