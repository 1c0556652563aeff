"""The terminals of containers' own programs, joined as `docker attach` and `podman attach` do."""

from __future__ import annotations

import asyncio
import secrets

import pytest

from partywidgets.exceptions import SandboxError
from partywidgets.terminal.sandboxes import parse_address
from tests.engines_fixture import IMAGE, Engine
from tests.terminal.conftest import Serve

from .conftest import Open
from .test_docker import BOTH, engine

__all__ = ["engine"]


def start(engine: Engine, *options: str, command: tuple[str, ...] = ("sh",)) -> str:
    """A container whose program is a shell with these options of `run`."""
    name = f"pw-{secrets.token_hex(4)}"
    engine.call("run", "-d", *options, "--name", name, *engine.run_options, IMAGE, *command)
    return name


@pytest.mark.parametrize("engine", BOTH, indirect=True)
async def test_the_programs_own_shell_is_joined_and_left_running(engine: Engine, serve: Serve) -> None:
    """Two rooms share the program's terminal, `run` works in it, its size is the room's; leaving ends nothing."""
    name = await asyncio.to_thread(start, engine, "-it")
    address = f"{engine.kind}:{name}?attach"
    async with serve(default=address, also=address, keep=0.0) as place:
        async with place.watch(query="?cols=91&rows=33") as ana:
            await ana.live()
            await ana.type("kept=here-$((20+22)); echo $kept $$\r")
            await ana.shows(b"here-42 1\r\n")
            async with place.watch("w2", query="?cols=91&rows=33&sandboxId=also") as ben:
                await ben.live()
                # An engine does not say when a size is set, only that it will be.
                sized = 'until [ "$(stty size)" = "33 91" ]; do sleep 0.1; done; stty size; (exit 6)'
                result = (await ben.ask("run", command=sized, timeout_s=20))["result"]
                assert (result["output"], result["exit_code"]) == ("33 91", 6)
                await ana.shows(b"33 91")
            await ana.type("echo still-$((1+1))\r")
            await ana.shows(b"still-2")
        assert await runs(engine, name)
        async with place.watch() as ana:
            await ana.live()
            await ana.type("echo again-$kept\r")
            await ana.shows(b"again-here-42")
    assert await runs(engine, name)
    await asyncio.to_thread(engine.remove, name)


async def runs(engine: Engine, name: str) -> bool:
    """Whether the engine says so."""
    return await asyncio.to_thread(engine.call, "inspect", "-f", "{{.State.Running}}", name) == "true"


@pytest.mark.parametrize("engine", BOTH, indirect=True)
@pytest.mark.parametrize("options", [("-it",), ("-it", "--rm")])
async def test_the_containers_end_has_its_code(engine: Engine, options: tuple[str, ...], opened: Open) -> None:
    """When the program ends, its code is told, also where the container goes with it."""
    name = await asyncio.to_thread(start, engine, *options)
    async with opened(f"{engine.kind}:{name}?attach") as shell:
        shell.sandbox.write(b"echo up-$((1+1))\r")
        await shell.until(lambda: b"up-2" in shell.output)
        shell.sandbox.write(b"exit 7\r")
        await shell.rest()
        end = await shell.sandbox.wait_exit()
        assert (end.code, end.reason) == (7, f"the program of {name} ended with code 7: `{engine.kind} start {name}`")
    if "--rm" not in options:
        await asyncio.to_thread(engine.remove, name)


@pytest.mark.parametrize("engine", BOTH, indirect=True)
async def test_killed_under_the_viewers_and_started_again(engine: Engine, serve: Serve) -> None:
    """A kill ends the terminal with 137 for everyone; what cannot be joined then says why, and after a start the room joins again."""
    name = await asyncio.to_thread(start, engine, "-it")
    async with serve(default=f"{engine.kind}:{name}?attach") as place, place.watch() as ana, place.watch(who="pia") as pia:
        await ana.live()
        await asyncio.to_thread(engine.call, "kill", name)
        for viewer in (ana, pia):
            assert (await viewer.message("exit"))["code"] == 137
        assert (await ana.ask("restart"))["ok"] is True
        assert f"start it with `{engine.kind} start {name}`" in (await ana.message("upstream", state="failed"))["reason"]
        await asyncio.to_thread(engine.call, "start", name)
        assert (await ana.ask("restart"))["ok"] is True
        await ana.until(lambda: len([m for m in ana.of("upstream") if m["state"] == "running"]) == 2)
        await ana.type("echo anew-$((1+1))\r")
        await ana.shows(b"anew-2")
    await asyncio.to_thread(engine.remove, name)


@pytest.mark.parametrize("engine", BOTH, indirect=True)
async def test_what_cannot_be_joined_or_typed_into(engine: Engine, opened: Open) -> None:
    """Without a TTY there is nothing to join; without -i it is watched only, and typing is answered; no container, no terminal."""
    deaf, mute = await asyncio.to_thread(start, engine, "-t", command=("sleep", "1000")), await asyncio.to_thread(engine.start)
    with pytest.raises(SandboxError, match=f"{mute} has no terminal to attach to: start it with `{engine.kind} run -it`"):
        async with opened(f"{engine.kind}:{mute}?attach"):
            pass
    with pytest.raises(SandboxError, match="has no container nobody-has-this"):
        async with opened(f"{engine.kind}:nobody-has-this?attach"):
            pass
    async with opened(f"{engine.kind}:{deaf}?attach") as shell:
        with pytest.raises(SandboxError, match=f"{deaf} takes no input: it was started without -i"):
            shell.sandbox.write(b"ls\r")
    for name in (deaf, mute):
        await asyncio.to_thread(engine.remove, name)


@pytest.mark.parametrize("engine", BOTH, indirect=True)
async def test_control_p_is_a_key_like_others(engine: Engine, opened: Open) -> None:
    """Engines keep Ctrl-P back, as the first of their keys to detach: here it arrives at once, and Ctrl-P Ctrl-Q detaches nobody."""
    name = await asyncio.to_thread(start, engine, "-it")
    async with opened(f"{engine.kind}:{name}?attach") as shell:
        shell.sandbox.write(b"stty raw -echo; echo rea''dy; dd bs=1 count=3 2>/dev/null | od -An -tx1; stty sane\r")
        await shell.until(lambda: b"ready" in shell.output)
        shell.sandbox.write(b"\x10")
        shell.sandbox.write(b"\x11x")
        await shell.until(lambda: b"10 11 78" in shell.output)
    await asyncio.to_thread(engine.remove, name)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [("docker:web?attach&user=root", "user cannot be chosen with it"), ("podman:web?attach=yes", "attach has no value")],
)
def test_wrong_addresses_are_one_sentence(address: str, sentence: str) -> None:
    """What cannot go with attach is named."""
    with pytest.raises(SandboxError, match=sentence):
        parse_address(address)
