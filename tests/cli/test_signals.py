"""Ctrl-C and SIGTERM: the end of every command that takes time, without a traceback and with the exit code that a shell expects."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect  # type: ignore[import-untyped]
import pytest
from websockets.frames import Opcode

from ..party.serving import frame, upgrade_request
from .conftest import LIMIT

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    """Starts `partywidgets …`, which does not end by itself."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str | Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "partywidgets", *map(str, arguments)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


class Silent:
    """A server that takes connections and says nothing."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.asked = threading.Event()
        self._taken: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                taken, _ = self._listening.accept()
            except OSError:
                return
            self._taken.append(taken)
            self.asked.set()

    def end(self) -> None:
        """Ends it, and its connections."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(LIMIT)
        for sock in (self._listening, *self._taken):
            sock.close()


@pytest.fixture
def silent() -> Iterator[Silent]:
    """It keeps waiting whoever asks it."""
    server = Silent()
    yield server
    server.end()


def interrupted(process: subprocess.Popen[str], number: signal.Signals = signal.SIGINT) -> None:
    """Sends the signal: nothing is said, and the exit code is the shell's for it."""
    process.send_signal(number)
    out, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, out, err) == (128 + number, "", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["scan", "{config}"],
        ["scan", "--json", "{config}"],
        ["plan", "{config}", "--url", "{url}"],
        ["doctor", "--url", "{url}"],
    ],
    ids=" ".join,
)
def test_while_somebody_does_not_answer(start: Start, silent: Silent, tmp_path: Path, arguments: list[str]) -> None:
    """A check's target or a host that hangs."""
    config = tmp_path / "slow.yaml"
    config.write_text(f'checks: [{{id: slow, type: http, url: "{silent.url}", timeout: {LIMIT}s}}]\n')
    process = start(*(argument.format(config=config, url=silent.url) for argument in arguments))
    assert silent.asked.wait(LIMIT)
    interrupted(process)


@pytest.mark.parametrize(
    "arguments",
    [["validate"], ["plan"], ["scan"], ["serve", "--port", "0"], ["audit", "verify"]],
    ids=" ".join,
)
def test_while_a_file_does_not_come(start: Start, tmp_path: Path, arguments: list[str]) -> None:
    """A pipe for a file, as `<(…)` gives, whose other side takes its time."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = start(*arguments, pipe)
    deadline = time.monotonic() + LIMIT
    while True:
        try:
            writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)  # succeeds once it is read
            break
        except OSError:
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
    try:
        interrupted(process)
    finally:
        os.close(writer)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_scan_takes_its_children_along(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    """What an exec check has started ends with the scan, also when a CI server ends it."""
    told = tmp_path / "pid"
    config = tmp_path / "slow.yaml"
    command = f'["sh", "-c", "echo $$ > {told}.new; mv {told}.new {told}; exec sleep 300"]'
    config.write_text(f"checks: [{{id: slow, type: exec, command: {command}, timeout: {LIMIT}s}}]\n")
    process = start("scan", config)
    deadline = time.monotonic() + LIMIT
    while not told.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    interrupted(process, number)
    pid = int(told.read_text())
    while Path(f"/proc/{pid}").exists():  # until somebody has taken its end
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_scan_leaves_the_terminal_as_it_was(environment: dict[str, str], silent: Silent, tmp_path: Path) -> None:
    """The live table hides the cursor; after Ctrl-C it is there again."""
    config = tmp_path / "slow.yaml"
    config.write_text(f'checks: [{{id: slow, type: http, url: "{silent.url}", timeout: {LIMIT}s}}]\n')
    child = pexpect.spawn(
        sys.executable,
        ["-m", "partywidgets", "scan", str(config)],
        env={**environment, "TERM": "xterm-256color"},
        timeout=LIMIT,
        encoding="utf-8",
    )
    child.expect_exact("\x1b[?25l")
    assert silent.asked.wait(LIMIT)
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    assert "\x1b[?25h" in child.before
    assert "Traceback" not in child.before


def test_attach_to_a_host_that_does_not_answer(environment: dict[str, str], silent: Silent) -> None:
    """Ctrl-C ends it while it is not in the room yet."""
    child = pexpect.spawn(
        sys.executable,
        ["-m", "partywidgets", "attach", "w1", "--url", silent.url],
        env={**environment, "TERM": "xterm-256color"},
        timeout=LIMIT,
        encoding="utf-8",
    )
    assert silent.asked.wait(LIMIT)
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    assert child.before.strip() == "^C"


def test_a_second_ctrl_c_ends_serve_at_once(start: Start, tmp_path: Path) -> None:
    """While it waits for a peer that reads nothing; what runs in its terminals ends with it."""
    config, told = tmp_path / "partywidgets.yaml", tmp_path / "pid"
    config.write_text('sandboxes: {default: "local:/bin/sh"}\n')
    process = start("serve", config, "--port", "0", "--no-auth")
    port = port_of(process)
    url = f"http://127.0.0.1:{port}/"
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(upgrade_request(port, "/parties/terminal-server/w"))
        assert peer.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 101"
        peer.sendall(frame(Opcode.TEXT, f"echo $$ > {told}.new; mv {told}.new {told}; exec yes\r".encode()))
        deadline = time.monotonic() + LIMIT
        while not told.exists() or unread(url) == 0:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        while listens(port):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert "Traceback" not in err
    while Path(f"/proc/{int(told.read_text())}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def unread(url: str) -> float:
    """Bytes that peers of terminals have not taken."""
    with urllib.request.urlopen(f"{url}metrics", timeout=LIMIT) as answer:
        found = re.search(r'partywidgets_unread_bytes\{party="terminal-server"\} (\S+)', answer.read().decode())
    assert found is not None
    return float(found[1])


def port_of(process: subprocess.Popen[str]) -> int:
    """Waits until `serve` listens on a port of its own choice, and says which."""
    assert process.stdout is not None
    greeting = "".join(iter(process.stdout.readline, "Ctrl-C stops.\n"))
    found = re.search(r"rooms +http://127\.0\.0\.1:(\d+)/", greeting)
    assert found is not None
    return int(found[1])


def comes(file: Path) -> None:
    """Waits until the file is there."""
    deadline = time.monotonic() + LIMIT
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), LIMIT).close()
    except OSError:
        return False
    return True


def test_a_viewer_that_answers_nothing_and_a_shell_that_takes_no_hang_up(start: Start, tmp_path: Path) -> None:
    """A laptop that sleeps is not waited for so long that the shell stays behind: the end is one in order."""
    config, told = tmp_path / "shell.yaml", tmp_path / "pid"
    config.write_text('sandboxes: {default: "local:/bin/bash"}\n')
    process = start("serve", config, "--no-auth", "--port", "0", "--storage", tmp_path / "state")
    port = port_of(process)
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(upgrade_request(port, "/parties/terminal-server/w"))
        deaf = f"trap '' HUP TERM; echo $$ > {told}.new; mv {told}.new {told}; while :; do sleep 0.2; done\r"
        peer.sendall(frame(Opcode.TEXT, deaf.encode()))
        comes(told)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=LIMIT)
    assert not Path(f"/proc/{int(told.read_text())}").exists()
    assert process.returncode == 0, err


@pytest.fixture
def hanging_resolver(environment: dict[str, str], tmp_path: Path) -> Path:
    """The system looks names up in `.test` for longer than a test lasts; the file is there once it was asked to."""
    folder, asked = tmp_path / "resolver", tmp_path / "asked"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import pathlib, socket, time\n"
        "known = socket.getaddrinfo\n"
        "def look_up(host, *rest, **more):\n"
        "    if str(host).endswith('.test'):\n"
        f"        pathlib.Path({str(asked)!r}).touch()\n"
        "        time.sleep(600)\n"
        "    return known(host, *rest, **more)\n"
        "socket.getaddrinfo = look_up\n"
    )
    (folder / "uvloop.py").write_text("raise ImportError('it asks the system without Python')\n")
    environment["PYTHONPATH"] = str(folder)
    return asked


@pytest.mark.parametrize("who", ["a check", "a sandbox"])
def test_serve_while_the_resolver_does_not_answer(start: Start, hanging_resolver: Path, tmp_path: Path, who: str) -> None:
    """What asked it has given up; the thread in which the system still waits holds nobody up, and the end is one in order."""
    config = tmp_path / "names.yaml"
    checks = "{id: shop, type: tcp, host: shop.test, port: 80, every: 1h, timeout: 1s}" if who == "a check" else ""
    config.write_text(f'checks: [{checks}]\nsandboxes: {{far: "wss://shell.test/ws"}}\n')
    process = start("serve", config, "--no-auth", "--port", "0", "--storage", tmp_path / "state")
    port = port_of(process)
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(upgrade_request(port, "/parties/terminal-server/w?sandboxId=far"))
        comes(hanging_resolver)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, err
    assert "did not stop" not in err


@pytest.mark.usefixtures("hanging_resolver")
def test_a_scan_while_the_resolver_does_not_answer(start: Start, tmp_path: Path) -> None:
    """It comes back once its checks have given up."""
    config = tmp_path / "names.yaml"
    config.write_text("checks: [{id: shop, type: tcp, host: shop.test, port: 80, timeout: 1s}]\n")
    process = start("scan", config)
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 2, err
    assert "nothing within 1s in resolve" in " ".join(out.split())
