"""`ssh:user@host:port` — a shell on another machine. The host's key is verified always; there is no way to turn that off."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from typing import Any

from ...exceptions import SandboxError, SandboxGoneError
from ..shell import container_start, quoted
from .base import Address, Exit
from .remote_shell import INPUT_BOUND, RemoteShell
from .ssh_login import OPEN_TIMEOUT, Hop, Login, close_all, destination, why
from .watch import gone_after

CHUNK = 64 * 1024
GRACE = 2.0
_CANNOT_RUN = (126, 127)
_NO_DIRECTORY = 125


class SshSandbox(RemoteShell):
    """A remote process with a PTY. What is not read fills SSH's own window (2 MiB), and then the process blocks."""

    def __init__(self, hops: list[Hop], process: Any, place: str, *, cwd: str, gone_after: float) -> None:
        super().__init__(place, gone_after)
        self._hops, self._process, self._place, self._cwd = hops, process, place, cwd

    async def read(self) -> bytes:
        """The next output; b"" at the end."""
        import asyncssh

        await self._going.wait()
        if self._open:
            try:
                piece: bytes = await self._process.stdout.read(CHUNK)
            except (asyncssh.Error, OSError) as error:
                self._tell_end(Exit(None, f"the connection to {self._place} was lost ({why(error)}): restart the terminal"))
                return b""
            if piece:
                self._watch.heard()
                return piece
            await self._ended()
        return b""

    async def _ask(self) -> str:
        """OpenSSH's keepalive, which goes through each host on the way. The library's own would end the connection, and not tell before."""
        import asyncssh

        try:
            await self._hops[-1].connection._make_global_request(b"keepalive@openssh.com")
        except asyncssh.Error as error:
            raise ConnectionError(why(error)) from error
        return ""

    def _cut(self) -> None:
        for hop in reversed(self._hops):
            hop.connection.abort()

    async def _ended(self) -> None:
        import asyncssh

        if self._exit.done():
            return
        code: int | None = None
        with contextlib.suppress(TimeoutError, asyncssh.Error, OSError):
            async with asyncio.timeout(GRACE):
                await self._process.wait_closed()
        if self._process.exit_signal:
            reason = f"the shell on {self._place} was ended by signal {self._process.exit_signal[0]}"
        elif (code := self._process.exit_status) is None:
            reason = f"the connection to {self._place} was lost: restart the terminal"
        elif code == _NO_DIRECTORY and self._cwd:
            reason = f"the shell on {self._place} ended with code {code}: is {self._cwd} a directory there?"
        elif code in _CANNOT_RUN:
            reason = f"the shell on {self._place} ended with code {code}: if it never began, name one that is there, ?shell=/path"
        else:
            reason = f"the shell on {self._place} ended with code {code}"
        self._tell_end(Exit(code, reason))

    def write(self, keystrokes: bytes) -> None:
        """Queues input; see Sandbox."""
        if not self._open or self._exit.done() or self._process.stdin.is_closing():
            raise SandboxGoneError("the shell has ended: restart the terminal")
        waiting = self._process.channel.get_write_buffer_size()
        if waiting + len(keystrokes) > INPUT_BOUND:
            raise SandboxError(f"{self._place} has {waiting} bytes of input unread: wait, or press Ctrl-C")
        self._process.stdin.write(keystrokes)

    async def resize(self, cols: int, rows: int) -> None:
        """Sets the remote PTY's size."""
        if self._open and not self._exit.done() and not self._process.is_closing():
            self._process.change_terminal_size(cols, rows)

    async def close(self) -> None:
        """Closes channel and connections; the host hangs its shell up."""
        if not self._open:
            return
        self._open = False
        self._going.set()
        await self._unwatch()
        self._process.close()
        await close_all(self._hops)
        self._tell_end(Exit(None, f"the terminal on {self._place} was closed"))


def _remote_command(nonce: str, options: dict[str, str]) -> str:
    """What the user's login shell over there is asked to run, whichever shell that is: plain words and one base64 string.

    sshd takes few variables from a client, so the shell integration travels in the command itself.
    """
    start = container_start(nonce, "")
    environ = {**start.environ, "__PW_LOGIN": "1", "COLORTERM": "truecolor"}
    lines = [f"export {name}={quoted(value)}" for name, value in environ.items() if name != "__PW_SHELL"]
    shell = options.get("shell", "")
    lines.append(f"export __PW_SHELL={quoted(shell)}" if shell else 'export __PW_SHELL="$SHELL"')
    if cwd := options.get("cwd", ""):
        lines.append(f"cd {quoted(cwd)} || exit {_NO_DIRECTORY}")
    # The script may end in `exec`, which must keep the terminal as its input: it is read into a variable, not from a pipe.
    script = base64.b64encode("\n".join([*lines, start.argv[-1]]).encode()).decode()
    return f"exec /bin/sh -c 'eval \"$(echo {script} | base64 -d)\"'"


async def open_ssh(address: Address, *, cols: int, rows: int, nonce: str) -> SshSandbox:
    """Opens a shell at `ssh:user@host:port`. Raises SandboxError.

    Options: those of `Login`, `shell` (else the account's), `cwd`, `gone_after`.
    """
    try:
        import asyncssh  # the SSH protocol: a well-kept implementation on asyncio, with flow control and known_hosts
    except ImportError as error:
        raise SandboxError("an ssh: sandbox needs asyncssh: pip install 'partywidgets[ssh]'") from error
    user, host, port = destination(address)
    seconds = gone_after(address)
    login = await Login.of(address.options)
    connections = await login.through(host, port, user)
    place, options = connections[-1].place, address.options
    try:
        async with asyncio.timeout(OPEN_TIMEOUT):
            process = await connections[-1].connection.create_process(
                _remote_command(nonce, options),
                term_type="xterm-256color",
                term_size=(cols, rows),
                encoding=None,
            )
    except (asyncssh.Error, OSError, TimeoutError) as error:
        await close_all(connections)
        raise SandboxError(f"{place} gives no terminal ({why(error)}): its sshd must permit a PTY and a command") from error
    except BaseException:
        await close_all(connections)
        raise
    return SshSandbox(connections, process, place, cwd=options.get("cwd", ""), gone_after=seconds)
