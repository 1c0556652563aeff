"""Asking a server over HTTP within a check's time: what fails, and how long each phase took, stand in the probe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter

from ...duration import format_duration
from ..model import Metric
from .base import Probe, ProbeContext
from .dial import DialError, Phases

PHASES = ("resolve", "connect", "tls", "processing", "transfer")


@dataclass(slots=True)
class Asked:
    """`duration_ms` is known when it is over."""

    phases: Phases = field(default_factory=Phases)
    duration_ms: float = 0.0


@asynccontextmanager
async def asking(probe: Probe, context: ProbeContext, timeout: float) -> AsyncIterator[Asked]:
    """Until the deadline of `context`; `timeout` is the check's, in seconds. A DialError within, or no answer in time, is `probe.error`."""
    asked, started = Asked(), perf_counter()
    try:
        async with asyncio.timeout_at(context.deadline):
            yield asked
    except DialError as error:
        probe.error = (error.kind, error.message)
    except TimeoutError:
        probe.error = ("timeout", f"no answer within {format_duration(timeout)}: it hung in {asked.phases.current or 'the request'}")
    asked.phases.enter("")
    asked.duration_ms = round((perf_counter() - started) * 1000, 3)
    probe.phases_ms = {name: asked.phases.ms.get(name, 0.0) for name in PHASES}
    probe.metrics.append(Metric("duration_ms", asked.duration_ms, "ms"))
