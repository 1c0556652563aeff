"""Shells in real containers, by Docker and by Podman."""

from __future__ import annotations

import asyncio

import psutil
import pytest

from partywidgets.engines.docker import DockerEngine
from partywidgets.exceptions import SandboxError
from partywidgets.terminal.sandboxes import open_sandbox
from partywidgets.terminal.sandboxes.base import Exit
from partywidgets.terminal.sandboxes.docker import ContainerSandbox
from tests.engines_fixture import Engine

from .conftest import Open

BOTH = [pytest.param("docker", marks=pytest.mark.docker), pytest.param("podman", marks=pytest.mark.podman)]


@pytest.fixture
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The engine that a test is run with, found as a user's is: by the environment."""
    found: Engine = request.getfixturevalue(f"{request.param}_engine")
    monkeypatch.setenv("DOCKER_HOST" if found.kind == "docker" else "CONTAINER_HOST", found.url)
    return found


@pytest.mark.parametrize("engine", BOTH, indirect=True)
async def test_busybox_container_is_entered(engine: Engine, opened: Open) -> None:
    """A container with nothing but busybox gives a shell with its size, exit codes, the resize, and the end with its code."""
    name = engine.start()
    async with opened(f"{engine.kind}:{name}", cols=91, rows=33) as shell:
        await shell.prompt()
        assert (await shell.command("(exit 4)"))[0] == 4
        code, output = await shell.command("cat /etc/passwd; stty size")
        assert code == 0
        assert "root:x:0" in output
        assert "33 91" in output
        await shell.sandbox.resize(100, 40)
        async with asyncio.timeout(20):  # Podman answers once conmon has been told, which sets it a moment later
            while "40 100" not in (await shell.command("stty size"))[1]:
                pass
        shell.sandbox.write(b"exit 7\r")
        await shell.rest()
        end = await shell.sandbox.wait_exit()
        assert (end.code, end.reason) == (7, f"the shell in {name} ended with code 7")
    engine.remove(name)


@pytest.mark.parametrize("engine", BOTH[1:], indirect=True)
async def test_two_sizes_that_are_read_in_one_go(engine: Engine, opened: Open) -> None:
    """Podman's conmon is stopped while two sizes come, and sets the first one only: the shell has the second all the same."""
    name = engine.start()
    async with opened(f"{engine.kind}:{name}", cols=91, rows=33) as shell:
        await shell.prompt()
        shell.sandbox.write(b"while :; do stty size; sleep 0.1; done\r")
        await shell.until(lambda: b"33 91" in shell.output)
        assert isinstance(shell.sandbox, ContainerSandbox)
        exec_id = shell.sandbox._job.id
        [conmon] = [process for process in psutil.process_iter(["name", "cmdline"]) if _is_conmon(process, exec_id)]
        conmon.suspend()
        try:
            await shell.sandbox.resize(100, 40)
            await shell.sandbox.resize(101, 41)
        finally:
            conmon.resume()
        await shell.until(lambda: b"41 101" in shell.output)
    engine.remove(name)


def _is_conmon(process: psutil.Process, exec_id: str) -> bool:
    return process.info["name"] == "conmon" and exec_id in (process.info["cmdline"] or ())


@pytest.mark.parametrize("engine", BOTH, indirect=True)
async def test_closing_ends_the_shell_and_leaves_the_container(engine: Engine, opened: Open) -> None:
    """After the terminal is closed no shell of it is left in the container, which runs on."""
    name = engine.start()
    async with opened(f"{engine.kind}:{name}") as shell:
        await shell.prompt()
        shell.sandbox.write(b"sleep 777\r")
        await shell.until(lambda: b"sleep 777" in shell.output)
        assert "sh -i" in engine.call("exec", name, "ps")
    async with asyncio.timeout(20):
        while "sh -i" in (listed := engine.call("exec", name, "ps")) or "sleep 777" in listed:
            await asyncio.sleep(0.05)
    assert "sleep 1000" in listed
    engine.remove(name)


@pytest.mark.parametrize("engine", BOTH, indirect=True)
async def test_a_start_that_is_given_up_leaves_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that is closed while its shell starts: no task of it runs on, and no shell in the container."""
    begun = asyncio.Event()

    async def begin(self: ContainerSandbox, cols: int, rows: int) -> None:
        await self.resize(cols, rows)
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(ContainerSandbox, "begin", begin)
    name = engine.start()
    opening = asyncio.create_task(open_sandbox(f"{engine.kind}:{name}", cols=80, rows=24, nonce="n0nce"))
    async with asyncio.timeout(20):
        await begun.wait()
        while "sh -i" not in await asyncio.to_thread(engine.call, "exec", name, "ps"):
            await asyncio.sleep(0.05)
        opening.cancel()
        await asyncio.wait({opening})
        assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        while "sh -i" in await asyncio.to_thread(engine.call, "exec", name, "ps"):
            await asyncio.sleep(0.05)
    engine.remove(name)


@pytest.mark.parametrize("engine", BOTH, indirect=True)
async def test_container_killed_under_the_viewers(engine: Engine, opened: Open) -> None:
    """A container that is killed ends its terminal, and the reason says that it was the container."""
    name = engine.start()
    async with opened(f"{engine.kind}:{name}") as shell:
        await shell.prompt()
        await asyncio.to_thread(engine.call, "kill", name)
        await shell.rest()
        end = await shell.sandbox.wait_exit()
        assert f"{name} stopped" in end.reason or f"no container {name}" in end.reason
    engine.remove(name)


@pytest.mark.parametrize("engine", BOTH, indirect=True)
async def test_an_engine_that_is_late_to_know_of_a_kill(engine: Engine, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the shell's end is known before the container's, the reason is the container all the same; a shell that was killed alone is
    named as such."""
    ask, asked = DockerEngine.running, 0

    async def late(self: DockerEngine, container: str) -> bool:
        nonlocal asked
        asked += 1
        return asked <= 3 or await ask(self, container)

    name = engine.start()
    async with opened(f"{engine.kind}:{name}") as shell:
        await shell.prompt()
        shell.sandbox.write(b"kill -9 $$\r")
        await shell.rest()
        assert await shell.sandbox.wait_exit() == Exit(137, f"the shell in {name} ended with code 137")
    async with opened(f"{engine.kind}:{name}") as shell:
        await shell.prompt()
        monkeypatch.setattr(DockerEngine, "running", late)
        await asyncio.to_thread(engine.call, "kill", name)
        await shell.rest()
        assert f"the container {name} stopped" in (await shell.sandbox.wait_exit()).reason
    assert asked > 3
    engine.remove(name)


@pytest.mark.parametrize("engine", BOTH, indirect=True)
async def test_bash_is_preferred_where_it_is_there(engine: Engine, opened: Open) -> None:
    """With bash in the image, the terminal is a bash that marks the start of commands too."""
    name = engine.start(image=engine.image_with("bash"))
    async with opened(f"{engine.kind}:{name}") as shell:
        await shell.prompt()
        assert (await shell.command("echo ${BASH_VERSION%%.*}-is-bash; env; (exit 2)"))[0] == 2
        assert b"-is-bash\r\n" in shell.output
        assert b"__PW_" not in shell.output
        assert any(mark.kind == "C" for mark in shell.marks)
        assert any(mark.kind == "E" and "BASH_VERSION" in mark.fields[0] for mark in shell.marks)
    engine.remove(name)


@pytest.mark.parametrize("engine", BOTH, indirect=True)
async def test_absent_container_and_absent_shell(engine: Engine, opened: Open) -> None:
    """A container that does not exist, or is paused, refuses to open; a shell, a directory or a user that it does not have ends with a
    sentence that says what to do."""
    with pytest.raises(SandboxError, match="has no container nobody-has-this"):
        async with opened(f"{engine.kind}:nobody-has-this"):
            pass
    name = engine.start()
    async with opened(f"{engine.kind}:{name}?shell=/bin/fancy") as shell:
        await shell.rest()
        assert "cannot run the shell" in (await shell.sandbox.wait_exit()).reason
    async with opened(f"{engine.kind}:{name}?cwd=/nowhere") as shell:
        await shell.rest()
        assert "cannot run the shell with cwd=/nowhere" in (await shell.sandbox.wait_exit()).reason
    if engine.kind == "docker":
        async with opened(f"docker:{name}?user=nobody-here") as shell:
            await shell.rest()
            assert "cannot run the shell with user=nobody-here" in (await shell.sandbox.wait_exit()).reason
    else:  # it looks the user up before it starts anything
        with pytest.raises(SandboxError, match="nobody-here"):
            async with opened(f"podman:{name}?user=nobody-here"):
                pass
    engine.call("pause", name)
    with pytest.raises(SandboxError, match=f"is paused: let it go on with `{engine.kind} unpause"):
        async with opened(f"{engine.kind}:{name}"):
            pass
    engine.call("unpause", name)
    engine.remove(name)


async def test_dead_socket_names_the_path_and_the_remedy(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an engine the sentence names the socket's path and how to start one."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///tmp/pw-no-engine.sock")
    with pytest.raises(SandboxError, match=r"no docker engine listens at /tmp/pw-no-engine\.sock: start Docker"):
        async with opened("docker:web-1"):
            pass
