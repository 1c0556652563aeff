"""A process that reads a shell's PTY while it pours."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from partywidgets.terminal.sandboxes import Prompt, pty_output
from partywidgets.terminal.sandboxes import pump as pump_file
from partywidgets.terminal.sandboxes.pump import Pump

from .conftest import Open, Shell

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems' shells are read without one")

NUMBERS = b"".join(b"%d\r\n" % number for number in range(1, 1_000_001))


@pytest.fixture(autouse=True)
def nothing_stays() -> object:
    """Each test ends with no process of its pumps, and with as many descriptors as before."""
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert not _pumps()
    assert Pump.running == 0
    assert len(os.listdir("/proc/self/fd")) <= before


def _pumps(parent: int | None = None) -> list[psutil.Process]:
    children = psutil.Process(parent).children()
    return [child for child in children if any(word.endswith("pump_process.py") for word in child.cmdline())]


async def _seen(what: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not what():
            await asyncio.sleep(0.01)


async def _pouring(shell: Shell, line: bytes) -> None:
    """Types a line whose output never ends, and reads until a pump reads it."""
    shell.sandbox.write(line)
    async with asyncio.timeout(20):
        while not (pumps := _pumps()) or pumps[0].num_ctx_switches().voluntary < 20:
            # Looking for processes takes its time: whoever looks at every piece sees no flood.
            for _ in range(100):
                await shell.sandbox.read()


async def test_all_of_a_flood_comes_in_order(opened: Open) -> None:
    """Before, during and after it reads, every byte comes once and in its place; then the shell is read here again."""
    async with opened("local:/bin/bash") as shell:
        await shell.prompt()
        seen, most = bytearray(), 0
        sandbox = shell.sandbox
        assert isinstance(sandbox, Prompt)
        done = asyncio.Event()

        def take(piece: bytes) -> bool:
            nonlocal most
            seen.extend(piece)
            most = max(most, Pump.running)
            if seen.endswith(b"THE END\r\n"):
                done.set()
            return True

        sandbox.hand_over(take)
        reading = asyncio.ensure_future(sandbox.read())
        sandbox.write(b"stty -echo; seq 1 1000000; printf 'THE %s\\n' END; exec cat\r")
        async with asyncio.timeout(60):
            await done.wait()
        assert most == 1
        assert bytes(seen).count(NUMBERS) == 1
        await _seen(lambda: not Pump.running)
        done.clear()
        sandbox.write(b"\rTHE END\r")
        async with asyncio.timeout(20):
            await done.wait()
        reading.cancel()


async def test_a_shell_that_ends_with_its_flood(opened: Open) -> None:
    """What it printed last comes, then the end, also while a child in the background keeps the PTY open."""
    async with opened("local:/bin/bash") as shell:
        await shell.prompt()
        shell.sandbox.write(b"(trap '' HUP; sleep 60) & disown; stty -echo; echo child-$!-; seq 1 1000000; exit 5\r")
        await shell.rest()
        os.kill(int(shell.output.split(b"child-")[-1].split(b"-")[0]), signal.SIGKILL)
        assert shell.output.count(NUMBERS) == 1
        assert (await shell.sandbox.wait_exit()).code == 5


async def test_a_room_that_is_closed_meanwhile(opened: Open) -> None:
    """Closing ends both, whoever waits."""
    async with opened("local:/bin/bash") as shell:
        await shell.prompt()
        await _pouring(shell, b"yes\r")


async def test_a_room_that_does_not_read(opened: Open) -> None:
    """A pause holds the program, with some 1 MiB in the pipe; behind it everything comes, Ctrl-C is heard and the prompt is there."""
    async with opened("local:/bin/bash") as shell:
        await shell.prompt()
        await _pouring(shell, b"seq 1 100000000\r")
        (pump,) = _pumps()
        shell.sandbox.pause()

        def waits() -> bool:
            with open(f"/proc/{pump.pid}/wchan", encoding="ascii") as place:
                return "pipe_write" in place.read()

        await _seen(waits)
        shell.sandbox.write(b"\x03")
        shell.sandbox.resume()
        shell.output = b""
        async with asyncio.timeout(20):
            while not shell.output.endswith(b"\x1b]633;B;0123456789abcdef\x07"):
                piece = await shell.sandbox.read()
                assert piece
                shell.output = (shell.output + piece)[-4096:]
        assert b"^C" in shell.output


async def test_one_that_is_killed_is_missed_by_nobody(opened: Open) -> None:
    """The shell is read here again."""
    async with opened("local:/bin/bash") as shell:
        await shell.prompt()
        await _pouring(shell, b"yes\r")
        _pumps()[0].kill()
        shell.sandbox.write(b"\x03")
        async with asyncio.timeout(20):
            while b"633;B;" not in (piece := await shell.sandbox.read()):
                assert piece
        assert (await shell.command("echo still here"))[0] == 0


async def test_a_host_that_is_killed_leaves_none() -> None:
    """Its pump ends, and with it the last hold on the PTY: the program is hung up."""
    host = await asyncio.to_thread(
        subprocess.Popen,
        [
            sys.executable,
            "-c",
            "import asyncio\n"
            "from partywidgets.terminal.sandboxes import open_sandbox\n"
            "async def main():\n"
            "    shell = await open_sandbox('local:/bin/bash', cols=80, rows=24)\n"
            "    shell.write(b'exec yes\\r')\n"
            "    while await shell.read(): pass\n"
            "asyncio.run(main())\n",
        ],
    )
    try:
        await _seen(lambda: _pumps(host.pid))
        children = psutil.Process(host.pid).children(recursive=True)
        assert len(children) == 2
    finally:
        host.kill()
        await asyncio.to_thread(host.wait)
    await _seen(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children))


async def test_there_are_no_more_than_processors(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the bound a flood is read as ever."""
    monkeypatch.setattr(Pump, "most", 0)
    async with opened("local:/bin/bash") as shell:
        await shell.prompt()
        shell.sandbox.write(b"stty -echo; seq 1 1000000; exit\r")
        async with asyncio.timeout(60):
            while piece := await shell.sandbox.read():
                assert not Pump.running
                shell.output += piece
        assert shell.output.count(NUMBERS) == 1


async def test_a_program_that_prints_little_gets_none(opened: Open) -> None:
    """Below the bound nothing is started."""
    async with opened("local:/bin/bash") as shell:
        await shell.prompt()
        await shell.command(f"head -c {pty_output.FLOOD_BYTES // 2} /dev/zero | tr '\\0' x")
        assert not Pump.running


async def test_one_that_cannot_start(opened: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Said in the log, once; the flood is read as ever."""
    monkeypatch.setattr(pump_file, "_PROGRAM", Path("/no/such/file.py"))
    async with opened("local:/bin/bash") as shell:
        await shell.prompt()
        shell.sandbox.write(b"stty -echo; seq 1 1000000; exit\r")
        assert (await shell.rest()).count(NUMBERS) == 1
    assert caplog.text.count("read without a process of its own") == 1
