"""The docker check against a dockerd and a Podman of the suite's own."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from partywidgets.engines.docker import DockerEngine
from partywidgets.scans.checks.docker import DockerCheck
from tests.engines_fixture import IMAGE, Engine, docker_engine, podman_engine

from .servers import answer, look, serving

__all__ = ["docker_engine", "podman_engine"]

BOTH = [pytest.param("docker", marks=pytest.mark.docker), pytest.param("podman", marks=pytest.mark.podman)]


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """The engine that a test is run with; the test's containers end with it."""
    found: Engine = request.getfixturevalue(f"{request.param}_engine")
    yield found
    found.clean()


def of(engine: Engine, container: str, **keys: Any) -> DockerCheck:
    """A check of a container of this engine."""
    return DockerCheck.model_validate({"id": "x", "container": container, "engine": engine.kind, "url": engine.url, "timeout": 60, **keys})


async def until(engine: Engine, container: str, status: str, health: str = "") -> None:
    """Waits until the engine itself says that the container is in this state; fails after 60 s."""
    async with asyncio.timeout(60), DockerEngine(engine.url, kind=engine.kind) as asked:  # type: ignore[arg-type]
        while True:
            state = (await asked.inspect(container))["State"]
            if state["Status"] == status and (not health or (state.get("Health") or {}).get("Status") == health):
                return
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("engine", BOTH, indirect=True)
async def test_running_container(engine: Engine) -> None:
    """A container that runs is ok, its age counts from its start, and it has no health where no health check is set."""
    name = engine.start()
    conditions = ("running", "health == 'none'", "age_s < 600.0", "restarts == 0", "!oom_killed", "exit_code == null")
    result = await look(of(engine, name, conditions=conditions))
    assert (result.status, [one.ok for one in result.conditions]) == ("ok", [True] * 6), result.conditions
    assert result.summary.startswith(f"{engine.kind}:{name} at {engine.url}: running for ")
    assert "age_s" in {metric.name for metric in result.metrics}
    assert json.loads(result.evidence[0].value)["Status"] == "running"
    assert (await look(of(engine, name))).status == "ok"


@pytest.mark.parametrize("engine", BOTH, indirect=True)
async def test_ended_container(engine: Engine) -> None:
    """A container that ended is crit, with the code that it ended with; who expects that says so."""
    name = engine.start(command=("sh", "-c", "exit 7"))
    await until(engine, name, "exited")
    result = await look(of(engine, name))
    assert (result.status, result.summary.endswith(": exited with code 7")) == ("crit", True), "in words, with the code"
    expected = await look(of(engine, name, conditions=("exit_code == 7", "age_s == null", "finished_at != null")))
    assert (expected.status, expected.summary.endswith("exited with code 7")) == ("ok", True), expected


@pytest.mark.parametrize("engine", BOTH, indirect=True)
async def test_health(engine: Engine) -> None:
    """A running container whose health check fails is crit, and what the health check printed is evidence."""
    name = "pw-ill"
    engine.call("run", "-d", "--name", name, *engine.run_options, "--health-cmd", "echo no spool; exit 1", "--health-interval", "1s",
                "--health-retries", "1", IMAGE, "sleep", "1000")  # fmt: skip
    try:
        if engine.kind == "podman":  # its health checks are run by systemd's timers, which a container has none of
            with pytest.raises(AssertionError):
                engine.call("healthcheck", "run", name)
        await until(engine, name, "running", "unhealthy")
        result = await look(of(engine, name))
        assert (result.status, result.summary.endswith(", unhealthy")) == ("crit", True)
        assert any("no spool" in item.value for item in result.evidence if item.kind == "docker-health")
        assert (await look(of(engine, name, conditions=("failing_streak >= 1",)))).status == "ok"
    finally:
        engine.remove(name)


@pytest.mark.parametrize("engine", BOTH, indirect=True)
async def test_restarts(engine: Engine) -> None:
    """What the restart policy started again is counted."""
    name = "pw-again"
    engine.call("run", "-d", "--name", name, *engine.run_options, "--restart", "on-failure:2", IMAGE, "sh", "-c", "exit 3")
    try:
        async with asyncio.timeout(60):
            while (result := await look(of(engine, name, warn="restarts >= 2", conditions=("exit_code == 3",)))).status != "warn":
                await asyncio.sleep(0.1)
        assert result.summary == "restarts >= 2: got 2"
    finally:
        engine.remove(name)


@pytest.mark.parametrize("engine", BOTH, indirect=True)
async def test_absent_container(engine: Engine) -> None:
    """A container that does not exist is crit, in one sentence."""
    result = await look(of(engine, "pw-nobody"))
    assert (result.status, result.summary) == ("crit", f"{engine.kind} has no container pw-nobody: see `{engine.kind} ps`")
    assert (await look(of(engine, "pw-nobody", conditions=("error == 'http'",)))).status == "ok"


async def test_dead_socket(tmp_path: Path) -> None:
    """An engine that cannot be asked says nothing about its container: unknown, in one sentence, whatever is wrong with the socket."""
    path = tmp_path / "docker.sock"
    remedy = "start Docker (systemctl start docker), or set DOCKER_HOST"
    check = DockerCheck(id="x", container="web", url=f"unix://{path}")
    result = await look(check)
    assert (result.status, result.summary) == ("unknown", f"no docker engine listens at {path}: {remedy}")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))  # a socket that its server left behind
    result = await look(check)
    assert (result.status, result.summary) == ("unknown", f"no docker engine answers at {path}: {remedy}")
    assert (await look(check.model_copy(update={"conditions": ("error == null",)}))).status == "crit"


async def test_hung_engine() -> None:
    """An engine that takes the connection and never answers is told of at the check's deadline."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(handle) as port:
        url = f"tcp://127.0.0.1:{port}"
        result = await look(DockerCheck(id="x", container="web", url=url, timeout=0.3))
    assert (result.status, result.summary) == ("unknown", f"docker:web at {url}: the engine did not answer within 300ms")


@pytest.mark.parametrize(
    ("state", "status", "summary"),
    [
        ({"Status": "exited", "Running": False, "OOMKilled": True, "ExitCode": 137, "FinishedAt": "2026-01-02T03:04:05.123456789Z"},
         "warn", "oom_killed: got true"),
        ({"Status": "restarting", "Running": True, "ExitCode": 1, "StartedAt": "2026-01-02T03:04:05Z"}, "ok", ""),
        ({"Status": 1}, "unknown", "the engine answers in a form that is not the Docker Engine API's"),
    ],
)  # fmt: skip
async def test_answers(state: dict[str, Any], status: str, summary: str) -> None:
    """What no engine here can be brought to: a kill for want of memory, and an answer that is none."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            body = {"ApiVersion": "1.44"} if b"/version" in head else {"State": state}
            writer.write(answer("200 OK", json.dumps(body).encode(), content_type="application/json"))
            await writer.drain()

    async with serving(handle) as port:
        result = await look(
            DockerCheck(
                id="x", container="web", url=f"tcp://127.0.0.1:{port}", conditions=("age_s == null || age_s > 0",), warn="oom_killed"
            )
        )
    assert result.status == status
    assert result.summary.endswith(summary)


async def test_no_engine() -> None:
    """A web server that is not an engine is told of in one sentence, without a traceback."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer("200 OK", b"<p>welcome</p>"))
        await writer.drain()
        await reader.read()

    async with serving(handle) as port:
        result = await look(DockerCheck(id="x", container="web", url=f"tcp://127.0.0.1:{port}"))
    assert result.status == "unknown"
    assert result.summary.startswith(f"the docker engine at tcp://127.0.0.1:{port} cannot be used (")
