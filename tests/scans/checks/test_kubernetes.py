"""The kubernetes check against a web server that answers as the API's definition says."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from partywidgets.scans.checks.kubernetes import KubernetesCheck
from partywidgets.scans.model import CheckResult

from .servers import look, serving

Objects = dict[str, list[dict[str, Any]]]


def ago(seconds: float) -> str:
    """A time as the API writes it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(name: str, *, ready: bool = True, phase: str = "Running", labels: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """A pod; `container` is its container's status, `metadata` and `status` are added to its own."""
    container = {"name": "app", "restartCount": 0, "ready": ready, "state": {"running": {}}, **more.get("container", {})}
    condition = {"type": "Ready", "status": str(ready), **({} if ready else {"reason": "ContainersNotReady"})}
    status = {"phase": phase, "conditions": [condition], "containerStatuses": [container], **more.get("status", {})}
    meta = {"name": name, "namespace": "shop", "labels": labels or {}, "creationTimestamp": ago(600), **more.get("metadata", {})}
    return {"metadata": meta, "spec": {}, "status": status}


def deployment(name: str, desired: int, available: int, *conditions: dict[str, str]) -> dict[str, Any]:
    """A deployment with this many replicas."""
    meta = {"name": name, "namespace": "shop", "labels": {"app": name}}
    return {"metadata": meta, "spec": {"replicas": desired}, "status": {"availableReplicas": available, "conditions": list(conditions)}}


def node(name: str, **conditions: str) -> dict[str, Any]:
    """A node with these conditions."""
    told = [{"type": kind, "status": status, "reason": f"Kubelet{kind}"} for kind, status in conditions.items()]
    return {"metadata": {"name": name}, "spec": {}, "status": {"conditions": told}}


def event(about: str, reason: str, seconds: float, **more: Any) -> dict[str, Any]:
    """A warning about a pod, last seen so long ago."""
    involved = {"kind": "Pod", "namespace": "shop", "name": about}
    meta = {"name": f"{about}.1", "namespace": "shop", "creationTimestamp": ago(90_000)}
    return {"metadata": meta, "involvedObject": involved, "type": "Warning", "reason": reason, "lastTimestamp": ago(seconds), **more}


@asynccontextmanager
async def cluster(objects: Objects, folder: Path, refusal: int = 0) -> AsyncIterator[str]:
    """An API with these objects, two to a page; gives its kubeconfig. With `refusal`, that status is all it answers."""

    async def answer(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer t" or refusal:
            status = refusal or 401
            body = {"kind": "Status", "status": "Failure", "code": status, "message": 'pods is forbidden: User "u" cannot list'}
            return web.json_response(body, status=status)
        kind = request.path.rsplit("/", 1)[1]
        if kind == "events":
            assert request.query["fieldSelector"] == "type=Warning"
        items = objects.get(kind, [])
        if "/namespaces/" in request.path:
            items = [item for item in items if item["metadata"].get("namespace") == request.path.split("/namespaces/")[1].split("/")[0]]
        for wanted in filter(None, request.query.get("labelSelector", "").split(",")):
            name, _, value = wanted.partition("=")
            items = [item for item in items if item["metadata"].get("labels", {}).get(name) == value]
        at = int(request.query.get("continue", "0"))
        more = {"continue": str(at + 2)} if len(items) > at + 2 else {}
        return web.json_response({"kind": "List", "metadata": {"resourceVersion": "1", **more}, "items": items[at : at + 2]})

    app = web.Application()
    for prefix in ("/api/v1", "/apis/apps/v1"):
        app.router.add_get(prefix + "/{kind}", answer)
        app.router.add_get(prefix + "/namespaces/{namespace}/{kind}", answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield kubeconfig(folder, runner.addresses[0][1])
    finally:
        await runner.cleanup()


def kubeconfig(folder: Path, port: int) -> str:
    """A kubeconfig with the one context `test`; its path."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "users": [{"name": "u", "user": {"token": "t"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
    }
    (folder / "kubeconfig").write_text(json.dumps(config))
    return str(folder / "kubeconfig")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


async def ask(objects: Objects, folder: Path, **keys: Any) -> CheckResult:
    """The result of a check of a cluster with these objects."""
    async with cluster(objects, folder) as path:
        return await look(KubernetesCheck(id="x", kubeconfig=path, timeout=60, **keys))


CRASHING = {"restartCount": 7, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"finishedAt": ago(30)}}}


async def test_all_is_well(tmp_path: Path) -> None:
    """Pods over several pages, completed and replaced ones among them, and a deployment with all replicas are ok."""
    pods = [
        pod("a"),
        pod("b"),
        pod("job", ready=False, phase="Succeeded"),
        pod("going", ready=False, metadata={"deletionTimestamp": ago(1)}),
    ]
    pods.append(pod("evicted", ready=False, phase="Failed", metadata={"ownerReferences": [{"kind": "ReplicaSet", "controller": True}]}))
    result = await ask({"pods": pods, "deployments": [deployment("web", 2, 2)]}, tmp_path)
    assert (result.status, result.summary, result.evidence) == ("ok", "5 pods, 1 deployment", [])
    assert result.target == "kubernetes:current/*"


async def test_trouble(tmp_path: Path) -> None:
    """What is not ready is crit, and evidence with its reason: the containers' where they have one, the scheduler's where it waits."""
    unscheduled = {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}], "containerStatuses": []}
    objects: Objects = {
        "pods": [pod("a"), pod("b", ready=False, container=CRASHING), pod("c", ready=False, phase="Pending", status=unscheduled)],
        "deployments": [
            deployment("web", 3, 1, {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable"}),
            deployment("api", 1, 1, {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}),
        ],
    }
    result = await ask(objects, tmp_path)
    assert (result.status, result.summary) == ("crit", "pods_not_ready == 0: got 2; deployments_not_ready == 0: got 2")
    told = {item.name: item.value for item in result.evidence}
    assert list(told) == ["shop/b", "shop/c", "shop/web", "shop/api"]
    for name, reason in zip(
        told, ("CrashLoopBackOff", "Unschedulable", "MinimumReplicasUnavailable", "ProgressDeadlineExceeded"), strict=True
    ):
        assert f"reason: {reason}" in told[name]
    conditions = (
        "restarts == 7",
        "restarts_recent == 1",
        "pods_pending == 1",
        "pods.exists(p, p.reason == 'CrashLoopBackOff')",
        "complete",
    )
    assert (await ask(objects, tmp_path, conditions=conditions)).status == "ok"


async def test_namespace_and_selector(tmp_path: Path) -> None:
    """What is outside of the namespace or without the label is not looked at; that nothing matches is crit."""
    bad = pod("b", ready=False, labels={"app": "other"})
    objects: Objects = {"pods": [pod("a", labels={"app": "web"}), bad], "events": [event("a", "Unhealthy", 5), event("b", "Failed", 5)]}
    assert (await ask(objects, tmp_path, namespace="shop")).status == "crit"
    found = await ask(
        objects,
        tmp_path,
        namespace="shop",
        selector="app=web",
        kinds=("pods", "events"),
        conditions=("events[0].reason == 'Unhealthy'", "warnings == 1"),
    )
    assert (found.status, found.target) == ("ok", "kubernetes:current/shop app=web")
    nothing = await ask(objects, tmp_path, namespace="empty", context="test")
    assert (nothing.status, nothing.summary) == ("crit", "size(pods) > 0: got 0")


async def test_nodes(tmp_path: Path) -> None:
    """A node that is not ready, or under pressure, is crit; a namespace does not limit nodes."""
    well = node("n1", Ready="True", MemoryPressure="False")
    assert (await ask({"nodes": [well]}, tmp_path, kinds=("nodes",), namespace="shop")).status == "ok"
    result = await ask(
        {"nodes": [well, node("n2", Ready="Unknown"), node("n3", Ready="True", DiskPressure="True")]}, tmp_path, kinds=("nodes",)
    )
    assert (result.status, result.summary) == ("crit", "nodes_not_ready == 0: got 1; nodes_under_pressure == 0: got 1")
    assert [item.name for item in result.evidence] == ["n2", "n3"]
    assert "DiskPressure" in result.evidence[1].value


async def test_warning_events(tmp_path: Path) -> None:
    """Warnings count while they were last seen within the time, by whichever field of an event says when that was."""
    series = {"series": {"count": 9, "lastObservedTime": ago(10)}, "lastTimestamp": None, "eventTime": ago(80_000)}
    events = [event("a", "BackOff", 20), event("b", "Old", 7200), event("c", "FailedMount", 0, **series)]
    result = await ask({"events": events}, tmp_path, kinds=("events",))
    assert (result.status, result.summary) == ("crit", "warnings == 0: got 2")
    assert [item.name for item in result.evidence] == ["shop/Pod/a", "shop/Pod/c"]
    assert "count: 9" in result.evidence[1].value
    assert (await ask({"events": events}, tmp_path, kinds=("events",), within="3h", conditions=("warnings == 3",))).status == "ok"


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, "auth", "does not take this user's credential: log in to the cluster again"),
        (403, "auth", "this user may not see pods in namespace shop at "),
        (500, "http", "answered pods in namespace shop with status 500"),
    ],
)
async def test_refusals(tmp_path: Path, status: int, kind: str, words: str) -> None:
    """An API that refuses says nothing about the pods: unknown, in one sentence."""
    async with cluster({}, tmp_path, status) as path:
        result = await look(KubernetesCheck(id="x", kubeconfig=path, namespace="shop", timeout=60))
    assert result.error is not None
    assert (result.status, result.error.kind) == ("unknown", kind)
    assert words in result.summary
    assert "\n" not in result.summary


async def test_unreachable(tmp_path: Path) -> None:
    """No API, no such context and no answer in time are unknown, each in one sentence."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silent) as port:
        late = await look(KubernetesCheck(id="x", kubeconfig=kubeconfig(tmp_path, port), timeout=3))
    assert late.error is not None
    assert (late.status, late.error.kind) == ("unknown", "timeout")
    with socket.socket() as held:  # a port that is taken and not listened at
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        path = kubeconfig(tmp_path, port)
        gone = await look(KubernetesCheck(id="x", kubeconfig=path, timeout=60))
    assert gone.error is not None
    assert (gone.status, gone.error.kind) == ("unknown", "refused")
    assert gone.summary.startswith(f"no Kubernetes API answers at 127.0.0.1:{port} (")
    lost = await look(KubernetesCheck(id="x", kubeconfig=path, context="prod", timeout=60))
    assert lost.summary == f"the kubeconfig {path} cannot be used: it has no context 'prod', see kubectl config get-contexts"


async def test_not_kubernetes(tmp_path: Path) -> None:
    """Objects in another form are unknown, without a fault in the check."""
    result = await ask({"pods": [{"metadata": {"namespace": "shop"}}]}, tmp_path)
    assert (result.status, result.summary) == ("unknown", "kubernetes:current/*: the API answers in a form that is not Kubernetes'")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"conditions": ("nodes_not_ready == 0",)}, "write kinds: [pods, deployments, nodes]"),
        ({"kinds": ("events",), "selector": "app=web"}, "events have no labels of their own"),
        ({"namespace": "Shop/x"}, "is not a namespace's name"),
    ],
)
def test_mistakes(keys: dict[str, Any], words: str) -> None:
    """What could not be known is refused when the config is loaded."""
    with pytest.raises(ValidationError) as raised:
        KubernetesCheck(id="x", **keys)
    assert words in str(raised.value)
