"""The bundled server: uvicorn with our protocol classes, on one port for HTTP and WebSocket.

How requests come in is in `upgrade.py`. Everything that touches the internals of uvicorn's server is in this file.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Generator, Iterable, Mapping
from errno import EACCES, EADDRINUSE
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from ..auth import Authoriser, Gate, Identity, new_token
from ..exceptions import ConfigError, HostError, PortInUseError
from ..party.grant import OPEN_ROLES, OWNER_ROLES
from ..party.host import PartyHost
from ..party.routing import Alias, BeforeHook
from .accepting import Acceptor
from .asgi import OnError, PartyMiddleware, not_found
from .body import BoundedBody, Pace
from .entrance import Entrance, spare_descriptors
from .handshake import Handshake, bound_silence
from .limits import Limits
from .upgrade import HeadProtocol, Upgrade
from .websocket import WebSocket

logger = logging.getLogger("partywidgets.transport")

GRACE = 2.0
"""Seconds from the wish to stop until everything is cut; half a second before, connections are. Behind it the rooms end: a shell that takes
no hang-up needs two seconds of the five that a host has."""


class _Uvicorn(uvicorn.Server):
    """uvicorn's server with our way of accepting and no signal handlers, which says when it listens and cuts whoever stays to the end."""

    def __init__(self, config: uvicorn.Config, entrance: Entrance) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self._entrance = entrance
        self._acceptors: list[Acceptor] = []

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals belong to whoever runs the loop."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        for listening in sockets or ():
            acceptor = Acceptor(
                listening,
                self._protocol,
                ssl_context=self.config.ssl,
                handshake_timeout=self._entrance.head_timeout,
                limit=self._entrance.limit,
                full=self._entrance.full,
            )
            self._acceptors.append(acceptor)
            acceptor.start()
        self.listening.set()

    def _protocol(self) -> asyncio.Protocol:
        make = cast(Any, self.config.http_protocol_class)
        protocol: asyncio.Protocol = make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        return protocol

    def stop_accepting(self) -> None:
        """Takes no more connections; a second call does nothing."""
        for acceptor in self._acceptors:
            acceptor.stop()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.stop_accepting()
        cutting = asyncio.get_running_loop().call_later(GRACE - 0.5, self._cut)
        try:
            await super().shutdown(sockets=sockets)
        finally:
            cutting.cancel()
            self._cut()

    def _cut(self) -> None:
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if isinstance(connection, (WebSocket, Handshake)):
                connection.abort()
            elif transport is not None:
                transport.abort()


class RunningServer:
    """A bundled server that listens: `.port`, `.url`, `.token` (None when it made none), `.serve_forever()`."""

    def __init__(self, *, bind: str, port: int, secure: bool, token: str | None, task: asyncio.Task[None]) -> None:
        self.bind = bind
        self.port = port
        self.token = token
        self._secure = secure
        self._task = task

    @property
    def url(self) -> str:
        """The root of its routes, with a trailing slash."""
        host = (
            "127.0.0.1"
            if self.bind in ("0.0.0.0", "")
            else "[::1]"
            if self.bind == "::"
            else f"[{self.bind}]"
            if ":" in self.bind
            else self.bind
        )
        return f"{'https' if self._secure else 'http'}://{host}:{self.port}/"

    async def serve_forever(self) -> None:
        """Returns when the server has stopped; cancel it to stop."""
        await asyncio.shield(self._task)


class _FromToken:
    """The default of `auth`: a random token, printed once."""

    def __repr__(self) -> str:
        return "<a random token>"  # as `help(serve)` shows it


TOKEN = _FromToken()


def bind_socket(bind: str, port: int) -> socket.socket:
    """A listening socket. Raises PortInUseError, or HostError for an address that this machine does not have."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    try:
        sock = socket.create_server((bind, port), family=family, backlog=2048)
    except OSError as error:
        if error.errno == EADDRINUSE:
            raise PortInUseError(f"the port {port} on {bind} is taken: choose another, 0 takes any free one") from error
        if error.errno == EACCES and port < 1024:
            raise HostError(
                f"{bind}:{port} cannot be listened on ({os.strerror(EACCES)}): ports below 1024 are root's; choose another and put a TLS"
                " proxy in front, or give this process CAP_NET_BIND_SERVICE (in a systemd unit AmbientCapabilities=CAP_NET_BIND_SERVICE)"
            ) from error
        # In asyncio's and socket's own words there is the address once more, as a tuple.
        fault = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror or error
        raise HostError(f"{bind}:{port} cannot be listened on ({fault}): use an address of this machine") from error
    sock.setblocking(False)
    return sock


@contextlib.asynccontextmanager
async def serve(
    app: PartyHost | ASGIApp,
    *,
    bind: str = "127.0.0.1",
    port: int = 8787,
    sock: socket.socket | None = None,
    auth: Authoriser | _FromToken | None = TOKEN,
    prefix: str = "parties",
    cors: bool | Mapping[str, str] | None = None,
    aliases: tuple[Alias, ...] = (),
    on_before_connect: BeforeHook | None = None,
    on_before_request: BeforeHook | None = None,
    on_error: OnError | None = None,
    props: Any = None,
    origins: Iterable[str] = (),
    hosts: Iterable[str] = (),
    ssl_context: ssl.SSLContext | None = None,
    limits: Limits | None = None,
    head_timeout: float = 5.0,
    max_handshakes: int = 1024,
    max_body: int = 8 * 1024 * 1024,
    body_timeout: float = 30.0,
    body_rate: int = 1024,
    body_deadline: float = 300.0,
) -> AsyncIterator[RunningServer]:
    """Serves a host's rooms, or an ASGI app of your own, until the block ends: then everyone is closed with 1012, within 5 s.

        async with serve(host, port=8787) as server:
            await server.serve_forever()

    `port` 0 takes any free one; `sock` is a listening TCP socket to use instead of `bind` and `port`.
    `auth` left out: a random bearer token, printed once. None: open, on loopback only. An ASGI app brings its own.
    `prefix` to `props` are PartyMiddleware's, in front of a PartyHost.
    `origins` and `hosts` are allowed beside the server's own address, when the gate is ours. `limits` are those of one peer.
    `head_timeout` (seconds) is the time for a request's head, and for a TLS handshake; `max_handshakes` are begun at once at most, and no
    more than a quarter of this process's open files; `max_body` in bytes.
    A body's pieces come at most `body_timeout` seconds apart, at `body_rate` bytes a second on average once those are over, and all of
    it in `body_deadline` seconds.
    Raises PortInUseError, HostError and ConfigError.
    """
    made: str | None = None
    gate: Authoriser | None = None
    if isinstance(app, PartyHost):
        gate, made = _authoriser(auth, origins=origins, hosts=hosts)
        asgi: ASGIApp = cast(
            ASGIApp,
            PartyMiddleware(
                not_found,
                app,
                auth=gate,
                prefix=prefix,
                cors=cors,
                aliases=aliases,
                on_before_connect=on_before_connect,
                on_before_request=on_before_request,
                on_error=on_error,
                props=props,
            ),
        )
    else:
        if not isinstance(auth, _FromToken):
            raise ConfigError(
                "serve(auth=) is for a PartyHost: an ASGI app is given its authoriser where it is made, for example PartyMiddleware(auth=)"
            )
        asgi = app
    listening = sock if sock is not None else bind_socket(bind, port)
    try:
        address, number = _prepare(listening)
        secure = ssl_context is not None
        if isinstance(gate, Gate):
            gate.bind_address(number, address=address, scheme="https" if secure else "http")
        entrance = Entrance(limit=min(max_handshakes, spare_descriptors()), head_timeout=head_timeout)
        config = _config(
            asgi,
            limits=limits or Limits(),
            lifespan="off" if isinstance(app, PartyHost) else "auto",
            entrance=entrance,
            max_body=max_body,
            pace=Pace(body_timeout, body_rate, body_deadline),
        )
        config.load()
        config.ssl = ssl_context
    except BaseException:
        listening.close()
        raise
    server = _Uvicorn(config, entrance)
    task = asyncio.get_running_loop().create_task(server.serve(sockets=[listening]), name="partywidgets server")
    try:
        await _listens(server, task)
        running = RunningServer(bind=address, port=number, secure=secure, token=made, task=task)
        _announce(running, gate)
        yield running
    finally:
        await _stop(server, task, listening)


def _prepare(listening: socket.socket) -> tuple[str, int]:
    """Sets what accepted sockets inherit; returns the address and port that it is bound to. Raises ConfigError for a Unix socket."""
    if listening.family not in (socket.AF_INET, socket.AF_INET6):
        raise ConfigError(f"serve(sock=) takes a listening TCP socket, got {listening.family.name}: bind to 127.0.0.1 behind a proxy")
    # asyncio turns Nagle off only where a socket names its protocol. Measured: 44 ms less an answer.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    bound_silence(listening)
    bound = listening.getsockname()
    return str(bound[0]), int(bound[1])


async def _listens(server: _Uvicorn, task: asyncio.Task[None]) -> None:
    """Waits until it listens. Raises HostError when it has ended before that."""
    started = asyncio.ensure_future(server.listening.wait())
    try:
        await asyncio.wait((task, started), return_when=asyncio.FIRST_COMPLETED)
    finally:
        started.cancel()
    if task.done():
        await task
        raise HostError("the server stopped before it listened: the app's lifespan failed, its error is in the log")


async def _stop(server: _Uvicorn, task: asyncio.Task[None], listening: socket.socket) -> None:
    """Closes everyone, within GRACE, and the socket that it listened on."""
    server.should_exit = True
    try:
        async with asyncio.timeout(GRACE + 1):
            await asyncio.shield(task)
    except TimeoutError:
        task.cancel()
        logger.error("the server did not stop within %g s and was cancelled", GRACE)
    finally:
        # Whoever is cancelled in this waits no longer: the server goes on to its end without the socket.
        server.stop_accepting()
        listening.close()


def _authoriser(auth: Authoriser | _FromToken | None, *, origins: Iterable[str], hosts: Iterable[str]) -> tuple[Authoriser, str | None]:
    """Who decides about a host's rooms, and the token that was made for their owner."""
    if isinstance(auth, _FromToken):
        made = new_token()
        return Gate(tokens={made: Identity("owner", "owner", OWNER_ROLES)}, origins=origins, hosts=hosts), made
    return Gate(open_roles=OPEN_ROLES, origins=origins, hosts=hosts) if auth is None else auth, None


def _announce(running: RunningServer, gate: Authoriser | None) -> None:
    """Says once how the rooms are reached, where that is not for the caller to say: with a token made here, or by anybody."""
    if running.token is not None:
        print(f"partywidgets: rooms on {running.url}  token {running.token}", file=sys.stderr, flush=True)
    elif isinstance(gate, Gate) and gate.open_roles is not None:
        print(
            f"partywidgets: rooms on {running.url} are open to every program and user of this machine, without a token",
            file=sys.stderr,
            flush=True,
        )


def _config(app: ASGIApp, *, limits: Limits, lifespan: Any, entrance: Entrance, max_body: int, pace: Pace) -> uvicorn.Config:
    shared, peers = entrance, limits

    class Protocol(HeadProtocol):
        entrance = shared
        limits = peers

    return uvicorn.Config(
        cast(Any, BoundedBody(app, limit=max_body, pace=pace)),
        http=Protocol,
        ws=cast(Any, Upgrade),
        lifespan=lifespan,
        interface="asgi3",
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(GRACE),
    )


__all__ = ["RunningServer", "serve"]
