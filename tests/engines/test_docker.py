"""The engine client against a real dockerd and a real Podman socket."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from partywidgets.engines.docker import DockerEngine, EngineKind, engine_url
from partywidgets.exceptions import EngineError
from tests.engines_fixture import Engine

BOTH = [pytest.param("docker", marks=pytest.mark.docker), pytest.param("podman", marks=pytest.mark.podman)]


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Engine:
    """The engine that a test is run with."""
    found: Engine = request.getfixturevalue(f"{request.param}_engine")
    return found


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose name leaves room for a socket's 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="pw-", dir="/tmp") as folder:
        yield Path(folder)


def _client(engine: Engine) -> DockerEngine:
    kind: EngineKind = "docker" if engine.kind == "docker" else "podman"
    return DockerEngine(engine.url, kind=kind)


@pytest.mark.parametrize("engine", BOTH, indirect=True)
async def test_run_gives_both_streams_and_the_exit_code(engine: Engine) -> None:
    """A command without a terminal comes back with stdout, stderr and its code."""
    name = engine.start()
    async with _client(engine) as client:
        done = await client.run(name, ["sh", "-c", "echo out; echo err >&2; exit 5"])
        assert (done.exit_code, done.stdout, done.stderr) == (5, b"out\n", b"err\n")
    engine.remove(name)


@pytest.mark.parametrize("engine", BOTH, indirect=True)
async def test_absent_and_stopped_containers_are_told_apart(engine: Engine) -> None:
    """A name that nobody has, and a container that does not run: one sentence each, with the command that helps."""
    name = engine.start("", ("true",))
    engine.call("wait", name)
    async with _client(engine) as client:
        with pytest.raises(EngineError, match="has no container nobody-has-this: see"):
            await client.require_running("nobody-has-this")
        with pytest.raises(EngineError, match=rf"{name} is \w+: start it with `{engine.kind} start {name}`"):
            await client.require_running(name)
        with pytest.raises(EngineError, match="not a container's name"):
            await client.inspect("../containers/json")
    engine.remove(name)


async def test_no_socket_a_file_and_a_dead_socket_name_place_and_remedy(short_path: Path) -> None:
    """Each way in which nobody listens at a socket's path is one sentence with the path and what to do."""
    with pytest.raises(EngineError, match=rf"no docker engine listens at {short_path}/none: start Docker"):
        await DockerEngine(f"unix://{short_path}/none").__aenter__()
    (short_path / "file").write_text("")
    with pytest.raises(EngineError, match=rf"{short_path}/file is not a socket"):
        await DockerEngine(f"unix://{short_path}/file").__aenter__()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(short_path / "dead"))
    async with DockerEngine(f"unix://{short_path}/dead", kind="podman") as client:
        with pytest.raises(EngineError, match=rf"no podman engine answers at {short_path}/dead: start Podman's socket"):
            await client.version()


def test_engine_url_prefers_the_environment() -> None:
    """DOCKER_HOST and CONTAINER_HOST are taken as they are; without them a usual place is named."""
    assert engine_url("docker", {"DOCKER_HOST": "tcp://10.0.0.1:2375"}) == "tcp://10.0.0.1:2375"
    assert engine_url("podman", {"CONTAINER_HOST": "unix:///x.sock"}) == "unix:///x.sock"
    assert engine_url("podman", {}).startswith("unix://")
