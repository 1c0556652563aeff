"""`ssh:user@host:port` — a shell on another machine. The host's key is verified always; there is no way to turn that off."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import os
import shlex
from pathlib import Path
from typing import Any

from ...exceptions import SandboxError, SandboxGoneError
from ..shell import container_start, quoted
from .base import Address, Exit
from .remote_shell import INPUT_BOUND, RemoteShell

log = logging.getLogger(__name__)

CHUNK = 64 * 1024
OPEN_TIMEOUT = 15.0
"""Seconds until a host has answered and let us in."""
ALIVE_EVERY = 15.0
"""Seconds between two looks whether the host is still there; after three unanswered ones it is not."""
GRACE = 2.0
_CANNOT_RUN = (126, 127)
_NO_DIRECTORY = 125


class SshSandbox(RemoteShell):
    """A remote process with a PTY. What is not read fills SSH's own window (2 MiB), and then the process blocks."""

    def __init__(self, connection: Any, process: Any, place: str, *, cwd: str) -> None:
        super().__init__()
        self._connection, self._process, self._place, self._cwd = connection, process, place, cwd

    async def read(self) -> bytes:
        """The next output; b"" at the end."""
        import asyncssh

        await self._going.wait()
        if self._open:
            try:
                piece: bytes = await self._process.stdout.read(CHUNK)
            except (asyncssh.Error, OSError) as error:
                self._tell_end(Exit(None, f"the connection to {self._place} was lost ({_why(error)}): restart the terminal"))
                return b""
            if piece:
                return piece
            await self._ended()
        return b""

    async def _ended(self) -> None:
        import asyncssh

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
        """Closes channel and connection; the host hangs its shell up."""
        if not self._open:
            return
        self._open = False
        self._going.set()
        self._process.close()
        self._connection.close()
        try:
            async with asyncio.timeout(GRACE):
                await self._connection.wait_closed()
        except TimeoutError:
            self._connection.abort()
        self._tell_end(Exit(None, f"the terminal on {self._place} was closed"))


def _destination(address: Address) -> tuple[str, str, int | None]:
    """User ("" for the default), host and port of an address. Raises SandboxError."""
    user, at, place = address.target.removeprefix("//").rpartition("@")
    if place.startswith("["):
        host, _, rest = place[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        host, _, port = place.partition(":")
    number = int(port) if port.isascii() and port.isdecimal() and len(port) <= 5 else 0
    wrong = not host or (at and not user) or ":" in user or host.startswith("-") or (port and not 1 <= number <= 65535)
    if wrong or not all(character.isprintable() and not character.isspace() for character in host + user):
        raise SandboxError("an ssh: sandbox needs a host: write ssh:USER@HOST or ssh:USER@HOST:PORT, an IPv6 address in brackets")
    return user, host, number or None


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


def _private_key(options: dict[str, str]) -> Any:
    """The key of the options `identity` (a path) or `key` (its text), or () for the agent and the user's own keys. Blocks."""
    import asyncssh

    passphrase = options.get("passphrase")
    try:
        if text := options.get("key"):
            # In a query a plus reads as a blank; a key's own lines have no blanks.
            lines = [line if line.startswith("-") or ":" in line else line.replace(" ", "+") for line in text.strip().split("\n")]
            return [asyncssh.import_private_key("\n".join(lines) + "\n", passphrase)]
        if path := options.get("identity"):
            return [asyncssh.read_private_key(os.path.expanduser(path), passphrase)]
    except OSError as error:
        raise SandboxError(
            f"the SSH key {options['identity']} cannot be read ({error.strerror}): give the path of a private key"
        ) from error
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError) as error:
        what = f"the SSH key {options['identity']}" if options.get("identity") else "the SSH key of the option key"
        remedy = (
            "give its passphrase=, or load it into ssh-agent"
            if "assphrase" in str(error)
            else "give a private key in OpenSSH or PEM format"
        )
        raise SandboxError(f"{what} cannot be used ({_why(error)}): {remedy}") from error
    return ()


def _why(error: BaseException) -> str:
    return (getattr(error, "reason", "") or getattr(error, "strerror", "") or str(error) or type(error).__name__)[:160]


async def open_ssh(address: Address, *, cols: int, rows: int, nonce: str, environ_extra: dict[str, str] | None = None) -> SshSandbox:
    """Opens a shell at `ssh:user@host:port`. Raises SandboxError.

    Options: `identity` (a private key's path) or `key` (its text), with `passphrase`; else ssh-agent, then the user's own keys.
    `known_hosts` (a path, else the user's), `config` (an ssh_config, else ~/.ssh/config; `none`), `shell` (else the account's), `cwd`.
    """
    try:
        import asyncssh  # the SSH protocol: a well-kept implementation on asyncio, with flow control and known_hosts
    except ImportError as error:
        raise SandboxError("an ssh: sandbox needs asyncssh: pip install 'partywidgets[ssh]'") from error
    user, host, port = _destination(address)
    options = address.options
    place = f"{user + '@' if user else ''}{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}"
    login = f"ssh {f'-p {port} ' if port else ''}{shlex.quote(f'{user}@{host}' if user else host)}"
    unknown: list[str] = []

    class Client(asyncssh.SSHClient):
        def validate_host_public_key(self, host: str, addr: str, port: int, key: Any) -> bool:
            unknown.append(f"{key.get_algorithm()} {key.get_fingerprint()}")
            return False

    wanted: dict[str, Any] = {"config": None if options.get("config") == "none" else (options.get("config") or ())}
    if known := options.get("known_hosts", ""):
        known = await asyncio.to_thread(os.path.expanduser, known)
        if not await asyncio.to_thread(Path(known).is_file):
            raise SandboxError(f"there is no known_hosts file {known}: make one with the host's key, or leave the option out")
        wanted["known_hosts"] = known
    try:
        keys = await asyncio.to_thread(_private_key, options)
        wanted |= {"client_factory": Client, "password_auth": False, "kbdint_auth": False}  # nobody is there who could be asked
        wanted |= {"connect_timeout": OPEN_TIMEOUT, "login_timeout": OPEN_TIMEOUT, "keepalive_interval": ALIVE_EVERY}
        wanted |= {name: value for name, value in (("port", port), ("username", user)) if value}
        if keys:
            wanted |= {"client_keys": keys, "agent_path": None}
        settings = await asyncssh.SSHClientConnectionOptions.construct(host=host, **wanted)
        if settings.known_hosts is None:
            # UserKnownHostsFile none in a config would accept every host: then the user's own file counts.
            settings = await asyncssh.SSHClientConnectionOptions.construct(host=host, **wanted, known_hosts=b"")
        async with asyncio.timeout(2 * OPEN_TIMEOUT):
            connection = await asyncssh.connect(host, options=settings)
    except asyncssh.HostKeyNotVerifiable as error:
        if not unknown:
            raise SandboxError(f"the host key of {place} is not accepted ({_why(error)}): ask who runs the host for its key") from error
        raise SandboxError(
            f"the host key of {place} ({unknown[-1]}) is not the one in {known or 'known_hosts'}, or none is there: "
            f"compare it with the host's own, then connect once with `{login}`"
        ) from error
    except asyncssh.PermissionDenied as error:
        raise SandboxError(
            f"{place} refused the login ({'the key was not accepted' if keys else 'no key of the agent or of ~/.ssh was accepted'}): "
            f"add its public key to ~/.ssh/authorized_keys over there, or give another with ?identity=PATH"
        ) from error
    except (TimeoutError, asyncssh.TimeoutError) as error:
        raise SandboxError(f"{place} did not answer SSH in time: is the host up, and its port reachable?") from error
    except OSError as error:
        raise SandboxError(f"no SSH server answers at {place} ({error.strerror or _why(error)}): check host and port") from error
    except asyncssh.ConfigParseError as error:
        raise SandboxError(
            f"the SSH config for {place} cannot be read ({_why(error)}): mend it, or leave it out with ?config=none"
        ) from error
    except (asyncssh.Error, ValueError) as error:
        raise SandboxError(f"SSH to {place} failed ({_why(error)}): try `{login}`") from error
    try:
        async with asyncio.timeout(OPEN_TIMEOUT):
            process = await connection.create_process(
                _remote_command(nonce, options),
                term_type="xterm-256color",
                term_size=(cols, rows),
                encoding=None,
                env=environ_extra or {},
            )
    except (asyncssh.Error, OSError, TimeoutError) as error:
        connection.abort()
        raise SandboxError(f"{place} gives no terminal ({_why(error)}): its sshd must permit a PTY and a command") from error
    except BaseException:
        connection.abort()
        raise
    return SshSandbox(connection, process, place, cwd=options.get("cwd", ""))
