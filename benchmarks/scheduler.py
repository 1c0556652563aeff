"""Ten thousand checks that do nothing, every 60 s: how late each one begins, and what the scheduling costs.

Ours is the whole host: schedule, limits, board, history on disk, the room, and dashboards that read in a process of their own. What is late
is the beginning of a look, against the time at which the schedule had it due. The processor's share of the scheduling is that of the
process, less what the same looks take as one scan, without a schedule.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import resource
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from partywidgets.app import create_app
from partywidgets.auth import Gate, Identity
from partywidgets.party.grant import OWNER_ROLES
from partywidgets.scans.checks.base import CheckModel, Probe, ProbeContext
from partywidgets.scans.schedule import Schedule
from partywidgets.scans.settings import ScheduleSettings
from partywidgets.transport.server import serve

from .peer import PEERS

DUE: dict[str, float] = {}
"""When the look that comes next was due, by check id."""
LATE: list[float] = []
"""Milliseconds from there to its beginning."""


class Nothing(CheckModel):
    """A check that sees nothing."""

    type: Literal["nothing"] = "nothing"

    @property
    def target(self) -> str:
        """Each has its own."""
        return f"nothing://host-{int(self.id.split('-')[1]) % 500}/{self.id}"

    async def probe(self, context: ProbeContext) -> Probe:
        """Says at once that all is well."""
        due = DUE.pop(self.id, None)
        if due is not None:
            LATE.append((time.time() - due) * 1000)
        return Probe(self.target, status="ok", summary="nothing")


class Noted(Schedule):
    """The schedule, and a note of what was due when."""

    def pop_due(self, now: float) -> list[str]:
        """As ever."""
        keys = super().pop_due(now)
        for key in keys:
            if key in self.following:
                DUE[key] = self.following[key]
            self.following[key] = self.due_of(key) or 0.0
        return keys

    following: dict[str, float] = {}  # noqa: RUF012 - there is one schedule


def processor() -> float:
    """Seconds of processor that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def shown(name: str, late: list[float], share: float) -> str:
    """A line of the table."""
    cuts = statistics.quantiles(late, n=100)
    return f"{name:34}{len(late):>10,}{cuts[49]:>9.1f}{cuts[98]:>9.1f}{max(late):>9.1f}{share:>16.1%}"


async def ours(folder: Path, checks: int, every: float, seconds: float, dashboards: int) -> None:
    """Prints our line, and what of its share the looks are."""
    token = secrets.token_urlsafe(32)
    gate = Gate(tokens={token: Identity("owner", "owner", OWNER_ROLES)}, hosts=None)
    async with create_app(gate=gate, storage=folder) as app, serve(app.asgi, port=0) as server:
        channel = f"ws://127.0.0.1:{server.port}/api/ops/broadcast"
        people = await asyncio.create_subprocess_exec(
            sys.executable,
            PEERS / "dashboards.py",
            channel,
            str(dashboards),
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PARTYWIDGETS_TOKEN": token},
        )
        try:
            models = [Nothing(id=f"nothing-{number}", every=every) for number in range(checks)]
            app.service.scheduler.schedule = Noted()
            await app.service.load_config("nothing.yaml", models, schedule=ScheduleSettings())
            await asyncio.sleep(every * 1.1)  # all have run once, spread as the schedule spreads them
            LATE.clear()
            begin, used = time.monotonic(), processor()
            await asyncio.sleep(seconds)
            whole = (processor() - used) / (time.monotonic() - begin)
            print(shown(f"ours, {dashboards} dashboards", LATE, whole), flush=True)
            await app.service.load_config("nothing.yaml", [model.model_copy(update={"every": None}) for model in models])
            while app.service.running():
                await asyncio.sleep(0.1)
            used = processor()
            await app.ops.run_scan()
            looks = (processor() - used) / every
            print(f"{'  of it the looks, as one scan':77}{looks:>10.1%}\n{'  of it the scheduling':77}{whole - looks:>10.1%}", flush=True)
        finally:
            people.kill()
            await people.wait()


async def apscheduler(checks: int, every: float, seconds: float) -> None:
    """Prints APScheduler's line: its jobs are spread evenly, do nothing and keep nothing."""
    from apscheduler.events import EVENT_JOB_EXECUTED
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    late: list[float] = []

    def executed(event: Any) -> None:
        late.append((datetime.now(UTC) - event.scheduled_run_time).total_seconds() * 1000)

    async def nothing() -> None:
        """As it says."""

    scheduler = AsyncIOScheduler(timezone=UTC, job_defaults={"misfire_grace_time": None})
    scheduler.add_listener(executed, EVENT_JOB_EXECUTED)
    begin = datetime.now(UTC) + timedelta(seconds=5)
    for number in range(checks):
        scheduler.add_job(nothing, "interval", seconds=every, start_date=begin + timedelta(seconds=every * number / checks))
    scheduler.start()
    await asyncio.sleep(every * 1.1 + 5)
    late.clear()
    started, used = time.monotonic(), processor()
    await asyncio.sleep(seconds)
    print(shown("APScheduler 3, nothing kept", late, (processor() - used) / (time.monotonic() - started)), flush=True)
    scheduler.pause()
    await asyncio.sleep(1)  # those under way end
    scheduler.shutdown(wait=False)


def run(work: Coroutine[Any, Any, None]) -> None:
    """Runs on the loop that `partywidgets serve` takes."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    with contextlib.suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work)


def main(argv: list[str]) -> None:
    """Prints lateness and the share of one core, of ours and of APScheduler where it is installed."""
    parser = argparse.ArgumentParser(prog="./dev bench scheduler", description=__doc__)
    parser.add_argument("--checks", type=int, default=10_000)
    parser.add_argument("--every", type=float, default=60.0)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--dashboards", type=int, default=20)
    given = parser.parse_args(argv)
    print(f"\n{given.checks:,} checks that do nothing, every {given.every:g} s, over {given.seconds:g} s; late in milliseconds")
    print(f"{'':34}{'looks':>10}{'p50':>9}{'p99':>9}{'highest':>9}{'of one core':>16}")
    with tempfile.TemporaryDirectory() as folder:
        run(ours(Path(folder), given.checks, given.every, given.seconds, given.dashboards))
    try:
        run(apscheduler(given.checks, given.every, given.seconds))
    except ImportError:
        print("APScheduler is not installed (pip install 'apscheduler<4'): left out", file=sys.stderr)
