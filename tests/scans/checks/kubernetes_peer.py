"""A Kubernetes API as far as lists go, by its definition: what it does not define is refused, and what it answers fits its models.

The paths, the parameters and the models are those of kubernetes-asyncio, which is made from the API's OpenAPI definition.
"""

from __future__ import annotations

import base64
import inspect
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aiohttp import web
from kubernetes_asyncio.client import ApiClient, AppsV1Api, CoreV1Api

from tests.kubeconfig import kubeconfig

Objects = dict[str, list[dict[str, Any]]]


def ago(seconds: float) -> str:
    """A time as the API writes it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(name: str, *, ready: bool = True, phase: str = "Running", labels: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """A pod; `container` is its container's status, `metadata` and `status` are added to its own."""
    container = {
        "name": "app",
        "image": "shop/app:1",
        "imageID": "",
        "restartCount": 0,
        "ready": ready,
        "state": {"running": {}},
        **more.get("container", {}),
    }
    condition = {"type": "Ready", "status": str(ready), **({} if ready else {"reason": "ContainersNotReady"})}
    status = {"phase": phase, "conditions": [condition], "containerStatuses": [container], **more.get("status", {})}
    meta = {"name": name, "namespace": "shop", "labels": labels or {}, "creationTimestamp": ago(600), **more.get("metadata", {})}
    return {"metadata": meta, "spec": {"containers": [{"name": "app"}]}, "status": status}


def deployment(name: str, desired: int, available: int, *conditions: dict[str, str]) -> dict[str, Any]:
    """A deployment with this many replicas."""
    meta = {"name": name, "namespace": "shop", "labels": {"app": name}}
    spec = {"replicas": desired, "selector": {"matchLabels": {"app": name}}, "template": {}}
    return {"metadata": meta, "spec": spec, "status": {"availableReplicas": available, "conditions": list(conditions)}}


def node(name: str, **conditions: str) -> dict[str, Any]:
    """A node with these conditions."""
    told = [{"type": kind, "status": status, "reason": f"Kubelet{kind}"} for kind, status in conditions.items()]
    return {"metadata": {"name": name}, "spec": {}, "status": {"conditions": told}}


def event(about: str, reason: str, seconds: float, **more: Any) -> dict[str, Any]:
    """A warning about a pod, last seen so long ago."""
    involved = {"kind": "Pod", "namespace": "shop", "name": about}
    meta = {"name": f"{about}.1", "namespace": "shop", "creationTimestamp": ago(90_000)}
    return {"metadata": meta, "involvedObject": involved, "type": "Warning", "reason": reason, "lastTimestamp": ago(seconds), **more}


LISTS: dict[str, tuple[Any, str, str, tuple[str, ...]]] = {
    "pods": (CoreV1Api.list_namespaced_pod_with_http_info, "v1", "PodList", ("metadata.name", "metadata.namespace", "status.phase")),
    "nodes": (CoreV1Api.list_node_with_http_info, "v1", "NodeList", ("metadata.name", "spec.unschedulable")),
    "events": (CoreV1Api.list_namespaced_event_with_http_info, "v1", "EventList", ("involvedObject.kind", "reason", "type")),
    "deployments": (AppsV1Api.list_namespaced_deployment_with_http_info, "apps/v1", "DeploymentList", ("metadata.name",)),
}
"""Each kind's method in the client, its group and version, the kind of its list, and fields that a selector may name."""
MODELS = {"PodList": "V1PodList", "NodeList": "V1NodeList", "EventList": "CoreV1EventList", "DeploymentList": "V1DeploymentList"}
PAGE = 2
"""Objects in a page, whatever `limit` allows beyond that."""
_REQUIREMENT = re.compile(r"([A-Za-z0-9./_-]+)(=|==|!=)([A-Za-z0-9._-]*)")


class Refused(Exception):
    """What the API answers with a Status object."""

    def __init__(self, code: int, reason: str, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.metadata = code, reason, metadata

    def answer(self) -> web.Response:
        """The Status object."""
        told = {"status": "Failure", "message": str(self), "reason": self.reason, "code": self.code}
        return web.json_response({"kind": "Status", "apiVersion": "v1", "metadata": self.metadata, **told}, status=self.code)


@dataclass
class Cluster:
    """The objects of an API by kind. With `refusal` that status is all it answers; `expired` tokens of pages are refused as too old.

    `loose` answers objects that do not fit the models too. `asked` is each request that was served.
    """

    objects: Objects
    refusal: int = 0
    expired: int = 0
    loose: bool = False
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The list of a kind, or a Status object."""
        try:
            return web.json_response(self._listed(request))
        except Refused as refused:
            return refused.answer()

    def _listed(self, request: web.Request) -> dict[str, Any]:
        kind, query = request.path.rsplit("/", 1)[1], request.query
        if request.headers.get("Authorization") != "Bearer t":
            raise Refused(401, "Unauthorized", "Unauthorized")
        if self.refusal:
            raise Refused(self.refusal, "Forbidden", f'{kind} is forbidden: User "u" cannot list resource "{kind}"')
        if request.headers.get("Accept", "*/*") not in ("application/json", "*/*"):
            raise Refused(406, "NotAcceptable", "only the following media types are accepted: application/json")
        source = inspect.getsource(LISTS[kind][0])
        allowed = set(re.findall(r"query_params\.append\(\('(\w+)'", source)) if kind in LISTS else set()
        if len(query) != len(set(query)) or set(query) - allowed:
            raise Refused(400, "BadRequest", f"unknown or repeated parameters: {sorted(set(query) - allowed)}")
        limit = query.get("limit", "500")
        if not limit.isdecimal():
            raise Refused(400, "BadRequest", f'strconv.ParseInt: parsing "{limit}": invalid syntax')
        namespace = request.match_info.get("namespace")
        items = [one for one in self.objects.get(kind, []) if namespace in (None, one["metadata"].get("namespace"))]
        items = self._selected(kind, items, query)
        at = self._offset(query)
        self.asked.append(request.path_qs)
        end = at + min(int(limit) or PAGE, PAGE)
        more = {"continue": self._token(query, end), "remainingItemCount": len(items) - end} if len(items) > end else {}
        _, version, list_kind, _ = LISTS[kind]
        # Go's nil slice is null: so some servers write a list with nothing in it.
        listed = {"kind": list_kind, "apiVersion": version, "metadata": {"resourceVersion": "7", **more}, "items": items[at:end] or None}
        if not self.loose:
            self._fits(listed)
        return listed

    @staticmethod
    def _selected(kind: str, items: list[dict[str, Any]], query: Any) -> list[dict[str, Any]]:
        for selector, supported in (("labelSelector", None), ("fieldSelector", LISTS[kind][3])):
            for part in filter(None, query.get(selector, "").split(",")):
                found = _REQUIREMENT.fullmatch(part)
                if found is None:
                    raise Refused(400, "BadRequest", f"unable to parse requirement: found '{part}'")
                name, sign, value = found.groups()
                if supported is not None and name not in supported:
                    raise Refused(400, "BadRequest", f"field label not supported: {name}")

                def seen(item: dict[str, Any], name: str = name, labels: bool = supported is None) -> str | None:
                    if labels:
                        return (item["metadata"].get("labels") or {}).get(name)
                    for step in name.split("."):
                        item = item.get(step) or {}
                    return str(item)

                items = [item for item in items if (seen(item) == value) is (sign != "!=")]
        return items

    def _offset(self, query: Any) -> int:
        """Where a page begins. A token is of one list: with other selectors than it was given for, it is refused."""
        token = query.get("continue")
        if token is None:
            return 0
        if "resourceVersion" in query:
            raise Refused(400, "BadRequest", "specifying resource version is not allowed when using continue")
        try:
            told = json.loads(base64.urlsafe_b64decode(token))
        except ValueError:
            raise Refused(400, "BadRequest", "continue key is not valid") from None
        if self.expired:
            self.expired -= 1
            raise Refused(410, "Expired", "The provided continue parameter is too old to display a consistent list result.")
        if told["of"] != self._selectors(query):
            raise Refused(400, "BadRequest", "continue key is of another list")
        return int(told["start"])

    def _token(self, query: Any, start: int) -> str:
        told = {"v": "meta.k8s.io/v1", "rv": 7, "start": start, "of": self._selectors(query)}
        return base64.urlsafe_b64encode(json.dumps(told).encode()).decode()

    @staticmethod
    def _selectors(query: Any) -> list[str]:
        return [query.get(name, "") for name in ("labelSelector", "fieldSelector")]

    @staticmethod
    def _fits(listed: dict[str, Any]) -> None:
        """Reads the answer with the API's own models, which know what is required and of which type."""
        body = json.dumps({**listed, "items": listed["items"] or []})
        answered: Any = SimpleNamespace(data=body)
        ApiClient.deserialize(ApiClient.__new__(ApiClient), answered, MODELS[listed["kind"]])


@asynccontextmanager
async def cluster(made: Cluster, folder: Path) -> AsyncIterator[str]:
    """Serves it; gives its kubeconfig. Paths are those of the definition, every other one is 404."""

    async def absent(request: web.Request) -> web.StreamResponse:
        return Refused(404, "NotFound", "the server could not find the requested resource").answer()

    app = web.Application()
    for kind, (_, version, _, _) in LISTS.items():
        prefix = "/api/v1" if version == "v1" else f"/apis/{version}"
        app.router.add_get(f"{prefix}/{kind}", made.answer)
        if kind != "nodes":
            app.router.add_get(f"{prefix}/namespaces/{{namespace}}/{kind}", made.answer)
    app.router.add_route("*", "/{rest:.*}", absent)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield kubeconfig(folder, runner.addresses[0][1])
    finally:
        await runner.cleanup()
