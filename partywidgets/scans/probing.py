"""Network checks looked at in a process of their own, so that a scan of thousands holds up no terminal of its host, nor they a scan.

The process is a way to be faster and nothing else: where it is not there, hangs or ends, the host looks itself. It gets what references
of a check have become with each run, keeps nothing, and hides the same secrets.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from ..exceptions import ConfigError
from .checks.base import CheckModel
from .judge import RunContext, run_check
from .model import CheckResult
from .packing import unpacked
from .probe_worker import Run, Unframed, framed

APART_FROM = 50
"""Checks of a host from which it has the process: below, a scan is over before one would notice it."""
START_TIMEOUT, STOP_TIMEOUT = 30.0, 2.0
GRACE = 5.0
"""Seconds past a run's longest in which its result must be there; then the process hangs, and is killed."""
WATCH_SECONDS = 1.0
BACKOFF, LONGEST_BACKOFF = 1.0, 60.0
"""Seconds before a process that ended is started again: at first, and at most."""
CHECKS = 200
"""Most checks of one message."""

_log = logging.getLogger("partywidgets.scans.probing")

Own = Callable[[Coroutine[Any, Any, Any], str], "asyncio.Task[Any]"]


class _Gone(Exception):
    """The process has no result of a run."""


class ProbeProcess:
    """The process of one host. `known` gives the values that are secret; `put` says which checks there are, `look` looks at one."""

    def __init__(self, known: Callable[[], tuple[str, ...]]) -> None:
        self._known = known
        self._checks: dict[str, dict[int, CheckModel]] = {}
        self._numbers: dict[int, int] = {}
        self._referring: dict[int, tuple[str, ...]] = {}
        self._last = 0
        self._worker: _Worker | None = None
        self._starting: asyncio.Task[None] | None = None
        self._failures = 0
        self._not_before = 0.0
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process that looks, None while there is none."""
        return None if self._worker is None else self._worker.process.pid

    async def put(self, owner: str, checks: Iterable[CheckModel]) -> None:
        """Puts these checks in place of those of `owner`; those that look elsewhere anyway are passed over."""
        mine: dict[int, CheckModel] = {}
        for check in checks:
            if check.apart:
                self._last += 1
                mine[self._last] = check
                if texts := tuple(_referring(check)):
                    self._referring[self._last] = texts
                if len(mine) % CHECKS == 0:
                    await asyncio.sleep(0)
        before, self._checks[owner] = self._checks.get(owner, {}), mine
        self._numbers |= {id(check): number for number, check in mine.items()}
        for number, check in before.items():
            self._referring.pop(number, None)
            if self._numbers.get(id(check)) == number:
                del self._numbers[id(check)]
        if self._worker is not None:
            self._worker.tell("forget", list(before))
            await self._worker.teach(mine)
        else:
            self._start_soon()

    async def look(self, check: CheckModel, context: RunContext) -> CheckResult:
        """The result of a check, as `run_check` gives it; from the process where it is there."""
        worker, number = self._worker, self._numbers.get(id(check))
        if worker is None or number is None:
            self._start_soon()
            return await run_check(check, context)
        try:
            found = {text: context.resolve(text) for text in self._referring.get(number, ())}
            return await worker.look(number, found, self._known(), (check.timeout + check.retry_delay + GRACE) * (check.retries + 1))
        except (ConfigError, _Gone):
            return await run_check(check, context)

    def _start_soon(self) -> None:
        if (
            self._starting is None
            and not self._closed
            and sum(map(len, self._checks.values())) >= APART_FROM
            and asyncio.get_running_loop().time() >= self._not_before
        ):
            self._starting = asyncio.get_running_loop().create_task(self._start(), name="start of the probe process")

    async def _start(self) -> None:
        worker = None
        try:
            worker = await _Worker.started(self._ended)
            taught: set[int] = set()
            while missing := {number: check for mine in self._checks.values() for number, check in mine.items() if number not in taught}:
                await worker.teach(missing)
                taught |= missing.keys()
            self._worker, worker = worker, None
        except (OSError, TimeoutError, _Gone) as error:
            self._delay(f"cannot be started ({str(error) or 'it did not get ready'})")
        finally:
            self._starting = None
            if worker is not None:
                await worker.close()

    def _ended(self, worker: _Worker, how: str) -> None:
        if self._worker is worker:
            self._worker = None
            if not self._closed:
                self._delay(how)

    def _delay(self, how: str) -> None:
        self._failures += 1
        delay = min(LONGEST_BACKOFF, BACKOFF * 2.0 ** min(self._failures - 1, 20))
        self._not_before = asyncio.get_running_loop().time() + delay
        _log.warning("the process that looks at network checks %s: the host looks itself, and starts it again in %g s", how, delay)

    async def close(self) -> None:
        """Ends the process."""
        self._closed = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting})
        if self._worker is not None:
            await self._worker.close()


class _Worker:
    """One process. What is told in one turn of the loop goes in one write."""

    def __init__(self, process: asyncio.subprocess.Process, ended: Callable[[_Worker, str], None]) -> None:
        self.process, self._told_ended = process, ended
        self._known: tuple[str, ...] = ()
        self._runs: list[Run] = []
        self._waiting: dict[int, tuple[asyncio.Future[CheckResult | None], float]] = {}
        self._last = 0
        self._loop = asyncio.get_running_loop()
        self._watch: asyncio.TimerHandle | None = None
        self._ready = asyncio.Event()
        self._reason = ""
        self._following = self._loop.create_task(self._follow(), name=f"probe process {process.pid}")

    @classmethod
    async def started(cls, ended: Callable[[_Worker, str], None]) -> _Worker:
        """A process that is ready. Raises OSError, TimeoutError, and _Gone when it ends at once."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "partywidgets.scans.probe_worker", stdin=pipe, stdout=pipe, env=_environment()
        )
        worker = cls(process, ended)
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await worker._ready.wait()
        except BaseException:
            await worker.close()
            raise
        if worker._following.done():
            raise _Gone("it ended at once; standard error says why")
        return worker

    def tell(self, kind: str, content: Any) -> None:
        """Sends a message; to one that has ended it is lost."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError, RuntimeError):
            self.process.stdin.write(framed(kind, content))

    async def teach(self, checks: dict[int, CheckModel]) -> None:
        """Sends checks, in slices, each when the one before has gone out."""
        assert self.process.stdin is not None
        numbers = list(checks)
        for first in range(0, len(numbers), CHECKS):
            self.tell("checks", {number: checks[number] for number in numbers[first : first + CHECKS]})
            with contextlib.suppress(OSError):  # its end is told elsewhere
                await self.process.stdin.drain()
            await asyncio.sleep(0)

    async def look(self, check: int, found: dict[str, str], known: tuple[str, ...], limit: float) -> CheckResult:
        """A result. `limit` is in seconds. Raises _Gone when there is none."""
        if self._following.done():
            raise _Gone
        if known is not self._known:
            self._known = known
            self.tell("known", known)
        self._last = number = self._last + 1
        future: asyncio.Future[CheckResult | None] = self._loop.create_future()
        self._waiting[number] = future, self._loop.time() + limit
        if not self._runs:
            self._loop.call_soon(self._send_runs)
        self._runs.append((number, check, found))
        if self._watch is None:
            self._watch = self._loop.call_later(WATCH_SECONDS, self._look_for_late)
        try:
            result = await future
        except asyncio.CancelledError:
            self.tell("cancel", number)
            raise
        finally:
            self._waiting.pop(number, None)
        if result is None:
            raise _Gone
        return result

    def _send_runs(self) -> None:
        runs, self._runs = self._runs, []
        self.tell("runs", runs)

    def _look_for_late(self) -> None:
        """Kills the process when a result is overdue: it hangs."""
        self._watch = None
        if any(until < self._loop.time() for _, until in self._waiting.values()):
            self._kill("hung and was killed")
        elif self._waiting:
            self._watch = self._loop.call_later(WATCH_SECONDS, self._look_for_late)

    def _kill(self, reason: str) -> None:
        self._reason = self._reason or reason
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)  # asyncio's own `kill` may take the exit code away from its `wait`

    async def _follow(self) -> None:
        """Takes results until the process ends."""
        assert self.process.stdout is not None
        messages = Unframed()
        try:
            while received := await self.process.stdout.read(1 << 16):
                for kind, content in messages.feed(received):
                    if kind == "ready":
                        self._ready.set()
                        continue
                    for number, result in content:
                        future, _ = self._waiting.get(number, (None, 0.0))
                        if future is not None and not future.done():
                            future.set_result(None if result is None else unpacked(result))
                    await asyncio.sleep(0)  # terminals come in between
        finally:
            self._kill("")
            code = await self.process.wait()
            how = f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
            if self._watch is not None:
                self._watch.cancel()
            for future, _ in self._waiting.values():
                if not future.done():
                    future.set_result(None)
            self._ready.set()
            self._told_ended(self, self._reason or how)

    async def close(self) -> None:
        """Ends the process: by the end of its input, else by force."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        done, _ = await asyncio.wait({self._following}, timeout=STOP_TIMEOUT)
        if not done:
            self._kill("did not end with its host")
            await asyncio.wait({self._following}, timeout=STOP_TIMEOUT)


def _environment() -> dict[str, str]:
    """That of the host without what it was not meant to pass on: references are resolved there, and proxies and CA files count here too."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PARTYWIDGETS_")}


def _referring(check: CheckModel) -> Iterable[str]:
    """The texts of a check that hold references."""
    waiting: list[Any] = [check.model_dump(exclude_defaults=True)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str) and "${" in value:
            yield value
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
