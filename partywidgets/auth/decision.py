"""Who somebody is, or why their request goes no further."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import HTTPConnection

from ..party.grant import Grant
from ..party.routing import Lobby

log = logging.getLogger("partywidgets.auth")

UNAUTHORISED = 4401
"""The close code that tells a client to stop: its ticket is spent, expired or not for this room."""

OWN_SUBJECTS = frozenset({"owner", "anyone"})
"""Whom a host itself lets in: with its own token or from its own kernel, and without a login. Nobody else's name may be one of them."""

LOGIN_PREFIX = "login:"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes no further.

    `status` is the HTTP answer, `reason` the sentence that its sender reads. `close_code`, when set, is for an upgrade: the handshake is
    finished, no room is touched, and the socket closes with it, so that a browser can tell "stop" (4401, 4403) from "retry".
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


def log_refusal(request: HTTPConnection, refusal: Refusal, subject: str = "", *, level: int = logging.INFO) -> None:
    """One line in the log: who was refused what, and why. `subject` is empty for somebody who did not get as far as having one."""
    peer = request.client.host if request.client else "-"
    who = f"{subject} at {peer}" if subject else peer
    method, path = request.scope.get("method", "upgrade"), request.scope.get("path", "")[:200]
    log.log(level, "refused %s %r from %s: %d %s", method, path, who, refusal.status, refusal.reason)


def login_subject(name: str) -> str:
    """The subject of somebody who logged in elsewhere as `name`: different for each name, and never one of the host's own."""
    return LOGIN_PREFIX + name if name in OWN_SUBJECTS or name.startswith(LOGIN_PREFIX) else name
