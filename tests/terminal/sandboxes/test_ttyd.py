"""Programs behind a real ttyd."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

from partywidgets.exceptions import SandboxError
from partywidgets.terminal.sandboxes import open_sandbox, parse_address
from partywidgets.terminal.sandboxes import ttyd as sandbox_ttyd
from tests.terminal.conftest import Serve
from tests.ttyd_process import ttyd

from .conftest import Open

UNKNOWN = "ended (ttyd does not say with which code: not 0, or it had not heard it yet)"
_LATE = ("trace=wait4,sendto", "inject=wait4:delay_exit=3000000", "inject=sendto:delay_enter=100000")
LATE = ("strace", "-D", "-f", "-qq", "-o", "/dev/null", *(part for each in _LATE for part in ("-e", each)))


def _traces() -> bool:
    return shutil.which("strace") is not None and not subprocess.run([*LATE, "true"], capture_output=True, timeout=20).returncode


async def test_run_size_and_both_kinds_of_end(serve: Serve, tmp_path: Path) -> None:
    """`run` gives output and code, the size counts, the end tells whether the code was 0, and restart starts another program."""
    with ttyd(tmp_path, "-W") as there:
        async with serve(default=there.address()) as place, place.watch(query="?cols=91&rows=33") as ana:
            await ana.live()
            result = (await ana.ask("run", command="stty size; (exit 6)", timeout_s=20))["result"]
            assert (result["output"], result["exit_code"]) == ("33 91", 6)
            await ana.tell("resize", cols=100, rows=40)
            await ana.message("resize", cols=100, rows=40)
            assert (await ana.ask("run", command="stty size", timeout_s=20))["result"]["output"] == "40 100"
            # The terminal is held open for longer than the shell: its code is known before the output ends.
            await ana.type("(trap '' HUP; exec sleep 5) & exit 0\r")
            end = await ana.message("exit")
            assert end["code"] == 0, end
            assert end["reason"].endswith("/ws ended with code 0")
            assert (await ana.ask("restart"))["ok"] is True
            await ana.until(lambda: len(ana.of("welcome")) == 2)
            assert (await ana.ask("run", command="echo anew-$((1+1))", timeout_s=20))["result"]["output"] == "anew-2"
            await ana.type("exit 3\r")
            await ana.until(lambda: len(ana.of("exit")) == 2)
            end = ana.of("exit")[1]
            assert end["code"] is None
            assert end["reason"].endswith(UNKNOWN)


@pytest.mark.skipif(not _traces(), reason="strace is not installed, or may trace nothing here: apt-get install strace")
async def test_an_end_that_ttyd_sees_before_the_code(opened: Open, tmp_path: Path) -> None:
    """Where ttyd sees the end of the output between the program's end and its code, it says of 0 what it says of 3: we claim neither.

    strace makes that moment long: the wait returns late, and what is sent is sent late, so that the end is read in between.
    """
    with ttyd(tmp_path, "-W", under=LATE) as there:
        async with opened(there.address()) as shell:
            await shell.until(lambda: shell.output)
            shell.sandbox.write(b"exit 0\r")
            await shell.rest()
            end = await shell.sandbox.wait_exit()
            assert (end.code, end.reason.endswith(UNKNOWN)) == (None, True), end


async def test_titles_and_settings_are_no_output(opened: Open, tmp_path: Path) -> None:
    """What ttyd tells its own page, the window's title and options, is not shown."""
    with ttyd(tmp_path, "-W", "-t", "fontSize=20") as there:
        async with opened(there.address()) as shell:
            shell.sandbox.write(b"echo up-$((1+1))\r")
            await shell.until(lambda: b"up-2" in shell.output)
            assert b"fontSize" not in shell.output
            assert b"/bin/sh" not in shell.output


async def test_pause_holds_the_program_back(opened: Open, tmp_path: Path) -> None:
    """A paused program blocks in its write, and loses nothing when read again."""
    with ttyd(tmp_path, "-W") as there:
        async with opened(there.address()) as shell:
            shell.sandbox.write(b"echo up-$((1+1))\r")
            await shell.until(lambda: re.search(rb"up-2\r\n[#$] $", shell.output))
            shell.sandbox.pause()
            done = tmp_path / "done"
            shell.sandbox.write(f"head -c 20000000 /dev/zero | tr '\\0' x; echo; touch {done}; echo all-$((40+2))\r".encode())
            reading = asyncio.ensure_future(shell.sandbox.read())
            finished, _ = await asyncio.wait([reading], timeout=0.5)
            assert not finished
            assert not done.exists()
            shell.sandbox.resume()
            read, tail = 0, b""
            async with asyncio.timeout(20):
                while b"all-42" not in tail:
                    piece = await reading
                    read, tail = read + piece.count(b"x"), (tail + piece)[-200:]
                    reading = asyncio.ensure_future(shell.sandbox.read())
            reading.cancel()
            assert read >= 20_000_000
            assert done.exists()


async def test_readonly_ttyd_is_noticed(opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without -W ttyd drops what is typed and says nothing: the screen says it, once."""
    monkeypatch.setattr(sandbox_ttyd, "PATIENCE", 0.3)
    with ttyd(tmp_path) as there:
        async with opened(there.address()) as shell:
            await shell.until(lambda: shell.output)
            shell.sandbox.write(b"echo up\r")
            await shell.until(lambda: b"unless it is started with -W" in shell.output)
            shell.sandbox.write(b"echo up\r")
            reading = asyncio.ensure_future(shell.sandbox.read())
            finished, _ = await asyncio.wait([reading], timeout=0.6)
            assert not finished
            reading.cancel()


async def test_readonly_ttyd_is_noticed_by_run(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that is asked for before there is a prompt waits for one: the prompt is not an answer to it."""
    monkeypatch.setattr(sandbox_ttyd, "PATIENCE", 0.3)
    with ttyd(tmp_path, command=("/bin/sh", "-c", "sleep 0.3; exec sh")) as there:
        async with serve(default=there.address()) as place, place.watch() as ana:
            await ana.live()
            await ana.tell("run", id="r1", command="true")
            await ana.shows(b"unless it is started with -W")


async def test_credential_and_what_is_refused(serve: Serve, opened: Open, tmp_path: Path) -> None:
    """The right credential opens; none, a wrong one, a wrong path and a client too many are one sentence each, and the room goes on."""
    with ttyd(tmp_path, "-W", "-m", "1", "-c", "ana:p+ss") as there:
        async with opened(there.address("?credential=ana:p+ss")) as shell:
            shell.sandbox.write(b"echo up-$((1+1))\r")
            await shell.until(lambda: b"up-2" in shell.output)
            with pytest.raises(SandboxError, match=r"hung up: give its USER:PASSWORD as \?credential=\$\{env:NAME\}"):
                await open_sandbox(there.address("?credential=ana:p+ss"), cols=80, rows=24)
        addresses = {"none": there.address(), "wrong": there.address("?credential=ana:hush")}
        addresses["path"] = there.address("?credential=ana:p+ss").replace("/ws", "/wsx")
        async with serve(**addresses) as place:
            for name in addresses:
                async with place.watch(room=f"r-{name}", query=f"?sandboxId={name}") as ana:
                    reason = (await ana.message("upstream", state="failed"))["reason"]
                    assert "hung up" in reason
                    assert "hush" not in reason
                    assert (await ana.ask("restart"))["ok"] is True


async def test_arguments_are_passed_on(opened: Open, tmp_path: Path) -> None:
    """`arg=` of the address reaches a ttyd that takes arguments (-a), each one."""
    with ttyd(tmp_path, "-W", "-a", command=("/bin/sh", "-c", 'echo "said: $*"; read x', "sh")) as there:
        async with opened(there.address("?arg=one&arg=two")) as shell:
            await shell.until(lambda: b"said: one two" in shell.output)


async def test_killed_ttyd_and_nobody_there(opened: Open, tmp_path: Path) -> None:
    """A ttyd that is killed under an open terminal is told as a lost connection; then nobody answers."""
    with ttyd(tmp_path, "-W") as there:
        async with opened(there.address()) as shell:
            shell.sandbox.write(b"echo up-$((1+1))\r")
            await shell.until(lambda: b"up-2" in shell.output)
            there.process.kill()
            await shell.rest()
            end = await shell.sandbox.wait_exit()
            assert end.code is None
            assert "the connection to ttyd at" in end.reason
        await asyncio.to_thread(there.process.wait, 20)  # one that is still going takes a connection, and hangs up
        with pytest.raises(SandboxError, match=r"no ttyd answers at ttyd\+ws://"):
            await open_sandbox(there.address(), cols=80, rows=24)


async def test_another_websocket_server_is_not_taken_for_ttyd() -> None:
    """A server that does not agree on ttyd's subprotocol is refused by name."""

    async def handle(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with serve(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(SandboxError, match="is not ttyd"):
            await open_sandbox(f"ttyd+ws://127.0.0.1:{port}", cols=80, rows=24)


def test_wrong_addresses_are_one_sentence() -> None:
    """Options are named, and secrets are not repeated."""
    for text, sentence in (
        ("ttyd+ws://", "needs a host: write ttyd+ws://HOST:PORT/PATH"),
        ("ttyd+wss://box/ws?token=hush", "has no option 'token': it has arg, credential"),
    ):
        with pytest.raises(SandboxError) as raised:
            parse_address(text)
        assert sentence in str(raised.value)
        assert "hush" not in str(raised.value)
