"""URL → (party, room): pure functions, and the hooks that may stand in front of a room."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from starlette.requests import HTTPConnection
from starlette.responses import Response

from ..exceptions import ConfigError, RoomNameError

NAME_LIMIT = 512
"""Bytes of UTF-8 in a room's name."""

SEGMENT = re.compile(r"[A-Za-z0-9._~-]+")
"""What stands in a URL's path without percent-encoding (RFC 3986's unreserved characters): a party is matched as it stands there."""

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Lobby:
    """Where a request wants to go, before it is there."""

    party: str
    room: str
    server_class: type


BeforeHook = Callable[[HTTPConnection, Lobby], "Response | HTTPConnection | Awaitable[Response | HTTPConnection | None] | None"]
"""Returns a response (sent as it is, also on an upgrade), a changed request, or None to go on.

The app's context is `request.app` and `request.state`.
"""


def kebab(name: str) -> str:
    """A party's name in URLs, by PartyServer's rule: `MyRoom` → `my-room`, `MY_ROOM` → `my-room`, `HTTPServer` → `h-t-t-p-server`."""
    if name == name.upper() and name != name.lower():
        return name.lower().replace("_", "-")
    dashed = re.sub(r"[A-Z]", lambda capital: f"-{capital[0].lower()}", name)
    dashed = dashed.removeprefix("-").replace("_", "-")
    return dashed.removesuffix("-")


def check_room_name(name: str) -> str:
    """The name itself. Raises RoomNameError, never quoting more than its beginning."""
    if not isinstance(name, str):  # from a cell, where nothing checks types
        raise RoomNameError(f"a room's name is text, got {type(name).__name__}: write it like 'db-incident'")
    if not name or name in (".", ".."):
        raise RoomNameError(f"a room cannot be called {name!r}: give it a name")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise RoomNameError(f"the room name {name[:40]!r} holds half of a character (a lone surrogate): leave it out") from None
    if size > NAME_LIMIT:
        raise RoomNameError(f"the room name {name[:20]!r}… is longer than {NAME_LIMIT} bytes: shorten it")
    if "/" in name or "\\" in name or CONTROL.search(name):
        raise RoomNameError(f"the room name {name[:40]!r} holds a slash, a backslash or a control character: leave it out")
    return name


def room_name(segment: str) -> str:
    """A raw path segment as a room's name: percent-decoded once. Raises RoomNameError."""
    try:
        name = unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError:
        raise RoomNameError(f"the room name {segment[:40]!r} is not UTF-8: percent-encode its UTF-8 bytes") from None
    return check_room_name(name)


@dataclass(frozen=True, slots=True)
class Alias:
    """Another path to a room: `Alias("/api/workers/{room}/terminal", "terminal-server")`, or with a fixed `room`.

    `{room}` is one segment, any other `{name}` too, and a last `{name:path}` takes the rest of the path, at least one segment.
    """

    pattern: str
    party: str
    room: str | None = None

    def __post_init__(self) -> None:
        if (self.room is None) == ("{room}" not in self.pattern):
            raise ConfigError(f"the alias {self.pattern!r} needs either {{room}} in its pattern or a fixed room")


@dataclass(frozen=True, slots=True)
class Target:
    """What a path means: a party, a room, and the rest of the path behind them."""

    party: str
    room: str
    rest: str


def match(raw_path: str, *, prefix: str = "parties", aliases: tuple[Alias, ...] = ()) -> Target | None:
    """The target of a raw (undecoded) path, or None when it is not for a room. Raises RoomNameError.

    Empty segments do not count, as in PartyServer; the party is matched as it stands, so an encoded one is unknown.
    """
    parts = [part for part in raw_path.split("/") if part]
    first = [part for part in prefix.split("/") if part]
    if parts[: len(first)] == first and len(parts) >= len(first) + 2:
        party, room, *rest = parts[len(first) :]
        return Target(party, room_name(room), "/".join(rest))
    for alias in aliases:
        target = _match_alias(alias, parts)
        if target is not None:
            return target
    return None


def _match_alias(alias: Alias, parts: list[str]) -> Target | None:
    pattern = [part for part in alias.pattern.split("/") if part]
    tail = bool(pattern) and pattern[-1].endswith(":path}")
    fixed = pattern[:-1] if tail else pattern
    if len(parts) < len(fixed) + tail or (not tail and len(parts) != len(fixed)):
        return None
    segment: str | None = None
    for wanted, part in zip(fixed, parts, strict=False):
        if wanted == "{room}":
            segment = part
        elif not wanted.startswith("{") and wanted != part:
            return None
    room = alias.room if alias.room is not None else room_name(segment or "")
    return Target(alias.party, room, "/".join(parts[len(fixed) :]))
