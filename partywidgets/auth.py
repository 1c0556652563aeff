"""Who may do what: one authoriser for every HTTP and WebSocket path, deny by default.

The order is fixed: the Host, then the Origin, then the credential. A credential is an identity that our own handlers put into the scope,
a bearer header, or a ticket (as a subprotocol or as `?ticket=`). A token in a URL ends up in logs and histories: it is always refused.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import parse_qsl

from starlette.requests import HTTPConnection

from .exceptions import ConfigError
from .party.grant import ANY, Grant
from .party.routing import Lobby

log = logging.getLogger("partywidgets.auth")

TICKET_SUBPROTOCOL = "partywidgets.ticket."
"""A ticket is offered as `partywidgets.ticket.<ticket>` beside a dialect, and never selected."""

TICKET_LIFETIME = 30.0
"""Seconds in which a fetched ticket must be used."""

RESUME_LIFETIME = 600.0
"""Seconds that a resume ticket outlives its socket."""

REVOKED = 10_000
"""Ended grants that are remembered, the newest: longer than any request that was authorised before them lasts."""

UNAUTHORISED = 4401
"""The close code that tells a client to stop: its ticket is spent, expired or not for this room."""

OWN_SUBJECTS = frozenset({"owner", "anyone"})
"""Whom a host itself lets in: with its own token or from its own kernel, and without a login. Nobody else's name may be one of them."""

LOGIN_PREFIX = "login:"

LOOPBACK_ORIGINS = ("http://localhost", "http://127.0.0.1", "http://[::1]")
"""What a kernel host allows on any port: nothing ambient authenticates there, the ticket decides."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes no further.

    `status` is the HTTP answer. `close_code`, when set, is for an upgrade: the handshake is finished, no room is touched, and the socket
    closes with it, so that a browser can tell "stop" (4401, 4403) from "retry".
    """

    status: int
    reason: str
    close_code: int | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody whom the transport itself authenticated (Jupyter's login).

    Put into the ASGI scope as `partywidgets.identity` by our own handlers only.
    """

    subject: str
    display_name: str
    roles: frozenset[str]


class Authoriser(Protocol):
    """Runs before any hook on every path. `lobby` is None for routes that are not a room."""

    def __call__(self, request: HTTPConnection, lobby: Lobby | None) -> Grant | Refusal | Awaitable[Grant | Refusal]: ...


@dataclass(slots=True)
class _Ticket:
    grant: Grant
    party: str
    room: str
    expires_at: float | None  # of the book's clock; None while the socket of a resume ticket is open


class TicketBook:
    """Single-use tickets: 30 s when fetched, 10 minutes past its socket when a resume ticket.

    Holds at most `limit` tickets; when it is full the expired ones go, then the oldest of the subject that holds the most, so that nobody
    pushes out another's. Tickets are kept as digests, so neither a lookup's time nor a memory dump tells one. Any thread may call it: a
    Jupyter host redeems on the server's loop and issues on the room loop.
    """

    def __init__(self, *, limit: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._tickets: dict[bytes, _Ticket] = {}
        self._held: dict[str, dict[bytes, None]] = {}  # by subject, the oldest first
        self._revoked: dict[str, None] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._tickets)

    def issue(self, grant: Grant, *, party: str, room: str, lifetime: float = TICKET_LIFETIME) -> str:
        """A ticket for one handshake by `grant` into one room, valid for `lifetime` seconds."""
        return self._add(_Ticket(grant, party, room, self._clock() + lifetime))

    def issue_resume(self, grant: Grant, *, party: str, room: str) -> str:
        """A single-use ticket that lives while its socket is open and 10 minutes after (`release`)."""
        return self._add(_Ticket(grant, party, room, None))

    def release(self, ticket: str) -> None:
        """The socket of a resume ticket closed: its 10 minutes begin. A ticket that is spent or unknown is no error."""
        with self._lock:
            found = self._tickets.get(_digest(ticket))
            if found is not None and found.expires_at is None:
                found.expires_at = self._clock() + RESUME_LIFETIME

    def redeem(self, ticket: str, *, party: str, room: str) -> Grant | None:
        """The grant, once; None when the ticket is unknown, spent, expired or for another room.

        A try at another room spends the ticket too. The grant is narrowed to the room and keeps its `grant_id`.
        """
        with self._lock:
            found = self._drop(_digest(ticket))
        if found is None or (found.party, found.room) != (party, room):
            return None
        if self._expired(found):
            return None
        return replace(found.grant, party=party, room=room)

    def is_revoked(self, grant_id: str) -> bool:
        """True for a grant that was ended: what was authorised before and asks only now (a body that came slowly) gets nothing."""
        return grant_id in self._revoked

    def revoke(self, grant_id: str) -> int:
        """Drops every ticket that stands on a grant, and keeps none for it from now on; returns how many were dropped."""
        with self._lock:
            self._revoked[grant_id] = None
            if len(self._revoked) > REVOKED:
                del self._revoked[next(iter(self._revoked))]
            doomed = [digest for digest, ticket in self._tickets.items() if ticket.grant.grant_id == grant_id]
            for digest in doomed:
                self._drop(digest)
        return len(doomed)

    def _add(self, entry: _Ticket) -> str:
        if not entry.grant.covers(entry.party, entry.room):
            raise ValueError(f"the grant is not for {entry.party}/{entry.room}")
        ticket = secrets.token_urlsafe(24)
        with self._lock:
            if entry.grant.grant_id in self._revoked:
                return ticket  # opens nothing
            if len(self._tickets) >= self._limit:
                for digest in [digest for digest, held in self._tickets.items() if self._expired(held)]:
                    self._drop(digest)
            if len(self._tickets) >= self._limit:
                most = max(self._held, key=lambda subject: len(self._held[subject]))
                self._drop(next(iter(self._held[most])))
            digest = _digest(ticket)
            self._tickets[digest] = entry
            self._held.setdefault(entry.grant.subject, {})[digest] = None
        return ticket

    def _drop(self, digest: bytes) -> _Ticket | None:
        ticket = self._tickets.pop(digest, None)
        if ticket is not None:
            held = self._held[ticket.grant.subject]
            del held[digest]
            if not held:
                del self._held[ticket.grant.subject]
        return ticket

    def _expired(self, ticket: _Ticket) -> bool:
        return ticket.grant.expired() or (ticket.expires_at is not None and self._clock() >= ticket.expires_at)


class Gate:
    """The standard Authoriser: Host and Origin first, then an identity, a bearer token or a ticket.

    `tokens` maps bearer tokens to who they are. `hosts` are the exact Host values allowed (None: not checked here, Jupyter did).
    `origins` are exact `scheme://host:port` strings, `any_port_origins` are `scheme://host` whose port does not matter;
    `same_origin` also allows the Origin whose host and port equal the Host.
    `open_roles` not None means no authentication: every request that passes Host and Origin gets those roles;
    such a gate binds to loopback alone.
    """

    def __init__(
        self,
        *,
        tokens: dict[str, Identity] | None = None,
        hosts: Iterable[str] | None = (),
        origins: Iterable[str] = (),
        any_port_origins: Iterable[str] = (),
        same_origin: bool = False,
        open_roles: frozenset[str] | None = None,
    ) -> None:
        self.tickets = TicketBook()
        self.open_roles = open_roles
        self._same_origin = same_origin
        self._hosts = None if hosts is None else frozenset(hosts)
        self._origins = frozenset(origins)
        self._any_port_origins = tuple(any_port_origins)
        self._tokens: dict[bytes, tuple[Identity, str]] = {}
        for token, identity in (tokens or {}).items():
            self.add_token(token, identity)

    def __call__(self, request: HTTPConnection, lobby: Lobby | None) -> Grant | Refusal:
        decision = self._check_host(request) or self._check_origin(request) or self._authenticate(request, lobby)
        if isinstance(decision, Refusal):
            log_refusal(request, decision)
        return decision

    def allows_origin(self, request: HTTPConnection) -> bool:
        """True when the request has no Origin, or one that is allowed."""
        origins = _header(request, b"origin")
        if not origins:
            return True
        if len(origins) > 1:
            return False
        origin = origins[0]
        if origin in self._origins:
            return True
        if self._same_origin and _same_origin(request, origin):
            return True
        return any(_is_origin_at_any_port(origin, base) for base in self._any_port_origins)

    def refuses_page(self, request: HTTPConnection) -> Refusal | None:
        """The refusal of a wrong Host or Origin, for the routes without data that still answer only to this host's own names and pages."""
        refusal = self._check_host(request) or self._check_origin(request)
        if refusal is not None:
            log_refusal(request, refusal)
        return refusal

    def allow(self, *, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        """Allows more Host values and exact Origins from now on. Raises ConfigError for one that no browser would send."""
        hosts, origins = tuple(hosts), tuple(origins)
        for origin in origins:
            scheme, separator, host = origin.partition("://")
            if not separator or scheme not in ("http", "https", "vscode-webview") or not _is_host(host):
                raise ConfigError(f"{origin!r} is not an Origin: write scheme://host or scheme://host:port, without a path")
        for host in hosts:
            if not _is_host(host):
                raise ConfigError(f"{host!r} is not a Host: write host or host:port")
        self._origins |= frozenset(origins)
        if self._hosts is not None:
            self._hosts |= frozenset(hosts)

    def bind_address(self, port: int, *, address: str = "127.0.0.1", scheme: str = "http") -> None:
        """Allows what a server bound to `address:port` is called: that address, and `localhost` when it is a loopback one.

        A wildcard address (`0.0.0.0`, `::`) has no name of its own: the loopback names are allowed, others are `allow`ed by the config.
        Raises ConfigError for an address that is not loopback when no authentication is asked.
        """
        loopback = is_loopback(address)
        if self.open_roles is not None and not loopback:
            raise ConfigError(
                f"without authentication a host binds to loopback only, not to {address}: bind to 127.0.0.1 or give it a token"
            )
        names = ["127.0.0.1", "localhost"] if loopback or address in ("0.0.0.0", "::", "") else []
        if address not in ("0.0.0.0", "::", ""):
            names.append(f"[{address}]" if ":" in address else address)
        default_port = {"http": 80, "https": 443}.get(scheme)
        hosts = [f"{name}:{port}" for name in names] + (names if port == default_port else [])
        self._origins |= {f"{scheme}://{host}" for host in hosts}
        if self._hosts is not None:
            self._hosts |= frozenset(hosts)

    def add_token(self, token: str, identity: Identity) -> str:
        """Accepts one more bearer token; returns the `grant_id` that everything it opens will share."""
        if len(token) < 16:
            raise ConfigError(f"the token of {identity.subject!r} is shorter than 16 characters: make one with `partywidgets token`")
        grant_id = secrets.token_urlsafe(12)
        self._tokens = {**self._tokens, _digest(token): (identity, grant_id)}
        return grant_id

    def revoke(self, grant_id: str) -> None:
        """Forgets the tokens and tickets of a grant. Open sockets are `host.revoke`'s; `App.revoke` does both."""
        self._tokens = {digest: held for digest, held in self._tokens.items() if held[1] != grant_id}
        self.tickets.revoke(grant_id)

    def _check_host(self, request: HTTPConnection) -> Refusal | None:
        hosts = _header(request, b"host")
        if len(hosts) != 1:
            return Refusal(400, "a request has exactly one Host header")
        if self._hosts is not None and hosts[0] not in self._hosts:
            return Refusal(
                403, f"the Host {_shown(hosts[0])} is not a name of this server: use its own address, or add it to auth.hosts in the config"
            )
        return None

    def _check_origin(self, request: HTTPConnection) -> Refusal | None:
        if self.allows_origin(request):
            return None
        origin = ", ".join(_header(request, b"origin"))
        return Refusal(403, f"the Origin {_shown(origin)} is not allowed: add it to auth.origins in the config")

    def _authenticate(self, request: HTTPConnection, lobby: Lobby | None) -> Grant | Refusal:
        identity = request.scope.get("partywidgets.identity")
        query = parse_qsl(request.scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        upgrade = request.scope["type"] == "websocket"
        if identity is None and any(key == "token" for key, _ in query):
            reason = "a token in a URL is refused: send it as the bearer of an Authorization header, or fetch a ticket from POST /tickets"
            return Refusal(401, reason, UNAUTHORISED if upgrade else None)
        bearers = _header(request, b"authorization")
        if len(bearers) > 1:
            return Refusal(400, "a request has at most one Authorization header")
        if bearers and (grant := self._grant_of_bearer(bearers[0], lobby)) is not None:
            return grant
        if isinstance(identity, Identity):
            return _grant(identity, lobby)
        tickets = {value for key, value in query if key == "ticket"} | offered_tickets(request)
        if tickets:
            return self._grant_of_tickets(tickets, lobby, upgrade=upgrade)
        if self.open_roles is not None:
            return _grant(Identity("anyone", "anyone", self.open_roles), lobby)
        if bearers:
            return Refusal(
                401, "the bearer token is not one of this server's: take the one that it was started with, or ask its owner for yours"
            )
        return Refusal(
            401,
            "a credential is needed: a bearer token in the Authorization header (our programs send --token-file or PARTYWIDGETS_TOKEN),"
            " or a ticket from POST /tickets",
        )

    def _grant_of_bearer(self, header: str, lobby: Lobby | None) -> Grant | None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        digest = _digest(token.strip())
        found = None
        for known, held in self._tokens.items():  # all of them, whichever matches
            if hmac.compare_digest(known, digest):
                found = held
        return None if found is None else _grant(found[0], lobby, found[1])

    def _grant_of_tickets(self, tickets: set[str], lobby: Lobby | None, *, upgrade: bool) -> Grant | Refusal:
        close_code = UNAUTHORISED if upgrade else None
        if lobby is None:
            return Refusal(401, "a ticket opens a room only: send a bearer token in the Authorization header here", close_code)
        if len(tickets) > 1:
            return Refusal(401, "more than one ticket was offered: send one", close_code)
        grant = self.tickets.redeem(tickets.pop(), party=lobby.party, room=lobby.room)
        if grant is None:
            return Refusal(401, "the ticket is spent, expired or not for this room: fetch a new one from POST /tickets", close_code)
        return grant


def log_refusal(request: HTTPConnection, refusal: Refusal, subject: str = "") -> None:
    """One line in the log: who was refused what, and why. `subject` is empty for somebody who did not get as far as having one."""
    peer = request.client.host if request.client else "-"
    who = f"{subject} at {peer}" if subject else peer
    method, path = request.scope.get("method", "upgrade"), request.scope.get("path", "")[:200]
    log.info("refused %s %r from %s: %d %s", method, path, who, refusal.status, refusal.reason)


def login_subject(name: str) -> str:
    """The subject of somebody who logged in elsewhere as `name`: different for each name, and never one of the host's own."""
    return LOGIN_PREFIX + name if name in OWN_SUBJECTS or name.startswith(LOGIN_PREFIX) else name


def new_token() -> str:
    """A bearer token with 256 bits of randomness."""
    return secrets.token_urlsafe(32)


def offered_tickets(request: HTTPConnection) -> set[str]:
    """The tickets among the subprotocols that an upgrade offers."""
    offered = {name.strip() for line in _header(request, b"sec-websocket-protocol") for name in line.split(",")}
    offered |= set(request.scope.get("subprotocols") or ())
    return {name.removeprefix(TICKET_SUBPROTOCOL) for name in offered if name.startswith(TICKET_SUBPROTOCOL)}


def _grant(identity: Identity, lobby: Lobby | None, grant_id: str | None = None) -> Grant:
    party, room = (ANY, ANY) if lobby is None else (lobby.party, lobby.room)
    return Grant(
        identity.subject, identity.display_name, identity.roles, party=party, room=room, grant_id=grant_id or secrets.token_urlsafe(12)
    )


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _header(request: HTTPConnection, name: bytes) -> list[str]:
    # The raw list: a mapping would hide that there are two.
    return [value.decode("latin-1") for key, value in request.scope["headers"] if key.lower() == name]


def _shown(value: str) -> str:
    return repr(value if len(value) <= 100 else value[:100] + "…")


def _same_origin(request: HTTPConnection, origin: str) -> bool:
    hosts = _header(request, b"host")
    if len(hosts) != 1 or not hosts[0]:
        return False
    # A page of plain http may not reach a host that serves TLS itself; behind a proxy the scheme is not known here.
    schemes = ("https",) if request.scope.get("scheme") in ("https", "wss") else ("http", "https")
    return any(origin == f"{scheme}://{hosts[0]}" for scheme in schemes)


def _is_origin_at_any_port(origin: str, base: str) -> bool:
    if origin == base:
        return True
    port = origin.removeprefix(base + ":") if origin.startswith(base + ":") else ""
    return port.isascii() and port.isdigit() and not port.startswith("0") and len(port) <= 5 and int(port) <= 65535


def _is_host(text: str) -> bool:
    return bool(text) and not any(character in text for character in "/@?#\\ ,*") and text.isprintable()


def is_loopback(address: str) -> bool:
    """True for an address, or the name, that only this machine reaches."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
