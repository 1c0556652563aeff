"""`partywidgets attach`, in real terminals on a real host."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pexpect  # type: ignore[import-untyped]
import pytest

import partywidgets
from partywidgets.client.terminal import TerminalClient
from partywidgets.terminal.emulator import Emulator
from tests.ports import kept_port

from .conftest import CONFIG, GUEST, LIMIT, OPERATOR, Run, Serve


@pytest.fixture
def attach(environment: dict[str, str]) -> Iterator[Callable[..., pexpect.spawn]]:
    """Runs `partywidgets attach …` in a terminal of its own."""
    started: list[pexpect.spawn] = []

    def start(*arguments: str | Path, token: str, size: tuple[int, int] = (31, 97)) -> pexpect.spawn:
        environ = {**environment, "PARTYWIDGETS_TOKEN": token, "TERM": "xterm-256color"}
        child = pexpect.spawn(
            sys.executable,
            ["-m", "partywidgets", "attach", *map(str, arguments)],
            env=environ,
            timeout=LIMIT,
            dimensions=size,
            encoding="utf-8",
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.close(force=True)


def drawn(child: pexpect.spawn) -> None:
    """Waits for the room's first screen: what is typed from there on reaches the shell, whether its prompt stands already or not."""
    child.expect_exact("\x1bc")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_attach_leaves_the_terminal_as_it_was(
    serve: Serve, config: Path, attach: Callable[..., pexpect.spawn], number: signal.Signals
) -> None:
    """A signal from elsewhere ends it with the shell's exit code, its own terminal out of raw mode; a typed Ctrl-C is the room's."""
    host = serve(config)
    child = attach("worker-1", "--url", host.url, token=host.token)
    drawn(child)
    # Said by what the Ctrl-C is for, once it has the terminal: one that comes while bash still starts it ends nothing.
    child.send("sh -c 'echo runs-$((1+1)); exec sleep 300'\r")
    child.expect_exact("runs-2")
    child.sendintr()
    child.send("echo here-$((6*7))\r")
    child.expect_exact("here-42")
    child.kill(number)
    child.expect_exact("\x1b[?25h")
    child.expect(pexpect.EOF)
    assert termios.tcgetattr(child.child_fd)[3] & termios.ICANON
    child.close()
    assert child.exitstatus == 128 + number


def test_attach(serve: Serve, config: Path, attach: Callable[..., pexpect.spawn]) -> None:
    """attach is a terminal in the room's shell, of this terminal's size; Ctrl-] leaves and the shell lives on."""
    host = serve(config)
    child = attach("worker-1", "--url", host.url, token=host.token)
    child.expect_exact("attached to worker-1 as moderator; Ctrl-] leaves")
    child.expect_exact("\x1bc")
    child.expect_exact("worker-1 as moderator; Ctrl-] leaves")  # behind the reset, which clears what was above
    child.send("echo size-$(stty size); marker=kept\r")
    child.expect_exact("size-31 97")
    child.setwinsize(40, 100)
    child.send("while [ \"$(stty size)\" != '40 100' ]; do sleep 0.1; done; echo resized-$((6*7))\r")
    child.expect_exact("resized-42")
    child.send("\x1d")
    child.expect_exact("left worker-1; its shell keeps running")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 0
    again = attach("worker-1", "--url", host.url, token=host.token)
    drawn(again)
    again.send("echo $marker-$((6*7))\r")
    again.expect_exact("kept-42")


def test_attach_over_a_restart_of_the_host(serve: Serve, config: Path, attach: Callable[..., pexpect.spawn]) -> None:
    """A lost host is said, and attach comes back when the host does."""
    port = str(kept_port())
    host = serve(config, "--port", port)
    child = attach("worker-1", "--url", host.url, token=host.token)
    drawn(child)
    host.process.send_signal(signal.SIGTERM)
    assert host.process.wait(LIMIT) == 0
    child.expect_exact("connection lost, trying again")
    serve(config, "--port", port)
    child.expect_exact("connected again")
    child.send("echo back-$((6*7))\r")
    child.expect_exact("back-42")


def test_attach_as_an_observer(serve: Serve, config: Path, attach: Callable[..., pexpect.spawn]) -> None:
    """An observer is told so, sees what others do, and types nothing."""
    host = serve(config)

    async def work(child: pexpect.spawn) -> str:
        async with TerminalClient(host.url, "worker-1", token=host.token) as term:
            await term.run("true", timeout=LIMIT)
            await asyncio.to_thread(child.send, "echo intruder\r")
            await term.run("echo shown-$((6*7))", timeout=LIMIT)
            await asyncio.to_thread(child.expect_exact, "shown-42")
            return await term.screen()

    child = attach("worker-1", "--url", host.url, token=GUEST)
    child.expect_exact("as observer, read only; Ctrl-] leaves")
    assert "intruder" not in asyncio.run(work(child))


def test_attach_beside_somebody_who_has_control(serve: Serve, config: Path, attach: Callable[..., pexpect.spawn]) -> None:
    """Who cannot type is told why and asks by Enter; who has control is told who asks; a window that is too small is told of."""
    host = serve(config)

    async def work() -> None:
        async with TerminalClient(host.url, "worker-1", token=host.token, cols=140, rows=40) as term:
            await term.take_control()
            child = await asyncio.to_thread(attach, "worker-1", "--url", host.url, token=OPERATOR)
            await asyncio.to_thread(child.expect, r"has control, what you type is dropped; Enter asks for it")
            await asyncio.to_thread(child.send, "intruder")
            await asyncio.to_thread(child.send, "\r")
            while not term.asking:
                await term.changed()
            await term.refuse_control(term.asking[0][0])
            await asyncio.to_thread(child.expect, "refused: ask again later")
            await term.give_control(next(person.connection for person in term.people if person.name == "Ben"))
            # Their window decides now, and it fits.
            await asyncio.to_thread(child.expect_exact, "worker-1 as operator; Ctrl-] leaves")
            await asyncio.to_thread(child.send, "while [ \"$(stty size)\" != '31 97' ]; do sleep 0.1; done; echo fits-$((6*7))\r")
            await asyncio.to_thread(child.expect_exact, "fits-42")
            asked = asyncio.ensure_future(term.ask_control())
            await asyncio.to_thread(child.expect, "asks for control: leave")
            await asyncio.to_thread(child.send, "\x1d")
            await asked
            assert term.has_control
            assert "intruder" not in await term.screen()

    asyncio.run(asyncio.wait_for(work(), 4 * LIMIT))


def test_attach_in_a_window_that_is_too_small(serve: Serve, config: Path, attach: Callable[..., pexpect.spawn]) -> None:
    """Who only looks on in a smaller window is told whose size it is, and no longer once it fits."""
    host = serve(config)

    async def work() -> None:
        async with TerminalClient(host.url, "worker-1", token=host.token, cols=120, rows=30) as term:
            await term.take_control()
            child = await asyncio.to_thread(attach, "worker-1", "--url", host.url, token=GUEST)
            await asyncio.to_thread(child.expect, r"the screen is 120×30.*: what is around +")
            await asyncio.to_thread(child.setwinsize, 40, 130)
            await asyncio.to_thread(child.expect, r"worker-1 as observer, read only; Ctrl-\] leaves")

    asyncio.run(asyncio.wait_for(work(), 4 * LIMIT))


def test_attach_in_another_window_shows_a_part_of_the_screen(serve: Serve, config: Path, attach: Callable[..., pexpect.spawn]) -> None:
    """A full-screen program in a larger room: the window's cells are the room's, and the whole is there once it fits."""
    host = serve(config)
    window = Emulator(97, 31, scrollback=0)

    async def shows(child: pexpect.spawn, rows: list[str]) -> None:
        def look() -> None:
            # Above them stands the sentence that says whose size it is.
            while window.text().split("\n")[4 : 4 + len(rows)] != rows:
                window.feed(child.read_nonblocking(65536, LIMIT).encode())

        await asyncio.to_thread(look)

    async def work() -> None:
        async with TerminalClient(host.url, "worker-1", token=host.token, cols=160, rows=50) as term:
            await term.take_control()
            await term.run("true", timeout=LIMIT)
            child = await asyncio.to_thread(attach, "worker-1", "--url", host.url, token=GUEST)
            child.delaybeforesend = None
            # The cursor stands at the right end of row 48: seen are columns 64 to 160, and rows 20 to 50.
            rows = "".join(f"{number:02}" + "." * 156 + f"{number:02}" for number in range(48))
            await term.send(f"printf '\\033[2J\\033[H{rows}\\033[48;160H'; sleep 60\r")
            await shows(child, ["." * 95 + f"{number:02}" for number in range(23, 48)])
            await asyncio.to_thread(child.setwinsize, 50, 160)
            window.resize(160, 50)
            await shows(child, [f"{number:02}" + "." * 156 + f"{number:02}" for number in range(4, 48)])

    asyncio.run(asyncio.wait_for(work(), 4 * LIMIT))


def test_attach_in_a_narrow_window(serve: Serve, config: Path, attach: Callable[..., pexpect.spawn]) -> None:
    """What must be known is told whole, in as many lines as it takes."""
    host = serve(config)

    async def work() -> None:
        async with TerminalClient(host.url, "worker-1", token=host.token, cols=40, rows=10) as term:
            await term.take_control()
            child = await asyncio.to_thread(attach, "worker-1", "--url", host.url, token=OPERATOR)
            await asyncio.to_thread(child.setwinsize, 10, 40)
            await asyncio.to_thread(child.expect, r"\x1b\[1;\d+H\x1b\[7m \w+ has control, what you type is +\x1b\[0m")
            await asyncio.to_thread(child.expect, r"\x1b\[2;\d+H\x1b\[7m dropped; Enter asks for it, Ctrl-\] +\x1b\[0m")
            await asyncio.to_thread(child.expect, r"\x1b\[3;\d+H\x1b\[7m leaves +\x1b\[0m")
            await asyncio.to_thread(child.send, "\r")
            # A shorter one stands over all of it.
            await asyncio.to_thread(child.expect, r"you asked \w+ for control; Ctrl-\] +\x1b\[0m\x1b\[2;\d+H\x1b\[7m leaves +\x1b\[0m")
            await asyncio.to_thread(child.expect, r"\x1b\[3;\d+H\x1b\[7m +\x1b\[0m")

    asyncio.run(asyncio.wait_for(work(), 4 * LIMIT))


def test_attach_says_what_was_not_taken(serve: Serve, config: Path, attach: Callable[..., pexpect.spawn]) -> None:
    """More than a program that reads nothing may have waiting is refused in the corner of the screen, not across it."""
    host = serve(config)
    child = attach("worker-1", "--url", host.url, token=host.token)
    drawn(child)
    child.send("stty raw -echo; printf 'reads-%s' nothing; sleep 60\r")
    child.expect_exact("reads-nothing")
    told = "\x1b[7m not taken: the program in the terminal has "

    descriptor = child.child_fd

    def pour() -> None:
        with suppress(OSError):
            for _ in range(1000):
                os.write(descriptor, b"x" * 4000)

    pouring = threading.Thread(target=pour, daemon=True)
    pouring.start()
    child.expect_exact(told)
    assert "terminal worker-1:" not in (child.before or "")
    child.close(force=True)
    pouring.join(LIMIT)


def test_attach_to_a_shell_that_ends(serve: Serve, config: Path, attach: Callable[..., pexpect.spawn]) -> None:
    """When the shell ends, attach ends with its reason and leaves the terminal as it was."""
    host = serve(config)
    child = attach("worker-1", "--url", host.url, token=host.token)
    drawn(child)
    child.send("exit\r")
    child.expect_exact("the terminal of worker-1 ended")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 0


def test_attach_to_a_sandbox_that_cannot_be_opened(
    serve: Serve, config: Path, attach: Callable[..., pexpect.spawn], environment: dict[str, str]
) -> None:
    """Whoever comes reads why there is no shell and has the exit code 1; whoever had one stays, and Enter tries again."""
    environment["DOCKER_HOST"] = f"unix://{config.with_name('no-engine')}"
    port = str(kept_port())
    host = serve(config, "--port", port)
    unknown = attach("worker-2", "--url", host.url, "--sandbox", "nobody-has-this", token=host.token)
    unknown.expect(r"partywidgets: worker-2: no sandbox has the id 'nobody-has-this' \(known: default\)")
    unknown.expect(pexpect.EOF)
    unknown.close()
    assert unknown.exitstatus == 1
    child = attach("worker-1", "--url", host.url, token=host.token)
    drawn(child)
    child.send("echo runs-$((6*7))\r")
    child.expect_exact("runs-42")
    host.process.send_signal(signal.SIGTERM)
    assert host.process.wait(LIMIT) == 0
    config.write_text(CONFIG.replace("local:/bin/bash", "docker:toolbox"))
    serve(config, "--port", port)
    sentence = r"worker-1: .*no-engine.*; Enter tries again"
    child.expect(sentence)
    child.send("\r")
    child.expect(sentence)
    child.send("\x1d")
    child.expect_exact("left worker-1")


def test_attach_where_no_host_is(serve: Serve, config: Path, attach: Callable[..., pexpect.spawn]) -> None:
    """A port at which nobody listens is said at once, with the way to wait for one; with that it comes in when the host is there."""
    port = str(kept_port())
    url = f"http://127.0.0.1:{port}"
    child = attach("worker-1", "--url", url, token="t")
    child.expect_exact(f"partywidgets: no host at {url}: connection refused: is the host running there? (--wait tries until there is one)")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1
    (config.parent / "token").write_text(token := "a-token-that-the-host-will-know")
    waiting = attach("worker-1", "--url", url, "--wait", token=token)
    waiting.expect_exact(f"waiting for {url}: connection refused: is the host running there? (Ctrl-C ends it)")
    serve(config, "--port", port)
    drawn(waiting)
    waiting.send("echo there-$((6*7))\r")
    waiting.expect_exact("there-42")


def test_attach_in_a_terminal_without_a_size(serve: Serve, config: Path, attach: Callable[..., pexpect.spawn]) -> None:
    """A serial line's terminal says 0 columns: it changes nobody's size, and the room's output comes as it is."""
    host = serve(config)
    child = attach("worker-1", "--url", host.url, token=host.token, size=(0, 0))
    drawn(child)
    child.send("echo size-$(stty size)\r")
    child.expect_exact("size-30 120")
    child.setwinsize(31, 97)
    child.send("while [ \"$(stty size)\" != '31 97' ]; do sleep 0.1; done; echo resized-$((6*7))\r")
    child.expect_exact("resized-42")


def test_attach_mistakes(run: Run, serve: Serve, config: Path, attach: Callable[..., pexpect.spawn]) -> None:
    """No terminal, a wrong token, no host: one sentence each."""
    host = serve(config)
    sentence = run("attach", "worker-1", "--url", host.url).sentence
    assert "attach needs a terminal" in sentence
    assert re.search(r"use partywidgets\.(\w+)$", sentence)[1] in partywidgets.__all__  # type: ignore[index]
    child = attach("worker-1", "--url", host.url, token="not-a-token-of-this-host")
    child.expect_exact("refused")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 1
    child = attach("..", "--url", host.url, token=host.token)
    child.expect_exact("no room can be named '..'")
    child.expect(pexpect.EOF)
