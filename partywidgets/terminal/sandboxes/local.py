"""`local:` — a shell of this machine's user on a PTY."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import pwd
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections import deque
from collections.abc import Callable

import psutil

from ...child_environment import hidden_variables
from ...exceptions import SandboxError, SandboxGoneError
from ..shell import local_start
from .base import Address, Exit, MarkSource
from .pty_output import PtyOutput

log = logging.getLogger(__name__)

INPUT_BOUND = 1 << 20
"""Bytes of input that may wait for a process that does not read."""
GRACE = 2.0
"""Seconds between hang-up and kill."""

_SECRET = ("PARTYWIDGETS_", "JUPYTER", "JPY_")
_KERNELS_OWN = ("MPLBACKEND", "PYDEVD_USE_FRAME_EVAL", "CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "PAGER", "GIT_PAGER")
_TAKE_TERMINAL = 'exec 0<>"$1" 1>&0 2>&0; shift; exec "$@"'

# A process that a script started with `&` ignores SIGINT, a kernel does between two cells, and an exec hands that on: Ctrl-C would
# end nothing in such a shell. Popen resets none of them, and sh may not (POSIX: what was ignored on entry stays ignored).
_KEYS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGHUP, signal.SIGTERM)
_HEAR_KEYS = (
    "import os, signal, sys\n"
    f"for number in {[int(number) for number in (*_KEYS, signal.SIGPIPE, signal.SIGXFSZ)]}: signal.signal(number, signal.SIG_DFL)\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
"""A session leader without a terminal gets the first one that it opens as its controlling terminal, on Linux and macOS: no code runs
between fork and exec in our threaded process."""


def clean_environ(environ: dict[str, str]) -> dict[str, str]:
    """An environment for a shell: without our secrets, Jupyter's, those that a config names, and what a kernel sets for itself."""
    hidden = hidden_variables()
    in_kernel = "JPY_PARENT_PID" in environ or "JPY_SESSION_NAME" in environ
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(_SECRET)
        and name not in hidden
        and not (in_kernel and name in _KERNELS_OWN)
        and name not in ("COLUMNS", "LINES")
    }


def user_shell(environ: dict[str, str]) -> str:
    """The user's shell: $SHELL, else the one of the account, else /bin/sh."""
    for shell in (environ.get("SHELL", ""), _account_shell(), "/bin/sh"):
        if shell and os.access(shell, os.X_OK) and not shell.endswith(("/nologin", "/false")):
            return shell
    raise SandboxError("this machine has no shell: neither $SHELL nor /bin/sh can be run; name one with local:/path/to/shell")


def _account_shell() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_shell
    except KeyError:
        return ""


class LocalSandbox:
    """A child on a PTY of which it is the session leader."""

    def __init__(self, process: subprocess.Popen[bytes], master: int, *, marked: bool) -> None:
        self.marks: MarkSource = "shell" if marked else "none"
        self._process, self._master = process, master
        self._loop = asyncio.get_running_loop()
        self._input: deque[bytes] = deque()
        self._input_size = 0
        self._exit: asyncio.Future[Exit] = self._loop.create_future()
        self._output = PtyOutput(master, self._exit)
        self._open = True
        self._writing = False
        self._watch()

    def _watch(self) -> None:
        """Learns of the child's end: by a pidfd where the system has them, else by a thread that waits."""
        opener = getattr(os, "pidfd_open", None)
        if opener is None:
            threading.Thread(target=self._wait_in_thread, name=f"partywidgets-wait-{self._process.pid}", daemon=True).start()
            return
        pidfd = opener(self._process.pid)

        def ended() -> None:
            self._loop.remove_reader(pidfd)
            os.close(pidfd)
            self._ended(self._process.wait())

        self._loop.add_reader(pidfd, ended)

    def _wait_in_thread(self) -> None:
        code = self._process.wait()
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ended, code)

    def _ended(self, code: int) -> None:
        if not self._exit.done():
            if code < 0:
                self._exit.set_result(Exit(128 - code, f"the shell was ended by {_signal_name(-code)}"))
            else:
                self._exit.set_result(Exit(code, f"the shell ended with code {code}"))

    async def read(self) -> bytes:
        """The next output; b"" when the process has ended and everything it wrote was read."""
        return await self._output.read()

    def hand_over(self, take: Callable[[bytes], bool]) -> None:
        """See Prompt."""
        self._output.hand_over(take)

    def write(self, keystrokes: bytes) -> None:
        """Queues input; see Sandbox."""
        if not self._open or self._exit.done():
            raise SandboxGoneError("the shell has ended: restart the terminal")
        if self._input_size + len(keystrokes) > INPUT_BOUND:
            raise SandboxError(f"the program in the terminal has {self._input_size} bytes of input unread: wait, or press Ctrl-C")
        self._input.append(keystrokes)
        self._input_size += len(keystrokes)
        if not self._writing:
            self._push()

    def _push(self) -> None:
        while self._input and self._open:
            keys = self._input.popleft()
            try:
                written = os.write(self._master, keys)
            except BlockingIOError:
                written = 0
            except OSError:
                self._input.clear()
                self._input_size = 0
                break
            self._input_size -= written
            if written < len(keys):
                self._input.appendleft(keys[written:])
                if not self._writing:
                    self._writing = True
                    self._loop.add_writer(self._master, self._push)
                return
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._master)

    async def resize(self, cols: int, rows: int) -> None:
        """Sets the PTY's size; the foreground program gets SIGWINCH."""
        if self._open:
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def pause(self) -> None:
        """Stops reading, so that the program blocks in its write."""
        self._output.pause()

    def resume(self) -> None:
        """Reads on."""
        self._output.resume()

    async def wait_exit(self) -> Exit:
        """How the shell ended."""
        return await asyncio.shield(self._exit)

    async def close(self) -> None:
        """Hangs up, and kills after 2 s: the shell, and a program in its foreground that outlives it because it ignores the hang-up."""
        if not self._open:
            return
        groups = {self._process.pid}
        with contextlib.suppress(OSError):
            groups.add(os.tcgetpgrp(self._master))
        groups.discard(0)  # nobody is in the foreground yet; to `killpg`, 0 is the group of this process
        self._open = False
        if self._writing:
            self._loop.remove_writer(self._master)
        try:
            await self._output.close()
        finally:
            os.close(self._master)
        if self._exit.done():
            return
        _signal(groups, signal.SIGHUP)
        groups = _signal(groups, signal.SIGCONT)
        until = self._loop.time() + GRACE
        await asyncio.wait([self._exit], timeout=GRACE)
        while (groups := _living(groups)) and self._loop.time() < until:
            await asyncio.sleep(0.05)
        if groups:
            _signal(groups, signal.SIGKILL)
            await asyncio.wait([self._exit], timeout=GRACE)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has none
        return f"signal {number}"


def _signal(groups: set[int], number: signal.Signals | None = None) -> set[int]:
    """Sends a signal, None: nothing, to groups of processes; those that are there and ours."""
    there = set()
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number or 0)
            there.add(group)
    return there


def _living(groups: set[int]) -> set[int]:
    """Groups in which a process runs. One that has ended waits for its parent, which in a container may never ask for it."""
    living = set()
    for pid in psutil.pids() if _signal(groups) else ():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.Error):
            if (group := os.getpgid(pid)) in groups and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                living.add(group)
    return living


def _placed(address: Address, environ: dict[str, str]) -> tuple[str, str | None]:
    """Which shell starts, and where."""
    shell = address.target or user_shell(environ)
    if not os.access(shell, os.X_OK) or os.path.isdir(shell):
        raise SandboxError(f"cannot run {shell}: it is not an executable file; give the shell's path, for example local:/bin/bash")
    cwd = os.path.expanduser(address.options.get("cwd", "")) or None
    if cwd is not None and not os.path.isdir(cwd):
        raise SandboxError(f"cannot start the shell in {cwd}: it is not a directory")
    return shell, cwd


async def open_local(address: Address, *, cols: int, rows: int, nonce: str) -> LocalSandbox:
    """Starts a shell. `address.target` is its path, else the user's own; option `cwd` is where it starts. Raises SandboxError."""
    environ = clean_environ(dict(os.environ)) | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    shell, cwd = _placed(address, environ)
    start = local_start(shell, nonce, environ)
    master, slave = os.openpty()
    try:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        os.set_blocking(master, False)
        command = ["/bin/sh", "-c", _TAKE_TERMINAL, "sh", os.ttyname(slave), *start.argv]
        process = await asyncio.to_thread(_spawn, command, environ | start.environ | {"SHELL": shell}, cwd, slave)
    except OSError as error:
        os.close(master)
        raise SandboxError(f"cannot start {shell}: {error.strerror or error}") from error
    except BaseException:
        os.close(master)
        raise
    finally:
        # The child has its own; ours would keep the end of output from showing.
        os.close(slave)
    return LocalSandbox(process, master, marked=start.marked)


def _spawn(command: list[str], environ: dict[str, str], cwd: str | None, slave: int) -> subprocess.Popen[bytes]:
    # A kernel's own handling of SIGINT changes with every message: what holds now says nothing of the moment of the exec.
    if sys.executable and ("ipykernel" in sys.modules or any(signal.getsignal(number) is signal.SIG_IGN for number in _KEYS)):
        command = [sys.executable, "-I", "-S", "-c", _HEAR_KEYS, *command]
    return subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environ, cwd=cwd, start_new_session=True)
