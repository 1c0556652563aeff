"""kubernetes: what a cluster's API tells of pods, deployments, nodes and events (https://kubernetes.io/docs/reference/kubernetes-api/)."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from ...duration import PositiveSeconds, format_duration
from ...engines.kubernetes import KubernetesEngine, KubernetesError
from ..condition import compile_condition
from ..model import ErrorClass, Evidence, Metric, one_line
from ..redaction import LOOKED_AT
from .base import CheckModel, Probe, ProbeContext

Kind = Literal["pods", "deployments", "nodes", "events"]
SHOWN = 20
"""How many things in trouble are evidence of their own, of each kind."""

_NAMES: dict[Kind, frozenset[str]] = {
    "pods": frozenset({"pods", "pods_not_ready", "pods_pending", "restarts", "restarts_recent"}),
    "deployments": frozenset({"deployments", "deployments_not_ready"}),
    "nodes": frozenset({"nodes", "nodes_not_ready", "nodes_under_pressure"}),
    "events": frozenset({"events", "warnings"}),
}
_IMPLIED: dict[Kind, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "pods": (("size(pods) > 0", ("pods", "error")), ("pods_not_ready == 0", ("pods_not_ready", "pods_pending", "pods", "error"))),
    "deployments": (("deployments_not_ready == 0", ("deployments_not_ready", "deployments", "error")),),
    "nodes": (
        ("nodes_not_ready == 0", ("nodes_not_ready", "nodes", "error")),
        ("nodes_under_pressure == 0", ("nodes_under_pressure", "nodes", "error")),
    ),
    "events": (("warnings == 0", ("warnings", "events", "error")),),
}
"""What must hold of a kind, and the names that it is about."""
_TROUBLE: dict[Kind, str] = {
    "pods": "pods not ready",
    "deployments": "deployments not ready",
    "nodes": "nodes not ready or under pressure",
    "events": "warnings about",
}
NAMED = 3
"""How many of those in trouble the summary names; the evidence has more."""
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")


class KubernetesCheck(CheckModel):
    """The things of `kinds` in `namespace` (none: all that the user may see) that `selector` (labels, as kubectl's `-l`) matches; nodes are
    the cluster's, whatever these two say, and of the events those about a pod or deployment that was matched. `context` and `kubeconfig`
    are kubectl's; without them its current context, or in a pod its service account. `within` is how recent restarts and events are.

    Values of pods: `pods` (a list of `{namespace, name, phase, ready, reason, restarts, age_s}`), `pods_not_ready` (completed ones, those
    being deleted, and failed ones that a controller replaces are not counted), `pods_pending`, `restarts` (in all), `restarts_recent`
    (containers). Of deployments: `deployments` (`{namespace, name, desired, available, ready, reason}`), `deployments_not_ready`. Of nodes:
    `nodes` (`{name, ready, reason, pressures, unschedulable}`), `nodes_not_ready`, `nodes_under_pressure`. Of events: `events`
    (`{namespace, object, reason, message, count, age_s}`, warnings alone), `warnings` (how many). Always: `complete` (false past 10,000 of
    a kind), `duration_ms`, `error`. Without conditions there are pods, all that was asked for is ready, no node is under pressure and
    there is no warning. An API that cannot be asked says nothing about them: unknown.
    """

    libraries: ClassVar[tuple[str, ...]] = ("aiohttp", "kubernetes_asyncio.client", "kubernetes_asyncio.config")
    value_names: ClassVar[frozenset[str] | None] = frozenset({"complete", "duration_ms", "error"}).union(*_NAMES.values())
    unknown_errors: ClassVar[frozenset[ErrorClass]] = frozenset({"internal", "refused", "timeout", "auth", "http", "parse"})

    type: Literal["kubernetes"] = "kubernetes"
    kinds: tuple[Kind, ...] = Field(default=("pods", "deployments"), min_length=1)
    namespace: str = ""
    selector: str = Field(default="", max_length=1000)
    context: str = Field(default="", max_length=253)
    kubeconfig: str = Field(default="", max_length=4096)
    within: PositiveSeconds = 3600.0

    @field_validator("namespace")
    @classmethod
    def _namespace(cls, name: str) -> str:
        if name and not _NAMESPACE.fullmatch(name):
            raise ValueError(f"{name[:80]!r} is not a namespace's name: lower-case letters, digits and '-'; leave it out for all of them")
        return name

    @model_validator(mode="after")
    def _asked_for(self) -> KubernetesCheck:
        for kind, names in _NAMES.items():
            used = sorted({name for expr in self.expressions for name in compile_condition(expr).names} & names)
            if used and kind not in self.kinds:
                raise ValueError(f"{used[0]} is known when {kind} are asked for: write kinds: [{', '.join((*self.kinds, kind))}]")
        if self.selector and "events" in self.kinds and not {"pods", "deployments"} & set(self.kinds):
            raise ValueError("events have no labels of their own: with a selector ask for pods or deployments too")
        return self

    @property
    def target(self) -> str:
        """The context, the namespace and the selector."""
        return f"kubernetes:{self.context or 'current'}/{self.namespace or '*'}" + (f" {self.selector}" if self.selector else "")

    @property
    def implied_conditions(self) -> tuple[str, ...]:
        """All is well with what is asked for, unless the author says what must hold."""
        return self.unless_asked(*(rule for kind in dict.fromkeys(self.kinds) for rule in _IMPLIED[kind]))

    async def probe(self, context: ProbeContext) -> Probe:
        """One list of each kind."""
        probe = Probe(self.target)
        started = perf_counter()
        found: dict[Kind, list[dict[str, Any]]] = {}
        whole = True
        try:
            async with (
                asyncio.timeout_at(context.deadline),
                KubernetesEngine(self.context, kubeconfig=context.resolve(self.kubeconfig)) as engine,
            ):
                for kind in dict.fromkeys(self.kinds):
                    path, query, what = self._question(kind)
                    found[kind], all_of_it = await engine.items(path, query, what=what)
                    whole = whole and all_of_it
        except KubernetesError as error:
            late = isinstance(error.__cause__, TimeoutError)
            kind_of_error: ErrorClass = (
                "auth" if error.status in (401, 403) else "http" if error.status else "timeout" if late else "refused"
            )
            probe.error = (kind_of_error, str(error))
        except TimeoutError:
            probe.error = ("timeout", f"{self.target}: the API did not answer within {format_duration(self.timeout)}")
        duration_ms = probe.took(perf_counter() - started)
        if probe.error is not None:
            return probe
        try:
            probe.values = self._values(found, datetime.now(UTC))
        except (KeyError, TypeError, ValueError, AttributeError):
            probe.error = ("parse", f"{self.target}: the API answers in a form that is not Kubernetes'")
            return probe
        probe.values |= {"complete": whole, "duration_ms": duration_ms}
        _sum_up(probe, tuple(found))
        return probe

    def _question(self, kind: Kind) -> tuple[str, dict[str, str | int], str]:
        """The path and the query of a list, and its name in errors."""
        inside = f"/namespaces/{self.namespace}" if self.namespace else ""
        where = f"in namespace {self.namespace}" if self.namespace else "in all namespaces"
        labels: dict[str, str | int] = {"labelSelector": self.selector} if self.selector else {}
        match kind:
            case "pods":
                return f"/api/v1{inside}/pods", labels, f"pods {where}"
            case "deployments":
                return f"/apis/apps/v1{inside}/deployments", labels, f"deployments {where}"
            case "nodes":
                return "/api/v1/nodes", {}, "nodes"
            case "events":
                return f"/api/v1{inside}/events", {"fieldSelector": "type=Warning"}, f"events {where}"

    def _values(self, found: dict[Kind, list[dict[str, Any]]], now: datetime) -> dict[str, Any]:
        since, values = now - timedelta(seconds=self.within), dict[str, Any]()
        if "pods" in found:
            pods = values["pods"] = [pod_value(item, now) for item in found["pods"]]
            values["pods_not_ready"] = sum(in_trouble(pod) for pod in pods)
            values["pods_pending"] = sum(pod["phase"] == "Pending" for pod in pods)
            values["restarts"] = sum(pod["restarts"] for pod in pods)
            values["restarts_recent"] = sum(restarted_since(item, since) for item in found["pods"])
        if "deployments" in found:
            values["deployments"] = [deployment_value(item) for item in found["deployments"]]
            values["deployments_not_ready"] = sum(not one["ready"] for one in values["deployments"])
        if "nodes" in found:
            values["nodes"] = [node_value(item) for item in found["nodes"]]
            values["nodes_not_ready"] = sum(not one["ready"] for one in values["nodes"])
            values["nodes_under_pressure"] = sum(bool(one["pressures"]) for one in values["nodes"])
        if "events" in found:
            matched = {
                (kind, item["metadata"].get("namespace", ""), item["metadata"]["name"])
                for kind, items in (("Pod", found.get("pods", [])), ("Deployment", found.get("deployments", [])))
                for item in items
            }

            def counts(item: dict[str, Any]) -> bool:
                about = item.get("involvedObject") or {}
                known = (about.get("kind"), about.get("namespace", ""), about.get("name")) in matched
                return event_time(item) >= since and (known or not self.selector)

            values["events"] = [event_value(item, now) for item in found["events"] if counts(item)]
            values["warnings"] = len(values["events"])
        return values


def _sum_up(probe: Probe, kinds: tuple[Kind, ...]) -> None:
    """How many there are of each kind, and what is wrong with whom."""
    counts = {name: len(value) if isinstance(value, list) else value for name, value in probe.values.items() if name != "complete"}
    probe.metrics += [Metric(name, float(count)) for name, count in counts.items() if name not in ("duration_ms", "events")]
    numbers = {("warnings" if kind == "events" else kind): counts[kind] for kind in kinds}
    probe.summary = ", ".join(f"{number} {name[:-1] if number == 1 else name}" for name, number in numbers.items())
    faults: list[str] = []
    for kind in kinds:
        troubled = [one for one in probe.values[kind] if in_trouble(one)]
        faults += _faults(kind, troubled, empty=not probe.values[kind])
        for one in troubled[:SHOWN]:
            where = _where(one)
            probe.evidence.append(Evidence(f"kubernetes-{kind[:-1]}", one_line(where), _told(one)))
    probe.fault = one_line("; ".join(faults), LOOKED_AT)


def in_trouble(one: dict[str, Any]) -> bool:
    """Whether a value of one of the lists counts as not ready, or under pressure; every event is a warning."""
    return not one.get("ready", False) or bool(one.get("pressures"))


def _faults(kind: Kind, troubled: list[dict[str, Any]], *, empty: bool) -> list[str]:
    """In words what is not as it must be, by name: at night nobody opens the evidence first."""
    if kind == "pods" and empty:
        return ["there are no pods"]
    if not troubled:
        return []
    named = []
    for one in troubled[:NAMED]:
        why = one.get("reason") or ", ".join(one.get("pressures", ()))
        named.append(_where(one) + (f" ({why})" if why else ""))
    more = f" and {len(troubled) - NAMED} more" if len(troubled) > NAMED else ""
    return [f"{_TROUBLE[kind]}: {', '.join(named)}{more}"]


def _where(one: dict[str, Any]) -> str:
    """The name for people: an event's is that of what it is about."""
    name = one.get("object") or one["name"]
    return f"{one['namespace']}/{name}" if one.get("namespace") else str(name)


def _told(one: dict[str, Any]) -> str:
    return ", ".join(
        f"{name}: {value}" for name, value in one.items() if name not in ("namespace", "name", "object") and value not in ("", [])
    )


def _condition(item: dict[str, Any], name: str) -> dict[str, Any]:
    conditions = (item.get("status") or {}).get("conditions") or ()
    return next((dict(one) for one in conditions if one.get("type") == name), {})


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _age(item: dict[str, Any], now: datetime) -> float | None:
    made = _time(item["metadata"].get("creationTimestamp"))
    return None if made is None else round(max((now - made).total_seconds(), 0.0), 3)


def _containers(item: dict[str, Any]) -> list[dict[str, Any]]:
    status = item.get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def pod_value(item: dict[str, Any], now: datetime) -> dict[str, Any]:
    """A pod as conditions see it. `ready` is true also of one that needs not be: completed, being deleted, or failed and replaced."""
    meta, status, ready = item["metadata"], item.get("status") or {}, _condition(item, "Ready")
    phase = str(status.get("phase", "Unknown"))
    replaced = phase == "Failed" and any(owner.get("controller") for owner in meta.get("ownerReferences") or ())
    well = ready.get("status") == "True" or phase == "Succeeded" or replaced or bool(meta.get("deletionTimestamp"))
    states = [container.get("state") or {} for container in _containers(item)]
    # The containers' own reason says more (CrashLoopBackOff) than the pod's (ContainersNotReady).
    reasons = [(state.get("waiting") or {}).get("reason") for state in states]
    reasons += [(state.get("terminated") or {}).get("reason") for state in states]
    reasons += [status.get("reason"), _condition(item, "PodScheduled").get("reason"), ready.get("reason")]
    return {
        "namespace": str(meta.get("namespace", "")),
        "name": str(meta["name"]),
        "phase": phase,
        "ready": well,
        "reason": ""
        if well
        else next((str(reason) for reason in reasons if reason and reason not in ("Completed", "PodInitializing")), ""),
        "restarts": sum(int(container.get("restartCount", 0)) for container in _containers(item)),
        "age_s": _age(item, now),
    }


def restarted_since(item: dict[str, Any], since: datetime) -> int:
    """How many of a pod's containers run anew because they ended after `since`."""
    ends = [_time(((one.get("lastState") or {}).get("terminated") or {}).get("finishedAt")) for one in _containers(item)]
    return sum(end is not None and end >= since for end in ends)


def deployment_value(item: dict[str, Any]) -> dict[str, Any]:
    """A deployment as conditions see it: ready with all of its replicas available and no rollout that stands still."""
    meta, status = item["metadata"], item.get("status") or {}
    wanted = (item.get("spec") or {}).get("replicas")
    desired, available = 1 if wanted is None else int(wanted), int(status.get("availableReplicas") or 0)
    progress, failure = _condition(item, "Progressing"), _condition(item, "ReplicaFailure")
    stalled = progress.get("status") == "False"
    ready = available >= desired and not stalled
    told = [progress if stalled else {}, failure if failure.get("status") == "True" else {}, _condition(item, "Available")]
    return {
        "namespace": str(meta.get("namespace", "")),
        "name": str(meta["name"]),
        "desired": desired,
        "available": available,
        "ready": ready,
        "reason": "" if ready else next((str(one["reason"]) for one in told if one.get("reason")), ""),
    }


def node_value(item: dict[str, Any]) -> dict[str, Any]:
    """A node as conditions see it; `pressures` are the names of its bad conditions."""
    ready = _condition(item, "Ready")
    return {
        "name": str(item["metadata"]["name"]),
        "ready": ready.get("status") == "True",
        "reason": "" if ready.get("status") == "True" else str(ready.get("reason", "")),
        "pressures": [name for name in _PRESSURES if _condition(item, name).get("status") == "True"],
        "unschedulable": bool((item.get("spec") or {}).get("unschedulable")),
    }


def event_time(item: dict[str, Any]) -> datetime:
    """When an event was last seen. Which field says it depends on who wrote the event and how often it came."""
    texts = ((item.get("series") or {}).get("lastObservedTime"), item.get("lastTimestamp"), item.get("eventTime"))
    times = [at for at in map(_time, texts) if at is not None]
    made = _time(item["metadata"].get("creationTimestamp"))
    return max(times) if times else made or datetime.fromtimestamp(0, UTC)


def event_value(item: dict[str, Any], now: datetime) -> dict[str, Any]:
    """An event as conditions see it."""
    about = item.get("involvedObject") or {}
    return {
        "namespace": str(about.get("namespace") or item["metadata"].get("namespace", "")),
        "object": f"{about.get('kind', '')}/{about.get('name', '')}",
        "reason": str(item.get("reason") or ""),
        "message": one_line(str(item.get("message") or ""), LOOKED_AT),
        "count": int((item.get("series") or {}).get("count") or item.get("count") or 1),
        "age_s": round(max((now - event_time(item)).total_seconds(), 0.0), 3),
    }
