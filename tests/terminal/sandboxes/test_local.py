"""Shells of this machine on real PTYs."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from partywidgets.exceptions import SandboxError, SandboxGoneError
from partywidgets.terminal.sandboxes import Prompt, open_sandbox
from partywidgets.terminal.sandboxes.local import INPUT_BOUND, LocalSandbox, clean_environ
from tests.terminal.conftest import shell_path

from .conftest import Open

SHELLS = ["bash", "zsh", "dash"]


@pytest.mark.parametrize("name", SHELLS)
async def test_marks_tell_exit_codes_and_the_folder(opened: Open, name: str) -> None:
    """Each shell marks its prompts with the exit code and the working directory; its terminal is its controlling one."""
    async with opened(f"local:{shell_path(name)}") as shell:
        await shell.prompt()
        assert (await shell.command("(exit 3)"))[0] == 3
        code, output = await shell.command("cd /; tty; test -c /dev/tty && stty -a </dev/tty | head -1")
        assert code == 0
        assert "/dev/pts/" in output or "/dev/tty" in output
        assert "columns 80" in output
        assert [mark.fields[0] for mark in shell.marks if mark.kind == "P"][-1 if name != "dash" else -2] == "Cwd=/"


@pytest.mark.parametrize("name", SHELLS)
async def test_nothing_of_ours_is_in_the_environment(opened: Open, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell gets neither our secrets nor Jupyter's, and what starts it is not handed on to programs; dash's prompt excepted."""
    for secret in ("PARTYWIDGETS_URL", "PARTYWIDGETS_JUPYTER_URL", "JUPYTER_TOKEN", "JUPYTERHUB_API_TOKEN", "JPY_SESSION_NAME"):
        monkeypatch.setenv(secret, "hush")
    async with opened(f"local:{shell_path(name)}") as shell:
        await shell.prompt()
        _, output = await shell.command("env")
        assert "hush" not in output
        assert "__PW_" not in output
        assert "TERM=xterm-256color" in output


@pytest.mark.parametrize("name", SHELLS)
async def test_the_keys_reach_programs_of_a_host_that_ignores_them(opened: Open, name: str) -> None:
    """Where the host itself ignores SIGINT (started with `&`, or a kernel between two cells), Ctrl-C still ends what runs in its shells."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux shows a process's ignored signals in /proc")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        async with opened(f"local:{shell_path(name)}") as shell:
            await shell.prompt()
            _, output = await shell.command("grep SigIgn: /proc/self/status")
            ignored = int(output.rpartition("SigIgn:")[2].split()[0], 16)
            assert [number.name for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP) if ignored >> (number - 1) & 1] == []
    finally:
        signal.signal(signal.SIGINT, before)


async def test_the_users_own_start_file_is_read(opened: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """~/.bashrc counts, its PROMPT_COMMAND and PS1 too, and nothing is written into the home directory."""
    (tmp_path / ".bashrc").write_text("alias greet='echo hello-from-rc'\nPROMPT_COMMAND='MINE=$?; PS1=\"own> \";'\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    async with opened(f"local:{shell_path('bash')}") as shell:
        await shell.prompt()
        assert b"own> " in shell.output
        assert "hello-from-rc" in (await shell.command("greet"))[1]
        await shell.command("(exit 9)")
        assert "mine=9" in (await shell.command("echo mine=$MINE"))[1]
    assert set(os.listdir(tmp_path)) <= {".bash_history", ".bashrc"}


async def test_output_of_a_forged_mark_is_not_one(opened: Open) -> None:
    """A program that prints marks without the nonce marks nothing."""
    async with opened(f"local:{shell_path('bash')}") as shell:
        await shell.prompt()
        code, _ = await shell.command(r"printf '\033]633;D;0\007\033]633;D;0;guess\007'; (exit 4)")
        assert code == 4


async def test_hang_up_then_kill_leaves_no_process(opened: Open) -> None:
    """Closing ends the shell and a foreground program that ignores the hang-up; no zombie stays."""
    async with opened(f"local:{shell_path('bash')}") as shell:
        await shell.prompt()
        shell.sandbox.write(b"sh -c 'trap \"\" HUP TERM; echo pid-$$-; while :; do sleep 0.05; done'\r")
        await shell.until(lambda: shell.output.count(b"pid-") > 1 and b"-\r\n" in shell.output.split(b"pid-")[-1])
        stubborn = psutil.Process(int(shell.output.split(b"pid-")[-1].split(b"-")[0]))
        parent = stubborn.parent()
        assert parent is not None
        assert parent.parent() == psutil.Process()
    async with asyncio.timeout(20):
        while parent.is_running() or not _ended(stubborn):
            await asyncio.sleep(0.01)


async def test_a_program_that_outlives_its_shell_is_ended(opened: Open) -> None:
    """A shell that goes at once leaves what it ran in the foreground, and ignores the hang-up, to nobody: it is killed too."""
    async with opened(f"local:{shell_path('bash')}") as shell:
        await shell.prompt()
        # Job control, and a shell that dies of the hang-up before its program does.
        shell.sandbox.write(b'exec sh -mc \'sh -c "trap \\"\\" HUP TERM; echo pid-\\$\\$-; while :; do sleep 0.05; done"; :\'\r')
        await shell.until(lambda: re.search(rb"pid-(\d+)-\r\n", shell.output))
        found = re.search(rb"pid-(\d+)-\r\n", shell.output)
        assert found is not None
        stubborn = psutil.Process(int(found[1]))
        assert os.getpgid(stubborn.pid) == stubborn.pid
    async with asyncio.timeout(20):
        while not _ended(stubborn):
            await asyncio.sleep(0.01)


def _ended(process: psutil.Process) -> bool:
    """Whether it is gone, or waits for a parent that is not ours to take note of it."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


async def test_closed_before_it_took_its_terminal() -> None:
    """A shell that is closed at once, with nobody in the foreground of its terminal yet, is ended alone: our own group gets no signal."""
    master, slave = os.openpty()
    os.set_blocking(master, False)
    process = await asyncio.to_thread(subprocess.Popen, ["sleep", "1000"], stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    assert os.tcgetpgrp(master) == 0
    ours: list[int] = []
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, ours.append, 1)
    try:
        await LocalSandbox(process, master, marked=False).close()
        # Where the tests' own SIGHUP is ignored, as under nohup, the program's is too, and it is killed 2 s later.
        assert process.returncode in (-signal.SIGHUP, -signal.SIGKILL)
        await asyncio.sleep(0)
        assert not ours
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)


async def test_exit_is_read_behind_all_output(opened: Open) -> None:
    """What a shell printed before it ended is read whole, then the end comes with the code."""
    async with opened(f"local:{shell_path('bash')}") as shell:
        await shell.prompt()
        shell.sandbox.write(b"seq 1 20000; exit 6\r")
        output = await shell.rest()
        assert b"\n20000\r\n" in output
        end = await shell.sandbox.wait_exit()
        assert (end.code, end.reason) == (6, "the shell ended with code 6")
        with pytest.raises(SandboxGoneError):
            shell.sandbox.write(b"x")


async def test_output_is_handed_over_where_it_is_read(opened: Open) -> None:
    """While `read` waits, output goes to whoever asked for it; what that refuses `read` returns, with nothing lost, doubled or moved."""
    async with opened(f"local:{shell_path('bash')}") as shell:
        await shell.prompt()
        sandbox = shell.sandbox
        assert isinstance(sandbox, Prompt)
        seen, taken, refused = bytearray(), 0, 0

        def take(piece: bytes) -> bool:
            nonlocal taken, refused
            if (taken + refused) % 3 == 2:
                refused += 1
                return False
            taken += 1
            seen.extend(piece)
            return True

        sandbox.hand_over(take)
        sandbox.write(b"stty -echo; seq 1 200000; exit\r")
        async with asyncio.timeout(20):
            while piece := await sandbox.read():
                seen += piece
        assert taken
        assert refused
        numbers = b"".join(b"%d\r\n" % number for number in range(1, 200_001))
        assert bytes(seen).count(numbers) == 1


async def test_an_error_of_whoever_takes_output_reaches_the_reader(opened: Open) -> None:
    """What goes wrong with output that is handed over is raised by `read`, whose task owns the shell."""
    async with opened(f"local:{shell_path('bash')}") as shell:
        await shell.prompt()
        assert isinstance(shell.sandbox, Prompt)

        def take(piece: bytes) -> bool:
            raise RuntimeError("no more of it")

        shell.sandbox.hand_over(take)
        shell.sandbox.write(b"x")
        with pytest.raises(RuntimeError, match="no more of it"):
            async with asyncio.timeout(20):
                await shell.sandbox.read()


async def test_a_pause_while_the_reader_waits(opened: Open) -> None:
    """Paused in the middle of a `read`, a shell's output waits in its PTY; that same `read` gets it behind `resume`."""
    async with opened(f"local:{shell_path('bash')}") as shell:
        await shell.prompt()
        reading = asyncio.ensure_future(shell.sandbox.read())
        await asyncio.sleep(0)
        shell.sandbox.pause()
        shell.sandbox.write(b"x")
        done, _ = await asyncio.wait([reading], timeout=0.2)
        assert not done
        shell.sandbox.resume()
        async with asyncio.timeout(20):
            assert b"x" in await reading


async def test_a_background_child_does_not_hold_the_end(opened: Open) -> None:
    """The shell's end is the terminal's end, also while a child that ignores hang-ups keeps the PTY open."""
    async with opened(f"local:{shell_path('bash')}") as shell:
        await shell.prompt()
        shell.sandbox.write(b"(trap '' HUP; sleep 30) & disown; echo child-$!-; exit 2\r")
        output = await shell.rest()
        assert (await shell.sandbox.wait_exit()).code == 2
        os.kill(int(output.split(b"child-")[-1].split(b"-")[0]), 9)


async def test_input_that_nobody_reads_is_bounded(opened: Open) -> None:
    """Past 1 MiB unread, writing is refused with a sentence; the shell lives."""
    async with opened(f"local:{shell_path('bash')}") as shell:
        await shell.prompt()
        shell.sandbox.write(b"stty raw -echo; sleep 1000\r")
        # The kernel's own buffer takes a little first.
        shell.sandbox.write(b"x" * INPUT_BOUND)
        with pytest.raises(SandboxError, match="bytes of input unread"):
            shell.sandbox.write(b"x" * (INPUT_BOUND // 2))


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("local:/no/such/shell", "cannot run /no/such/shell: it is not an executable file"),
        ("local:?cwd=/no/such/folder", "cannot start the shell in /no/such/folder"),
        ("local:?colour=red", "has no option 'colour': it has cwd"),
        ("docker:", "needs a container: write docker:NAME"),
        ("ftp://x", "'ftp' is not a kind of sandbox"),
        ("ws:///path", "needs a host"),
        ("nothing", "'nothing' is not a kind of sandbox"),
        ("k8s:shop/web", "podman:NAME, kubernetes:NAMESPACE/POD, ssh:USER@HOST, "),
    ],
)
async def test_wrong_addresses_are_one_sentence(address: str, sentence: str) -> None:
    """Each mistake in an address names what is wrong and what to write."""
    with pytest.raises(SandboxError, match=r"\A[^\n]*\Z") as raised:
        await open_sandbox(address, cols=80, rows=24)
    assert sentence in str(raised.value)


def test_a_kernels_own_settings_do_not_reach_theshell_path() -> None:
    """What a kernel sets for itself (a dumb pager, colours forced) is left out in a kernel, and kept elsewhere."""
    assert clean_environ({"PAGER": "cat", "JPY_PARENT_PID": "1", "LANG": "C"}) == {"LANG": "C"}
    assert clean_environ({"PAGER": "less", "COLUMNS": "80"}) == {"PAGER": "less"}
