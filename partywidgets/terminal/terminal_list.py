"""The terminals of a whole host, for whoever looks for one: what is open now, and in what a new one may be opened."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..party import Grant
from .lease import Person

if TYPE_CHECKING:
    from .server import TerminalServer

MOST = 1000
"""Terminals, and sandboxes, that are listed at once."""


def answer(rooms: Iterable[TerminalServer], sandboxes: Iterable[str], grant: Grant, *, most: int = MOST) -> dict[str, Any]:
    """What `GET /api/terminals` says to a grant with a role in terminals. `sandboxes` are ids; addresses are told to nobody.

    A room counts as there while its sandbox runs or somebody is in it. Those with people come first, then by name; `more` is how many are
    left out.
    """
    found = [described(room) for room in rooms if (room.upstream.alive or room.viewers) and grant.covers(room.party, room.name)]
    found.sort(key=lambda one: (one["people"] == 0, one["room"]))
    role = grant.terminal_role() or ""
    may_open = Person(grant.subject, "http", grant.display_name, role).may_hold
    return {
        "role": role,
        "terminals": found[:most],
        "more": max(0, len(found) - most),
        "sandboxes": sorted(sandboxes)[:most] if may_open else [],
    }


def described(room: TerminalServer) -> dict[str, Any]:
    """One terminal; somebody with two pages is one of its people."""
    return {
        "room": room.name,
        "sandbox": room.upstream.sandbox_id,
        "state": room.upstream.state,
        "people": len({viewer.person.subject for viewer in room.viewers.values()}),
    }
