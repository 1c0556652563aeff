"""From a look to a result: a probe is judged by its check's conditions, and a check is run within its time."""

from __future__ import annotations

import asyncio
import logging
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from .. import __version__
from ..duration import format_duration
from ..party.database import MORE_FILES, OUT_OF_FILES
from .checks.base import CheckModel, Probe, ProbeContext
from .condition import compile_condition
from .model import CheckResult, ConditionResult, ErrorClass, Failure, Runner, State, Status, utc_now
from .redaction import Seen

logger = logging.getLogger(__name__)

GRACE = 0.5
"""Seconds that a probe has after its deadline to say itself where it hung."""
CLEANUP = 1.0
"""Seconds that a cancelled probe has to close what it opened; after that it is abandoned."""
REMIND = 60.0
"""Seconds in which want of open files is logged once: it is the same for every check."""

_BADNESS: dict[Status, int] = {"skip": -1, "ok": 0, "unknown": 1, "warn": 2, "crit": 3}


def worse(left: Status, right: Status) -> Status:
    """The worse of two statuses: crit, then warn, unknown, ok, skip."""
    return left if _BADNESS[left] >= _BADNESS[right] else right


@lru_cache(maxsize=1)
def this_runner() -> Runner:
    """The runner that this process is."""
    return Runner(host=platform.node() or "localhost", version=__version__)


def _unresolved(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a run gives its result. `resolve` replaces `${env:…}` and `${file:…}`; `redact` removes secrets from texts that are kept."""

    scan_id: str = ""
    scheduled_at: datetime | None = None
    runner: Runner = field(default_factory=this_runner)
    resolve: Callable[[str], str] = _unresolved
    redact: Callable[[str], str] | None = None


class Judgement(NamedTuple):
    """A probe's status, its line for people, and the conditions with what was seen."""

    status: Status
    summary: str
    conditions: list[ConditionResult]


def judge(check: CheckModel, probe: Probe) -> Judgement:
    """What a look means. Never raises.

    An error is crit, or unknown where it says nothing about the target (`CheckModel.unknown_errors`), unless an expression asks for
    `error` itself. A condition that does not hold, or has no answer, is crit; a `crit` or `warn` expression that is true sets its status,
    one without an answer unknown. A status that the check gave itself can only become worse.
    """
    values = {**probe.values, "error": None if probe.error is None else probe.error[0]}
    conditions: list[ConditionResult] = []
    if probe.error is not None and not any("error" in compile_condition(expr).names for expr in check.expressions):
        kind, message = probe.error
        status: Status = "unknown" if kind in check.unknown_errors else "crit"
        if probe.values:
            conditions = [compile_condition(expr).evaluate(values) for expr in check.conditions]
        return Judgement(status, message, conditions)
    status, reasons = probe.status or "ok", []
    for expr in (*check.implied_conditions, *check.conditions):
        verdict = compile_condition(expr).verdict(values)
        conditions.append(ConditionResult(expr, verdict.holds is True, verdict.actual))
        if verdict.holds is not True:
            status = worse(status, "crit")
            own = probe.fault if expr in check.implied_conditions else ""
            reasons.append(own or f"{expr}: got {verdict.actual}")
    levels: tuple[tuple[Status, str | None], ...] = (("crit", check.crit), ("warn", check.warn))
    for level, given in levels:
        if given is None:
            continue
        verdict = compile_condition(given).verdict(values)
        conditions.append(ConditionResult(f"{level} if {given}", verdict.holds is False, verdict.actual))
        if verdict.holds is None:
            status = worse(status, "unknown")
            reasons.append(f"{probe.nothing}, so {given} has no answer" if probe.nothing else f"{given}: {verdict.reason}")
        elif verdict.holds and _BADNESS[level] > _BADNESS[status]:
            status = level
            reasons.append(f"{given}: got {verdict.actual}")
    # An expected error is what was seen: a summary that was made before it came, or beside it, would tell of something else.
    found = probe.error[1] if probe.error is not None else probe.summary
    summary = "; ".join(dict.fromkeys(reasons)) if reasons and status != "ok" else found
    return Judgement(status, summary or status, conditions)


@lru_cache(maxsize=100)
def _first_look(attempts: int) -> State:
    return State(max_attempts=attempts)


def result_of(check: CheckModel, probe: Probe, *, context: RunContext, started_at: datetime, duration_ms: float) -> CheckResult:
    """A judged probe as the result that is published."""
    judgement = judge(check, probe)
    failure = None if probe.error is None else Failure(*probe.error)
    seen = Seen(judgement.summary, probe.details, judgement.conditions, probe.evidence, failure, probe.links, probe.target or check.target)
    if context.redact is not None:  # before the texts are cut to their bounds: half a secret would not be recognised
        seen = seen.redacted(context.redact)
    return CheckResult(
        check_id=check.id,
        check_type=check.type,
        target=seen.target,
        status=judgement.status,
        scan_id=context.scan_id,
        fingerprint=check.fingerprint,
        title=check.title or check.id,
        severity=check.severity,
        state=_first_look(check.attempts),
        scheduled_at=context.scheduled_at,
        started_at=started_at,
        duration_ms=round(duration_ms, 3),
        phases_ms=probe.phases_ms,
        summary=seen.summary,
        details=seen.details,
        conditions=list(seen.conditions),
        metrics=probe.metrics,
        evidence=list(seen.evidence),
        error=seen.error,
        remediation=check.remedy,
        labels=dict(check.labels),
        links=list(seen.links),
        runner=context.runner,
        ttl_s=check.ttl_s(started_at.timestamp()),
    )


async def run_check(check: CheckModel, context: RunContext | None = None) -> CheckResult:
    """Looks, again up to `retries` times while the status is crit or unknown, and judges. Raises nothing but its own cancellation."""
    context = context or RunContext()
    result = await _run_once(check, context)
    for _ in range(check.retries):
        if result.status in ("ok", "skip", "warn"):
            break
        await asyncio.sleep(check.retry_delay)
        result = await _run_once(check, context)
    return result


async def _run_once(check: CheckModel, context: RunContext) -> CheckResult:
    started_at, began = utc_now(), time.perf_counter()
    try:
        probe = await bounded_probe(check, context.resolve)
        if probe.error == _NO_FILES:
            _tell_out_of_files(check)
        return result_of(check, probe, context=context, started_at=started_at, duration_ms=(time.perf_counter() - began) * 1000)
    except Exception as error:  # a fault of a check's code may not end the scan of all the others
        logger.exception("check %s could not be judged", check.id)
        probe = Probe(check.target, error=("internal", f"{type(error).__name__} in the check's code; the log has more"))
        return result_of(check, probe, context=context, started_at=started_at, duration_ms=(time.perf_counter() - began) * 1000)


async def bounded_probe(check: CheckModel, resolve: Callable[[str], str]) -> Probe:
    """One probe that ends: cancelled at its deadline, abandoned if it does not even then. A fault in its code becomes an `internal`
    error."""
    loop = asyncio.get_running_loop()
    looking = check.probe(ProbeContext(loop.time() + check.timeout, resolve))
    if check.ends_itself:  # a task and a timer around those that it has would only cost
        try:
            return await looking
        except asyncio.CancelledError:
            if (ours := asyncio.current_task()) is None or ours.cancelling():
                raise
            return _cancelled_itself(check)
        except Exception as error:
            return _raised(check, error)
    task = loop.create_task(looking, name=f"probe of {check.id}")
    try:
        await asyncio.wait({task}, timeout=check.timeout + GRACE)
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=CLEANUP)
            if not task.done():
                _abandon(check, task)
            elif not task.cancelled() and (late := task.exception()) is not None:
                logger.warning("check %s raised while it was cancelled: %r", check.id, late)
            return Probe(check.target, error=("timeout", f"no answer within {format_duration(check.timeout)}"))
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task}, timeout=CLEANUP)
        raise
    try:
        return task.result()
    except asyncio.CancelledError:
        return _cancelled_itself(check)
    except Exception as error:
        return _raised(check, error)


def _cancelled_itself(check: CheckModel) -> Probe:
    return Probe(check.target, error=("internal", "the check cancelled itself"))


def _raised(check: CheckModel, error: Exception) -> Probe:
    if isinstance(error, OSError) and error.errno in OUT_OF_FILES:
        return Probe(check.target, error=_NO_FILES)
    logger.warning("check %s raised", check.id, exc_info=error)
    return Probe(check.target, error=("internal", f"{type(error).__name__}: {error}"))


_NO_FILES: tuple[ErrorClass, str] = ("internal", MORE_FILES)
_out_of_files_told = float("-inf")


def _tell_out_of_files(check: CheckModel) -> None:
    global _out_of_files_told
    now = time.monotonic()
    if now - _out_of_files_told >= REMIND:
        _out_of_files_told = now
        logger.error("check %s, and others maybe, could not look: %s", check.id, MORE_FILES)


_abandoned: set[asyncio.Task[Probe]] = set()


def _abandon(check: CheckModel, task: asyncio.Task[Probe]) -> None:
    """Keeps a probe that ignores its cancellation from being collected half-way, and logs when it ends after all."""
    logger.error("check %s ignores its cancellation and was abandoned", check.id)
    _abandoned.add(task)

    def ended(done: asyncio.Task[Probe]) -> None:
        _abandoned.discard(done)
        if not done.cancelled():
            done.exception()

    task.add_done_callback(ended)
