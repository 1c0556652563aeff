"""docker: the state and the health of a container, as Docker or Podman tells it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, ClassVar, Literal

from pydantic import Field

from ...duration import format_duration
from ...engines.docker import DockerEngine, EngineKind, NoContainer
from ...exceptions import EngineError
from ..model import ErrorClass, Evidence, Metric, one_line
from ..redaction import LOOKED_AT
from .base import CheckModel, Probe, ProbeContext
from .http import without_password


class DockerCheck(CheckModel):
    """The container `container` of `engine` (`docker` or `podman`) at `url`, or where the engine listens usually (`DOCKER_HOST` or
    `CONTAINER_HOST`, else its socket).

    Values: `status` (`created running paused restarting removing exited dead`), `running`, `health` (`none starting healthy unhealthy`),
    `failing_streak` (failed health checks in a row), `restarts` (by its restart policy, since a person started it), `exit_code` (null
    before its end), `oom_killed`, `started_at`, `finished_at` (null where it never was), `age_s` (seconds since its start, null while it
    does not run), `image`, `duration_ms`, `error`. Without conditions, `status == 'running'` and `health != 'unhealthy'` must hold. A
    container that does not exist is crit (`error` is `http`); an engine that cannot be asked says nothing about it: unknown.
    """

    libraries: ClassVar[tuple[str, ...]] = ("aiohttp", "aiodocker")
    value_names: ClassVar[frozenset[str] | None] = frozenset(
        {
            "status",
            "running",
            "health",
            "failing_streak",
            "restarts",
            "exit_code",
            "oom_killed",
            "started_at",
            "finished_at",
            "age_s",
            "image",
            "duration_ms",
            "error",
        }
    )
    unknown_errors: ClassVar[frozenset[ErrorClass]] = frozenset({"internal", "refused", "timeout", "parse"})

    type: Literal["docker"] = "docker"
    container: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$", description="the name or id of a container", examples=["web-1"])
    engine: EngineKind = "docker"
    url: str | None = Field(default=None, max_length=2048)

    @property
    def target(self) -> str:
        """The container as the address of its terminal, and where its engine is asked when the config says it."""
        name = f"{self.engine}:{self.container}"
        return name if self.url is None else f"{name} at {without_password(self.url)}"

    @property
    def implied_conditions(self) -> tuple[str, ...]:
        """It runs and is not ill, unless the author says what must hold."""
        return self.unless_asked(
            ("status == 'running'", ("status", "running", "exit_code", "finished_at", "error")),
            ("health != 'unhealthy'", ("health", "failing_streak", "error")),
        )

    async def probe(self, context: ProbeContext) -> Probe:
        """Inspects the container once."""
        probe = Probe(self.target)
        started = perf_counter()
        try:
            async with asyncio.timeout_at(context.deadline):
                async with DockerEngine(None if self.url is None else context.resolve(self.url), kind=self.engine) as engine:
                    known = await engine.inspect(self.container)
        except NoContainer as error:
            probe.error = ("http", str(error))
        except EngineError as error:
            probe.error = ("refused", str(error))
        except TimeoutError:
            probe.error = ("timeout", f"{self.target}: the engine did not answer within {format_duration(self.timeout)}")
        duration_ms = probe.took(perf_counter() - started)
        if probe.error is not None:
            return probe
        try:
            probe.values = {**container_values(known, datetime.now(UTC)), "duration_ms": duration_ms}
        except (KeyError, TypeError, ValueError, AttributeError):
            probe.error = ("parse", f"{self.target}: the engine answers in a form that is not the Docker Engine API's")
            return probe
        for name, unit in (("restarts", ""), ("failing_streak", ""), ("exit_code", ""), ("age_s", "s")):
            if probe.values[name] is not None:
                probe.metrics.append(Metric(name, float(probe.values[name]), unit))
        probe.summary = probe.fault = one_line(f"{self.target}: {sentence(probe.values)}", LOOKED_AT)
        state = dict(known["State"])
        log = (state.pop("Health", None) or {}).get("Log") or []
        probe.evidence.append(Evidence("docker-state", "state", json.dumps(state, sort_keys=True)))
        if log:
            probe.evidence.append(
                Evidence("docker-health", f"health check, exit code {log[-1].get('ExitCode')}", str(log[-1].get("Output")))
            )
        return probe


def container_values(known: dict[str, Any], now: datetime) -> dict[str, Any]:
    """What conditions may ask about an answer of `GET /containers/{name}/json`. Raises KeyError, TypeError or ValueError for another."""
    state = known["State"]
    health = state.get("Health") or {}  # Podman gives an empty one, Docker none, where no health check is set
    started, finished = moment(state.get("StartedAt")), moment(state.get("FinishedAt"))
    running, status = bool(state["Running"]), str(state["Status"])
    ended = finished is not None and not running and status in ("exited", "dead", "restarting")
    return {
        "status": status,
        "running": running,
        "health": str(health.get("Status") or "none"),
        "failing_streak": int(health.get("FailingStreak") or 0),
        "restarts": int(known.get("RestartCount") or 0),
        "exit_code": int(state["ExitCode"]) if ended else None,
        "oom_killed": bool(state.get("OOMKilled")),
        "started_at": started,
        "finished_at": finished,
        "age_s": round(max((now - started).total_seconds(), 0.0), 3) if running and started is not None else None,
        "image": str((known.get("Config") or {}).get("Image") or ""),
    }


def moment(text: str | None) -> datetime | None:
    """A time of the engine; None for its zero, the year 1. Raises ValueError for what is not a time."""
    if not text:
        return None
    at = datetime.fromisoformat(text)
    return None if at.year == 1 else at.astimezone(UTC)


def sentence(values: dict[str, Any]) -> str:
    """A container in words: `running for 2h, healthy, restarted 3 times`."""
    words = str(values["status"])
    if values["age_s"] is not None:
        words += f" for {format_duration(round(values['age_s']))}"
    if values["exit_code"] is not None:
        words += f" with code {values['exit_code']}"
    if values["oom_killed"]:
        words += ", killed for want of memory"
    if values["health"] != "none":
        words += f", {values['health']}"
    return words + (
        f", restarted {values['restarts']} times" if values["restarts"] > 1 else ", restarted once" if values["restarts"] else ""
    )
