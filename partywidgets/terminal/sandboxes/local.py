"""`local:` — a shell of this machine's user on a PTY."""

from __future__ import annotations

import asyncio
import contextlib
import errno
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

log = logging.getLogger(__name__)

CHUNK = 32 * 1024
MORE_BYTES = 2 * CHUNK
"""What is taken at most while a chunk is passed on. The kernel keeps some 12 KiB of a PTY's output: a program that has to wait for room
stood still for a quarter of the time of a flood with many viewers (`./dev bench terminal`)."""
READ_BYTES = 4096
"""What a Linux PTY gives in one read at most; room for more is only memory that is fetched and given back."""
SILENCE_SECONDS = 0.005
"""What comes behind so much silence is handed over at once: a look for more waits for a worker of the kernel, 30 µs of an echo."""
PIECES_AHEAD = 2
"""Pieces of at most CHUNK that are read before anybody asked for them."""
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

    can_pause = True

    def __init__(self, process: subprocess.Popen[bytes], master: int, *, marked: bool) -> None:
        self.marks: MarkSource = "shell" if marked else "none"
        self._process, self._master = process, master
        self._loop = asyncio.get_running_loop()
        self._input: deque[bytes] = deque()
        self._input_size = 0
        self._readable = asyncio.Event()
        self._pieces: deque[bytes] = deque()
        self._gathered: list[bytes] = []
        """Taken while a flood was passed on, and not handed over yet."""
        self._gathered_size = 0
        self._due = False
        self._listening = self._over = self._awaited = False
        self._came_at = 0.0
        self._take_now: Callable[[bytes], bool] | None = None
        self._failure: Exception | None = None
        self._going = asyncio.Event()
        self._going.set()
        self._exit: asyncio.Future[Exit] = self._loop.create_future()
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
        self._readable.set()

    async def read(self) -> bytes:
        """The next output; b"" when the process has ended and everything it wrote was read."""
        while True:
            await self._going.wait()
            if self._pieces:
                return self._pieces.popleft()
            if self._failure is not None:
                raise self._failure
            if self._over or not self._open:
                await self._exit
                return b""
            if self._exit.done():
                return self._all_gathered() or self._take() or b""
            self._readable.clear()
            self._awaited = True
            self._listen(True)
            try:
                await self._readable.wait()
            finally:
                self._awaited = False

    def hand_over(self, take: Callable[[bytes], bool]) -> None:
        """See Prompt."""
        self._take_now = take

    def _came(self) -> None:
        """Output is there. The reader stays registered between two reads, unless nobody fetches what was read."""
        now = self._loop.time()
        try:
            piece = self._gather(READ_BYTES if now - self._came_at >= SILENCE_SECONDS else CHUNK)
            if piece == b"":
                return
            if piece and self._awaited and not self._pieces and self._take_now is not None and self._take_now(piece):
                self._came_at = now
                return
        except Exception as error:
            self._failure, piece = error, None
        self._came_at = now
        if piece:
            self._pieces.append(piece)
        self._over = piece is None
        if self._over or len(self._pieces) >= PIECES_AHEAD:
            self._listen(False)
        self._readable.set()

    def _gather(self, most: int) -> bytes | None:
        """What is to be handed over now; b"" when nothing is there, None at the end."""
        if self._gathered_size >= CHUNK:
            return self._all_gathered()
        piece = self._take(most)
        return self._all_gathered(piece or b"") or piece

    def _all_gathered(self, piece: bytes = b"") -> bytes:
        """What was gathered, and `piece` behind it."""
        if self._gathered:
            piece = b"".join((*self._gathered, piece))
            self._gathered.clear()
            self._gathered_size = 0
        return piece

    def _hand_over_due(self) -> None:
        self._due = False
        if self._gathered and self._listening:
            self._came()
        elif self._gathered:
            self._pieces.append(self._all_gathered())
            self._readable.set()

    def take_more(self) -> None:
        """See Prompt."""
        if not self._listening or self._gathered_size >= MORE_BYTES:
            return
        try:
            piece = os.read(self._master, READ_BYTES)
        except OSError:  # nothing yet, or its end: the loop hears of both
            return
        if not piece:
            return
        self._gathered.append(piece)
        self._gathered_size += len(piece)
        if not self._due:
            # Nobody tells of what has been read already.
            self._due = True
            self._loop.call_soon(self._hand_over_due)

    def _listen(self, on: bool) -> None:
        if on is self._listening or not self._open:
            return
        self._listening = on
        if on:
            self._loop.add_reader(self._master, self._came)
        else:
            self._loop.remove_reader(self._master)

    def _take(self, most: int = CHUNK) -> bytes | None:
        """What is there, up to `most` bytes and the rest of the read that reaches them; b"" when nothing is yet, None at the end."""
        if not self._open:
            return None
        parts: list[bytes] = []
        size = 0
        while size < most:
            try:
                part = os.read(self._master, READ_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                part = b""
            if not part:
                return b"".join(parts) or None
            if most == READ_BYTES:
                return part
            parts.append(part)
            size += len(part)
        return b"".join(parts)

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
        self._listen(False)
        self._going.clear()

    def resume(self) -> None:
        """Reads on."""
        self._going.set()
        if self._awaited:
            self._listen(True)

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
        self._listen(False)
        self._open = False
        if self._writing:
            self._loop.remove_writer(self._master)
        os.close(self._master)
        self._readable.set()
        self._going.set()
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


async def open_local(address: Address, *, cols: int, rows: int, nonce: str, environ_extra: dict[str, str] | None = None) -> LocalSandbox:
    """Starts a shell. `address.target` is its path, else the user's own; option `cwd` is where it starts. Raises SandboxError."""
    environ = clean_environ(dict(os.environ)) | {"TERM": "xterm-256color", "COLORTERM": "truecolor"} | (environ_extra or {})
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
