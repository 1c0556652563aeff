"""Asking a server over HTTP within a check's time: what fails, and how long each phase took, stand in the probe."""

from __future__ import annotations

import asyncio
from time import perf_counter
from types import TracebackType

from ...duration import format_duration
from ..model import Metric
from .base import Probe, ProbeContext
from .dial import DialError, Phases

PHASES = ("resolve", "connect", "tls", "processing", "transfer")


class Asking:
    """Until the deadline of `context`; `timeout` is the check's, in seconds. A DialError within, or no answer in time, is `probe.error`.

    `duration_ms` is known when it is over. A generator's context manager would cost a fifteenth of a whole look.
    """

    def __init__(self, probe: Probe, context: ProbeContext, timeout: float) -> None:
        self.phases = Phases()
        self.duration_ms = 0.0
        self._probe, self._timeout = probe, timeout
        self._until = asyncio.timeout_at(context.deadline)
        self._started = perf_counter()

    async def __aenter__(self) -> Asking:
        await self._until.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        try:
            await self._until.__aexit__(kind, error, trace)
        except TimeoutError as late:
            error = late
        probe, phases = self._probe, self.phases
        if isinstance(error, DialError):
            probe.error = (error.kind, error.message)
        elif isinstance(error, TimeoutError):
            probe.error = ("timeout", f"no answer within {format_duration(self._timeout)}: it hung in {phases.current or 'the request'}")
        elif error is not None:
            return False
        phases.enter("")
        self.duration_ms = round((perf_counter() - self._started) * 1000, 3)
        probe.phases_ms = {name: phases.ms.get(name, 0.0) for name in PHASES}
        probe.metrics.append(Metric("duration_ms", self.duration_ms, "ms"))
        return error is not None
