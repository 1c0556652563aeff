"""Tickets: each works once, for its room, in its time."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from partywidgets.auth import Gate, Refusal, TicketBook, new_token
from partywidgets.party import Grant, Lobby, Server
from partywidgets.party.grant import GUEST_ROLES

from .kernel_host import LOBBY, OWNER, PORT, kernel_gate, request_of


@pytest.mark.parametrize("way", ["query", "subprotocol"])
def test_a_ticket_works_once(way: str) -> None:
    """The first handshake gets the grant, narrowed to the room; the second is finished and closed 4401."""
    gate = kernel_gate(new_token())
    grant = Grant("ada", "Ada", GUEST_ROLES)
    ticket = gate.tickets.issue(grant, party="chat", room="lobby")
    shown: dict[str, Any] = (
        {"query": f"ticket={ticket}"} if way == "query" else {"protocols": ("partywidgets.v1", f"partywidgets.ticket.{ticket}")}
    )
    assert gate(request_of(**shown), LOBBY) == replace(grant, party="chat", room="lobby")
    spent = gate(request_of(**shown), LOBBY)
    assert isinstance(spent, Refusal)
    assert (spent.status, spent.close_code) == (401, 4401)
    over_http = gate(request_of(**shown, kind="http"), LOBBY)
    assert isinstance(over_http, Refusal)
    assert over_http.close_code is None


def test_a_ticket_for_another_room_is_spent_by_the_try() -> None:
    """A foreign ticket touches no room, and guessing rooms with it is not possible."""
    gate = kernel_gate(new_token())
    ticket = gate.tickets.issue(Grant("ada", "Ada", GUEST_ROLES), party="chat", room="other")
    assert isinstance(gate(request_of(query=f"ticket={ticket}"), LOBBY), Refusal)
    assert isinstance(gate(request_of(query=f"ticket={ticket}"), Lobby("chat", "other", Server)), Refusal)


def test_two_tickets_in_one_request_are_refused_and_a_ticket_opens_only_rooms() -> None:
    """No picking among tickets, and none on routes that are not a room."""
    gate = kernel_gate(new_token())
    grant = Grant("ada", "Ada", GUEST_ROLES)
    one, two = (gate.tickets.issue(grant, party="chat", room="lobby") for _ in range(2))
    assert isinstance(gate(request_of(query=f"ticket={one}&ticket={two}"), LOBBY), Refusal)
    assert isinstance(gate(request_of(query=f"ticket={one}", kind="http"), None), Refusal)
    assert isinstance(gate(request_of(query=f"ticket={one}"), LOBBY), Grant), "neither try reached the book"


def test_a_fetched_ticket_expires_after_its_lifetime() -> None:
    """30 s by default, counted by a clock that cannot be set back."""
    now = 100.0
    book = TicketBook(clock=lambda: now)
    grant = Grant("ada", "Ada", GUEST_ROLES)
    early, late = (book.issue(grant, party="chat", room="lobby") for _ in range(2))
    now += 29.9
    assert book.redeem(early, party="chat", room="lobby") is not None
    now += 0.1
    assert book.redeem(late, party="chat", room="lobby") is None


def test_a_resume_ticket_lives_with_its_socket_and_ten_minutes_more() -> None:
    """No clock runs while the socket is open; `release` starts the ten minutes; the grant_id stays."""
    now = 0.0
    book = TicketBook(clock=lambda: now)
    grant = Grant("ada", "Ada", GUEST_ROLES)
    tickets = [book.issue_resume(grant, party="chat", room="lobby") for _ in range(3)]
    now += 86_400
    resumed = book.redeem(tickets[0], party="chat", room="lobby")
    assert resumed is not None
    assert resumed.grant_id == grant.grant_id
    assert book.redeem(tickets[0], party="chat", room="lobby") is None
    for ticket in (*tickets, "unknown"):
        book.release(ticket)
    now += 599
    book.release(tickets[2])
    assert book.redeem(tickets[1], party="chat", room="lobby") is not None
    now += 1
    assert book.redeem(tickets[2], party="chat", room="lobby") is None, "a second release does not prolong"


def test_a_ticket_does_not_outlive_its_grant() -> None:
    """An expired grant makes its tickets void."""
    book = TicketBook()
    ticket = book.issue_resume(Grant("ada", "Ada", GUEST_ROLES, expires_at=time.time() - 1), party="chat", room="lobby")
    assert book.redeem(ticket, party="chat", room="lobby") is None


def test_a_grant_for_one_room_makes_no_ticket_for_another() -> None:
    """Tickets narrow, never widen."""
    with pytest.raises(ValueError, match="not for chat/other"):
        TicketBook().issue(Grant("ada", "Ada", GUEST_ROLES, party="chat", room="lobby"), party="chat", room="other")


def test_the_ticket_book_is_bounded_and_drops_the_expired_first() -> None:
    """At the limit expired tickets go, then the oldest of whoever holds the most: a flood pushes out its own."""
    now = 0.0
    book = TicketBook(limit=3, clock=lambda: now)
    grant = Grant("ada", "Ada", GUEST_ROLES)
    lasting = book.issue(grant, party="chat", room="lobby", lifetime=1000)
    short = book.issue(grant, party="chat", room="lobby", lifetime=1)
    newer = book.issue(grant, party="chat", room="lobby", lifetime=1000)
    now = 2.0
    newest = book.issue(grant, party="chat", room="lobby")
    assert len(book) == 3
    overflow = book.issue(grant, party="chat", room="lobby")
    assert len(book) == 3
    assert [book.redeem(ticket, party="chat", room="lobby") is not None for ticket in (lasting, short, newer, newest, overflow)] == [
        False,
        False,
        True,
        True,
        True,
    ]
    quiet = book.issue(Grant("bob", "Bob", GUEST_ROLES), party="chat", room="lobby")
    flood = [book.issue(grant, party="chat", room="lobby") for _ in range(100)]
    assert len(book) == 3
    assert book.redeem(quiet, party="chat", room="lobby") is not None
    assert book.redeem(flood[-1], party="chat", room="lobby") is not None
    assert book.redeem(flood[0], party="chat", room="lobby") is None


def test_revoking_a_grant_forgets_its_token_and_tickets() -> None:
    """After `revoke` neither the token nor a ticket it made opens anything; other tokens stay."""
    doomed, other = new_token(), new_token()
    gate = Gate(tokens={other: OWNER})
    gate.bind_address(PORT)
    grant_id = gate.add_token(doomed, OWNER)
    grant = gate(request_of(bearer=doomed), LOBBY)
    assert isinstance(grant, Grant)
    assert grant.grant_id == grant_id
    ticket = gate.tickets.issue_resume(grant, party="chat", room="lobby")
    gate.revoke(grant_id)
    assert isinstance(gate(request_of(bearer=doomed), LOBBY), Refusal)
    assert isinstance(gate(request_of(query=f"ticket={ticket}"), LOBBY), Refusal)
    assert isinstance(gate(request_of(bearer=other), LOBBY), Grant)
