"""Who is there and what they may do. Imports nothing of ours: rooms decide by a Grant and never see a credential."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

TerminalRole = Literal["observer", "operator", "peer", "moderator"]
OpsRole = Literal["viewer", "responder", "runner", "admin"]

TERMINAL_ROLES: tuple[str, ...] = get_args(TerminalRole)
OPS_ROLES: tuple[str, ...] = get_args(OpsRole)
ROLES: frozenset[str] = frozenset(TERMINAL_ROLES + OPS_ROLES)

ANY = "*"
OWNER_ROLES: frozenset[str] = frozenset({"moderator", "admin"})
GUEST_ROLES: frozenset[str] = frozenset({"observer", "viewer"})
OPEN_ROLES: frozenset[str] = frozenset({"peer", "responder"})


@dataclass(frozen=True, slots=True)
class Grant:
    """What one authenticated subject may do in one room, decided before any hook runs.

    `subject` is who it is, the same in every session; `display_name` is what others see. `roles` are of a terminal (observer, operator,
    peer, moderator) and of the ops room (viewer, responder, runner, admin), or names of your own.
    `party` and `room` are the kebab-case party and the room it is for, or `"*"` for any.
    `expires_at` is in seconds since the epoch; None lives as long as its socket.
    `grant_id` is what `host.revoke(grant_id)` takes; grants derived from one another share it.
    """

    subject: str
    display_name: str
    roles: frozenset[str]
    party: str = ANY
    room: str = ANY
    expires_at: float | None = None
    grant_id: str = field(default_factory=lambda: secrets.token_urlsafe(12))

    def has(self, *roles: str) -> bool:
        """True when the grant holds at least one of `roles`."""
        return not self.roles.isdisjoint(roles)

    def covers(self, party: str, room: str) -> bool:
        """True when the grant is for this party and room."""
        return self.party in (ANY, party) and self.room in (ANY, room)

    def expired(self) -> bool:
        """True when `expires_at` is past, by the clock on the wall."""
        return self.expires_at is not None and time.time() >= self.expires_at

    def terminal_role(self) -> TerminalRole | None:
        """The strongest terminal role held: moderator, peer, operator, observer; None when there is none."""
        order: tuple[TerminalRole, ...] = ("moderator", "peer", "operator", "observer")
        return next((role for role in order if role in self.roles), None)

    def ops_role(self) -> OpsRole | None:
        """The strongest ops role that a person can hold: admin, responder, viewer; `runner` alone when there is no other."""
        order: tuple[OpsRole, ...] = ("admin", "responder", "viewer", "runner")
        return next((role for role in order if role in self.roles), None)


def parse_roles(names: Iterable[str]) -> frozenset[str]:
    """Role names as a set; raises ValueError naming the first unknown one."""
    roles = frozenset(names)
    for name in sorted(roles - ROLES):
        raise ValueError(f"unknown role {name!r}: use one of {', '.join(sorted(ROLES))}")
    return roles
