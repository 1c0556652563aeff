"""URL → (party, room): pure functions, and the hooks that may stand in front of a room."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import Response


@dataclass(frozen=True, slots=True)
class Lobby:
    """Where a request wants to go, before it is there."""

    party: str
    room: str
    server_class: type


BeforeHook = Callable[[HTTPConnection, Lobby], "Response | HTTPConnection | None | Awaitable[Response | HTTPConnection | None]"]
"""Returns a response (sent as it is, also on an upgrade), a changed request, or None to go on. The app's context is `request.app` and `request.state`."""


def kebab(name: str) -> str:
    """A party's name in URLs, by PartyServer's rule: `MyRoom` → `my-room`, `MY_ROOM` → `my-room`, `HTTPServer` → `h-t-t-p-server`."""
    raise NotImplementedError


def room_name(segment: str) -> str:
    """A raw path segment as a room's name: percent-decoded once. Raises RoomNameError."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Alias:
    """Another path to a room: `Alias("/api/workers/{room}/terminal", "terminal-server")`, or with a fixed `room`."""

    pattern: str
    party: str
    room: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """What a path means: a party, a room, and the rest of the path behind them."""

    party: str
    room: str
    rest: str


def match(raw_path: str, *, prefix: str = "parties", aliases: tuple[Alias, ...] = ()) -> Target | None:
    """The target of a raw (undecoded) path, or None when it is not for a room. Raises RoomNameError."""
    raise NotImplementedError


Scope = dict[str, Any]
