"""The functions of one config's `modules`, and the processes that they run in, one after another."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..duration import format_duration
from ..exceptions import ConfigError
from .checks.exec import clean_environment
from .checks.function import FunctionCheck
from .execution import Loaded, failed
from .model import CheckResult, one_line, uuid7
from .module_worker import Stamp

START_TIMEOUT = 30.0
"""Seconds in which a process must have imported its modules."""
GRACE = 2.0
"""Seconds past a function's deadline in which its process must have said so."""
BACKOFF, LONGEST_BACKOFF, STEADY = 1.0, 60.0, 60.0
"""Seconds before a process that crashed is started again: at first, at most, and how long one must have lived for its end to be a first."""
LINE_BYTES = 1024 * 1024
"""Longest message of a process; a result is at most 96 KiB."""
LOG_CHARS, LOG_LINES = 500, 50
"""What is logged of what functions print: characters of a line, lines a second."""

_log = logging.getLogger("partywidgets.modules")


class _Gone(Exception):
    """The process has no answer, for the reason it says."""


@dataclass(eq=False)
class ModuleProcess:
    """One process and what it was asked."""

    name: str
    process: asyncio.subprocess.Process
    started: float
    checks: list[FunctionCheck] = field(default_factory=list)
    files: dict[str, Stamp] = field(default_factory=dict)
    waiting: dict[str, asyncio.Future[tuple[CheckResult | None, bool]]] = field(default_factory=dict)
    retired: bool = False
    """It takes no further runs, and its end is not a crash."""
    reason: str = ""
    """Why it was ended, for those that were still waiting."""

    def tell(self, kind: str, **content: str) -> None:
        """Sends a message; to one that has ended it is lost, and its end is told elsewhere."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError, RuntimeError):
            self.process.stdin.write(json.dumps({"type": kind, "data": content}).encode() + b"\n")

    def kill(self) -> None:
        """Ends the process and whatever its functions started."""
        self.retired = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Closes its pipes, which a program that a function left in the background may still hold."""
        transport: Any = self.process._transport  # type: ignore[attr-defined]  # asyncio has no public way to do it
        transport.close()


class ModuleFunctions:
    """The functions of one config."""

    modules: tuple[str, ...]
    base: Path

    def __init__(self, name: str, own: Callable[[Coroutine[Any, Any, Any], str], asyncio.Task[Any]], redact: Callable[[str], str]) -> None:
        self.name, self.modules, self.base = name, (), Path()
        self.current: ModuleProcess | None = None
        self.files: dict[str, Stamp] = {}
        self._own, self._redact = own, redact
        self._all: set[ModuleProcess] = set()
        self._starting: asyncio.Task[ModuleProcess] | None = None
        self._failures = 0
        self._not_before = 0.0
        self._last_end = ""
        self._ended = False

    def loaded(self, check: FunctionCheck) -> Loaded:
        """A check that runs there."""
        once = check.timeout + GRACE + START_TIMEOUT
        loaded = Loaded(check, self.name, lambda: self._look(loaded), once * (check.retries + 1) + check.retry_delay * check.retries + 1.0)
        return loaded

    def take(self, process: ModuleProcess | None) -> None:
        """From now on runs go to this process; the former one ends when what it runs has ended."""
        before, self.current = self.current, process
        self.files = {} if process is None else process.files
        self._failures = 0
        self._not_before = 0.0
        if process is None:
            self._last_end = "its config has no modules any more"
            self._not_before = float("inf")
        if before is not None:
            self._retire(before)

    def end(self) -> None:
        """Kills every process, also one that is being started, and starts no further one."""
        self._ended = True
        self._last_end, self._not_before = "the host stops", float("inf")
        for process in self._all:
            process.reason = "the host stops"
            process.kill()

    # a run

    async def _look(self, loaded: Loaded) -> CheckResult:
        result = await self._once(loaded)
        for _ in range(loaded.check.retries):
            if result.status in ("ok", "skip", "warn"):
                break
            await asyncio.sleep(loaded.check.retry_delay)
            result = await self._once(loaded)
        return result

    async def _once(self, loaded: Loaded) -> CheckResult:
        check = loaded.check
        try:
            process = await self._running()
        except (_Gone, ConfigError) as error:
            return failed(loaded, "internal", str(error))
        run_id = uuid7()
        future: asyncio.Future[tuple[CheckResult | None, bool]] = asyncio.get_running_loop().create_future()
        process.waiting[run_id] = future
        process.tell("run", run_id=run_id, check_id=check.id)
        try:
            async with asyncio.timeout(check.timeout + GRACE):
                result, stuck = await future
        except TimeoutError:
            _log.warning("%s: %s did not return and holds up its process, which is killed", self._names, check.id)
            process.reason = f"its process was killed because {check.id} held it up"
            self._drop(process)
            return failed(loaded, "timeout", f"did not return within {format_duration(check.timeout)} and was killed")
        except _Gone as error:
            return failed(loaded, "internal", str(error))
        except asyncio.CancelledError:
            process.tell("cancel", run_id=run_id)
            raise
        finally:
            process.waiting.pop(run_id, None)
            if process.retired and not process.waiting:
                process.kill()
        if stuck:
            _log.warning(
                "%s: %s did not return within %s and is killed with its process", self._names, check.id, format_duration(check.timeout)
            )
            self._drop(process)
        if result is None:
            return failed(loaded, "internal", f"{check.id} is not in {self._names} any more: load the config again")
        result.target, result.fingerprint = check.target, check.fingerprint
        result.ttl_s = None if check.every is None and check.cron is None else result.ttl_s
        return result

    async def _running(self) -> ModuleProcess:
        """The process, started if there is none. Raises _Gone while it may not be started, ConfigError when it cannot."""
        if self.current is not None:
            return self.current
        if self._starting is None:
            wait = self._not_before - asyncio.get_running_loop().time()
            if wait > 0:
                again = "" if wait == float("inf") else f", and is started again in {wait:.0f} s"
                raise _Gone(f"{self._last_end}{again}")
            self._starting = self._own(self._start_again(), f"start {self._names}")
            self._starting.add_done_callback(lambda task: task.cancelled() or task.exception())  # who asked may have gone
        return await asyncio.shield(self._starting)

    async def _start_again(self) -> ModuleProcess:
        try:
            process = await self.launch(self.modules, self.base)
        except ConfigError as error:
            if not self._ended:
                self._failed(str(error))
            raise
        finally:
            self._starting = None
        if self.current is None:
            self.current = process
        else:  # the config was loaded again meanwhile
            process.kill()
        return self.current

    # processes

    @property
    def _names(self) -> str:
        return ", ".join(self.modules[:3]) + (", …" if len(self.modules) > 3 else "")

    async def launch(self, modules: tuple[str, ...], base: Path) -> ModuleProcess:
        """A process with the modules imported. Raises ConfigError."""
        base = await asyncio.to_thread(base.absolute)
        if not await asyncio.to_thread(base.is_dir):
            raise ConfigError(f"`modules` are looked for beside the config, and there is no directory {base} here", path=self.name)
        loop = asyncio.get_running_loop()
        arguments = ["-P", "-B", "-u", "-m", "partywidgets.scans.module_worker", str(base), *modules]
        pipe = asyncio.subprocess.PIPE
        process = ModuleProcess(
            ", ".join(modules),
            await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                env=clean_environment(),
                cwd=base,
                start_new_session=True,
                limit=LINE_BYTES,
            ),
            loop.time(),
        )
        self._all.add(process)
        if self._ended:
            process.kill()
        log = self._own(self._log_output(process), f"output of {process.name}")
        try:
            async with asyncio.timeout(START_TIMEOUT):
                first = await _message(process)
        except TimeoutError:
            process.kill()
            first = "refusal", {"error": f"{process.name} could not be imported within {START_TIMEOUT:g} s"}
        except BaseException:
            process.kill()
            raise
        finally:
            self._own(self._follow(process, log), f"process of {process.name}")
        kind, content = first or ("refusal", {"error": f"the process that imports {process.name} ended before it was done"})
        if kind != "offer":
            process.retired = True
            raise ConfigError(content["error"], path=content.get("path") or self.name, line=content.get("line"))
        process.checks = [FunctionCheck.model_validate(check) for check in content["checks"]]
        process.files = {path: (int(stamp[0]), int(stamp[1]), int(stamp[2])) for path, stamp in content["files"].items()}
        return process

    async def _follow(self, process: ModuleProcess, log: asyncio.Task[None]) -> None:
        """Takes the answers of a process until it ends, and tells those that wait how it ended."""
        try:
            while (message := await _message(process)) is not None:
                kind, content = message
                future = process.waiting.get(content["run_id"]) if kind == "result" else None
                if future is None or future.done():
                    if content.get("stuck"):  # a run that was cancelled goes on
                        self._drop(process)
                    continue
                wire = content["result"]
                future.set_result((None if wire is None else _read(wire), content["stuck"]))
        except (ValueError, KeyError, TypeError) as error:
            process.reason = process.reason or "its process wrote what is not a result"
            _log.error("%s: a message could not be read: %r", self._names, error)
        finally:
            crashed = not process.retired
            process.kill()
            try:
                await self._bury(process, crashed=crashed)
                await asyncio.wait({log}, timeout=GRACE)  # what it said last
            finally:
                process.close()

    async def _bury(self, process: ModuleProcess, *, crashed: bool) -> None:
        """Sees a killed process end, and tells those that wait for it."""
        if self.current is process:
            self.current = None
        code = await _ended(process)
        self._all.discard(process)
        how = f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
        if crashed and not self._ended:
            self._crashed(process, how)
        for future in process.waiting.values():
            if not future.done():
                future.set_exception(_Gone(process.reason or f"the process of {process.name} {how} while this ran in it"))

    def _crashed(self, process: ModuleProcess, how: str) -> None:
        if asyncio.get_running_loop().time() - process.started > STEADY:
            self._failures = 0
        self._failed(f"the process of {process.name} {how}")

    def _failed(self, sentence: str) -> None:
        self._failures += 1
        delay = min(LONGEST_BACKOFF, BACKOFF * 2.0 ** min(self._failures - 1, 20))
        self._last_end, self._not_before = sentence, asyncio.get_running_loop().time() + delay
        _log.warning("%s; it is started again in %g s at the earliest", sentence, delay)

    def _drop(self, process: ModuleProcess) -> None:
        """Gives a process that is held up no further runs."""
        if self.current is process:
            self.current = None
        if process.reason:
            process.kill()
        else:
            self._retire(process)

    def _retire(self, process: ModuleProcess) -> None:
        process.retired = True
        if not process.waiting:
            process.kill()

    async def _log_output(self, process: ModuleProcess) -> None:
        """Logs what functions print, in bounded lines and not faster than a log can bear."""
        assert process.process.stderr is not None
        loop = asyncio.get_running_loop()
        second, told, left_out, rest = 0, 0, 0, b""
        while chunk := await process.process.stderr.read(64 * 1024):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > 4 * LOG_CHARS:
                lines, rest = [*lines, rest], b""
            if int(loop.time()) != second:
                if left_out:
                    _log.warning("%s: %d further lines of output were left out", process.name, left_out)
                second, told, left_out = int(loop.time()), 0, 0
            for line in lines:
                if told >= LOG_LINES:
                    left_out += 1
                elif text := line.decode(errors="replace").rstrip():
                    told += 1
                    _log.info("%s: %s", process.name, one_line(self._redact(text[: 4 * LOG_CHARS]), LOG_CHARS))


async def _ended(process: ModuleProcess) -> int:
    """The exit code of a process that was killed. A program that a function put into the background may hold its output open for longer:
    asyncio would wait for that, too."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GRACE):
            return await process.process.wait()
    code = process.process.returncode
    return -signal.SIGKILL if code is None else code


def _read(wire: dict[str, Any]) -> CheckResult:
    return CheckResult.from_wire({**wire, "check_type": "function", "fingerprint": "", "scan_id": ""})


async def _message(process: ModuleProcess) -> tuple[str, dict[str, Any]] | None:
    """The next message, None at the end. Raises ValueError for what is none."""
    assert process.process.stdout is not None
    line = await process.process.stdout.readline()
    if not line.endswith(b"\n"):
        return None
    message = json.loads(line)
    return str(message["type"]), dict(message["data"])
