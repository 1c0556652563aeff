"""The bundled server: uvicorn with our protocol classes, on one port for HTTP and WebSocket.

HTTP is uvicorn's own h11 protocol with a time limit for request heads; an upgrade becomes a `websocket.Handshake`, and the app may
adopt the socket (`partywidgets.adopt` in the scope's extensions) or talk plain ASGI to it. Everything that touches uvicorn's
internals is in this file.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Generator, Iterable, Mapping, MutableMapping
from errno import EADDRINUSE
from typing import Any, cast

import h11
import uvicorn
from starlette.responses import PlainTextResponse
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from ..auth import Authoriser, Gate, Identity, new_token
from ..exceptions import ConfigError, HostError, PortInUseError
from ..party.grant import OPEN_ROLES, OWNER_ROLES
from ..party.host import PartyHost
from ..party.routing import Alias, BeforeHook
from ..party.wire import Receiver, Wire
from .accepting import Acceptor
from .asgi import ADOPT, ASGIApp, OnError, PartyMiddleware, not_found
from .body import BoundedBody, Pace
from .handshake import Handshake, HandshakeError, bound_silence, check_handshake
from .limits import Limits
from .plain_socket import PlainSocket
from .websocket import WebSocket

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]

logger = logging.getLogger("partywidgets.transport")

GRACE = 5
"""Seconds from the wish to stop until everything is cut."""


PATIENCE = 0.25
"""Seconds that newcomers have to say what they want before one of them goes for the next: a herd that comes back needs a round trip."""


class Entrance:
    """Those of a server who have not said what they want yet. Past `limit`, the one that has been at it longest goes, after `PATIENCE`."""

    def __init__(self, *, limit: int, head_timeout: float) -> None:
        self.limit = limit
        self.head_timeout = head_timeout
        self.waiting: dict[HeadProtocol, asyncio.TimerHandle] = {}
        self.upgrading = 0

    def full(self) -> bool:
        """True while there are as many as may be, and all of them have just come."""
        if len(self.waiting) < self.limit:
            return False
        protocol, timer = next(iter(self.waiting.items()))
        return protocol.loop.time() - (timer.when() - self.head_timeout) < PATIENCE

    def enter(self, protocol: HeadProtocol) -> None:
        """The head's time begins; a second call changes nothing."""
        if protocol in self.waiting:
            return
        if len(self.waiting) >= self.limit:
            oldest = next(iter(self.waiting))
            self.leave(oldest)
            oldest.transport.abort()
        self.waiting[protocol] = protocol.loop.call_later(self.head_timeout, self._late, protocol)

    def leave(self, protocol: HeadProtocol) -> None:
        """The head is complete, or its sender gone."""
        timer = self.waiting.pop(protocol, None)
        if timer is not None:
            timer.cancel()

    def _late(self, protocol: HeadProtocol) -> None:
        self.waiting.pop(protocol, None)
        if not protocol.transport.is_closing():
            protocol.transport.write(b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            protocol.transport.close()


class HeadProtocol(H11Protocol):
    """uvicorn's HTTP protocol with a time limit for request heads, and our way to a WebSocket."""

    entrance: Entrance
    limits: Limits

    def __init__(
        self, config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any], _loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # A line per request would hold what is in the query.
        self.access_log = False
        self._upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.entrance.enter(self)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._upgraded or self.transport.is_closing() or self.conn.their_state is not h11.IDLE:
            self.entrance.leave(self)
        elif self.conn.trailing_data[0]:
            # The beginning of another request on a kept connection.
            self.entrance.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.entrance.leave(self)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Garbage from a client is no error of this server's: whoever was answering it is told that it has left, and nothing is raised."""
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:  # an answer has begun: it ends here
            self.transport.close()

    def _should_upgrade(self) -> bool:
        # Whatever else is asked for by Upgrade is served as plain HTTP, as PartyServer does.
        return self._get_upgrade() == b"websocket"

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._upgraded = True
        self.connections.discard(self)
        self.entrance.leave(self)
        early, _ = self.conn.trailing_data
        try:
            key = check_handshake(event.method.decode("ascii"), event.http_version.decode("ascii"), self.headers)
        except HandshakeError as error:
            self._refuse(error.status, str(error), error.headers)
            return
        if self.entrance.upgrading >= self.entrance.limit:
            self._refuse(503, "Too many handshakes", {"Retry-After": "1"})
            return
        upgrade = Upgrade(key, self, early)
        self.transport.set_protocol(upgrade)
        upgrade.connection_made(self.transport)
        upgrade.begin()

    def _refuse(self, status: int, text: str, headers: dict[str, str]) -> None:
        handshake = Handshake("")
        handshake.connection_made(self.transport)
        response = PlainTextResponse(text, status_code=status, headers=headers)
        handshake.refuse_with(status, response.raw_headers, bytes(response.body))


class Upgrade(Handshake):
    """A handshake that an ASGI app decides about."""

    def __init__(self, key: str, head: HeadProtocol, early: bytes) -> None:
        super().__init__(key, limits=head.limits, early=early, on_open=head.connections.add, on_lost=head.connections.discard)  # type: ignore[arg-type]
        self._head = head
        self._entrance = head.entrance
        self._loop = head.loop
        self._socket: PlainSocket | None = None
        self._denial: tuple[int, list[tuple[bytes, bytes]]] | None = None
        self._denial_body = b""
        self._connected = False
        self._settled = False
        self._gone = asyncio.Event()

    def begin(self) -> None:
        """Runs the app. The task is uvicorn's: cancelled when the server stops and its time is up."""
        head = self._head
        head.connections.add(self)  # type: ignore[arg-type]
        self._entrance.upgrading += 1
        scope = self._scope()
        task = self._loop.create_task(self._run(head.app, scope), name="partywidgets upgrade")
        head.tasks.add(task)
        task.add_done_callback(head.tasks.discard)

    def _scope(self) -> Scope:
        head = self._head
        offers = [
            offer.strip()
            for name, value in head.headers
            if name == b"sec-websocket-protocol"
            for offer in value.decode("latin-1").split(",")
        ]
        scope: dict[str, Any] = dict(head.scope)
        scope.pop("method")
        scope.update(
            type="websocket",
            asgi={**head.scope["asgi"], "spec_version": "2.4"},
            scheme="wss" if head.scheme == "https" else "ws",
            subprotocols=[offer for offer in offers if offer],
            extensions={"websocket.http.response": {}, ADOPT: self.accept},
        )
        return scope

    async def _run(self, app: Any, scope: Scope) -> None:
        code = 1000
        try:
            await app(scope, self._receive, self._send)
        except Exception:
            code = 1011
            logger.exception("the app failed on an upgrade of %s", scope["path"])
        except asyncio.CancelledError:
            # By the server, whose time is up, or by something that the app awaited: nobody answers this peer any more.
            self.abort()
            if self._socket is not None:
                self._socket.wire.abort()
            raise
        finally:
            self._settle()
        if self._socket is not None:
            self._socket.wire.close(code)
        elif not self.answered:
            self.refuse_with(500, [(b"content-type", b"text/plain; charset=utf-8")], b"Internal Server Error")

    def _settle(self) -> None:
        """The handshake is decided: it no longer counts as begun."""
        if not self._settled:
            self._settled = True
            self._entrance.upgrading -= 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._head.connections.discard(self)
        self._gone.set()
        super().connection_lost(exc)

    def accept(self, receiver: Receiver, subprotocol: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> Wire:
        self._head.connections.discard(self)
        self._settle()
        return super().accept(receiver, subprotocol, headers)

    def shutdown(self) -> None:
        """The server stops while the app still decides."""
        self.refuse_with(503, [(b"retry-after", b"1")], b"")

    async def _receive(self) -> Message:
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        if self._socket is not None:
            return await self._socket.receive()
        await self._gone.wait()
        return {"type": "websocket.disconnect", "code": 1006}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if self._socket is not None:
            await self._socket.send(message)
        elif kind == "websocket.accept":
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers", ())]
            self._socket = PlainSocket(self._loop)
            self._socket.wire = self.accept(self._socket, message.get("subprotocol"), headers)
        elif kind == "websocket.close":
            self.refuse_with(403, [], b"")
        elif kind == "websocket.http.response.start":
            self._denial = (message["status"], list(message.get("headers", ())))
        elif kind == "websocket.http.response.body" and self._denial is not None:
            self._denial_body += message.get("body", b"")
            if not message.get("more_body", False):
                self.refuse_with(*self._denial, self._denial_body)
        else:
            raise RuntimeError(f"the app sent {kind!r} before the WebSocket was accepted")


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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for acceptor in self._acceptors:
            acceptor.stop()
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


TOKEN = _FromToken()


def _spare_descriptors() -> int:
    """A quarter of the files that this process may open: whoever has not said anything yet never takes those of the rooms."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if soft == resource.RLIM_INFINITY else max(soft // 4, 16)


def bind_socket(bind: str, port: int) -> socket.socket:
    """A listening socket. Raises PortInUseError, or HostError for an address that this machine does not have."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    try:
        sock = socket.create_server((bind, port), family=family, backlog=2048)
    except OSError as error:
        if error.errno == EADDRINUSE:
            raise PortInUseError(f"the port {port} on {bind} is taken: choose another, 0 takes any free one") from error
        raise HostError(f"{bind}:{port} cannot be listened on ({error.strerror or error}): use an address of this machine") from error
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

    `port` 0 takes any free one; `sock` is a listening socket to use instead of `bind` and `port`.
    `auth` left out: a random bearer token, printed once. None: open, on loopback only. An ASGI app brings its own.
    `prefix` to `props` are PartyMiddleware's, in front of a PartyHost.
    `origins` and `hosts` are allowed beside the server's own address, when the gate is ours. `limits` are those of one peer.
    `head_timeout` (seconds) is the time for a request's head, and for a TLS handshake; `max_handshakes` are begun at once at most, and no
    more than a quarter of this process's open files; `max_body` in bytes.
    A body's pieces come at most `body_timeout` seconds apart, at `body_rate` bytes a second on average once those are over, and all of
    it in `body_deadline` seconds.
    Raises PortInUseError, HostError and ConfigError.
    """
    made = None
    if isinstance(app, PartyHost):
        gate: Authoriser | None
        if isinstance(auth, _FromToken):
            made = new_token()
            auth = Gate(tokens={made: Identity("owner", "owner", OWNER_ROLES)}, origins=origins, hosts=hosts)
        elif auth is None:
            auth = Gate(open_roles=OPEN_ROLES, origins=origins, hosts=hosts)
        gate = auth
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
        gate, asgi = None, app
    listening = sock if sock is not None else bind_socket(bind, port)
    try:
        # asyncio turns Nagle off only where a socket names its protocol; accepted ones inherit it here. Measured: 44 ms less an answer.
        if listening.family in (socket.AF_INET, socket.AF_INET6):
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound_silence(listening)
        bound = listening.getsockname()
        address, number = str(bound[0]), int(bound[1])
        secure = ssl_context is not None
        if isinstance(gate, Gate):
            gate.bind_address(number, address=address, scheme="https" if secure else "http")
        entrance = Entrance(limit=min(max_handshakes, _spare_descriptors()), head_timeout=head_timeout)
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
        started = asyncio.ensure_future(server.listening.wait())
        try:
            await asyncio.wait((task, started), return_when=asyncio.FIRST_COMPLETED)
        finally:
            started.cancel()
        if task.done():
            await task
            raise HostError("the server stopped before it listened: the app's lifespan failed, its error is in the log")
        running = RunningServer(bind=address, port=number, secure=secure, token=made, task=task)
        if made is not None:
            print(f"partywidgets: rooms on {running.url}  token {made}", file=sys.stderr, flush=True)
        elif isinstance(gate, Gate) and gate.open_roles is not None:
            print(
                f"partywidgets: rooms on {running.url} are open to every program and user of this machine, without a token",
                file=sys.stderr,
                flush=True,
            )
        yield running
    finally:
        server.should_exit = True
        try:
            async with asyncio.timeout(GRACE + 1):
                await asyncio.shield(task)
        except TimeoutError:
            task.cancel()
            logger.error("the server did not stop within %d s and was cancelled", GRACE)
        finally:
            listening.close()


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
        timeout_graceful_shutdown=GRACE,
    )


__all__ = ["RunningServer", "serve"]
