"""Kubernetes: one client of its API for terminals and checks."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from ..exceptions import EngineError
from .kubernetes_exec import PROTOCOLS, STDERR, STDOUT, KubernetesExec, PodPlace

if TYPE_CHECKING:
    from kubernetes_asyncio.client import ApiClient

CONNECT_TIMEOUT = 5.0
REQUEST_TIMEOUT = 30.0
"""Seconds for one answer of the API, a command's streams excepted."""
ANSWER_LIMIT = 32 << 20
"""Bytes of one answer that are read; more is an error."""
PAGE, ITEMS = 500, 10_000
"""Items asked for in one request of a list, and kept of it in all."""
OUTPUT_LIMIT = 1 << 20
"""Bytes of output that `run` keeps of each stream."""
MESSAGE_LIMIT = 16 << 20
"""Bytes of one WebSocket message of a command."""

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_WITH_ENVIRONMENT = 'while [ "$1" != -- ]; do export "$1"; shift; done; cd -- "$2" || exit 126; shift 2; exec "$@"'
"""The protocol carries neither environment nor directory, and a small image may have no `env`: /bin/sh sets them."""


class KubernetesError(EngineError):
    """What the API refused, or why it cannot be reached. `status` is the HTTP status of its answer, None without one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Output:
    """A finished command in a pod. Of output past 1 MiB a stream, the beginning is kept."""

    exit_code: int | None
    stdout: bytes
    stderr: bytes


def kubeconfig_files() -> str:
    """The kubeconfig as kubectl finds it: $KUBECONFIG (files joined by the path separator), else ~/.kube/config; "" without one."""
    named = [part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    if named:
        return os.pathsep.join(part for part in named if Path(part).exists())
    usual = Path.home() / ".kube" / "config"
    return str(usual) if usual.exists() else ""


def in_cluster() -> bool:
    """True in a pod that has a service account."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and _SERVICE_ACCOUNT.exists()


class KubernetesEngine:
    """A cluster's API, with the credentials of a kubeconfig's context, or of the pod that we run in. An async context manager.

    Without `context` and a kubeconfig, the service account of the pod is used. Every method raises KubernetesError with one sentence
    that names the API's address and the remedy.
    """

    def __init__(self, context: str = "", *, kubeconfig: str = "") -> None:
        self.context = context
        self._kubeconfig = kubeconfig
        self._api: ApiClient | None = None

    async def __aenter__(self) -> KubernetesEngine:
        await self._open()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections to the API. Safe to call twice."""
        if self._api is not None:
            api, self._api = self._api, None
            await api.close()

    @property
    def place(self) -> str:
        """Host and port of the API."""
        return "the cluster" if self._api is None else urlsplit(self._host).netloc

    @property
    def _host(self) -> str:
        return str(self.api.configuration.host)

    async def _open(self) -> None:
        try:
            # Its hundreds of models take most of a second: not on the loop that carries the rooms.
            await asyncio.to_thread(importlib.import_module, "kubernetes_asyncio.client")
        except ImportError:
            raise KubernetesError("Kubernetes needs one more package: pip install 'partywidgets[kubernetes]'") from None
        from kubernetes_asyncio import config
        from kubernetes_asyncio.client import ApiClient, Configuration

        files = self._kubeconfig or kubeconfig_files()
        if self._kubeconfig and not os.path.exists(self._kubeconfig):  # noqa: ASYNC240  # as quick as the reading below
            raise KubernetesError(f"there is no kubeconfig at {self._kubeconfig}: copy it there, or write its path in full")
        settings = Configuration()
        try:
            if files:
                async with asyncio.timeout(REQUEST_TIMEOUT):
                    await config.load_kube_config(files, self.context or None, client_configuration=settings, persist_config=False)
            elif not self.context and in_cluster():
                config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
            else:
                named = os.environ.get("KUBECONFIG") or "~/.kube/config"
                raise KubernetesError(
                    f"there is no kubeconfig at {named} and no service account of a pod: log in to the cluster, or set KUBECONFIG"
                )
            self._api = ApiClient(settings)
        except TimeoutError:
            raise KubernetesError(
                f"the login command of the kubeconfig {files} did not end in {REQUEST_TIMEOUT:g} s: try kubectl get pods"
            ) from None
        except config.ConfigException as error:
            text = _sentence(str(error))
            if self.context and "context" in text.lower():
                text = f"it has no context {self.context!r}, see kubectl config get-contexts"
            raise KubernetesError(f"the kubeconfig {files or 'of this pod'} cannot be used: {text}") from None
        except KubernetesError:
            raise
        except Exception as error:  # the library passes on what YAML, TLS files and login commands raise, of any class
            raise KubernetesError(f"the kubeconfig {files} cannot be used: {type(error).__name__}: {_sentence(str(error))}") from error

    @property
    def api(self) -> ApiClient:
        """The client of kubernetes-asyncio, for what is not wrapped here."""
        if self._api is None:
            raise KubernetesError("the Kubernetes API is not open: use `async with KubernetesEngine(…)`")
        return self._api

    @contextlib.asynccontextmanager
    async def _errors(self) -> AsyncIterator[None]:
        import aiohttp

        try:
            yield
        except TimeoutError as error:
            raise KubernetesError(f"the Kubernetes API at {self.place} did not answer in time: try kubectl get pods") from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise KubernetesError(
                f"the certificate of the Kubernetes API at {self.place} is not trusted: check certificate-authority in the kubeconfig"
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            told = getattr(error, "strerror", None) or type(error).__name__
            raise KubernetesError(
                f"no Kubernetes API answers at {self.place} ({told}): check the kubeconfig's server and the network"
            ) from error

    async def _authorised(self) -> dict[str, str]:
        headers: dict[str, str] = {"Accept": "application/json"}
        await self.api.update_params_for_auth(headers, [], ["BearerToken"])
        return headers

    async def get(self, path: str, query: Mapping[str, str | int] | None = None, *, what: str = "") -> dict[str, Any]:
        """One object or list by its path (`/api/v1/…`). `what` names it in errors."""
        for renewed in (False, True):
            async with self._errors(), asyncio.timeout(REQUEST_TIMEOUT):
                response = await self.api.rest_client.request(
                    "GET",
                    self._host + path,
                    query_params=list((query or {}).items()),  # type: ignore[arg-type]  # it goes to urlencode
                    headers=await self._authorised(),
                    _preload_content=False,
                    _request_timeout=REQUEST_TIMEOUT,
                )
                async with response:
                    status, body = response.status, bytearray()
                    async for piece in response.content.iter_chunked(1 << 16):
                        body += piece
                        if len(body) > ANSWER_LIMIT:
                            raise KubernetesError(f"{what or path} at {self.place} is larger than {ANSWER_LIMIT >> 20} MiB: ask for less")
            if status != 401 or renewed:
                break
            await self.close()  # a token of a login command lives for minutes: load it anew, once
            await self._open()
        try:
            answer = json.loads(bytes(body))
        except ValueError:
            answer = None
        if status == 200 and isinstance(answer, dict):
            return answer
        told = str(answer.get("message", "")) if isinstance(answer, dict) else ""
        raise self._refused(status, what or path, told)

    def _refused(self, status: int, what: str, told: str) -> KubernetesError:
        told = f" ({_sentence(told)})" if told else ""
        sentence = {
            400: f"the Kubernetes API at {self.place} does not understand what is asked of {what}{told}: look at the selector",
            401: f"the Kubernetes API at {self.place} does not take this user's credential: log in to the cluster again",
            403: f"this user may not see {what} at {self.place}{told}: ask for a role that allows it",
            404: f"there is no {what} at {self.place}: see kubectl get",
            410: f"{what} at {self.place} changes faster than it can be read: ask for less, by a namespace or a selector",
            429: f"the Kubernetes API at {self.place} is overloaded: ask less often",
        }.get(status, f"the Kubernetes API at {self.place} answered {what} with status {status}{told}: look at the API server")
        return KubernetesError(sentence, status)

    async def items(self, path: str, query: Mapping[str, str | int] | None = None, *, what: str = "") -> tuple[list[dict[str, Any]], bool]:
        """A list, page by page, and whether it is whole: at most 10,000 items are kept.

        A list that the API cannot go on with, since it changed too much since its first page (410), is begun anew once.
        """
        found: list[dict[str, Any]] = []
        first: dict[str, str | int] = {**(query or {}), "limit": PAGE}
        asked, again = dict(first), False
        while True:
            try:
                page = await self.get(path, asked, what=what)
            except KubernetesError as error:
                if error.status != 410 or again:
                    raise
                asked, again = dict(first), True
                found.clear()
                continue
            found += [item for item in page.get("items") or () if isinstance(item, dict)]
            more = (page.get("metadata") or {}).get("continue")
            if not more or len(found) >= ITEMS:
                return found[:ITEMS], not more and len(found) <= ITEMS
            asked["continue"] = str(more)

    async def pod(self, place: PodPlace) -> dict[str, Any]:
        """What the API knows of a pod."""
        path = f"/api/v1/namespaces/{place.namespace}/pods/{place.pod}"
        try:
            return await self.get(path, what=f"pod {place.pod} in namespace {place.namespace}")
        except KubernetesError as error:
            if error.status != 404:
                raise
            raise KubernetesError(
                f"there is no pod {place.pod} in namespace {place.namespace} at {self.place}: see `kubectl get pods -n {place.namespace}`",
                404,
            ) from None

    async def execute(
        self,
        place: PodPlace,
        command: Sequence[str],
        *,
        tty: bool = True,
        stdin: bool = True,
        environ: Mapping[str, str] | None = None,
        cwd: str = "",
    ) -> KubernetesExec:
        """Starts a command in a running container with its input and output attached."""
        import aiohttp

        if environ or cwd:
            given = [f"{name}={value}" for name, value in (environ or {}).items()]
            command = ["/bin/sh", "-c", _WITH_ENVIRONMENT, "sh", *given, "--", cwd or ".", *command]
        query = [("command", word) for word in command]
        query += [("stdin", "true")] * stdin + [("stdout", "true")] + [("tty", "true") if tty else ("stderr", "true")]
        if place.container:
            query.append(("container", place.container))
        settings = self.api.configuration
        url = f"{self._host}/api/v1/namespaces/{quote(place.namespace)}/pods/{quote(place.pod)}/exec?{urlencode(query)}"
        more: dict[str, Any] = {"server_hostname": settings.tls_server_name} if settings.tls_server_name else {}
        try:
            async with self._errors(), asyncio.timeout(REQUEST_TIMEOUT):
                socket = await self.api.rest_client.pool_manager.ws_connect(
                    "ws" + url.removeprefix("http"),
                    headers=await self._authorised(),
                    protocols=PROTOCOLS,
                    autoping=False,
                    max_msg_size=MESSAGE_LIMIT,
                    timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
                    proxy=settings.proxy,
                    **more,
                )
        except KubernetesError as error:
            if not isinstance(error.__cause__, aiohttp.WSServerHandshakeError):
                raise
            raise self._no_exec(error.__cause__.status, place) from error
        if socket.protocol not in PROTOCOLS:
            await socket.close()
            raise KubernetesError(
                f"the Kubernetes API at {self.place} speaks none of {', '.join(PROTOCOLS)} to commands: does a proxy drop the header?"
            )
        return KubernetesExec(self.place, place, socket)

    def _no_exec(self, status: int, place: PodPlace) -> KubernetesError:
        where = f"pod {place.pod} in namespace {place.namespace} at {self.place}"
        if status == 403:
            return KubernetesError(f"this user may not run commands in {where}: ask for the verbs get and create on pods/exec", status)
        if status == 404:
            return KubernetesError(f"there is no {where}: see `kubectl get pods -n {place.namespace}`", status)
        if status in (414, 431):
            return KubernetesError(f"a proxy before {self.place} refuses the length of a terminal's request (status {status})", status)
        remedy = f"try `kubectl exec -n {place.namespace} {place.pod} -- true`"
        return KubernetesError(f"{where} refused a command with status {status}: {remedy}", status)

    async def run(self, place: PodPlace, command: Sequence[str], *, timeout: float = 30.0) -> Output:
        """Runs a command without a terminal and without input, for at most `timeout` seconds. Raises TimeoutError past that; the command
        goes on."""
        async with asyncio.timeout(timeout):
            job = await self.execute(place, command, tty=False, stdin=False)
            kept = {STDOUT: bytearray(), STDERR: bytearray()}
            try:
                while (message := await job.read()) is not None:
                    into = kept[message[0]]
                    into += message[1][: max(OUTPUT_LIMIT - len(into), 0)]
                status = job.status
                if status is None or not status.started:
                    raise KubernetesError(f"{command[0]} could not be run in {place.pod}: {status.message if status else job.trouble}")
                return Output(status.code, bytes(kept[STDOUT]), bytes(kept[STDERR]))
            finally:
                await job.close()


def _sentence(text: str) -> str:
    return (text.strip().splitlines() or [""])[0][:300].rstrip(".")
