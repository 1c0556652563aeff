"""The kubernetes check against a web server that answers, and refuses, as the API's definition says."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from partywidgets.scans.checks.kubernetes import Kind, KubernetesCheck
from partywidgets.scans.model import CheckResult
from tests.kubeconfig import kubeconfig

from .kubernetes_peer import Cluster, Objects, ago, cluster, deployment, event, node, pod
from .servers import look, serving


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


async def ask(objects: Objects, folder: Path, **keys: Any) -> CheckResult:
    """The result of a check of a cluster with these objects."""
    async with cluster(Cluster(objects), folder) as path:
        return await look(KubernetesCheck(id="x", kubeconfig=path, timeout=60, **keys))


CRASHING = {
    "restartCount": 7,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"exitCode": 1, "finishedAt": ago(30)}},
}


async def test_all_is_well(tmp_path: Path) -> None:
    """Pods over several pages, completed and replaced ones among them, and a deployment with all replicas are ok."""
    pods = [
        pod("a"),
        pod("b"),
        pod("job", ready=False, phase="Succeeded"),
        pod("going", ready=False, metadata={"deletionTimestamp": ago(1)}),
    ]
    replica_set = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1", "controller": True}
    pods.append(pod("evicted", ready=False, phase="Failed", metadata={"ownerReferences": [replica_set]}))
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
    assert (result.status, result.summary) == (
        "crit",
        "pods not ready: shop/b (CrashLoopBackOff), shop/c (Unschedulable); "
        "deployments not ready: shop/web (MinimumReplicasUnavailable), shop/api (ProgressDeadlineExceeded)",
    )
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
    assert (nothing.status, nothing.summary) == ("crit", "there are no pods")


async def test_nodes(tmp_path: Path) -> None:
    """A node that is not ready, or under pressure, is crit; a namespace does not limit nodes."""
    well = node("n1", Ready="True", MemoryPressure="False")
    assert (await ask({"nodes": [well]}, tmp_path, kinds=("nodes",), namespace="shop")).status == "ok"
    result = await ask(
        {"nodes": [well, node("n2", Ready="Unknown"), node("n3", Ready="True", DiskPressure="True")]}, tmp_path, kinds=("nodes",)
    )
    assert (result.status, result.summary) == ("crit", "nodes not ready or under pressure: n2 (KubeletReady), n3 (DiskPressure)")
    assert [item.name for item in result.evidence] == ["n2", "n3"]
    assert "DiskPressure" in result.evidence[1].value


async def test_warning_events(tmp_path: Path) -> None:
    """Warnings count while they were last seen within the time, by whichever field of an event says when that was."""
    series = {"series": {"count": 9, "lastObservedTime": ago(10)}, "lastTimestamp": None, "eventTime": ago(80_000)}
    events = [event("a", "BackOff", 20), event("b", "Old", 7200), event("c", "FailedMount", 0, **series)]
    result = await ask({"events": events}, tmp_path, kinds=("events",))
    assert (result.status, result.summary) == ("crit", "warnings about: shop/Pod/a (BackOff), shop/Pod/c (FailedMount)")
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
    async with cluster(Cluster({}, refusal=status), tmp_path) as path:
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
    async with cluster(Cluster({"pods": [{"metadata": {"namespace": "shop"}}]}, loose=True), tmp_path) as path:
        result = await look(KubernetesCheck(id="x", kubeconfig=path, timeout=60))
    assert (result.status, result.summary) == ("unknown", "kubernetes:current/*: the API answers in a form that is not Kubernetes'")


async def test_every_list_is_asked_for_as_defined(tmp_path: Path) -> None:
    """All kinds, in a namespace and in all, with and without a selector, over pages: a strict API serves each, and nothing is lost."""
    objects: Objects = {
        "pods": [pod(f"p{number}", labels={"app": "web"}) for number in range(5)],
        "deployments": [deployment("web", 1, 1)],
        "nodes": [node(f"n{number}", Ready="True") for number in range(3)],
        "events": [event(f"p{number}", "Failed", 5) for number in range(3)] + [event("p0", "Pulled", 5, type="Normal")],
    }
    made = Cluster(objects)
    async with cluster(made, tmp_path) as path:
        for namespace, selector in (("", ""), ("shop", ""), ("", "app=web"), ("shop", "app=web")):
            sizes = ("size(pods) == 5", "size(deployments) == 1", "size(nodes) == 3", "warnings == 3", "complete")
            kinds: tuple[Kind, ...] = ("pods", "deployments", "nodes", "events")
            result = await look(
                KubernetesCheck(id="x", kubeconfig=path, timeout=60, kinds=kinds, conditions=sizes, namespace=namespace, selector=selector)
            )
            assert result.status == "ok", result.summary
    assert len(made.asked) == 4 * (3 + 1 + 2 + 2)


async def test_a_list_that_grew_old_between_its_pages(tmp_path: Path) -> None:
    """A token of the next page that the API took back (410) begins the list anew, once; what was read before is not counted twice."""
    pods = [pod(f"p{number}") for number in range(5)]
    for expired, status in ((1, "ok"), (2, "unknown")):
        async with cluster(Cluster({"pods": pods}, expired=expired), tmp_path) as path:
            result = await look(KubernetesCheck(id="x", kubeconfig=path, timeout=60, kinds=("pods",), conditions=("size(pods) == 5",)))
        assert result.status == status, result.summary
    assert "changes faster than it can be read" in result.summary


async def test_a_selector_that_the_api_does_not_know(tmp_path: Path) -> None:
    """The API's own words about a selector are told, with what is to be looked at."""
    result = await ask({"pods": []}, tmp_path, selector="app=web=x")
    assert result.error is not None
    assert (result.status, result.error.kind) == ("unknown", "http")
    assert "does not understand what is asked of pods in all namespaces (unable to parse requirement: found 'app=web=x')" in result.summary
    assert result.summary.endswith("look at the selector")


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
