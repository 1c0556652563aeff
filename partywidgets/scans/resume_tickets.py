"""Resume tickets of the ops room: with one a page comes back whose kernel is busy or gone."""

from __future__ import annotations

from typing import Any

from ..auth import RESUME_LIFETIME, TicketBook
from ..party import Connection


class ResumeTickets:
    """The ticket of each socket that asked for one. Lent to the room by its app, since the room's instances go while sockets stay."""

    def __init__(self, book: TicketBook) -> None:
        self._book = book
        self._held: dict[Connection, str] = {}

    def give(self, connection: Connection, *, party: str, room: str) -> dict[str, Any]:
        """A ticket for one handshake with the room by who has this connection, good while that is open and 10 minutes after. The one that
        it was given before opens nothing any more."""
        if (before := self._held.pop(connection, None)) is not None:
            self._book.redeem(before, party=party, room=room)
        ticket = self._book.issue_resume(connection.grant, party=party, room=room)
        self._held[connection] = ticket
        return {"ticket": ticket, "expires_in": RESUME_LIFETIME}

    def left(self, connection: Connection) -> None:
        """The connection closed: its ticket's 10 minutes begin."""
        if (ticket := self._held.pop(connection, None)) is not None:
            self._book.release(ticket)
