"""function: a Python function that somebody decorated with `@pw.check`."""

from __future__ import annotations

import asyncio
import inspect
import linecache
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, ClassVar, Literal, cast

from pydantic import Field, field_validator

from ...duration import format_duration
from ..calls import Calls, LeftError, OverdueError, StillRunningError, shared_calls
from ..model import STATUSES, ErrorClass, Evidence, Metric, Status, function_fingerprint, one_line
from ..redaction import LOOKED_AT
from .base import CheckModel, Condition, Probe, ProbeContext

logger = logging.getLogger(__name__)

_OPERATORS = ("<", ">", "=", "!")


@dataclass(frozen=True, slots=True)
class Result:
    """What a check function says when true, false or a number is not enough: `pw.Result("warn", "12 jobs wait", values={"jobs": 12})`.

    `summary` is one line, `details` a longer text, `links` are URLs (http, https) that the row's details offer. `values` are names for
    `warn=`, `crit=` and `conditions=`; numbers among them become metrics. `metrics` maps a name to a number, or lists `Metric`s where a
    unit or a range belongs to it. `evidence` maps a name to a text. Raises ValueError for a status that is none of ok, warn, crit, unknown,
    skip, and TypeError for what is not a mapping, a number or a list.
    """

    status: Status
    summary: str = ""
    details: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    metrics: Sequence[Metric] | Mapping[str, float] = ()
    evidence: Mapping[str, str] = field(default_factory=dict)
    links: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"a result's status is one of {', '.join(STATUSES)}, got {self.status!r}")
        for name in ("values", "evidence"):
            if not isinstance(given := getattr(self, name), Mapping):
                raise TypeError(f'{name}= is a mapping, as in {name}={{"lag": …}}, got {type(given).__name__}')
        numbers = isinstance(self.metrics, Mapping) and all(map(_is_number, self.metrics.values()))
        if not numbers and not (isinstance(self.metrics, Sequence) and all(isinstance(metric, Metric) for metric in self.metrics)):
            raise TypeError(f'metrics= maps names to numbers, as in metrics={{"lag": 7.0}}, or lists Metric(…), got {self.metrics!r:.100}')
        if isinstance(self.links, str):
            raise TypeError("links= is a list of URLs, got str: write links=[url]")


class FunctionCheck(CheckModel):
    """Calls the function registered as `function`, which is `module:qualname`; nothing is imported for it.

    None and True are ok, False and a failed assertion crit, another exception unknown, a number is the value `value`, judged by `warn`
    and `crit`. Those may be written in full (`value > 100`), short (`> 100`), or as a number, which means greater than it.
    """

    unknown_errors: ClassVar[frozenset[ErrorClass]] = frozenset({"internal", "timeout"})

    type: Literal["function"] = "function"
    function: str = Field(
        min_length=3,
        max_length=500,
        pattern=r"^[^:\s]+:[^:\s]+$",
        description="a module and a function",
        examples=["team.checks:queue_depth"],
    )
    warn: Condition | None = None
    crit: Condition | None = None

    @field_validator("warn", "crit", mode="before")
    @classmethod
    def _short(cls, threshold: Any) -> Any:
        if isinstance(threshold, bool):
            return threshold
        if isinstance(threshold, (int, float)):
            return f"value > {threshold}"
        if isinstance(threshold, str) and threshold.lstrip().startswith(_OPERATORS) and not threshold.lstrip().startswith("!("):
            return f"value {threshold.strip()}"
        return threshold

    @property
    def target(self) -> str:
        """`module:qualname`."""
        return self.function

    @property
    def fingerprint(self) -> str:
        """By the function's name, wherever it lives."""
        return function_fingerprint(self.id, self.target, {name: self.labels[name] for name in self.identity})

    async def probe(self, context: ProbeContext) -> Probe:
        """Calls the function, on the process's shared calls."""
        return await self.call(shared_calls(), context.deadline - asyncio.get_running_loop().time())

    async def call(self, calls: Calls, timeout: float) -> Probe:
        """Calls the function by `calls`; `timeout` is seconds. Never raises for what the function did."""
        from ..check_decorator import registered

        probe = Probe(self.target)
        entry = registered(self.function)
        if entry is None:
            probe.error = ("internal", f"no function {self.function} is loaded here; import its module or run its cell")
            return probe
        started = perf_counter()
        try:
            outcome = await calls.call(self.function, entry.function, timeout)
        except OverdueError as error:
            why = f": {error}" if str(error) else ""
            probe.error = ("timeout", f"{self.function} did not return within {format_duration(self.timeout)}{why}")
        except StillRunningError:
            probe.error = ("timeout", f"{self.function} still runs since an earlier time-out and was not started again")
        except LeftError as error:
            exits = isinstance(error.__cause__, SystemExit)
            probe.error = ("internal", f"{error}{': a check does not exit, it returns a pw.Result' if exits else ''}")
        except AssertionError as error:
            probe.status, probe.summary = "crit", one_line(str(error), LOOKED_AT) or _assertion(error)
        except Exception as error:
            # The class and its message are for everyone in the room; the traceback stays in this process's log.
            logger.warning("check %s raised", self.function, exc_info=error)
            probe.error = ("internal", f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
        else:
            _fill(probe, outcome)
        probe.metrics.append(Metric("duration_ms", round((perf_counter() - started) * 1000, 3), "ms"))
        return probe


def _assertion(error: AssertionError) -> str:
    """The line of a failed `assert` that has no message."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "an assertion failed"
    return (
        one_line(linecache.getline(trace.tb_frame.f_code.co_filename, trace.tb_lineno, trace.tb_frame.f_globals)) or "an assertion failed"
    )


def _fill(probe: Probe, outcome: Any) -> None:
    """What a function returned, as a probe."""
    if isinstance(outcome, Result):
        probe.status, probe.summary, probe.details = outcome.status, outcome.summary, outcome.details
        probe.values = dict(outcome.values)
        given = outcome.metrics
        probe.metrics = _metrics(given) if isinstance(given, Mapping) else list(given)
        probe.metrics += _metrics(outcome.values)
        probe.evidence = [Evidence("text", name, str(text)) for name, text in outcome.evidence.items()]
        probe.links = list(outcome.links)
    elif outcome is None or outcome is True or outcome is False or type(outcome).__name__ in ("bool", "bool_"):
        good = outcome is None or bool(outcome)
        probe.status, probe.summary = ("ok", "ok") if good else ("crit", "returned False")
    elif _is_number(outcome):
        value = float(outcome)
        if not math.isfinite(value):
            probe.status, probe.summary = "unknown", f"returned {outcome}, which is not a number to judge"
            return
        number: int | float = int(outcome) if value.is_integer() and not isinstance(outcome, float) else value
        probe.values = {"value": number}
        probe.summary = f"value {value:.6g}"
        probe.metrics = [Metric("value", value)]
    else:
        if inspect.iscoroutine(outcome):
            outcome.close()
        probe.status = "unknown"
        probe.summary = f"returned {type(outcome).__name__}; a check returns None, True, False, a number or pw.Result"


def _metrics(named: Mapping[str, Any]) -> list[Metric]:
    """The finite numbers among some named values."""
    return [Metric(name, float(value)) for name, value in named.items() if _is_number(value) and math.isfinite(value)]


def _is_number(value: Any) -> bool:
    if isinstance(value, (bool, str, bytes)):
        return False
    if isinstance(value, (int, float)):
        return True
    try:  # numpy's numbers and Decimal
        return hasattr(value, "__float__") and not hasattr(value, "__len__") and float(cast(Any, value)) is not None
    except (TypeError, ValueError, OverflowError):
        return False
