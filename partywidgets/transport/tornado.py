"""The rooms below a Jupyter Server: one handler that asks who it is, then hands the request to the room loop.

The order is that of the design: Jupyter's Host check, the Origin (whatever Jupyter's `allow_origin` says), then the credential: a kernel's
secret before Jupyter's login, the login, and at last a ticket, which the app's own gate judges.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import os
import socket
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import ensure_async
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Scope
from tornado import web
from tornado.httputil import url_concat
from tornado.iostream import SSLIOStream

from ..auth import Gate, Identity, is_loopback, login_subject
from ..party.grant import GUEST_ROLES, OPEN_ROLES, OWNER_ROLES, Grant
from .asgi_answer import answer
from .body import DEFAULT_PACE, TOO_SLOW, Pace
from .detached import enter, enter_by_socket
from .handshake import Handshake, HandshakeError, bound_silence, check_handshake
from .tornado_stream import StreamTransport

T = TypeVar("T")

log = logging.getLogger("partywidgets.jupyter")

SETTING = "partywidgets_mount"
RESOURCE = "partywidgets"
BODY_LIMIT = 8 * 1024 * 1024
"""Bytes of a request's body; the app's own limits are lower."""
ANSWER_TIMEOUT = 120.0
HEARTBEAT = "api/ops/heartbeat/"
OPEN_ROUTES = ("healthz", "static/", HEARTBEAT)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class RoomLoop(Protocol):
    """The thread with the room loop, as this handler needs it."""

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Starts a coroutine on the room loop."""


@dataclass
class Mount:
    """What stands behind the handlers.

    `owner` is the name of the server's single user; None: whoever Jupyter logs in is the owner. `secret` is what kernels show.
    `open_reason` is None while Jupyter asks for a login, else why a request without one is refused; empty: it is let in.
    """

    asgi: ASGIApp
    gate: Gate
    loop: RoomLoop
    secret: str = field(repr=False)
    owner: str | None = None
    owners: frozenset[str] = frozenset()
    open_reason: str | None = None
    active: Callable[[], None] = lambda: None
    """Called when somebody comes: Jupyter's idle cullers ask when that was."""
    entrance: Callable[[str], tuple[Mapping[str, str], bytes] | None] = lambda login: None
    """Headers and HTML for a browser that opens the page without a login, whose address it is given; None: it is redirected there."""
    pace: Pace = DEFAULT_PACE

    def is_secret(self, authorization: str) -> bool:
        """True for `Bearer` and the kernels' secret."""
        scheme, _, token = authorization.partition(" ")
        digests = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in (token.strip(), self.secret)]
        return hmac.compare_digest(*digests) and scheme.lower() == "bearer"

    def kernel(self) -> Identity:
        """Who a kernel of this server is."""
        return Identity(self.owner or "owner", "kernel", OWNER_ROLES | {"runner"})

    def person(self, username: str, display_name: str) -> Identity:
        """Who somebody is whom Jupyter logged in."""
        if self.owner is None and not self.owners:
            # A server of one user makes up a new name at every login by token.
            return Identity("owner", display_name or username, OWNER_ROLES)
        roles = OWNER_ROLES if username == self.owner or username in self.owners else GUEST_ROLES
        # Its kernels are the server's user; another who is merely called as they are is somebody else.
        subject = username if username == self.owner else login_subject(username)
        return Identity(subject, display_name or username, roles)


@web.stream_request_body
class RoomsHandler(JupyterHandler):
    """Every route of the design below `<base_url>partywidgets/`."""

    auth_resource = RESOURCE
    identity: Identity | None = None
    _late: asyncio.TimerHandle | None = None
    """Ends a request whose body comes too slowly."""

    @property
    def mount(self) -> Mount:
        """The extension's rooms."""
        mount = self.settings[SETTING]
        assert isinstance(mount, Mount)
        return mount

    async def prepare(self) -> None:  # type: ignore[override]
        """Decides who asks. Not Jupyter's own `prepare`: that one redirects to a login page and lets `allow_origin` decide."""
        self._body = bytearray()
        self.request.connection.set_max_body_size(BODY_LIMIT)  # type: ignore[union-attr]
        self.current_user = self._jupyter_current_user = None
        self.route = self._route()
        if not self.check_host():
            self.refuse(403, "the Host is not a name of this Jupyter Server")
        elif not isinstance(self.settings.get(SETTING), Mount):
            self.refuse(503, "the rooms of this server did not open: its log says why")
        elif self.route.startswith(OPEN_ROUTES):
            pass
        elif not self.mount.gate.allows_origin(HTTPConnection(self._scope("http"))):
            self.refuse(403, "the Origin is not allowed: add it to c.PartyWidgetsApp.origins")
        else:
            await self._authenticate()
        if not self._finished:
            self._kept = self._may_have_body()
            self._seen, self._began = 0, asyncio.get_running_loop().time()
            self._wait_for_body()

    def _may_have_body(self) -> bool:
        """True for whoever shows a credential of some kind. What others send is dropped as it comes: no answer to them looks at it."""
        headers = self.request.headers
        return self.identity is not None or "Authorization" in headers or "ticket=" in self.request.query

    def _wait_for_body(self) -> None:
        loop = asyncio.get_running_loop()
        self._late = loop.call_later(self.mount.pace.left(self._seen, loop.time() - self._began), self._too_slow)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_slow(self) -> None:
        self._late = None
        if not self._finished:
            # Tornado closes a connection that is answered before its body is complete.
            self.refuse(408, TOO_SLOW)

    def on_finish(self) -> None:
        """The request is answered."""
        self._stop_waiting()

    def on_connection_close(self) -> None:
        """The client left."""
        self._stop_waiting()
        super().on_connection_close()

    def _route(self) -> str:
        prefix = f"{self.settings.get('base_url', '/')}partywidgets/"
        path = self.request.path
        return path[len(prefix) :] if path.startswith(prefix) else path.partition("/partywidgets/")[2]

    async def _authenticate(self) -> None:
        if self.mount.is_secret(self.request.headers.get("Authorization", "")):
            self.identity = self.mount.kernel()
            return
        if self.mount.open_reason is not None:
            if self.mount.open_reason:
                self.refuse(403, self.mount.open_reason)
            elif not self._is_local_host():
                self.refuse(403, "without a login the rooms answer to this machine's own names only: open them at http://127.0.0.1")
            elif not self._cross_site():
                self.identity = Identity("anyone", "anyone", OPEN_ROLES)
            return
        user = await ensure_async(self.identity_provider.get_user(self))
        if user is None:
            if self.route == "" and self.request.method == "GET" and "text/html" in self.request.headers.get("Accept", ""):
                await self._to_login()
            elif self.route == "" or (self.route == "hello" and not self._has_token()):
                self.refuse(401, "log in to Jupyter first")
            return
        self.current_user = self._jupyter_current_user = user
        if not self.token_authenticated and self._cross_site():
            return
        self.identity = await self._authorised(self.mount.person(user.username, user.display_name or user.name or ""))
        if self.route == "" and self.request.method == "GET":
            self._give_xsrf_cookie()

    def _give_xsrf_cookie(self) -> str:
        """For what the page will ask: behind a Hub a `fetch` needs it beside the login, which outlives it when the browser is closed."""
        return str(self.xsrf_token)

    def _has_token(self) -> bool:
        """Whether a token of the config comes along, which opens the rooms as a login does: the app's gate knows it."""
        return "Authorization" in self.request.headers and isinstance(self.mount.gate(HTTPConnection(self._scope("http")), None), Grant)

    async def _to_login(self) -> None:
        """Somebody opened the page. The login leads back to this path, which is the server's own."""
        login = url_concat(self.get_login_url(), {"next": self.request.path})
        entrance = await asyncio.to_thread(self.mount.entrance, login)
        self._leave_connection()
        if entrance is None:
            self.redirect(login)
            return
        headers, html = entrance
        for name, value in headers.items():
            self.set_header(name, value)
        self.finish(html)

    def _is_local_host(self) -> bool:
        """True for a Host that no other site's name can be: Jupyter's own check may be off."""
        try:
            name = urlsplit(f"//{self.request.host}").hostname or ""
        except ValueError:
            return False
        # A Unix socket's path stands percent-encoded in the Host, which no name may.
        return is_loopback(name) or name in self.settings.get("local_hostnames", ()) or name.startswith("%2f")

    async def _authorised(self, identity: Identity) -> Identity | None:
        """Jupyter's authorizer may only take away: who may not `execute` looks on, who may not `read` is refused."""
        for action, roles in (("execute", identity.roles), ("read", identity.roles & GUEST_ROLES or GUEST_ROLES)):
            if await ensure_async(self.authorizer.is_authorized(self, self.current_user, action, RESOURCE)):
                return Identity(identity.subject, identity.display_name, frozenset(roles))
        self.refuse(403, f"Jupyter's authorizer does not let {identity.subject} use {RESOURCE}")
        return None

    def _cross_site(self) -> bool:
        """Refuses what another site may have made this browser send, with the login that it holds. True when it did."""
        headers = self.request.headers
        origin_allowed = "Origin" in headers  # one that is not allowed was refused before
        if headers.get("Sec-Fetch-Site") in ("cross-site", "same-site") and not origin_allowed:
            self.refuse(403, "this request comes from another site")
        elif self.request.method not in SAFE_METHODS and not origin_allowed and not self._has_xsrf_token():
            self.refuse(403, "a request with Jupyter's cookie needs an Origin or the X-XSRFToken header")
        return self._finished

    def _has_xsrf_token(self) -> bool:
        try:
            web.RequestHandler.check_xsrf_cookie(self)
        except web.HTTPError:
            return False
        return True

    def _log(self) -> None:
        """Jupyter's line about the request, without the secret of a heartbeat: a job's, before its check is loaded, is a warning there."""
        if self._route().startswith(HEARTBEAT):
            self.request.uri = f"{self.request.path.partition(HEARTBEAT)[0]}{HEARTBEAT}***"
        super()._log()

    def refuse(self, status: int, reason: str) -> None:
        """Ends the request with one sentence."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self._leave_connection()
        self.finish(json.dumps({"error": reason}))

    def _leave_connection(self) -> None:
        """Tornado closes a connection that is answered before its request was read. A proxy that keeps it, such as the Hub's, has to be
        told: it would send the next request there, and answer that with an error of its own."""
        self.set_header("Connection", "close")

    def data_received(self, chunk: bytes) -> None:
        """A part of the body."""
        self._stop_waiting()
        if self._finished:
            return
        self._seen += len(chunk)
        if self._kept:
            self._body += chunk
        self._wait_for_body()

    @allow_unauthenticated  # `prepare` has decided, by rules of its own
    async def serve(self, _: str = "") -> None:
        """Answers a request of any method."""
        self._stop_waiting()
        if self._wants_websocket():
            self._upgrade()
            return
        outcome = self.mount.loop.submit(answer(self.mount.asgi, self._scope("http"), bytes(self._body)))
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                status, headers, body = await asyncio.wrap_future(outcome)
        except TimeoutError:
            self.refuse(504, f"the room did not answer within {ANSWER_TIMEOUT:.0f} s")
            return
        self.set_status(status)
        self.clear_header("Content-Type")
        # Tornado counts a body; of an answer to HEAD only the app knows how long it would be.
        ours = {"transfer-encoding", "connection", "date", "server"} | (set() if self.request.method == "HEAD" else {"content-length"})
        given: set[str] = set()
        for name, value in headers:
            if name not in ours:
                self.add_header(name, value) if name in given or name == "set-cookie" else self.set_header(name, value)
                given.add(name)
        if self.request.method == "HEAD" or status in (204, 304):
            self.finish()
        else:
            self.finish(body)

    def compute_etag(self) -> str | None:
        """An answer has the ETag that its room gave it: Tornado's would be another for HEAD."""
        return None

    get = head = post = put = patch = delete = options = serve

    def _wants_websocket(self) -> bool:
        """True for an upgrade that a proxy in front saw, too: one that Connection does not name is an ordinary request (RFC 9110 §7.8)."""
        headers = self.request.headers
        named = {option.strip().lower() for option in ",".join(headers.get_list("Connection")).split(",")}
        return "upgrade" in named and headers.get("Upgrade", "").lower() == "websocket"

    def _upgrade(self) -> None:
        """Gives the socket itself to the room loop, which answers the handshake: measured at 15 times what `write_message` delivers."""
        scope = self._scope("websocket")
        try:
            check_handshake(self.request.method or "", scope["http_version"], scope["headers"])
        except HandshakeError as error:
            for name, value in error.headers.items():
                self.set_header(name, value)
            self.refuse(error.status, str(error))
            return
        self.mount.active()
        stream = self.detach()
        leftover = bytes(stream._read_buffer)
        if isinstance(stream, SSLIOStream):
            bound_silence(stream.socket)
            bridge = StreamTransport(stream, asyncio.get_running_loop())
            self.mount.loop.submit(enter_by_stream(self.mount.asgi, scope, bridge, leftover))
            return
        taken = socket.socket(fileno=os.dup(int(stream.socket.fileno())))
        # Closes Tornado's descriptor alone: the connection lives on in the other one.
        stream.close()
        self.mount.loop.submit(enter_by_socket(self.mount.asgi, scope, taken, leftover))

    def _scope(self, kind: str) -> Scope:
        request = self.request
        # Jupyter's own credentials end here.
        dropped = {"cookie", "x-xsrftoken"} | ({"authorization"} if self.identity is not None else set())
        return {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": request.version.removeprefix("HTTP/"),
            "method": request.method,
            "scheme": request.protocol if kind == "http" else {"http": "ws", "https": "wss"}[request.protocol],
            "subprotocols": [
                offer.strip() for offer in ",".join(request.headers.get_list("Sec-WebSocket-Protocol")).split(",") if offer.strip()
            ],
            "path": unquote("/" + self.route),
            "raw_path": ("/" + self.route).encode("latin-1"),
            "query_string": request.query.encode("latin-1"),
            "root_path": "",
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in request.headers.get_all()
                if name.lower() not in dropped
            ],
            "client": (request.remote_ip, 0),
            "server": None,
            "state": {},
            "extensions": {},
            **({} if self.identity is None else {"partywidgets.identity": self.identity}),
        }


async def enter_by_stream(asgi: ASGIApp, scope: Scope, bridge: StreamTransport, leftover: bytes) -> None:
    """As `enter_by_socket`, for a socket that Tornado encrypts."""
    key = check_handshake(scope["method"], scope["http_version"], scope["headers"])
    handshake = Handshake(key, early=leftover)
    bridge.start(handshake)
    await enter(asgi, scope, handshake)
