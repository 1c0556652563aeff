"""Connecting to a target with each phase timed: resolve, connect, tls."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from ...party.database import MORE_FILES, OUT_OF_FILES, is_out_of_files
from ..model import ErrorClass
from .lookups import Lookups

Family = Literal["any", "ipv4", "ipv6"]
_FAMILIES = {"any": socket.AF_UNSPEC, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}


class DialError(Exception):
    """The target could not be reached: an error class and a sentence."""

    def __init__(self, kind: ErrorClass, message: str) -> None:
        super().__init__(message)
        self.kind: ErrorClass = kind
        self.message = message


@dataclass(slots=True)
class Phases:
    """Milliseconds by phase, in order; a phase entered again (after a redirect) adds up. `current` is the one under way."""

    ms: dict[str, float] = field(default_factory=dict)
    current: str = ""
    _since: float = 0.0

    def enter(self, name: str) -> None:
        """Ends the phase under way and begins the next; the empty name begins none."""
        now = time.perf_counter()
        if self.current:
            self.ms[self.current] = round(self.ms.get(self.current, 0.0) + (now - self._since) * 1000, 3)
        self.current, self._since = name, now


@lru_cache(maxsize=1)
def _resolvers() -> Lookups:
    # Own threads: a resolver that hangs may not stop the others' work on the loop's default executor.
    return Lookups()


def is_address(host: str) -> bool:
    """Whether the host is an IP address."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return True
    return False


async def resolve(host: str, port: int, family: Family = "any") -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    """Addresses of a host in the system's order. Raises DialError of class dns."""
    for kind in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(kind, host)
        except (OSError, ValueError):
            continue
        return [(kind, (host, port))]
    loop = asyncio.get_running_loop()
    try:
        found = await loop.run_in_executor(
            _resolvers(), lambda: socket.getaddrinfo(host, port, family=_FAMILIES[family], type=socket.SOCK_STREAM)
        )
    except (OSError, UnicodeError) as error:
        if is_out_of_files():  # the resolver says of that only that it did not find the name, or what a module of it met
            raise DialError("internal", MORE_FILES) from None
        reason = error.strerror if isinstance(error, OSError) else "no valid name"
        raise DialError("dns", f"{host}: {reason}") from None
    return [(info[0], (str(info[4][0]), int(info[4][1]))) for info in found if info[0] in (socket.AF_INET, socket.AF_INET6)]


def explain(error: OSError, place: str) -> DialError:
    """An operating system's error as class and sentence. `refused` is any network that says no; silence is `timeout`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return DialError("tls", f"{place}: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return DialError("tls", f"{place}: TLS failed: {(error.reason or str(error)).replace('_', ' ').lower()}")
    if isinstance(error, TimeoutError):
        return DialError("timeout", f"{place}: the network gave up")
    if error.errno in OUT_OF_FILES:  # ours, no fault of the target's
        return DialError("internal", MORE_FILES)
    if isinstance(error, ConnectionRefusedError):
        reason = "connection refused"
    elif isinstance(error, ConnectionResetError):
        reason = "connection reset"
    else:
        reason = (error.strerror or str(error) or type(error).__name__).lower()
    return DialError("refused", f"{place}: {reason}")


async def dial(host: str, port: int, phases: Phases, family: Family = "any") -> tuple[socket.socket, str]:
    """A connected non-blocking socket and the address that answered; the addresses are tried in order. Raises DialError."""
    phases.enter("resolve")
    addresses = await resolve(host, port, family)
    phases.enter("connect")
    failure = DialError("dns", f"{host}: no address of family {family}")
    for kind, address in addresses:
        sock = socket.socket(kind, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await _connect(sock, address)
        except OSError as error:
            sock.close()
            failure = explain(error, f"{address[0]}:{port}")
        except BaseException:
            sock.close()
            raise
        else:
            return sock, address[0]
    raise failure


async def _connect(sock: socket.socket, address: tuple[str, int]) -> None:
    """Connects a non-blocking socket to an IP address. Raises OSError."""
    code = sock.connect_ex(address)
    if code == errno.EINPROGRESS:  # on loopback it is over by the time that the first call has returned
        code = sock.connect_ex(address)
    if code in (errno.EINPROGRESS, errno.EALREADY):
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_writer(sock.fileno(), _resolved, ready)
        try:
            await ready
        finally:
            loop.remove_writer(sock.fileno())
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code not in (0, errno.EISCONN):
        raise OSError(code, os.strerror(code))


def _resolved(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


@asynccontextmanager
async def opened(
    sock: socket.socket, context: ssl.SSLContext | None, server_name: str | None, phases: Phases
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Streams over a dialled socket, after the TLS handshake if there is a context; aborted at the end. Raises DialError."""
    if context is not None:
        phases.enter("tls")
    try:
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=context, server_hostname=server_name if context else None, limit=64 * 1024
        )
    except OSError as error:
        sock.close()
        raise explain(error, server_name or "the target") from None
    except BaseException:
        sock.close()
        raise
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


TlsSettings = tuple[bool, str | None, tuple[str, ...]]
"""What `tls_context` is made of."""


@lru_cache(maxsize=64)
def tls_context(verify: bool, ca_file: str | None, alpn: tuple[str, ...]) -> ssl.SSLContext:
    """A client's context, made once: loading the system's certificates costs tens of milliseconds. Raises DialError for a CA file that
    cannot be read."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise DialError("internal", f"the CA file {ca_file} cannot be used: {error.strerror or error}") from None
    # Python 3.13 turned this on: chains of many a house's own CA fail by it that browsers, curl and blackbox_exporter take.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context
