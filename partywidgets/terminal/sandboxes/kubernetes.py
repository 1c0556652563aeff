"""`kubernetes:[CONTEXT/]NAMESPACE/POD[/CONTAINER]` — a shell in a container of a pod, by the API's exec."""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from urllib.parse import unquote

from ...engines.kubernetes import KubernetesEngine, KubernetesError
from ...engines.kubernetes_exec import ExecStatus, KubernetesExec, PodPlace
from ...exceptions import EngineError, SandboxError
from ..shell import container_start, pid_mark
from .base import Address, Exit
from .remote_shell import ExecShell, starting
from .watch import gone_after

log = logging.getLogger(__name__)

CHUNK = 64 * 1024
GRACE = 2.0
"""Seconds between hang-up and kill, and for one question about a pod's end."""
SETTLE = 3.0
"""Seconds in which the API comes to know of a container's end: its shell's is told first."""
POLL = 0.2
_KILLED = 128 + 9
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_FORM = "write kubernetes:NAMESPACE/POD, …/CONTAINER behind it, and CONTEXT/… before all three (or ?context=NAME)"


def pod_place(address: Address) -> PodPlace:
    """Where an address leads. Three parts are namespace, pod and container: a context before them needs all four, or `?context=`.

    A slash in a context's name is written %2F. Raises SandboxError.
    """
    rest = address.text.partition(":")[2].partition("?")[0]
    parts = [unquote(part) for part in rest.split("/")]
    context = address.options.get("context", "")
    if len(parts) == 4 and not context:
        context = parts.pop(0)
    if not 2 <= len(parts) <= 3 or not all(parts[:2]):
        raise SandboxError(f"{rest[:120]!r} does not name a pod: {_FORM}")
    try:
        return PodPlace(parts[0], parts[1], parts[2] if len(parts) == 3 else "", context)
    except EngineError as error:
        raise SandboxError(f"{error}: {_FORM}") from None


class KubernetesSandbox(ExecShell):
    """An exec with a terminal. The client of the API is its own."""

    def __init__(self, engine: KubernetesEngine, job: KubernetesExec, container_id: str, *, nonce: str, gone_after: float) -> None:
        name = f"{job.place.pod}/{job.place.container}" if job.place.container else job.place.pod
        super().__init__("pod", name, engine=engine, job=job, host=f"the Kubernetes API at {engine.place}", gone_after=gone_after)
        self._engine, self._job, self._container_id = engine, job, container_id
        self._pid_mark = pid_mark(nonce)
        self._head: bytes | None = b""
        self._rest = b""

    @property
    def protocol(self) -> str:
        """What the API speaks to it: v5 of the channel protocol, or v4."""
        return self._job.protocol

    async def read(self) -> bytes:
        """The next output; b"" at the end. Not reading is what pauses it: the socket to the API then fills."""
        await self._going.wait()
        if not self._rest and self._open and (message := await self._job.read()) is not None:
            self._rest = message[1]
            self._watch.heard()
        piece, self._rest = self._rest[:CHUNK], self._rest[CHUNK:]
        if piece:
            self._look_for_pid(piece)
        else:
            await self._finish()
        return piece

    async def _ask(self) -> str:
        # Who does not read gets no pong either.
        if self._going.is_set():
            await self._job.answers()
        return ""

    def _look_for_pid(self, piece: bytes) -> None:
        if self._head is None:
            return
        self._head += piece[:4096]
        if found := self._pid_mark.search(self._head):
            self._found(int(found[1]), found[2].decode())
        if found or len(self._head) >= 4096:
            self._head = None

    async def _finish(self) -> None:
        if self._exit.done():
            return
        status = self._job.status
        if status is None:
            end = Exit(None, f"the terminal in {self._name} ended: {await self._why_ended(None) or self._job.trouble or 'it was closed'}")
        elif not status.started:
            log.warning("pod %s: no shell: %s", self._name, status.message)
            end = Exit(None, f"{self._name} cannot run a shell: it needs /bin/sh, try `kubectl debug` ({status.message[-160:]})")
        elif status.code in (126, 127) and self._head is not None:
            end = Exit(status.code, f"{self._name} cannot run the shell: name one that it has, with ?shell=/path")
        else:
            why = await self._why_ended(status)
            end = Exit(
                status.code, why or f"the shell in {self._name} ended" + ("" if status.code is None else f" with code {status.code}")
            )
        self._tell_end(end)

    async def _why_ended(self, status: ExecStatus | None) -> str:
        """What became of the container, where it was not the shell alone that ended: "" when it runs on, or nobody knows."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (SETTLE if status is None or status.code == _KILLED else 0.0)
        while True:
            try:
                async with asyncio.timeout(GRACE):
                    pod = await self._engine.pod(self._job.place)
            except (EngineError, TimeoutError) as error:
                if isinstance(error, KubernetesError) and error.status == 404:
                    return f"the pod {self._job.place.pod} is gone: open the one that took its place"
                log.info("pod %s: its state is not known: %s", self._name, error)
                return ""
            if why := _end_of(pod, self._job.place, self._container_id):
                return why
            if loop.time() >= deadline:
                return ""
            await asyncio.sleep(POLL)

    async def _send(self, keystrokes: bytes) -> None:
        for start in range(0, len(keystrokes), CHUNK):
            await self._job.send(keystrokes[start : start + CHUNK])

    async def _set_size(self, cols: int, rows: int) -> None:
        async with asyncio.timeout(GRACE):
            await super()._set_size(cols, rows)

    async def _beside(self, command: list[str]) -> KubernetesExec:
        return await self._engine.execute(self._job.place, [*command[:2], _uncommented(command[2]), *command[3:]], tty=False)

    async def _end_shell(self, pid: int) -> None:
        script = (
            f"kill -HUP -{pid} {pid} 2>/dev/null; kill -CONT -{pid} 2>/dev/null; "
            f"for i in 1 2; do kill -0 {pid} 2>/dev/null || exit 0; sleep 1; done; kill -KILL -{pid} {pid} 2>/dev/null; true"
        )
        await self._engine.run(self._job.place, ["/bin/sh", "-c", script], timeout=GRACE * 3)


def _container_status(pod: dict[str, Any], container: str) -> dict[str, Any]:
    kept = pod.get("status", {}).get("containerStatuses") or []
    return next((status for status in kept if status.get("name") == container), {})


def _end_of(pod: dict[str, Any], place: PodPlace, container_id: str) -> str:
    """Why a container that ran no longer does, as one sentence; "" while it runs."""
    described = f"see `kubectl describe pod -n {place.namespace} {place.pod}`"
    if pod.get("metadata", {}).get("deletionTimestamp"):
        return f"the pod {place.pod} is being deleted: open the one that takes its place"
    status = _container_status(pod, place.container)
    state = status.get("state") or {}
    ended = state.get("terminated") or ({} if state.get("running") else (status.get("lastState") or {}).get("terminated")) or {}
    if ended or (state and "running" not in state):
        told = f" ({ended.get('reason', 'Error')}, exit code {ended.get('exitCode')})" if ended else ""
        return f"the container {place.container} of pod {place.pod} stopped{told}: {described}"
    if container_id and status.get("containerID") not in (None, container_id):
        return f"the container {place.container} of pod {place.pod} was started anew: restart the terminal"
    return ""


def _chosen(pod: dict[str, Any], place: PodPlace) -> PodPlace:
    """The place with its container named. Raises SandboxError unless that runs."""
    named = [str(container.get("name")) for container in pod.get("spec", {}).get("containers") or []]
    named += [str(container.get("name")) for container in pod.get("spec", {}).get("ephemeralContainers") or []]
    default = (pod.get("metadata", {}).get("annotations") or {}).get(_DEFAULT_CONTAINER, "")
    container = place.container or (default if default in named else next(iter(named), ""))
    place = PodPlace(place.namespace, place.pod, container, place.context)
    if container not in named:
        raise SandboxError(f"the pod {place.pod} has no container {container}: it has {', '.join(named[:20])}")
    phase = pod.get("status", {}).get("phase", "Unknown")
    described = f"see `kubectl describe pod -n {place.namespace} {place.pod}`"
    if phase != "Running":
        raise SandboxError(f"the pod {place.pod} in namespace {place.namespace} is {phase}, not Running: {described}")
    state = _container_status(pod, container).get("state") or {}
    if state and "running" not in state:
        how, told = next(iter(state.items()))
        raise SandboxError(
            f"the container {container} of pod {place.pod} is {how} ({(told or {}).get('reason', 'no reason told')}): {described}"
        )
    return place


def _uncommented(script: str) -> str:
    return "\n".join(line.strip() for line in script.splitlines() if line.strip() and not line.lstrip().startswith("#"))


def _short(environ: dict[str, str], *, zsh: bool) -> dict[str, str]:
    """The integration without comments and the other shell's files: it travels in the URL, and many proxies take lines of 8 KiB only."""
    left_out = ("__PW_BASH",) if zsh else ("__PW_ZSHENV", "__PW_ZSHRC")
    scripts = ("__PW_BASH", "__PW_ZSHENV", "__PW_ZSHRC")
    return {name: _uncommented(value) if name in scripts else value for name, value in environ.items() if name not in left_out}


async def open_pod(address: Address, *, cols: int, rows: int, nonce: str) -> KubernetesSandbox:
    """Opens a shell in a pod's container. Raises SandboxError.

    Options: `shell` (else the first of bash, zsh and sh that is there), `cwd`, `context`, `gone_after`. Without a container the pod's
    default one is taken, as by kubectl: its annotation, else the first.
    """
    place, seconds = pod_place(address), gone_after(address)
    start = container_start(nonce, address.options.get("shell", ""))
    integration = _short(start.environ, zsh=address.options.get("shell", "").endswith("zsh"))
    environ = {"TERM": "xterm-256color", "COLORTERM": "truecolor"} | integration
    argv = [*start.argv[:-1], _uncommented(start.argv[-1])]
    engine = KubernetesEngine(place.context)
    try:
        await engine.__aenter__()
        container_id = ""
        try:
            pod = await engine.pod(place)
            place = _chosen(pod, place)
            container_id = str(_container_status(pod, place.container).get("containerID") or "")
        except KubernetesError as error:
            if error.status != 403:
                raise
            log.info("pod %s: its state may not be read, its shell is tried: %s", place.pod, error)  # a role may grant pods/exec alone
        job = await engine.execute(place, argv, environ=environ, cwd=address.options.get("cwd", ""))
        sandbox = KubernetesSandbox(engine, job, container_id, nonce=nonce, gone_after=seconds)
        async with starting(sandbox):
            await sandbox.resize(cols, rows)
        return sandbox
    except EngineError as error:
        await engine.close()
        raise SandboxError(str(error)) from error
    except BaseException:
        await engine.close()
        raise
