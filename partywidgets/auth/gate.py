"""The standard authoriser."""

from __future__ import annotations

import hmac
import logging
import secrets
from collections import Counter
from collections.abc import Iterable
from urllib.parse import parse_qsl

from starlette.requests import HTTPConnection

from ..exceptions import ConfigError
from ..party.grant import ANY, Grant
from ..party.routing import Lobby
from ..transport.notices import Notices
from .decision import UNAUTHORISED, Identity, Refusal, log_refusal
from .page import headers_of, is_host, is_loopback, is_origin_at_any_port, is_same_origin, shown
from .secret import digest_of
from .tickets import TicketBook, offered_tickets

LOOPBACK_ORIGINS = ("http://localhost", "http://127.0.0.1", "http://[::1]")
"""What a kernel host allows on any port: nothing ambient authenticates there, the ticket decides."""


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
        self.refused: Counter[int] = Counter()
        """Requests that went no further, by the status of their answer: 401 for a credential, 403 for a Host or an Origin."""
        self._notices = Notices()
        self.open_roles = open_roles
        self._same_origin = same_origin
        self._hosts = None if hosts is None else frozenset(hosts)
        self._origins = frozenset(origins)
        self._any_port_origins = tuple(any_port_origins)
        self._tokens: dict[bytes, tuple[Identity, str]] = {}
        for token, identity in (tokens or {}).items():
            self.add_token(token, identity)

    def __call__(self, request: HTTPConnection, lobby: Lobby | None) -> Grant | Refusal:
        refusal = self.refuses_page(request)
        if refusal is not None:
            return refusal
        decision = self._authenticate(request, lobby)
        if isinstance(decision, Refusal):
            self.refused[decision.status] += 1
            log_refusal(request, decision)
        return decision

    def allows_origin(self, request: HTTPConnection) -> bool:
        """True when the request has no Origin, or one that is allowed."""
        origins = headers_of(request, b"origin")
        if not origins:
            return True
        if len(origins) > 1:
            return False
        origin = origins[0]
        if origin in self._origins:
            return True
        if self._same_origin and is_same_origin(request, origin):
            return True
        return any(is_origin_at_any_port(origin, base) for base in self._any_port_origins)

    def refuses_page(self, request: HTTPConnection) -> Refusal | None:
        """The refusal of a wrong Host or Origin; on routes without data, nothing else is asked."""
        refusal = self._check_host(request) or self._check_origin(request)
        if refusal is not None:
            self.refused[refusal.status] += 1
            # A browser shows nobody the reason: whoever serves is told, also where the log has warnings alone, and then not of each.
            log_refusal(request, refusal, level=logging.WARNING if self._notices.is_new(refusal.reason) else logging.INFO)
        return refusal

    def allow(self, *, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        """Allows more Host values and exact Origins from now on. Raises ConfigError for one that no browser would send."""
        hosts, origins = tuple(hosts), tuple(origins)
        for origin in origins:
            scheme, separator, host = origin.partition("://")
            if not separator or scheme not in ("http", "https", "vscode-webview") or not is_host(host):
                raise ConfigError(f"{origin!r} is not an Origin: write scheme://host or scheme://host:port, without a path")
        for host in hosts:
            if not is_host(host):
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
        if address == "::":
            names.append("[::1]")
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
        self._tokens = {**self._tokens, digest_of(token): (identity, grant_id)}
        return grant_id

    def revoke(self, grant_id: str) -> None:
        """Forgets the tokens and tickets of a grant. Open sockets are `host.revoke`'s; `App.revoke` does both."""
        self._tokens = {digest: held for digest, held in self._tokens.items() if held[1] != grant_id}
        self.tickets.revoke(grant_id)

    def _check_host(self, request: HTTPConnection) -> Refusal | None:
        hosts = headers_of(request, b"host")
        if len(hosts) != 1:
            return Refusal(400, "a request has exactly one Host header")
        if self._hosts is not None and hosts[0] not in self._hosts:
            reason = f"the Host {shown(hosts[0])} is not a name of this server: use its own address, or add it to auth.hosts in the config"
            return Refusal(403, f"{reason} (in Python: serve(hosts=…))")
        return None

    def _check_origin(self, request: HTTPConnection) -> Refusal | None:
        if self.allows_origin(request):
            return None
        origin = ", ".join(headers_of(request, b"origin"))
        reason = f"the Origin {shown(origin)} is not allowed: add it to auth.origins in the config"
        return Refusal(403, f"{reason} (in Python: serve(origins=…))")

    def _authenticate(self, request: HTTPConnection, lobby: Lobby | None) -> Grant | Refusal:
        identity = request.scope.get("partywidgets.identity")
        query = parse_qsl(request.scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        upgrade = request.scope["type"] == "websocket"
        if identity is None and any(key == "token" for key, _ in query):
            reason = "a token in a URL is refused: send it as the bearer of an Authorization header, or fetch a ticket from POST /tickets"
            return Refusal(401, reason, UNAUTHORISED if upgrade else None)
        bearers = headers_of(request, b"authorization")
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
        digest = digest_of(token.strip())
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


def new_token() -> str:
    """A bearer token with 256 bits of randomness."""
    return secrets.token_urlsafe(32)


def _grant(identity: Identity, lobby: Lobby | None, grant_id: str | None = None) -> Grant:
    party, room = (ANY, ANY) if lobby is None else (lobby.party, lobby.room)
    return Grant(
        identity.subject, identity.display_name, identity.roles, party=party, room=room, grant_id=grant_id or secrets.token_urlsafe(12)
    )
