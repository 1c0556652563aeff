"""Rooms below any ASGI app: what hono-party is for Hono.

The order is PartyServer's, with the authoriser before everything that runs code of a room's: prefix, party, CORS preflight, authoriser,
before-hook, room. Under the bundled server (or any that puts `partywidgets.adopt` into the scope's extensions) a socket lives on without
an app task; under another the app loops over receive and send.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..auth import Authoriser, Refusal
from ..exceptions import ConnectionIdError, ConnectionIdTakenError, HostError, RoomNameError, UnknownPartyError
from ..party.failures import Failures
from ..party.grant import OPEN_ROLES, Grant
from ..party.hook import begun, outcome
from ..party.host import PartyHost
from ..party.nobody import Nobody
from ..party.routing import Alias, BeforeHook, Lobby, match
from ..party.wire import Receiver, Wire
from .fields import check_fields
from .notices import Notices
from .plain import serve_plain
from .scope import carries_credential, clean, connection_id_of, is_stripped_handshake, raw_path_of
from .standing import Standing, refused

Refuse = Callable[[Response], Awaitable[None]]
OnError = Callable[[Exception, HTTPConnection], Awaitable[None] | None]

ADOPT = "partywidgets.adopt"
"""The scope extension by which a server lets a room have the socket itself."""

HOOK_TIME = 30.0
"""Seconds that an authoriser or a before-hook may take, as `on_start` by default: one that hung would hold its handshake's place."""

NEVER = frozenset({"CONNECT", "TRACE"})
"""Methods that no room sees: a 200 would open a tunnel for whatever stands in front, and an echo shows it what was sent (RFC 9110 §9.3)."""

STRIPPED = (
    "a WebSocket's handshake came without its Upgrade header, which a proxy in front of this host left out:"
    " let it pass Upgrade and Connection on (nginx: proxy_http_version 1.1 and two lines of proxy_set_header)"
)

CORS_ALL = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Max-Age": "86400",
}


class AcceptSocket(Protocol):
    """Finishes a handshake: sends the 101 and returns the open wire."""

    def __call__(self, receiver: Receiver, subprotocol: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> Wire: ...


class Door:
    """The way into the rooms of a host: authorise, clean, before-hook, room. What stands in front of it differs, this does not."""

    def __init__(
        self,
        host: PartyHost,
        auth: Authoriser | None,
        *,
        on_before_connect: BeforeHook | None = None,
        on_before_request: BeforeHook | None = None,
        on_error: OnError | None = None,
    ) -> None:
        self.host = host
        self.auth = auth
        self.on_error = on_error
        self.on_before_connect = on_before_connect
        self.on_before_request = on_before_request
        self._notices = Notices()
        self._failures: Failures | None = None

    def unknown(self, party: str, room: str) -> Response:
        """The answer for a party that is not there. It tells a stranger nothing; the log tells whose URL it is that must be mended."""
        names = ", ".join(self.host.parties) or "none"
        self._notices.tell(f"somebody asked for room {room[:80]!r} of the party {party[:40]!r}, which is not here: this host has {names}")
        return PlainTextResponse("Invalid request", status_code=400)

    def _refuse(self, error: Exception, lobby: Lobby) -> Response:
        if isinstance(error, HostError):
            self._notices.tell(f"room {lobby.party}/{lobby.room}: refused with 503: {error}")
        return refusal_of(error)

    async def authorise(self, scope: Scope, lobby: Lobby | None) -> Grant | Refusal:
        """Who is there. Without an authoriser everybody is, with the roles of an open host."""
        if self.auth is None:
            return Grant("anyone", "anyone", OPEN_ROLES)
        try:
            async with asyncio.timeout(HOOK_TIME):
                decision: object = await outcome(begun(self.auth, HTTPConnection(scope), lobby))
            if not isinstance(decision, (Grant, Refusal)):
                raise TypeError(f"auth= returned {type(decision).__name__}: return a Grant or a Refusal")
            return decision
        except HTTPException as answer:
            return Refusal(answer.status_code, answer.detail)
        except Exception as error:
            self._failed(error, "the authoriser")
            await self._tell(error, HTTPConnection(clean(scope)))
            return Refusal(500, "Internal Server Error")

    async def before(self, hook: BeforeHook | None, request: HTTPConnection, lobby: Lobby) -> Response | HTTPConnection:
        """What the hook makes of the request: a response, or the request to go on with."""
        if hook is None:
            return request
        try:
            async with asyncio.timeout(HOOK_TIME):
                result: object = await outcome(begun(hook, request, lobby))
            if result is None:
                return request
            if not isinstance(result, (Response, HTTPConnection)):  # False, as a rule, from one who wants to keep somebody out
                what = type(result).__name__
                raise TypeError(f"a before-hook returned {what}: return a Response to answer, a request to go on with, or None")
            return result
        except HTTPException as answer:
            return PlainTextResponse(answer.detail, status_code=answer.status_code, headers=answer.headers)
        except Exception as error:
            await self._tell(error, request)
            log_id = secrets.token_hex(6)
            self._failed(error, f"a before-hook of {lobby.party}", log_id)
            return PlainTextResponse(f"Internal Server Error (log id {log_id})", status_code=500)

    def _hint(self, scope: Scope, hook: str) -> None:
        """A hook answered in a room's place, and may have looked for what no hook is shown, as PartyServer's are."""
        if self.auth is None and carries_credential(scope):
            self._notices.tell(
                f"{hook} answered a request that came with a credential: no hook sees token, ticket, Cookie or Authorization,"
                " read them in auth=, a function of the request and the lobby that returns a Grant or a Refusal"
            )

    async def _tell(self, error: Exception, request: HTTPConnection) -> None:
        if self.on_error is None:
            return
        try:
            async with asyncio.timeout(HOOK_TIME):
                await outcome(begun(self.on_error, error, request))
        except Exception as second:
            self._failed(second, "on_error")

    def _failed(self, error: Exception, what: str, log_id: str | None = None) -> None:
        """Logs what stands in front of the rooms and failed: whoever knocks makes it fail, so not each time with its traceback."""
        loop = asyncio.get_running_loop()
        if self._failures is None or self._failures.loop is not loop:  # an app that lives again, under a test client as a rule
            self._failures = Failures(loop, "the way to the rooms")
        self._failures.tell(error, what, log_id)

    async def connect(self, scope: Scope, lobby: Lobby, *, accept: AcceptSocket, refuse: Refuse, props: Any = None) -> None:
        """Takes an upgrade into its room. Calls one of `accept` and `refuse`, once."""
        decision = await self.authorise(scope, lobby)
        offered = list(scope.get("subprotocols", ()))
        subprotocol = next((own for own in getattr(lobby.server_class, "subprotocols", ()) if own in offered), None)
        if isinstance(decision, Refusal):
            if decision.close_code is None:
                await refuse(PlainTextResponse(decision.reason, status_code=decision.status))
            else:
                # A browser cannot read an HTTP status of an upgrade; a close code it can.
                accept(Nobody(), subprotocol).close(decision.close_code, decision.reason.encode()[:120].decode(errors="ignore"))
            return
        cleaned = clean(scope)
        cleaned["partywidgets.grant"] = decision
        passed = await self.before(self.on_before_connect, HTTPConnection(cleaned), lobby)
        if isinstance(passed, Response):
            self._hint(scope, "on_before_connect")
            await refuse(self._sendable(passed, lobby))
            return
        try:
            await self.host.connect(
                lobby.party,
                lobby.room,
                request=passed,
                grant=decision,
                accept=lambda receiver: accept(receiver, subprotocol),
                connection_id=connection_id_of(passed.scope),
                subprotocol=subprotocol,
                props=props,
            )
        except (UnknownPartyError, RoomNameError, ConnectionIdError, HostError) as error:
            await refuse(self._refuse(error, lobby))

    async def request(self, scope: Scope, receive: Receive, lobby: Lobby, *, props: Any = None) -> Response:
        """The answer to an HTTP request to a room."""
        if is_stripped_handshake(scope):
            # Before who asks matters: the same proxy would answer the right credential the same.
            self._notices.tell(f"room {lobby.party}/{lobby.room[:80]}: {STRIPPED}")
            return PlainTextResponse(STRIPPED, status_code=426, headers={"Upgrade": "websocket"})
        decision = await self.authorise(scope, lobby)
        if isinstance(decision, Refusal):
            headers = {"WWW-Authenticate": "Bearer"} if decision.status == 401 else None
            return PlainTextResponse(decision.reason, status_code=decision.status, headers=headers)
        if scope["method"] in NEVER:
            return PlainTextResponse(f"a room takes no {scope['method']}", status_code=501)
        cleaned = clean(scope)
        cleaned["partywidgets.grant"] = decision
        receive = self._while_it_stands(receive, decision)
        passed = await self.before(self.on_before_request, Request(cleaned, receive), lobby)
        if isinstance(passed, Response):
            self._hint(scope, "on_before_request")
            response = passed
        else:
            request = passed if isinstance(passed, Request) else Request(passed.scope, receive)
            try:
                response = await self.host.request(lobby.party, lobby.room, request=request, grant=decision, props=props)
            except (UnknownPartyError, RoomNameError, HostError) as error:
                return self._refuse(error, lobby)
        if ended := self.host.end_of(decision):
            return refused(ended)
        return Standing(self._sendable(response, lobby), lambda: self.host.end_of(decision))

    def _sendable(self, response: Response, lobby: Lobby) -> Response:
        """An answer of a hook or a room, or a 500 in place of one that cannot be written, whatever server is under it."""
        try:
            check_fields(response.raw_headers)
        except ValueError as error:
            log_id = secrets.token_hex(6)
            self._failed(error, f"an answer of {lobby.party}", log_id)
            return PlainTextResponse(f"Internal Server Error (log id {log_id})", status_code=500)
        return response

    def _while_it_stands(self, receive: Receive, grant: Grant) -> Receive:
        """A body, whose sender decides how long it takes, is at its end for a room when its grant has been ended meanwhile."""

        async def received() -> Message:
            message = await receive()
            return {"type": "http.disconnect"} if self.host.end_of(grant) else message

        return received


def refusal_of(error: Exception) -> Response:
    """An error that a room's door raised, as an HTTP answer."""
    if isinstance(error, HostError):
        return PlainTextResponse("no place for you now: try again later", status_code=503, headers={"Retry-After": "5"})
    if isinstance(error, ConnectionIdTakenError):
        return PlainTextResponse(str(error), status_code=409)
    return PlainTextResponse(str(error) if isinstance(error, ConnectionIdError) else "Invalid request", status_code=400)


class PartyMiddleware:
    """Rooms on `/<prefix>/<party>/<room>` and on `aliases`; everything else goes to `app`: `PartyMiddleware(app, host, auth=gate)`.

    `auth` decides about every request before any hook runs; None lets everybody in with the roles of an open host.
    `cors`: True answers every Origin, a mapping sets exactly its headers, None leaves OPTIONS to the room.
    `on_before_connect` runs for upgrades, `on_before_request` for all else: a response, a changed request, or None to go on.
    `on_error(error, request)` is told what the authoriser or a before-hook raised; the answer is a 500 either way, as it is logged either
    way. What rooms raise goes to their own `on_exception`. `props` reach the `on_start` of rooms that these requests start.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: PartyHost,
        *,
        auth: Authoriser | None,
        prefix: str = "parties",
        cors: bool | Mapping[str, str] | None = None,
        aliases: tuple[Alias, ...] = (),
        on_before_connect: BeforeHook | None = None,
        on_before_request: BeforeHook | None = None,
        on_error: OnError | None = None,
        props: Any = None,
    ) -> None:
        self.app = app
        self.host = host
        self.prefix = prefix.strip("/") or "parties"
        self.aliases = tuple(aliases)
        self.props = props
        self.cors: Mapping[str, str] | None = CORS_ALL if cors is True else None if cors is False else cors
        self.door = Door(host, auth, on_before_connect=on_before_connect, on_before_request=on_before_request, on_error=on_error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal: Response | None = None
        lobby: Lobby | None = None
        try:
            target = match(raw_path_of(scope), prefix=self.prefix, aliases=self.aliases)
            if target is None:
                await self.app(scope, receive, send)
                return
            server_class = self.host.server_class(target.party)
            if server_class is None:
                refusal = self.door.unknown(target.party, target.room)
            else:
                lobby = Lobby(target.party, target.room, server_class)
                scope["partywidgets.rest"] = target.rest
        except RoomNameError as error:
            refusal = PlainTextResponse(str(error), status_code=400)
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send, lobby, refusal)
            return
        if lobby is None:
            assert refusal is not None
            await refusal(scope, receive, send)
            return
        await (await self._http(scope, receive, lobby))(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, lobby: Lobby) -> Response:
        if self.cors is not None and scope["method"] == "OPTIONS":
            response: Response = Response(status_code=200)
        else:
            response = await self.door.request(scope, receive, lobby, props=self.props)
        if self.cors is not None:
            headers = MutableHeaders(raw=response.raw_headers)
            for name, value in self.cors.items():
                headers[name] = value
        return response

    async def _websocket(self, scope: Scope, receive: Receive, send: Send, lobby: Lobby | None, refusal: Response | None) -> None:
        adopt = (scope.get("extensions") or {}).get(ADOPT)
        await receive()  # websocket.connect

        async def refuse(response: Response) -> None:
            await deny(scope, receive, send, response)

        if lobby is None:
            assert refusal is not None
            await refuse(refusal)
        elif adopt is not None:
            await self.door.connect(scope, lobby, accept=adopt, refuse=refuse, props=self.props)
        else:
            await serve_plain(receive, send, lambda accept: self.door.connect(scope, lobby, accept=accept, refuse=refuse, props=self.props))


async def deny(scope: Scope, receive: Receive, send: Send, response: Response) -> None:
    """An HTTP answer to an upgrade; 403 under a server without the `websocket.http.response` extension."""
    if "websocket.http.response" in (scope.get("extensions") or {}):
        await response(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 1008, "reason": ""})


async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
    """What stands behind the rooms when nothing else does."""
    if scope["type"] == "websocket":
        await receive()
        await deny(scope, receive, send, PlainTextResponse("Not Found", status_code=404))
    else:
        await PlainTextResponse("Not Found", status_code=404)(scope, receive, send)


__all__ = ["ADOPT", "Door", "PartyMiddleware", "not_found"]
