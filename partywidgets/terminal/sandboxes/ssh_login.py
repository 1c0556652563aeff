"""Logging in by SSH: keys, the agent, an ssh_config, host keys and jump hosts. Every host's key is verified, each jump host's too."""

from __future__ import annotations

import asyncio
import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...exceptions import SandboxError
from .base import Address

OPEN_TIMEOUT = 15.0
"""Seconds until a host has answered and let us in."""
CLOSE_TIMEOUT = 2.0
MAX_HOPS = 8
"""Hosts on the way, the last one counted."""


def destination(address: Address) -> tuple[str, str, int | None]:
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
        if "bcrypt" in str(error):
            remedy = "pip install 'partywidgets[ssh]', which brings bcrypt, or load it into ssh-agent"
        elif "assphrase" in str(error):
            remedy = "give its passphrase=, or load it into ssh-agent"
        else:
            remedy = "give a private key in OpenSSH or PEM format"
        raise SandboxError(f"{what} cannot be used ({why(error)}): {remedy}") from error
    return ()


def why(error: BaseException) -> str:
    return (getattr(error, "reason", "") or getattr(error, "strerror", "") or str(error) or type(error).__name__)[:160]


@dataclass(frozen=True, slots=True)
class Hop:
    """A host on the way that let us in, and what people call it."""

    connection: Any
    place: str


async def close_all(hops: list[Hop]) -> None:
    """Closes connections, the farthest first."""
    for hop in reversed(hops):
        hop.connection.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await hop.connection.wait_closed()
        except TimeoutError:
            hop.connection.abort()


@dataclass(frozen=True, slots=True)
class Login:
    """How we log in. The options of an address: `identity` (a private key's path) or `key` (its text), with `passphrase`; else ssh-agent,
    then the user's own keys. `known_hosts` (a path, else the user's), `config` (an ssh_config, else ~/.ssh/config; `none`).
    """

    config: Any = ()
    known_hosts: str = ""
    keys: Any = field(default=(), repr=False)

    @classmethod
    async def of(cls, options: dict[str, str]) -> Login:
        """Raises SandboxError for a file that is not there, and for a key that cannot be used."""
        known = options.get("known_hosts", "")
        if known:
            known = await asyncio.to_thread(os.path.expanduser, known)
            if not await asyncio.to_thread(Path(known).is_file):
                raise SandboxError(f"there is no known_hosts file {known}: make one with the host's key, or leave the option out")
        config = options.get("config", "")
        if config and config != "none":
            config = await asyncio.to_thread(os.path.expanduser, config)
            if not await asyncio.to_thread(Path(config).is_file):
                raise SandboxError(f"there is no SSH config {config}: write one, or leave it out with ?config=none")
        return cls(None if config == "none" else config or (), known, await asyncio.to_thread(_private_key, options))

    async def through(self, host: str, port: int | None, user: str, *, hops_left: int = MAX_HOPS, last: Hop | None = None) -> list[Hop]:
        """Connections to a host and those before it on the way, by the config's ProxyJump. Raises SandboxError."""
        place = _place(host, port, user)
        if hops_left <= 0:
            raise SandboxError(f"the way to {place} has more than {MAX_HOPS} hosts: does a ProxyJump lead in a circle?")
        jumps = [] if last is not None else _jumps((await self._asked(place, host, port, user))[1], place)
        way: list[Hop] = []
        try:
            for number, (jump, jump_port, jump_user) in enumerate(jumps):
                more = hops_left - (len(jumps) - number)
                way += await self.through(jump, jump_port, jump_user, hops_left=more, last=way[-1] if way else None)
            before = way[-1] if way else last
            way.append(Hop(await self._connected(place, host, port, user, before), place))
        except BaseException:
            await close_all(way)
            raise
        return way

    async def _asked(self, place: str, host: str, port: int | None, user: str) -> tuple[dict[str, Any], Any]:
        """What asyncssh is told of a host, and what it makes of that with the config."""
        import asyncssh

        asked: dict[str, Any] = {"config": self.config, "password_auth": False, "kbdint_auth": False}  # nobody is there who could be asked
        asked |= {"connect_timeout": OPEN_TIMEOUT, "login_timeout": OPEN_TIMEOUT}
        asked["keepalive_interval"] = 0  # whatever a config says: a terminal has its own watch
        asked |= {name: value for name, value in (("port", port), ("username", user), ("known_hosts", self.known_hosts)) if value}
        if self.keys:
            asked |= {"client_keys": self.keys, "agent_path": None}
        try:
            settings = await asyncssh.SSHClientConnectionOptions.construct(host=host, **asked)
            if settings.known_hosts is None:
                # UserKnownHostsFile none in a config would accept every host: then the user's own file counts.
                asked["known_hosts"] = b""
        except asyncssh.ConfigParseError as error:
            raise SandboxError(
                f"the SSH config for {place} cannot be read ({why(error)}): fix it, or leave it out with ?config=none"
            ) from error
        except OSError as error:
            raise SandboxError(
                f"a file that the SSH config names for {place} cannot be read ({error.filename}: {error.strerror}): fix the config"
            ) from error
        except (asyncssh.Error, asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError) as error:
            raise SandboxError(f"SSH to {place} failed ({why(error)}): try `{_command(host, port, user)}`") from error
        return asked, settings

    async def _connected(self, place: str, host: str, port: int | None, user: str, before: Hop | None) -> Any:
        import asyncssh

        unknown: list[str] = []
        known: list[str] = []
        asked, settings = await self._asked(place, host, port, user)

        class Client(asyncssh.SSHClient):
            def validate_host_public_key(self, host: str, addr: str, port: int, key: Any) -> bool:
                unknown.append(_shown(key))
                known.extend(_known_keys(asked.get("known_hosts") or settings.known_hosts, host, addr, port))
                return False

        # A tunnel of None: the config's ProxyJump was followed already, each of its hosts verified as this one is.
        tunnel = None if before is None else before.connection
        command = _command(host, port, user)
        via = "" if before is None else f" from {before.place}"
        try:
            async with asyncio.timeout(2 * OPEN_TIMEOUT):
                return await asyncssh.connect(host, client_factory=Client, tunnel=tunnel, **asked)
        except asyncssh.HostKeyNotVerifiable as error:
            if not unknown:
                raise SandboxError(f"the host key of {place} is not accepted ({why(error)}): ask who runs the host for its key") from error
            file = self.known_hosts or "known_hosts"
            if known:
                name = shlex.quote(f"[{host}]:{port}" if port not in (None, 22) else host)
                forget = f"ssh-keygen -R {name}" + (f" -f {shlex.quote(self.known_hosts)}" if self.known_hosts else "")
                raise SandboxError(
                    f"the host key of {place} has changed: it is {unknown[-1]}, and {file} has {known[0]}. Unless the machine was set up "
                    f"anew, somebody may stand in between. If it was: `{forget}`, then `{command}` once"
                ) from error
            raise SandboxError(
                f"the host key of {place} ({unknown[-1]}) is not in {file}: "
                f"compare it with the host's own, then connect once with `{command}`"
            ) from error
        except asyncssh.PermissionDenied as error:
            tried = "the key was not accepted" if self.keys else "no key of the agent or of ~/.ssh was accepted"
            raise SandboxError(
                f"{place} refused the login ({tried}): "
                f"add its public key to ~/.ssh/authorized_keys over there, or give another with ?identity=PATH"
            ) from error
        except (TimeoutError, asyncssh.TimeoutError) as error:
            raise SandboxError(f"{place} did not answer SSH in time{via}: is the host up, and its port reachable?") from error
        except OSError as error:
            raise SandboxError(f"no SSH server answers at {place}{via} ({error.strerror or why(error)}): check host and port") from error
        except asyncssh.ChannelOpenError as error:
            raise SandboxError(
                f"no SSH server answers at {place}{via} ({why(error)}): check host and port, and that it may forward"
            ) from error
        except (asyncssh.Error, ValueError) as error:
            raise SandboxError(f"SSH to {place} failed ({why(error)}): try `{command}`") from error


def _shown(key: Any) -> str:
    return f"{key.get_algorithm()} {key.get_fingerprint()}"


def _known_keys(known_hosts: Any, host: str, addr: str, port: int) -> list[str]:
    """What is known of a host whose key was not accepted: another key. What is known of it without a port counts too."""
    import asyncssh

    try:
        keys, *_ = asyncssh.match_known_hosts(known_hosts or str(Path("~/.ssh/known_hosts").expanduser()), host, addr, port)
    except (OSError, ValueError):
        return []
    return [_shown(key) for key in keys]


def _place(host: str, port: int | None, user: str) -> str:
    return f"{user + '@' if user else ''}{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}"


def _command(host: str, port: int | None, user: str) -> str:
    return f"ssh {f'-p {port} ' if port else ''}{shlex.quote(f'{user}@{host}' if user else host)}"


def _jumps(settings: Any, place: str) -> list[tuple[str, int | None, str]]:
    """Host, port and user of each jump host that a config names, the first one first. Raises SandboxError."""
    named = settings.tunnel if isinstance(settings.tunnel, str) and settings.tunnel.lower() != "none" else ""
    jumps = []
    for part in filter(None, (part.strip().removeprefix("ssh://") for part in named.split(","))):
        try:
            user, host, port = destination(Address("ssh", part))
        except SandboxError as error:
            raise SandboxError(f"the ProxyJump of {place} is not USER@HOST:PORT ({part[:80]!r}): fix the SSH config") from error
        jumps.append((host, port, user))
    return jumps
