"""Hosts that hang with their connections open: the real sshd, engines and containerd, stopped under an open terminal."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cri_fixture import CriRuntime, cri_runtime
from tests.engines_fixture import Engine
from tests.stopped_processes import stopped
from tests.terminal.conftest import Serve
from tests.terminal.viewers import Viewer

from .kubernetes_api import api, containerd
from .sshd import Sshd, sshd
from .test_docker import BOTH, engine
from .test_docker_attach import start

__all__ = ["cri_runtime", "engine", "sshd"]


def only(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The process itself, not what it started."""
    return [psutil.Process(process.pid)]


async def told(ana: Viewer, sentence: str) -> dict[str, Any]:
    """Waits until the bar says so of a terminal that runs."""
    found: dict[str, Any] = await ana.until(lambda: next((m for m in ana.of("upstream") if sentence in m["reason"]), None))
    assert found["state"] == "running"
    return found


async def guarded(engine: Engine, name: str) -> None:
    """Waits for the shell's guard: an engine that is held up while it starts a command answers nothing until that has started."""
    async with asyncio.timeout(30):
        while "partywidgets-guard" not in await asyncio.to_thread(engine.call, "exec", name, "ps"):
            await asyncio.sleep(0.05)


async def anew(ana: Viewer) -> None:
    """Restarts, and uses the new shell."""
    seen = len(ana.of("welcome"))
    assert (await ana.ask("restart"))["ok"] is True
    await ana.until(lambda: len(ana.of("welcome")) > seen)
    await ana.type("echo anew-$((1+1))\r")
    await ana.shows(b"anew-2")


@asynccontextmanager
async def relayed(path: str) -> AsyncIterator[int]:
    """A TCP port before an engine's socket, since dockerd itself waits long before it listens on one without TLS."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(1 << 16):
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_unix_connection(path)
        async with asyncio.TaskGroup() as both:
            both.create_task(pass_on(reader, to_writer))
            both.create_task(pass_on(to_reader, writer))

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_sshd_that_hangs(sshd: Sshd, serve: Serve) -> None:
    """A machine that no longer answers is not shown as live, also behind a large paste; then its terminal has ended and says what to do."""
    pytest.importorskip("asyncssh")
    async with serve(default=sshd.address(more="&shell=/bin/bash&gone_after=3")) as place, place.watch() as ana:
        await ana.running()
        with stopped(sshd.processes()):
            await ana.type("x" * 900_000)
            await told(ana, "has not answered for 2 s: what is typed waits for it")
            assert (await ana.message("exit"))["reason"].endswith(
                f"@127.0.0.1:{sshd.port} no longer answers: look whether it runs, then restart the terminal"
            )
        await anew(ana)


async def test_sshd_that_was_silent_for_a_moment(sshd: Sshd, serve: Serve) -> None:
    """Who answers late is live again at once, and what was typed meanwhile comes."""
    pytest.importorskip("asyncssh")
    async with serve(default=sshd.address(more="&shell=/bin/bash&gone_after=9")) as place, place.watch() as ana:
        await ana.running()
        with stopped(sshd.processes()):
            await told(ana, "has not answered for 6 s")
            await ana.type("echo late-$((1+1))\r")
        await ana.until(lambda: ana.of("upstream")[-1]["reason"] == "")
        await ana.shows(b"late-2")
        assert ana.of("exit") == []


async def test_restart_of_a_terminal_whose_host_hangs(sshd: Sshd, serve: Serve) -> None:
    """Nobody has to wait for the end: while it does not answer the terminal can be restarted, and a new login works as soon as it can."""
    pytest.importorskip("asyncssh")
    async with serve(default=sshd.address(more="&shell=/bin/bash&gone_after=12")) as place, place.watch() as ana:
        await ana.running()
        with stopped(sshd.processes()):
            await told(ana, "has not answered for 8 s")
            restarting = asyncio.ensure_future(ana.ask("restart"))
            await ana.message("upstream", state="starting")
        assert (await restarting)["ok"] is True
        await ana.until(lambda: len(ana.of("welcome")) == 2)
        await ana.type("echo anew-$((1+1))\r")
        await ana.shows(b"anew-2")


@pytest.mark.parametrize("engine", BOTH, indirect=True)
@pytest.mark.parametrize("way", ["exec", "attach"])
async def test_engine_that_hangs(engine: Engine, serve: Serve, way: str) -> None:
    """An engine that no longer answers, also on its socket here, is told; the container is still there, and is entered again."""
    name = await asyncio.to_thread(start, engine, "-it")
    query = "?gone_after=3" if way == "exec" else "?attach&gone_after=3"
    async with serve(default=f"{engine.kind}:{name}{query}") as place, place.watch() as ana:
        await ana.live()
        await ana.type("echo up-$((1+1))\r")
        await ana.shows(b"up-2")
        if way == "exec":
            await guarded(engine, name)
        with stopped(only(engine.process)):
            await told(ana, f"the {engine.kind} engine at {engine.url.removeprefix('unix://')} has not answered for 2 s")
            end = await ana.message("exit")
            assert end["reason"].startswith(f"the {engine.kind} engine at ")
            assert end["reason"].endswith(" no longer answers: look whether it runs, then restart the terminal")
        await anew(ana)
    await asyncio.to_thread(engine.remove, name)


@pytest.mark.docker
async def test_engine_behind_tcp_that_hangs(docker_engine: Engine, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same over TCP: its address is named."""
    name = await asyncio.to_thread(docker_engine.start)
    async with relayed(docker_engine.url.removeprefix("unix://")) as port:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        async with serve(default=f"docker:{name}?gone_after=3") as place, place.watch() as ana:
            await ana.running()
            await guarded(docker_engine, name)
            with stopped(only(docker_engine.process)):
                await told(ana, f"the docker engine at tcp://127.0.0.1:{port} has not answered")
                assert "no longer answers" in (await ana.message("exit"))["reason"]
            await anew(ana)
    await asyncio.to_thread(docker_engine.remove, name)


@pytest.mark.parametrize("engine", BOTH, indirect=True)
async def test_paused_container(engine: Engine, serve: Serve) -> None:
    """A container that somebody paused answers nothing that is typed: the bar says how it goes on, and is live as soon as it does."""
    name = await asyncio.to_thread(engine.start)
    async with serve(default=f"{engine.kind}:{name}?gone_after=3") as place, place.watch() as ana:
        await ana.running()
        await guarded(engine, name)
        await asyncio.to_thread(engine.call, "pause", name)
        await ana.type("echo frozen-$((1+1))\r")
        await told(ana, f"the container {name} is paused: let it go on with `{engine.kind} unpause {name}`")
        await asyncio.to_thread(engine.call, "unpause", name)
        await ana.until(lambda: ana.of("upstream")[-1]["reason"] == "")
        await ana.shows(b"frozen-2")
        assert ana.of("exit") == []
    await asyncio.to_thread(engine.remove, name)


@pytest.mark.docker
async def test_containerd_that_hangs(cri_runtime: CriRuntime, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node's runtime that no longer answers its pings is told, and the terminal ends; awake again, it gives another shell."""
    container = await asyncio.to_thread(cri_runtime.start)
    async with (
        api(containerd(cri_runtime, container), container, tmp_path, monkeypatch),
        serve(default="kubernetes:shop/web?gone_after=3") as place,
        place.watch() as ana,
    ):
        await ana.running()
        with stopped(only(cri_runtime.process)):
            await told(ana, "the Kubernetes API at 127.0.0.1:")
            assert (await ana.message("exit"))["reason"].endswith(" no longer answers: look whether it runs, then restart the terminal")
        await anew(ana)
