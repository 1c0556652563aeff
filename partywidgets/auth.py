"""Who may do what: one authoriser for every HTTP and WebSocket path, deny by default."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import HTTPConnection

from .party.grant import Grant
from .party.routing import Lobby

TICKET_SUBPROTOCOL = "partywidgets.ticket."
"""A ticket is offered as `partywidgets.ticket.<ticket>` beside a dialect, and never selected."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes no further.

    `status` is the HTTP answer. `close_code`, when set, is for an upgrade: the handshake is finished, no room is touched, and the socket closes with it,
    so that a browser can tell "stop" (4401, 4403) from "retry".
    """

    status: int
    reason: str
    close_code: int | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody whom the transport itself authenticated (Jupyter's login). Put into the ASGI scope as `partywidgets.identity` by our own handlers only."""

    subject: str
    display_name: str
    roles: frozenset[str]


class Authoriser(Protocol):
    """Runs before any hook on every path. `lobby` is None for routes that are not a room."""

    def __call__(self, request: HTTPConnection, lobby: Lobby | None) -> Grant | Refusal | Awaitable[Grant | Refusal]: ...


class TicketBook:
    """Single-use tickets: 30 s when fetched, 10 minutes past its socket when a resume ticket."""

    def issue(self, grant: Grant, *, party: str, room: str, lifetime: float = 30.0) -> str:
        """A ticket for one handshake by `grant` into one room, valid for `lifetime` seconds."""
        raise NotImplementedError

    def issue_resume(self, grant: Grant, *, party: str, room: str) -> str:
        """A single-use ticket that lives while its socket is open and 10 minutes after (`release`)."""
        raise NotImplementedError

    def release(self, ticket: str) -> None:
        """The socket of a resume ticket closed: its 10 minutes begin."""
        raise NotImplementedError

    def redeem(self, ticket: str, *, party: str, room: str) -> Grant | None:
        """The grant, once; None when the ticket is unknown, spent, expired or for another room."""
        raise NotImplementedError


class Gate:
    """The standard Authoriser: Host and Origin first, then an identity, a bearer token or a ticket.

    `tokens` maps bearer tokens to who they are. `origins` are exact `scheme://host:port` strings, `any_port_origins` are `scheme://host` whose port does not matter.
    `hosts` are the exact Host values allowed (None: not checked here, Jupyter did). `open_roles` not None means no authentication: every request gets those roles.
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
        raise NotImplementedError

    tickets: TicketBook

    def __call__(self, request: HTTPConnection, lobby: Lobby | None) -> Grant | Refusal:
        raise NotImplementedError

    def allows_origin(self, request: HTTPConnection) -> bool:
        """True when the request has no Origin, or one that is allowed."""
        raise NotImplementedError


def new_token() -> str:
    """A bearer token with 256 bits of randomness."""
    raise NotImplementedError
