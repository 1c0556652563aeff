"""Docker and Podman through the Docker Engine API: one client for terminals and checks."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ..exceptions import EngineError

if TYPE_CHECKING:
    from aiodocker import Docker
    from aiodocker.stream import Stream

EngineKind: TypeAlias = Literal["docker", "podman"]

CONNECT_TIMEOUT = 5.0
REQUEST_TIMEOUT = 30.0
"""Seconds for one answer of the engine, a stream's excepted."""
OUTPUT_LIMIT = 1 << 20
"""Bytes of output that `run` keeps of each stream."""

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}")
_DETACH_KEYS = "ctrl-^,ctrl-@,ctrl-^"
"""What nobody types. By default an engine keeps Ctrl-P back until the next key, for it may be the first of the keys that detach."""
_START_DOCKER = "start Docker (systemctl start docker), or set DOCKER_HOST"
_START_PODMAN = "start Podman's socket (systemctl --user start podman.socket), or set CONTAINER_HOST"


def start_of(kind: EngineKind) -> str:
    """How an engine is made to answer, as the end of a sentence."""
    return _START_DOCKER if kind == "docker" else _START_PODMAN


def engine_sockets(kind: EngineKind, environ: Mapping[str, str] | None = None) -> list[Path]:
    """The usual places of an engine's socket."""
    environ = os.environ if environ is None else environ
    if kind == "docker":
        return [Path("/var/run/docker.sock"), Path("/run/docker.sock"), Path.home() / ".docker/run/docker.sock"]
    runtime = environ.get("XDG_RUNTIME_DIR")
    return [*([Path(runtime, "podman/podman.sock")] if runtime else []), Path("/run/podman/podman.sock")]


def engine_url(kind: EngineKind, environ: Mapping[str, str] | None = None) -> str:
    """Where an engine listens: DOCKER_HOST or CONTAINER_HOST, else the first socket found in its usual places, else the usual place."""
    environ = os.environ if environ is None else environ
    if given := environ.get("DOCKER_HOST" if kind == "docker" else "CONTAINER_HOST"):
        return given
    places = engine_sockets(kind, environ)
    return f"unix://{next((place for place in places if place.is_socket()), places[-1 if kind == 'podman' else 0])}"


class EngineRefused(EngineError):
    """The engine answers, and refuses."""


class NoContainer(EngineRefused):
    """The engine answers, and has no container of this name."""


@dataclass(frozen=True, slots=True)
class Execution:
    """A finished command in a container. Of output past 1 MiB a stream, the beginning is kept."""

    exit_code: int | None
    stdout: bytes
    stderr: bytes


class DockerEngine:
    """An engine at `url` (default: `engine_url(kind)`): `unix://PATH`, `tcp://HOST:PORT` or `http(s)://…`. An async context manager.

    Every method raises EngineError with one sentence that names the engine's address and the remedy.
    """

    def __init__(self, url: str | None = None, *, kind: EngineKind = "docker") -> None:
        self.kind = kind
        self.url = url or engine_url(kind)
        self._client: Docker | None = None

    async def __aenter__(self) -> DockerEngine:
        self._reachable()
        import aiohttp
        from aiodocker import Docker

        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT, connect=CONNECT_TIMEOUT, sock_connect=CONNECT_TIMEOUT)
        async with self._errors():
            self._client = Docker(self.url, timeout=timeout)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections to the engine. Safe to call twice."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    @property
    def client(self) -> Docker:
        """The aiodocker client, for what is not wrapped here."""
        if self._client is None:
            raise EngineError(f"the {self.kind} engine at {self.url} is not open: use `async with DockerEngine(…)`")
        return self._client

    @property
    def name(self) -> str:
        """What people call it: its kind and where it listens."""
        return f"the {self.kind} engine at {self.url.removeprefix('unix://')}"

    @property
    def _remedy(self) -> str:
        return start_of(self.kind)

    def _reachable(self) -> None:
        """The plain mistakes about a socket, each with its own sentence."""
        if not self.url.startswith("unix://"):
            return
        path = self.url.removeprefix("unix://")
        try:
            mode = os.stat(path).st_mode
        except FileNotFoundError:
            raise EngineError(f"no {self.kind} engine listens at {path}: {self._remedy}") from None
        except PermissionError:
            raise EngineError(f"this user may not use {path}: add it to the socket's group, or run a rootless engine") from None
        if not stat.S_ISSOCK(mode):
            raise EngineError(f"{path} is not a socket: {self._remedy}")

    def _unreachable(self, error: BaseException | None) -> EngineError:
        place = self.url.removeprefix("unix://")
        if isinstance(error, PermissionError) or isinstance(getattr(error, "os_error", None), PermissionError):
            return EngineError(f"this user may not use {place}: add it to the socket's group, or run a rootless engine")
        return EngineError(f"no {self.kind} engine answers at {place}: {self._remedy}")

    @asynccontextmanager
    async def _errors(self, what: str = "") -> AsyncIterator[None]:
        import aiohttp
        from aiodocker.exceptions import DockerError

        place = self.url.removeprefix("unix://")
        try:
            yield
        except DockerError as error:
            if isinstance(error.__cause__ or error.__context__, OSError):
                raise self._unreachable(error.__cause__ or error.__context__) from error
            message = str(error.message).strip().splitlines()[0][:300] if str(error.message).strip() else f"status {error.status}"
            raise EngineRefused(f"{self.kind} refused {what or 'the request'}: {message}") from error
        except TimeoutError as error:
            raise EngineError(f"the {self.kind} engine at {place} did not answer in time: {self._remedy}") from error
        except (PermissionError, ConnectionError, aiohttp.ClientConnectorError) as error:
            raise self._unreachable(error) from error
        except (aiohttp.ClientError, OSError, ValueError, TypeError) as error:  # TypeError: aiodocker's, for an answer of no known type
            raise EngineError(f"the {self.kind} engine at {place} cannot be used ({error}): {self._remedy}") from error

    async def version(self) -> str:
        """The engine's version."""
        async with self._errors("its version"):
            return str((await self.client.version()).get("Version", "unknown"))

    async def inspect(self, container: str) -> dict[str, Any]:
        """What the engine knows of a container. Raises NoContainer when there is none."""
        if not _NAME.fullmatch(container):
            raise EngineError(f"{container[:80]!r} is not a container's name: letters, digits, '_', '.' and '-'")
        from aiodocker.exceptions import DockerError

        async with self._errors(f"to inspect {container}"):
            try:
                return dict(await self.client.containers.container(container).show())
            except DockerError as error:
                if error.status != 404:
                    raise
                raise NoContainer(f"{self.kind} has no container {container}: see `{self.kind} ps`") from None

    async def running(self, container: str) -> bool:
        """True while the container runs."""
        return bool((await self.inspect(container)).get("State", {}).get("Running"))

    async def paused(self, container: str) -> bool:
        """True while the container is frozen, as by `docker pause`."""
        return bool((await self.inspect(container)).get("State", {}).get("Paused"))

    async def require_running(self, container: str) -> None:
        """Raises EngineError unless the container runs."""
        state = (await self.inspect(container)).get("State", {})
        if not state.get("Running"):
            raise EngineError(
                f"the container {container} is {state.get('Status', 'stopped')}: start it with `{self.kind} start {container}`"
            )

    async def execute(
        self,
        container: str,
        command: Sequence[str],
        *,
        tty: bool = True,
        environ: Mapping[str, str] | None = None,
        user: str = "",
        cwd: str | None = None,
    ) -> ContainerExec:
        """Starts a command in a running container with its input and output attached."""
        await self.require_running(container)
        async with self._errors(f"to run {command[0]} in {container}"):
            job = await self.client.containers.container(container).exec(
                list(command), stdin=True, stdout=True, stderr=True, tty=tty, user=user, workdir=cwd, environment=dict(environ or {})
            )
            stream = job.start()
            await _open(stream)
            return ContainerExec(self, container, job.id, stream)

    async def attach(self, container: str) -> ContainerAttachment:
        """Joins the terminal of a running container's own program. Raises EngineError where it has none."""
        known = await self.inspect(container)
        await self.require_running(container)
        config = known.get("Config", {})
        if not config.get("Tty"):
            raise EngineError(
                f"the container {container} has no terminal to attach to: start it with `{self.kind} run -it`, or leave attach out"
            )
        async with self._errors(f"to attach to {container}"):
            found = self.client.containers.container(container)
            stream = found.attach(stdin=True, stdout=True, stderr=True, detach_keys=_DETACH_KEYS)
            await _open(stream)
            return ContainerAttachment(self, container, stream, takes_input=bool(config.get("OpenStdin")))

    async def run(self, container: str, command: Sequence[str], *, user: str = "", timeout: float = 30.0) -> Execution:
        """Runs a command without a terminal, for at most `timeout` seconds. Raises TimeoutError past that; the command goes on."""
        async with asyncio.timeout(timeout):
            job = await self.execute(container, command, tty=False, user=user)
            kept = {1: bytearray(), 2: bytearray()}
            try:
                while (message := await job.stream.read_out()) is not None:
                    into = kept.setdefault(message.stream, bytearray())
                    into += message.data[: max(OUTPUT_LIMIT - len(into), 0)]
                return Execution((await job.state())[1], bytes(kept[1]), bytes(kept[2]))
            finally:
                await job.close()


class ContainerAttachment:
    """The terminal of a container's own program, joined."""

    def __init__(self, engine: DockerEngine, container: str, stream: Stream, *, takes_input: bool) -> None:
        self.engine, self.container, self.stream, self.takes_input = engine, container, stream, takes_input

    async def resize(self, cols: int, rows: int) -> None:
        """The size of its terminal in cells, for all who are attached."""
        async with self.engine._errors(f"to resize the terminal of {self.container}"):
            await self.engine.client.containers.container(self.container).resize(h=rows, w=cols)

    async def exit_code(self) -> int | None:
        """Returns when the program that runs now has ended: its code, known also where the container goes with its program (`--rm`).

        Waiting for the next exit, not for a container that does not run: Podman 4 tells that with code 0 where the container is gone.
        """
        async with self.engine._errors(f"to wait for {self.container}"):
            code = (await self.engine.client.containers.container(self.container).wait(condition="next-exit")).get("StatusCode")
        return None if code is None else int(code)

    def abort(self) -> None:
        """Cuts the connection at once."""
        _abort(self.stream)

    async def close(self) -> None:
        """Lets go of it; the program runs on. Safe to call twice."""
        _abort(self.stream)  # aiodocker would first say that the input ended, which some programs end at
        with suppress(OSError, AssertionError):
            await self.stream.close()


class ContainerExec:
    """A command that runs in a container, attached."""

    def __init__(self, engine: DockerEngine, container: str, exec_id: str, stream: Stream) -> None:
        self.engine, self.container, self.id, self.stream = engine, container, exec_id, stream

    async def resize(self, cols: int, rows: int) -> None:
        """The size of its terminal in cells."""
        async with self.engine._errors(f"to resize the terminal in {self.container}"):
            await self.engine.client.containers.exec(self.id).resize(h=rows, w=cols)

    async def hear(self) -> bytes:
        """Its next output, of whichever stream; b"" at the end."""
        try:
            message = await self.stream.read_out()
        except (OSError, RuntimeError):
            return b""
        return b"" if message is None else message.data

    async def send(self, keystrokes: bytes) -> None:
        """Input. Raises OSError or RuntimeError when the connection is gone."""
        await self.stream.write_in(keystrokes)

    async def state(self) -> tuple[bool, int | None]:
        """Whether it runs, and its exit code once it does not."""
        async with self.engine._errors(f"to inspect a command in {self.container}"):
            known = await self.engine.client.containers.exec(self.id).inspect()
        code = known.get("ExitCode")
        return bool(known.get("Running")), None if code is None else int(code)

    def abort(self) -> None:
        """Cuts the connection at once."""
        _abort(self.stream)

    async def close(self) -> None:
        """Detaches. The command itself goes on until it notices; safe to call twice."""
        with suppress(OSError, AssertionError):
            await self.stream.close()


async def _open(stream: Stream) -> None:
    """Connects it. One that is given up meanwhile is closed: it may have its connection already."""
    try:
        async with asyncio.timeout(REQUEST_TIMEOUT):
            await stream.__aenter__()
    except BaseException:
        with suppress(OSError, AssertionError):
            await stream.close()
        raise


def _abort(stream: Stream) -> None:
    connection = None if stream._resp is None else stream._resp.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
