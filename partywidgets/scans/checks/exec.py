"""exec: a program that speaks the Nagios plugin protocol.

Sources: the Monitoring Plugins Development Guidelines (https://www.monitoring-plugins.org/doc/guidelines.html) and Nagios Core's
"Plugin API".
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, WithJsonSchema, field_validator

from ...child_environment import hidden_variables
from ...duration import format_duration
from ...party.database import OUT_OF_FILES
from ..model import ErrorClass, Evidence, Metric, Status, one_line
from ..redaction import LOOKED_AT
from .base import CheckModel, Probe, ProbeContext

STDOUT_BYTES = 64 * 1024
STDERR_BYTES = 8 * 1024
"""How much of each stream is kept; the rest is read and dropped, so that the program does not block."""
PIECE = 64 * 1024
"""Bytes that are read at once: as much as a pipe holds."""
TERMINATE_S = 0.3
"""Seconds between SIGTERM and SIGKILL for a program that is over its time."""
DRAIN_S = 0.2
"""Seconds that a program's streams may stay open after it ended (something it started may hold them)."""

STATUS_OF_EXIT: dict[int, Status] = {0: "ok", 1: "warn", 2: "crit", 3: "unknown"}

_SECRETS = re.compile(r"(?i)^(PARTYWIDGETS_|JPY_|JUPYTER(HUB)?_.*(TOKEN|KEY|SECRET|COOKIE|PASSWORD|URL))")
_PERF = re.compile(r"\s*('(?:[^']|'')+'|[^\s='][^\s=]*)=([^\s;]*)((?:;[^\s;]*){0,4})\s*")
_NUMBER = re.compile(r"^([-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][-+]?\d+)?)(.*)$")


@dataclass(slots=True)
class PluginOutput:
    """What a plugin printed: its line for people, the long text, and the numbers."""

    summary: str = ""
    details: str = ""
    metrics: list[Metric] = field(default_factory=list)


@dataclass(slots=True)
class Ended:
    """A program that ended, or was ended: `code` is negative for a signal."""

    code: int
    stdout: bytes
    stderr: bytes
    timed_out: bool = False


class ExecCheck(CheckModel):
    """Runs `command`, without a shell: a list of arguments, or one text that is split as a shell would.

    Exit codes 0, 1, 2, 3 are ok, warn, crit, unknown; any other one is unknown. The first line up to `|` is the summary, what follows `|`
    are metrics, further lines are details. At `timeout` the program's whole process group is ended. It sees this process's environment
    without `PARTYWIDGETS_*`, Jupyter's secrets and the variables that a config names as `${env:…}`, and `env` over it.
    Values: `exit_code`, `output`, `metrics` (name → number), `duration_ms`, `error`.
    """

    value_names: ClassVar[frozenset[str] | None] = frozenset({"exit_code", "output", "metrics", "duration_ms", "error"})
    unknown_errors: ClassVar[frozenset[ErrorClass]] = frozenset({"internal", "timeout"})

    type: Literal["exec"] = "exec"
    command: Annotated[
        tuple[str, ...],
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 200}]}),
    ] = Field(min_length=1, max_length=200)
    env: dict[str, str] = Field(default_factory=dict)
    cwd: str | None = None

    @field_validator("command", mode="before")
    @classmethod
    def _command(cls, command: Any) -> Any:
        if isinstance(command, str):
            try:
                return tuple(shlex.split(command))
            except ValueError as error:
                raise ValueError(f"the command cannot be split: {str(error).lower()}") from None
        return command

    @field_validator("command")
    @classmethod
    def _arguments(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        if any("\0" in argument for argument in command) or not command[0]:
            raise ValueError("an argument holds a NUL, or the program's name is empty")
        return command

    @property
    def target(self) -> str:
        """The command as one would type it."""
        return shlex.join(self.command)

    async def probe(self, context: ProbeContext) -> Probe:
        """Runs the program once."""
        probe = Probe(self.target)
        started = perf_counter()
        given = {name: context.resolve(value) for name, value in self.env.items()}
        arguments = [context.resolve(argument) for argument in self.command]
        environment = clean_environment() | given
        try:
            ended = await run_program(arguments, environment, self.cwd, context.deadline)
        except OSError as error:
            if error.errno in OUT_OF_FILES:
                raise
            probe.error = ("internal", f"{self.command[0]} cannot be run: {(error.strerror or str(error)).lower()}")
            return probe
        duration_ms = round((perf_counter() - started) * 1000, 3)
        probe.phases_ms = {"processing": duration_ms}
        output = parse_output(ended.stdout.decode("utf-8", "replace"))
        errors = ended.stderr.decode("utf-8", "replace").strip()
        if ended.stdout:
            probe.evidence.append(Evidence("exec-output", "stdout", ended.stdout.decode("utf-8", "replace")))
        if errors:
            probe.evidence.append(Evidence("exec-output", "stderr", errors))
        if ended.timed_out:
            probe.error = ("timeout", f"{self.command[0]} did not end within {format_duration(self.timeout)}")
            return probe
        probe.status = STATUS_OF_EXIT.get(ended.code, "unknown")
        probe.summary = output.summary or one_line(errors, LOOKED_AT) or f"no output, exit code {ended.code}"
        if ended.code not in STATUS_OF_EXIT:
            how = (
                f"was ended by {_signal_name(-ended.code)}"
                if ended.code < 0
                else f"ended with {ended.code}, which is not a plugin's exit code"
            )
            probe.summary = one_line(f"{self.command[0]} {how}: {probe.summary}", LOOKED_AT)
        probe.details = output.details
        probe.metrics = [*output.metrics, Metric("duration_ms", duration_ms, "ms")]
        probe.values = {
            "exit_code": ended.code,
            "output": output.summary,
            "metrics": {metric.name: metric.value for metric in output.metrics},
            "duration_ms": duration_ms,
        }
        return probe


def clean_environment() -> dict[str, str]:
    """This process's environment without what a program started by it has no business to know."""
    hidden = hidden_variables()
    return {name: value for name, value in os.environ.items() if name not in hidden and not _SECRETS.match(name)}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


async def run_program(arguments: list[str], environment: dict[str, str], cwd: str | None, deadline: float) -> Ended:
    """Runs a program in a process group of its own, and leaves nothing of that group behind. Raises OSError if it cannot start."""
    # Own pipes: with asyncio's, a program counts as running until everything that holds them has ended, too.
    with _collected(STDOUT_BYTES) as stdout, _collected(STDERR_BYTES) as stderr:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stdout.inlet,
            stderr=stderr.inlet,
            env=environment,
            cwd=cwd,
            start_new_session=True,
        )
        timed_out = False
        try:
            stdout.close_inlet()
            stderr.close_inlet()
            try:
                async with asyncio.timeout_at(deadline):
                    await process.wait()
            except TimeoutError:
                timed_out = True
                _signal_group(process.pid, signal.SIGTERM)
                await _ends_within(process, TERMINATE_S)
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(DRAIN_S):
                        await stdout.ended
                        await stderr.ended
        finally:
            _signal_group(process.pid, signal.SIGKILL)
        if timed_out:
            await _ends_within(process, 1.0)
        code = process.returncode if process.returncode is not None else -signal.SIGKILL
        return Ended(code, bytes(stdout.kept), bytes(stderr.kept), timed_out)


async def _ends_within(process: asyncio.subprocess.Process, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await process.wait()


class _Stream:
    """The reading end of a pipe: the first `limit` bytes in `kept`, the rest dropped; `ended` is resolved at its end.

    It reads by itself: uvloop's transport of a pipe closes the descriptor and then the file object once more, by which time the number may
    be that of what another thread has opened.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.kept = bytearray()
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._outlet, self.inlet = os.pipe()
        os.set_blocking(self._outlet, False)
        self._loop.add_reader(self._outlet, self._read)

    def _read(self) -> None:
        try:
            piece = os.read(self._outlet, PIECE)
        except (BlockingIOError, InterruptedError):
            return
        self.kept += piece[: self.limit - len(self.kept)]
        if not piece:
            self._loop.remove_reader(self._outlet)
            if not self.ended.done():  # whoever waited for it was cancelled in the same moment
                self.ended.set_result(None)

    def close_inlet(self) -> None:
        """Closes this process's copy of the writing end, so that the pipe can end."""
        if self.inlet >= 0:
            os.close(self.inlet)
            self.inlet = -1

    def close(self) -> None:
        """Closes both ends."""
        self._loop.remove_reader(self._outlet)
        os.close(self._outlet)
        self.close_inlet()


@contextlib.contextmanager
def _collected(limit: int) -> Iterator[_Stream]:
    stream = _Stream(limit)
    try:
        yield stream
    finally:
        stream.close()


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says EPERM for a group of zombies
        os.killpg(pid, number)


def parse_output(text: str) -> PluginOutput:
    """A plugin's text: `summary | metrics`, then long text, after whose first `|` everything else is metrics again."""
    first, _, rest = text.strip("\r\n").partition("\n")
    summary, _, performance = first.partition("|")
    details, _, more = rest.partition("|")
    return PluginOutput(one_line(summary, LOOKED_AT), details.strip(), parse_metrics(f"{performance} {more}".replace("\n", " ")))


def parse_metrics(text: str) -> list[Metric]:
    """Performance data: `'label'=value[unit];[warn];[crit];[min];[max]`. What cannot be read, and values that are `U` (undetermined),
    are left out."""
    metrics: list[Metric] = []
    position = 0
    while found := _PERF.match(text, position):
        position = found.end()
        label, value, rest = found.groups()
        name = label[1:-1].replace("''", "'") if label.startswith("'") else label
        number = _NUMBER.match(value)
        if number is None:
            continue
        limits = [*rest.split(";")[1:], "", "", "", ""]
        metrics.append(
            Metric(
                name,
                float(number[1].replace(",", ".")),
                number[2],
                limits[0] or None,
                limits[1] or None,
                _maybe_number(limits[2]),
                _maybe_number(limits[3]),
            )
        )
    return metrics


def _maybe_number(text: str) -> float | None:
    number = _NUMBER.match(text)
    return None if number is None else float(number[1].replace(",", "."))
