"""The routes of an app that are not a room: tickets, configs, sandboxes, terminals, bundles, metrics, and who this host is."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from . import __version__, bundles
from .answer import Answer
from .app import TERMINALS
from .auth import TICKET_LIFETIME, Gate, Refusal, log_refusal
from .config import parse_config
from .exceptions import HostError, PartyError, RoomNameError
from .front_page import HEADERS as FRONT_HEADERS
from .front_page import FrontPage, front_page
from .party import Grant
from .party.grant import TERMINAL_ROLES
from .party.routing import CONTROL, check_room_name
from .terminal import terminal_list
from .terminal.greeting import BY_QUERY
from .terminal.recording_access import unreadable
from .terminal.recording_list import newest
from .terminal.recording_thread import off_loop
from .terminal.sandboxes.opening import parse_address
from .terminal.server import TerminalServer
from .transport.asgi import deny
from .transport.scope import raw_path_of

if TYPE_CHECKING:
    from .app import App

log = logging.getLogger("partywidgets.app")

Handler = Callable[[Request, Grant, str], Awaitable[Response]]

MAX_BODY = 64 * 1024
MAX_CONFIG = 4 << 20
MAX_NAME = 1024
OPEN = ("/healthz", "/hello")
HEARTBEAT = "/api/ops/heartbeat/"
NO_STORE = {"Cache-Control": "no-store"}
FOR_EVER = "public, max-age=31536000, immutable"


class Routes:
    """The ASGI app behind the rooms. Every route but the open ones asks the gate first, on every method."""

    app: App

    def __init__(self, gate: Gate, *, page: FrontPage | None = None) -> None:
        """`page`: there is one at `/`, for people without a notebook."""
        self.gate = gate
        self._page = page
        self._guarded: dict[str, dict[str, Handler]] = {
            "/tickets": {"POST": self._ticket},
            "/metrics": {"GET": self._metrics},
            "/api/ops/config/": {"PUT": self._put_config},
            "/api/sandboxes/": {"PUT": self._put_sandbox},
            "/api/terminals": {"GET": self._terminals},
            "/api/terminals/recordings": {"GET": self._recordings},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "websocket":
            await receive()  # websocket.connect
            await deny(scope, receive, send, _error(404, "there is no room at this path: rooms are at /parties/<party>/<room>"))
        else:
            await (await self._answer(Request(scope, receive)))(scope, receive, send)

    def outermost(self, app: ASGIApp) -> ASGIApp:
        """`app` with CORS for allowed Origins, errors as JSON, and a better word for an unknown party in front of it."""

        async def outermost(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "websocket" and (refusal := self._unknown_party(scope)) is not None:
                await receive()  # websocket.connect
                await deny(scope, receive, send, refusal)
                return
            if scope["type"] != "http" or raw_path_of(scope).startswith("/static/"):
                await app(scope, receive, send)
                return
            request = HTTPConnection(scope)
            if _is_preflight(scope, request):
                await self._preflight(request)(scope, receive, send)
                return
            origin = request.headers.get("origin")
            shared = origin if origin is not None and self.gate.allows_origin(request) else None
            await (self._unknown_party(scope) or app)(
                scope, receive, Answer(send, origin=shared, page=_is_browsed(scope, request), front=self._page is not None)
            )

        return outermost

    def _unknown_party(self, scope: Scope) -> Response | None:
        """The answer to a path of a party that is not here: to those whom the gate lets in, which there are."""
        prefix, party, *room = [*(part for part in raw_path_of(scope).split("/") if part), "", ""][:3]
        if prefix != "parties" or not room or not room[0] or self.app.host.server_class(party) is not None:
            return None
        grant = self.gate(HTTPConnection(scope), None)
        if isinstance(grant, Refusal):
            return _refusal(grant)
        return _error(400, f"there is no party {party[:80]!r} here: it has {' and '.join(self.app.parties)}")

    async def _answer(self, request: Request) -> Response:
        path = raw_path_of(request.scope)
        if path.startswith("/static/"):
            return await asyncio.to_thread(_static, request, path.removeprefix("/static/"))
        if path.startswith(HEARTBEAT):
            return await self._heartbeat(request, path.removeprefix(HEARTBEAT))
        if path == "/" and self._page is not None:
            return _only_get(request) or await self._front_page(request, self._page)
        if path == "/healthz":
            return _only_get(request) or JSONResponse({"status": "ok"}, headers=NO_STORE)
        if path == "/hello":
            return _only_get(request) or self._hello(request)
        for prefix, methods in self._guarded.items():
            if path == prefix or (prefix.endswith("/") and path.startswith(prefix)):
                return await self._guard(request, methods, path[len(prefix) :])
        return _error(404, "there is nothing at this path: rooms are at /parties/<party>/<room>, scans at /api/ops/scans")

    async def _guard(self, request: Request, methods: dict[str, Handler], rest: str) -> Response:
        grant = self.gate(request, None)
        if isinstance(grant, Refusal):
            return _refusal(grant)
        handler = methods.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            return _error(405, f"{request.method} is not for this path: use {', '.join(methods)}", {"Allow": ", ".join(methods)})
        try:
            return await handler(request, grant, rest)
        except _Refused as refused:
            if refused.status in (401, 403):
                log_refusal(request, Refusal(refused.status, str(refused)), grant.subject)
            return _error(refused.status, str(refused))
        except PartyError as error:
            return _error(503 if isinstance(error, HostError) else 400, str(error))

    async def _front_page(self, request: Request, page: FrontPage) -> Response:
        """Code without data, to a Host of ours alone: nobody shall be asked for a token under a stranger's name."""
        refusal = self.gate.refuses_page(request)
        if refusal is not None:
            return _refusal(refusal)
        try:
            html = await asyncio.to_thread(front_page, page, sign_in=self.gate.open_roles is None)
        except HostError as error:
            return _error(503, str(error))
        return Response(html, headers=FRONT_HEADERS)

    def _hello(self, request: Request) -> Response:
        refusal = self.gate.refuses_page(request)
        if refusal is not None:
            return _refusal(refusal)
        return JSONResponse({"host_id": self.app.host.host_id, "version": __version__, "dialects": self._dialects()}, headers=NO_STORE)

    def _dialects(self) -> list[str]:
        """What this host speaks, over all of its rooms."""
        classes = [found for party in self.app.host.parties if (found := self.app.host.server_class(party)) is not None]
        return list(dict.fromkeys([*(name for found in classes for name in found.subprotocols), *BY_QUERY]))

    def _preflight(self, request: HTTPConnection) -> Response:
        refusal = self.gate.refuses_page(request)
        if refusal is not None:
            return _refusal(refusal)
        headers = {
            "Access-Control-Allow-Origin": request.headers["origin"],
            "Access-Control-Allow-Methods": "GET, POST, PUT",
            "Access-Control-Allow-Headers": "Authorization, Content-Type",
            "Access-Control-Max-Age": "600",
            "Vary": "Origin",
        }
        return Response(status_code=204, headers=headers)

    async def _ticket(self, request: Request, grant: Grant, rest: str) -> Response:
        """`{party, room}` → `{ticket, expires_in}`: one handshake by whoever asks."""
        wanted = await _json_object(request)
        self._still_stands(grant)
        party, room = wanted.get("party"), wanted.get("room")
        if not isinstance(party, str) or not isinstance(room, str):
            raise _Refused(400, 'a ticket is for a room: send {"party": "terminal-server", "room": "worker-1"}')
        if self.app.host.server_class(party) is None:
            raise _Refused(404, f"there is no party {party[:80]!r} here")
        try:
            ticket = self.gate.tickets.issue(grant, party=party, room=check_room_name(room))
        except RoomNameError as error:
            raise _Refused(400, str(error)) from None
        return JSONResponse({"ticket": ticket, "expires_in": int(TICKET_LIFETIME)}, headers=NO_STORE)

    async def _put_config(self, request: Request, grant: Grant, rest: str) -> Response:
        """A config as YAML text; its name is the rest of the path, decoded once."""
        _require(grant, "admin", "load a config")
        name = _name(rest, "a config is loaded under its file's path: PUT /api/ops/config/<path>")
        body = await _body(request, MAX_CONFIG)
        self._still_stands(grant)
        try:
            text = body.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise _Refused(400, f"{name}: the config is not UTF-8 text") from None
        # Seconds for thousands of checks: the rooms go on meanwhile.
        config = await asyncio.to_thread(parse_config, text, path=name)
        self._still_stands(grant)
        ignored = await self.app.load(config, actor=grant.display_name)
        log.info("config %r: %d checks loaded by %s", name, len(config.checks), grant.subject)
        loaded = {"name": name, "checks": [check.id for check in config.checks], "sandboxes": sorted(config.sandboxes), "ignored": ignored}
        return JSONResponse({"loaded": loaded}, headers=NO_STORE)

    async def _put_sandbox(self, request: Request, grant: Grant, rest: str) -> Response:
        """`{address}` for a sandbox id."""
        _require(grant, "admin", "map a sandbox")
        sandbox = _name(rest, "a sandbox id stands in the path: PUT /api/sandboxes/<id>")
        if not self.app.owner_addresses:
            raise _Refused(403, "this host takes addresses from its config only: add the sandbox under `sandboxes:` there")
        address = (await _json_object(request)).get("address")
        self._still_stands(grant)
        if not isinstance(address, str):
            raise _Refused(400, 'an address is text: send {"address": "docker:web-1"}')
        parse_address(address)
        self.app.terminals.sandboxes[sandbox] = address
        log.info("sandbox %r mapped by %s", sandbox, grant.subject)
        return JSONResponse({"id": sandbox, "address": address}, headers=NO_STORE)

    async def _terminals(self, request: Request, grant: Grant, rest: str) -> Response:
        """The terminals that are there, and the sandboxes in which the grant may open one. Nothing is opened for it."""
        if grant.terminal_role() is None:
            raise _Refused(403, f"listing terminals needs one of the roles {', '.join(TERMINAL_ROLES)}; this grant has none in terminals")
        # A subclass of ours is a terminal too; a host whose party of that name is another's has none.
        rooms = [room for room in self.app.host.instances(TERMINALS).values() if isinstance(room, TerminalServer)]
        return JSONResponse(terminal_list.answer(rooms, self.app.terminals.sandboxes, grant), headers=NO_STORE)

    async def _recordings(self, request: Request, grant: Grant, rest: str) -> Response:
        """What was recorded in this host's terminals, the newest first; `?room=` of one of them. To whoever may read each of them."""
        if why := unreadable(grant):
            raise _Refused(403, why)
        room = request.query_params.get("room")
        try:
            storage = self.app.host.room_storage(TERMINALS, check_room_name(room or "main"))
        except RoomNameError as error:
            raise _Refused(400, str(error)) from None
        folder = storage.folder("recordings")
        started = self.app.host.instances(TERMINALS).values()
        out_of = frozenset(one.name for one in started if isinstance(one, TerminalServer) and one.ejections.keeps_out(grant.subject))
        recordings, older = await off_loop(lambda: newest(folder if room else folder.parent, room or None, hidden=out_of))
        self._still_stands(grant)
        return JSONResponse({"recordings": recordings, "older": older}, headers=NO_STORE)

    def _still_stands(self, grant: Grant) -> None:
        """After whatever took its time, a body above all, whose sender decides how long: the grant may have been ended meanwhile."""
        if self.gate.tickets.is_revoked(grant.grant_id):
            raise _Refused(401, "the grant was revoked")

    async def _heartbeat(self, request: Request, secret: str) -> Response:
        """A job says that it is alive. The secret is the credential; the answer says nothing but whether it is one."""
        if request.method not in ("GET", "HEAD", "POST"):
            return _error(405, f"{request.method} is not for this path: use GET or POST", {"Allow": "GET, HEAD, POST"})
        if not await self.app.service.beats.hear(secret):
            return _error(404, "no check listens for this heartbeat: see that its config is loaded")
        return Response(status_code=204, headers=NO_STORE)

    async def _metrics(self, request: Request, grant: Grant, rest: str) -> Response:
        """The host's figures, and to whom the ops room would show its rows those of the checks."""
        from .metrics import exposition

        page, media_type = exposition(self.app, request.headers.get("accept", ""), checks=grant.ops_role() is not None)
        return Response(page, media_type=media_type, headers={**NO_STORE, "Vary": "Accept"})


class _Refused(Exception):
    """A request that is answered with a status and one sentence."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def _is_browsed(scope: Scope, request: HTTPConnection) -> bool:
    """Whether a person opened the address: a browser asks for a page by name; programs and `fetch` take anything."""
    return scope["method"] == "GET" and "text/html" in request.headers.get("accept", "")


def _is_preflight(scope: Scope, request: HTTPConnection) -> bool:
    return scope["method"] == "OPTIONS" and "origin" in request.headers and "access-control-request-method" in request.headers


def _only_get(request: Request) -> Response | None:
    if request.method in ("GET", "HEAD"):
        return None
    return _error(405, f"{request.method} is not for this path: use GET", {"Allow": "GET"})


def _static(request: Request, rest: str) -> Response:
    """A bundle. It is public code: any page may import it, and its URL names its content."""
    wrong = _only_get(request)
    if wrong is not None:
        return wrong
    wanted, _, name = rest.partition("/")
    try:
        if wanted != bundles.static_hash():
            raise HostError("this page is of another version of partywidgets: reload it")
        content = bundles.read(name)
    except HostError as error:
        return _error(404, str(error), {"Access-Control-Allow-Origin": "*"})
    headers = {"Cache-Control": FOR_EVER, "Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
    headers["X-Content-Type-Options"] = "nosniff"
    return Response(content, media_type=bundles.media_type(name), headers=headers)


def _require(grant: Grant, role: str, what: str) -> None:
    if not grant.has(role):
        raise _Refused(403, f"only the role {role} may {what}: yours are {', '.join(sorted(grant.roles)) or 'none'}")


def _name(rest: str, remedy: str) -> str:
    try:
        name = unquote_to_bytes(rest).decode("utf-8")
    except UnicodeDecodeError:
        raise _Refused(400, f"the name is not UTF-8: {remedy}") from None
    if not name or len(name) > MAX_NAME or CONTROL.search(name):
        raise _Refused(400, f"the name is empty, longer than {MAX_NAME} characters or holds control characters: {remedy}")
    return name


async def _body(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _Refused(413, f"the body is longer than {limit} bytes: shorten it")
    return bytes(body)


async def _json_object(request: Request) -> dict[str, Any]:
    try:
        value = json.loads(await _body(request, MAX_BODY))
    except (ValueError, RecursionError):
        raise _Refused(400, "the body is not JSON: send an object") from None
    if not isinstance(value, dict):
        raise _Refused(400, f"the body is a JSON {type(value).__name__}: send an object")
    return value


def _error(status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": reason}, status_code=status, headers={**NO_STORE, **(headers or {})})


def _refusal(refusal: Refusal) -> Response:
    return _error(refusal.status, refusal.reason, {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else None)


async def _lifespan(receive: Receive, send: Send) -> None:
    # The app is started by `async with`, not by the server in front of it.
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
