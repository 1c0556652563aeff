"""Tickets: what a page has instead of a token. One room, one handshake, a short time."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from starlette.requests import HTTPConnection

from ..party.grant import Grant
from .page import headers_of
from .secret import digest_of

TICKET_SUBPROTOCOL = "partywidgets.ticket."
"""A ticket is offered as `partywidgets.ticket.<ticket>` beside a dialect, and never selected."""

TICKET_LIFETIME = 30.0
"""Seconds in which a fetched ticket must be used."""

RESUME_LIFETIME = 600.0
"""Seconds that a resume ticket outlives its socket."""

REVOKED = 10_000
"""Ended grants that are remembered, the newest: longer than any request that was authorised before them lasts."""


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
        """The socket of a resume ticket closed: its 10 minutes begin. A ticket that is spent or unknown is not an error."""
        with self._lock:
            found = self._tickets.get(digest_of(ticket))
            if found is not None and found.expires_at is None:
                found.expires_at = self._clock() + RESUME_LIFETIME

    def redeem(self, ticket: str, *, party: str, room: str) -> Grant | None:
        """The grant, once; None when the ticket is unknown, spent, expired or for another room.

        A try at another room spends the ticket too. The grant is narrowed to the room and keeps its `grant_id`.
        """
        with self._lock:
            found = self._drop(digest_of(ticket))
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
            digest = digest_of(ticket)
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


def offered_tickets(request: HTTPConnection) -> set[str]:
    """The tickets among the subprotocols that an upgrade offers."""
    offered = {name.strip() for line in headers_of(request, b"sec-websocket-protocol") for name in line.split(",")}
    offered |= set(request.scope.get("subprotocols") or ())
    return {name.removeprefix(TICKET_SUBPROTOCOL) for name in offered if name.startswith(TICKET_SUBPROTOCOL)}
