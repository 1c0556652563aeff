"""`run(inside=True)` in shells of other machines that somebody opened in the room's shell: by ssh, and in a container."""

from __future__ import annotations

import asyncio

import pytest

from tests.engines_fixture import Engine
from tests.terminal.conftest import Serve
from tests.terminal.viewers import Viewer

from .sshd import USER, Sshd, sshd

__all__ = ["sshd"]
BOTH = [pytest.param("docker", marks=pytest.mark.docker), pytest.param("podman", marks=pytest.mark.podman)]


async def inside(ana: Viewer, command: str) -> tuple[str, int | None]:
    """A command typed into the shell that is open: its output and code."""
    reply = await ana.ask("run", command=command, timeout_s=40, inside=True)
    assert reply["ok"], (reply, ana.drawn()[-600:])
    return reply["result"]["output"], reply["result"]["exit_code"]


async def goes_on_as_ever(ana: Viewer, opened: str) -> None:
    """Lines, much output and the size in the shell that the command `opened` opened; its end, and the outer shell behind it."""
    assert await inside(ana, 'for n in 1 2; do\n  echo "it\'s $n!x"\ndone') == ("it's 1!x\nit's 2!x", 0)
    output, code = await inside(ana, "seq 20000")
    assert (output.splitlines()[-1], code) == ("20000", 0)
    assert await inside(ana, "stty size") == ("30 100", 0)
    await ana.type("exit 5\r")
    await ana.message("mark", kind="end", command=opened, exit_code=5)
    reply = await ana.ask("run", command="echo out-$((1+1))", timeout_s=40)
    assert reply["result"]["output"] == "out-2"


async def test_a_shell_over_ssh(serve: Serve, sshd: Sshd) -> None:
    """Codes, output and folder are those of the far shell, also while it prints; its end and the outer shell's marks follow."""
    ssh = f"ssh -F none -i {sshd.key} -o IdentitiesOnly=yes -o UserKnownHostsFile={sshd.known_hosts} -p {sshd.port} {USER}@127.0.0.1"
    async with serve() as place, place.watch(query="?cols=100&rows=30") as ana:
        await ana.running()
        await ana.type(f"{ssh}\r")
        assert await inside(ana, "cd /tmp; (exit 3)") == ("", 3)
        assert await inside(ana, "echo $SSH_CONNECTION | cut -d' ' -f1,4; pwd") == (f"127.0.0.1 {sshd.port}\n/tmp", 0)
        await goes_on_as_ever(ana, ssh)


@pytest.mark.parametrize("kind", BOTH)
async def test_a_shell_in_a_container(kind: str, serve: Serve, request: pytest.FixtureRequest) -> None:
    """As `docker exec -it` opens it: a busybox ash, which edits its line and asks where the cursor is."""
    engine: Engine = request.getfixturevalue(f"{kind}_engine")
    name = await asyncio.to_thread(engine.start)
    enter = f"{' '.join(engine.command)} exec -it {name} sh"
    async with serve() as place, place.watch(query="?cols=100&rows=30") as ana:
        await ana.running()
        await ana.type(f"{enter}\r")
        assert await inside(ana, "cd /tmp; (exit 3)") == ("", 3)
        assert await inside(ana, "busybox | head -1 | cut -d' ' -f1; pwd") == ("BusyBox\n/tmp", 0)
        await goes_on_as_ever(ana, enter)
    await asyncio.to_thread(engine.remove, name)
